// A worker's life as its coordinator sees it: registration, heartbeats, reconnects, departure.
#include "absl/strings/str_cat.h"

#include "test/support/wait.h"
#include "test/worker/cluster_fixture.h"
#include "test/worker/switched_bus.h"

namespace varpulis::worker {
namespace {

constexpr char kCopy[] = "stream Out = In .emit(n: n)";

WorkerOptions FastHeartbeats() {
  WorkerOptions options;
  options.heartbeat_interval = absl::Milliseconds(20);
  return options;
}

class RegistrationTest : public ClusterTest {
 protected:
  bool Heard(const ScriptedCoordinator& coordinator,
             const std::function<bool(const varpulis::v1::Heartbeat&)>& condition) {
    return coordinator.heartbeats.WaitUntil([&](const auto& heartbeats) {
      return !heartbeats.empty() && condition(heartbeats.back());
    });
  }
  // A heartbeat follows the answer that makes the worker registered.
  bool IsRegistered(const ScriptedCoordinator& coordinator, const Worker& worker) {
    return coordinator.heartbeats.WaitForSize(1) && worker.registered();
  }
};

TEST_F(RegistrationTest, RegistersWhatItIsAtOnce) {
  ScriptedCoordinator coordinator(*bus_);
  WorkerOptions options;
  options.max_pipelines = 17;
  options.cpu_cores = 3;
  Worker& worker = StartWorker("w-1", options);
  ASSERT_TRUE(IsRegistered(coordinator, worker));
  EXPECT_EQ(coordinator.registrations.size(), 1u);
  EXPECT_EQ(backoffs_, 0);
  const auto request = coordinator.registrations.items()[0];
  EXPECT_EQ(request.worker_id(), "w-1");
  EXPECT_EQ(request.address(), "http://127.0.0.1:9000");
  EXPECT_EQ(request.api_key(), "");
  EXPECT_EQ(request.capacity().max_pipelines(), 17u);
  EXPECT_EQ(request.capacity().cpu_cores(), 3u);
  EXPECT_EQ(request.capacity().pipelines_running(), 0u);
  EXPECT_EQ(request.version(), "1.2.3");
  EXPECT_FALSE(request.incarnation().empty());
}

TEST_F(RegistrationTest, KeepsTryingUntilACoordinatorIsThere) {
  Worker& worker = StartWorker("w-1");
  EXPECT_FALSE(worker.registered());
  ScriptedCoordinator coordinator(*bus_);
  EXPECT_TRUE(IsRegistered(coordinator, worker));
}

TEST_F(RegistrationTest, ALeaderThatPingsItIsAskedAtOnce) {
  backoff_ = 1000;  // by itself it would not ask again in this test
  Worker& worker = StartWorker("w-1");
  ASSERT_TRUE(testing::WaitUntil([&] { return backoffs_ == 1; }));
  ScriptedCoordinator coordinator(*bus_);
  Ping("w-1");
  EXPECT_TRUE(IsRegistered(coordinator, worker));
}

TEST_F(RegistrationTest, RetriesAfterAConflict) {
  ScriptedCoordinator coordinator(*bus_);
  coordinator.FailRegistrations(3, transport::MakeError("conflict", "w-1 lives elsewhere"));
  Worker& worker = StartWorker("w-1");
  ASSERT_TRUE(IsRegistered(coordinator, worker));
  EXPECT_EQ(coordinator.registrations.size(), 4u);
  EXPECT_EQ(backoffs_, 3);
}

TEST_F(RegistrationTest, HeartbeatsCarryRealCounters) {
  ScriptedCoordinator coordinator(*bus_);
  Worker& worker = StartWorker("w-1", FastHeartbeats());
  ASSERT_TRUE(IsRegistered(coordinator, worker));
  const std::string id = Deploy("w-1", DeployOf("p", kCopy).Epoch(4).Leader(9));
  ASSERT_TRUE(Heard(coordinator, [](const auto& beat) { return beat.pipelines_running() == 1; }));
  auto inject = InjectOf(id, MakeEvent("In"));
  inject.set_leader_epoch(9);
  ASSERT_TRUE(Inject("w-1", inject).ok());
  inject.mutable_event()->set_event_type("Nobody");
  ASSERT_TRUE(Inject("w-1", inject).ok());
  ASSERT_TRUE(Heard(coordinator, [](const auto& beat) { return beat.events_processed() == 2; }));
  const auto beat = coordinator.heartbeats.items().back();
  EXPECT_EQ(beat.worker_id(), "w-1");
  EXPECT_EQ(beat.incarnation(), coordinator.registrations.items()[0].incarnation());
  EXPECT_EQ(beat.leader_epoch(), 9u);
  EXPECT_EQ(beat.broker(), "broker-1");
  EXPECT_FALSE(beat.draining());
  ASSERT_EQ(beat.pipeline_metrics_size(), 1);
  EXPECT_EQ(beat.pipeline_metrics(0).pipeline_name(), "p");
  EXPECT_EQ(beat.pipeline_metrics(0).events_in(), 2u);
  EXPECT_EQ(beat.pipeline_metrics(0).events_out(), 1u);
  ASSERT_EQ(beat.pipelines_size(), 1);
  EXPECT_EQ(beat.pipelines(0).pipeline_id(), id);
  EXPECT_EQ(beat.pipelines(0).group_id(), kGroup);
  EXPECT_EQ(beat.pipelines(0).placement_epoch(), 4u);
  EXPECT_EQ(beat.pipelines(0).status(), "running");
}

TEST_F(RegistrationTest, RegistersAgainWithWhatItRunsWhenTheCoordinatorForgotIt) {
  ScriptedCoordinator coordinator(*bus_);
  Worker& worker = StartWorker("w-1", FastHeartbeats());
  ASSERT_TRUE(IsRegistered(coordinator, worker));
  const std::string id = Deploy("w-1", DeployOf("p", kCopy));
  coordinator.AnswerHeartbeats(transport::MakeError("worker_not_found", "who?"));
  ASSERT_TRUE(coordinator.registrations.WaitForSize(2));
  const auto again = coordinator.registrations.items()[1];
  ASSERT_EQ(again.running_size(), 1);
  EXPECT_EQ(again.running(0).pipeline_id(), id);
  EXPECT_EQ(again.incarnation(), coordinator.registrations.items()[0].incarnation());
  coordinator.AnswerHeartbeats(absl::OkStatus());
  EXPECT_TRUE(coordinator.registrations.WaitForSize(2));
}

TEST_F(RegistrationTest, OutlivesItsCoordinatorAndFindsTheNext) {
  auto coordinator = std::make_unique<ScriptedCoordinator>(*bus_);
  Worker& worker = StartWorker("w-1", FastHeartbeats());
  ASSERT_TRUE(IsRegistered(*coordinator, worker));
  coordinator.reset();
  // No leader is no reason to think of oneself as lost.
  EXPECT_EQ(Ping("w-1").worker_id(), "w-1");
  ScriptedCoordinator next(*bus_, /*leader_epoch=*/2);
  next.AnswerHeartbeats(transport::MakeError("worker_not_found", "who?"));
  ASSERT_TRUE(next.registrations.WaitForSize(1));
}

TEST_F(RegistrationTest, KeepsItsPipelinesWithoutABrokerAndRegistersOnReconnect) {
  ScriptedCoordinator coordinator(*bus_);
  SwitchedBus connection(*bus_);
  Worker& worker = StartWorkerOn(connection, "w-1", FastHeartbeats());
  ASSERT_TRUE(IsRegistered(coordinator, worker));
  const std::string id = Deploy("w-1", DeployOf("p", kCopy));
  connection.Set(false);
  ASSERT_TRUE(coordinator.registrations.WaitForSize(1));
  connection.Set(true);
  ASSERT_TRUE(coordinator.registrations.WaitForSize(2));
  EXPECT_EQ(coordinator.registrations.items()[1].running(0).pipeline_id(), id);
  // Once the answer to that has come too.
  EXPECT_TRUE(
      testing::WaitUntil([&] { return Inject("w-1", InjectOf(id, MakeEvent("In"))).ok(); }));
  workers_.clear();  // before its connection
}

TEST_F(RegistrationTest, StartsWithoutAConnection) {
  ScriptedCoordinator coordinator(*bus_);
  SwitchedBus connection(*bus_, /*connected=*/false);
  Worker& worker = StartWorkerOn(connection, "w-1");
  EXPECT_FALSE(worker.registered());
  connection.Set(true);
  EXPECT_TRUE(IsRegistered(coordinator, worker));
  workers_.clear();
}

TEST_F(RegistrationTest, DistrustsALeaderOfThePastButNotForEver) {
  ScriptedCoordinator coordinator(*bus_, /*leader_epoch=*/3);
  Worker& worker = StartWorker("w-1", FastHeartbeats());
  ASSERT_TRUE(IsRegistered(coordinator, worker));
  Ping("w-1", /*leader_epoch=*/10);
  coordinator.AnswerHeartbeats(transport::MakeError("worker_not_found", "who?"));
  // Refused three times, then taken: a volatile coordinator began anew.
  ASSERT_TRUE(coordinator.registrations.WaitForSize(5));
  coordinator.AnswerHeartbeats(absl::OkStatus());
  ASSERT_TRUE(Heard(coordinator, [](const auto& beat) { return beat.leader_epoch() == 3; }));
  EXPECT_EQ(Ping("w-1", 3).worker_id(), "w-1");
}

TEST_F(RegistrationTest, StopDrainsAndDeregisters) {
  ScriptedCoordinator coordinator(*bus_);
  Worker& worker = StartWorker("w-1", FastHeartbeats());
  ASSERT_TRUE(IsRegistered(coordinator, worker));
  Deploy("w-1", DeployOf("p", kCopy));
  Listener out(*bus_, Output("p"));
  for (int i = 0; i < 100; ++i) PublishEvent(Into("p"), MakeEvent("In", i));
  ASSERT_TRUE(bus_->Flush(kPatience).ok());  // delivered, perhaps not yet processed
  worker.Stop(absl::Seconds(10));
  EXPECT_TRUE(out.events.WaitForSize(100));
  ASSERT_EQ(coordinator.deleted.size(), 1u);
  EXPECT_EQ(coordinator.deleted.items()[0], "w-1");
  EXPECT_TRUE(Heard(coordinator, [](const auto& beat) { return beat.draining(); }));
  EXPECT_FALSE(worker.registered());
  worker.Stop(absl::ZeroDuration());
}

TEST_F(RegistrationTest, StopsWithoutACoordinator) {
  Worker& worker = StartWorker("w-1");
  worker.Stop(absl::Seconds(1));
  EXPECT_FALSE(worker.registered());
}

TEST_F(RegistrationTest, RefusesABadId) {
  auto worker = Worker::Start({.worker_id = "a.b"}, {.cluster = bus_.get(), .local = *bus_});
  EXPECT_EQ(worker.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace varpulis::worker
