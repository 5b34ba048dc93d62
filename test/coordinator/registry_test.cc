#include "cluster_fixture.h"

namespace varpulis::coordinator {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class RegistryTest : public ClusterFixture {};

TEST_F(RegistryTest, AProcessRegistersAndIsReady) {
  const Effects effects = Join("w0");
  const auto reply = BodyOf<v1::RegisterWorkerResponse>(effects, kCaller);
  EXPECT_EQ(reply.status(), "registered");
  EXPECT_EQ(reply.incarnation(), "w0-1");
  EXPECT_EQ(reply.heartbeat_interval_secs(), 5u);
  EXPECT_EQ(reply.leader_epoch(), 1u);
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  EXPECT_TRUE(store_.contains("worker.w0"));
}

TEST_F(RegistryTest, AnotherProcessUnderALiveIdAsksTheFirstOne) {
  Join("w0");
  const Effects asked = Join("w0", 100, "w0-2");
  ASSERT_THAT(asked.checks, SizeIs(1));
  EXPECT_EQ(asked.checks[0].incumbent, "w0-1");
  EXPECT_THAT(asked.answers, IsEmpty());

  EXPECT_EQ(ErrorOf(Do(IncumbentChecked{asked.checks[0].registration, "w0-1"}), kCaller),
            "conflict");
  EXPECT_EQ(state_.workers.at(WorkerId("w0")).incarnation, "w0-1");

  EXPECT_EQ(ErrorOf(Do(IncumbentChecked{asked.checks[0].registration, std::nullopt}), kCaller),
            "OK");
  EXPECT_EQ(state_.workers.at(WorkerId("w0")).incarnation, "w0-2");
}

TEST_F(RegistryTest, AnotherProcessReplacesAnUnhealthyOneAtOnce) {
  Join("w0");
  for (int i = 0; i < 5; ++i) Advance(absl::Seconds(5));
  ASSERT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_UNHEALTHY);
  EXPECT_EQ(ErrorOf(Join("w0", 100, "w0-2"), kCaller), "OK");
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
}

TEST_F(RegistryTest, RegisteringALiveIdByHandChangesNothing) {
  Join("w0");
  const Effects effects = Do(RegisterWorker{Worker("w0", 3), kCaller});
  EXPECT_EQ(ErrorOf(effects, kCaller), "OK");
  EXPECT_THAT(effects.writes, IsEmpty());
  EXPECT_EQ(state_.workers.at(WorkerId("w0")).max_pipelines, 100u);
}

TEST_F(RegistryTest, RegisteringByHandGivesAnIncarnationAndKeepsIt) {
  const auto incarnation_of = [](const Effects& effects) {
    return BodyOf<v1::RegisterWorkerResponse>(effects, kCaller).incarnation();
  };
  EXPECT_EQ(incarnation_of(Do(RegisterWorker{Worker("w0"), kCaller, "made-1"})), "made-1");
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  EXPECT_EQ(incarnation_of(Do(RegisterWorker{Worker("w0"), kCaller, "made-2"})), "made-1");
  Restart(2);
  EXPECT_EQ(incarnation_of(Do(RegisterWorker{Worker("w0"), kCaller, "made-3"})), "made-1");
  for (int i = 0; i < 5; ++i) Advance(absl::Seconds(5));
  ASSERT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_UNHEALTHY);
  EXPECT_EQ(incarnation_of(Do(RegisterWorker{Worker("w0"), kCaller, "made-4"})), "made-1");

  v1::Heartbeat heartbeat;
  heartbeat.set_worker_id("w0");
  heartbeat.set_pipelines_running(100);
  heartbeat.set_incarnation("made-1");
  EXPECT_EQ(ErrorOf(Do(ReceiveHeartbeat{heartbeat, now_, kCaller}), kCaller), "OK");
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_BUSY) << "it has no list, only a count";
  heartbeat.set_incarnation("made-2");
  EXPECT_EQ(ErrorOf(Do(ReceiveHeartbeat{heartbeat, now_, kCaller}), kCaller), "worker_not_found");

  const Effects process = Join("w0");  // a process takes the id over at once
  EXPECT_EQ(incarnation_of(process), "w0-1");
  EXPECT_EQ(incarnation_of(Do(RegisterWorker{Worker("w0"), kCaller, "made-5"})), "")
      << "that of the process is no business of whoever registers by hand";
}

