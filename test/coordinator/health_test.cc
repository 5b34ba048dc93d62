#include "cluster_fixture.h"

#include "coordinator/views.h"

namespace varpulis::coordinator {
namespace {

class HealthTest : public ClusterFixture {};

TEST_F(HealthTest, SilenceOfExactlyTheTimeoutIsNotYetDeath) {
  Join("w0");
  for (int i = 0; i < 3; ++i) Advance(absl::Seconds(5));  // 15 s
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  Advance(absl::Seconds(5));
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_UNHEALTHY);
  EXPECT_EQ(state_.last_health_sweep->workers_marked_unhealthy(), 1u);
}

TEST_F(HealthTest, SweepsOncePerInterval) {
  Join("w0");
  Advance(absl::Seconds(4));
  EXPECT_FALSE(state_.last_health_sweep.has_value());
  Advance(absl::Seconds(1));
  EXPECT_TRUE(state_.last_health_sweep.has_value());
}

TEST_F(HealthTest, SkipsASweepAfterAStall) {
  Join("w0");
  Advance(absl::Seconds(60));  // this process was paused: heartbeats may wait in its queue
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  Beat("w0", {});
  Advance(absl::Seconds(5));
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
}

TEST_F(HealthTest, AnUnhealthyWorkersPlacementsFailAndComeBackWithIt) {
  Join("w0");
  const Effects deployed = Deploy("g", GroupOf({Pipeline("p")}));
  AcceptAll(deployed);
  for (int i = 0; i < 4; ++i) Advance(absl::Seconds(5));
  EXPECT_EQ(At("g", "p").error, "worker unhealthy");
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_FAILED);

  const Effects back = Beat("w0", {Copy("g", "p", 0, IdOf(deployed.deploys[0]))});
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_RUNNING);
  EXPECT_TRUE(back.deploys.empty()) << "its copy still runs under our epoch";
  EXPECT_EQ(At("g", "p").epoch, 0u);
}

TEST_F(HealthTest, ArrivalTimeCountsNotTheTurnInTheQueue) {
  Join("w0");
  v1::Heartbeat heartbeat;
  heartbeat.set_worker_id("w0");
  const absl::Time arrived = now_ + absl::Seconds(3);
  now_ += absl::Seconds(10);
  Do(ReceiveHeartbeat{heartbeat, arrived, kNobody});
  EXPECT_EQ(state_.workers.at(WorkerId("w0")).last_seen, arrived);
}

TEST_F(HealthTest, EveryoneGetsTheFullTimeoutWhenTheBrokerIsBack) {
  Join("w0");
  Advance(absl::Seconds(5));
  now_ += absl::Seconds(4);
  Do(ConnectionRestored{});
  for (int i = 0; i < 3; ++i) Advance(absl::Seconds(4));
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
}

TEST_F(HealthTest, NobodyIsDeclaredDeadWhileTheBrokerIsInDoubt) {
  Join("w0");
  const auto unheard = [&] {
    return Do(PingUnanswered{WorkerId("w0"), "w0-1", /*nobody_listens=*/true});
  };
  unheard();
  now_ += policy_.ping_death - absl::Milliseconds(1);
  Do(BrokerInDoubt{});  // a lame duck, or a write that was not stored
  now_ += policy_.failover_hold - absl::Milliseconds(1);
  unheard();
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  now_ += absl::Milliseconds(1);
  unheard();
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_UNHEALTHY);
}

TEST_F(HealthTest, SilenceIsNoDeathEitherWhileTheBrokerIsInDoubt) {
  Join("w0");
  for (int i = 0; i < 3; ++i) Advance(absl::Seconds(5));
  Do(BrokerInDoubt{});
  Advance(absl::Seconds(4));
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  Advance(absl::Seconds(1));
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_UNHEALTHY);
}

TEST_F(HealthTest, ClusterStatusFollowsTheWorkers) {
  EXPECT_EQ(MakeHealth(state_, "1.0.0", true).status(), "no_workers");
  Join("w0");
  EXPECT_EQ(MakeHealth(state_, "1.0.0", true).status(), "healthy");
  for (int i = 0; i < 4; ++i) Advance(absl::Seconds(5));
  EXPECT_EQ(MakeHealth(state_, "1.0.0", true).status(), "critical");
  Join("w1");
  EXPECT_EQ(MakeHealth(state_, "1.0.0", true).status(), "degraded");
}

}  // namespace
}  // namespace varpulis::coordinator