TEST_F(RegistryTest, HeartbeatsOfStrangersAreRefused) {
  EXPECT_EQ(ErrorOf(Beat("w0", {}), kCaller), "worker_not_found");
  Join("w0");
  EXPECT_EQ(ErrorOf(Beat("w0", {}, "w0-2"), kCaller), "worker_not_found");
  EXPECT_EQ(ErrorOf(Beat("w0", {}), kCaller), "OK");
}

TEST_F(RegistryTest, AHeartbeatByHandKeepsAliveAndCounts) {
  Join("w0", 2);
  now_ += absl::Seconds(9);
  v1::Heartbeat heartbeat;
  heartbeat.set_worker_id("w0");
  heartbeat.set_events_processed(1000);
  heartbeat.set_pipelines_running(2);
  heartbeat.add_pipeline_metrics()->set_pipeline_name("p");
  EXPECT_EQ(ErrorOf(Do(ReceiveHeartbeat{heartbeat, now_, kCaller}), kCaller), "OK");
  const struct Worker& worker = state_.workers.at(WorkerId("w0"));
  EXPECT_EQ(worker.events_processed, 1000u);
  EXPECT_EQ(worker.last_seen, now_);
  EXPECT_THAT(worker.metrics, SizeIs(1));
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_BUSY);

  heartbeat.set_pipelines_running(1);
  heartbeat.clear_pipeline_metrics();
  Do(ReceiveHeartbeat{heartbeat, now_, kCaller});
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  EXPECT_THAT(worker.metrics, IsEmpty());
}

TEST_F(RegistryTest, AHeartbeatWithoutTheIncarnationOnlyKeepsAliveAndCounts) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  const auto stored = store_;
  v1::Heartbeat heartbeat;
  heartbeat.set_worker_id("w0");
  heartbeat.set_draining(true);
  for (const bool empty : {false, true}) {
    if (empty) heartbeat.set_incarnation("");
    const Effects effects = Do(ReceiveHeartbeat{heartbeat, now_, kCaller});
    EXPECT_EQ(ErrorOf(effects, kCaller), "OK");
    EXPECT_THAT(effects.deploys, IsEmpty()) << "its list of copies says nothing";
  }
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  EXPECT_EQ(store_, stored);
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_RUNNING);
}

TEST_F(RegistryTest, DeletingAWorkerFailsItsPlacements) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p"), Pipeline("q")})));
  const Effects effects = Do(DeleteWorker{WorkerId("w0"), kCaller});
  EXPECT_EQ(BodyOf<v1::DeleteWorkerResponse>(effects, kCaller).placements_affected(), 2u);
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_FAILED);
  EXPECT_EQ(At("g", "p").error, "the worker was deleted");
  EXPECT_FALSE(store_.contains("worker.w0"));
  EXPECT_EQ(ErrorOf(Beat("w0", {}), kCaller), "worker_not_found");
  EXPECT_EQ(ErrorOf(Do(DeleteWorker{WorkerId("w0"), kCaller}), kCaller), "worker_not_found");
}

TEST_F(RegistryTest, AWorkerThatShutsDownTakesNothingNew) {
  Join("w0");
  v1::Heartbeat heartbeat;
  heartbeat.set_worker_id("w0");
  heartbeat.set_incarnation("w0-1");
  heartbeat.set_draining(true);
  Do(ReceiveHeartbeat{heartbeat, now_, kCaller});
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_DRAINING);
  EXPECT_EQ(ErrorOf(Deploy("g", GroupOf({Pipeline("p")})), kCaller), "no_workers_available");
}

}  // namespace
}  // namespace varpulis::coordinator
