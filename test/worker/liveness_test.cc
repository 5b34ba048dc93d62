// A worker that was away, cut off or frozen, asks before it goes on.
#include <atomic>

#include "worker/liveness_gate.h"

#include "test/support/wait.h"
#include "test/worker/cluster_fixture.h"
#include "test/worker/switched_bus.h"

namespace varpulis::worker {
namespace {

using testing::WaitUntil;

constexpr char kCopy[] = "stream Out = In .emit(n: n)";
constexpr int64_t kMs = 1'000'000;

TEST(LivenessGateTest, IsOpenWhileItIsStamped) {
  LivenessGate gate(absl::Milliseconds(500));
  EXPECT_TRUE(gate.MayProcess(1));  // before the timer starts
  for (int64_t now = 1000 * kMs; now < 3000 * kMs; now += 400 * kMs) {
    EXPECT_FALSE(gate.Stamp(now));
    EXPECT_TRUE(gate.MayProcess(now + 500 * kMs));
  }
}

TEST(LivenessGateTest, TheTimerClosesIt) {
  LivenessGate gate(absl::Milliseconds(500));
  gate.Stamp(1000 * kMs);
  EXPECT_TRUE(gate.Stamp(1501 * kMs));
  EXPECT_FALSE(gate.Stamp(1521 * kMs));  // told once
  EXPECT_FALSE(gate.MayProcess(1522 * kMs));
  gate.Open(gate.closings());
  EXPECT_TRUE(gate.MayProcess(1523 * kMs));
}

TEST(LivenessGateTest, APipelineClosesItAndTheTimerTells) {
  LivenessGate gate(absl::Milliseconds(500));
  gate.Stamp(1000 * kMs);
  EXPECT_FALSE(gate.MayProcess(1501 * kMs));
  EXPECT_FALSE(gate.MayProcess(1501 * kMs));
  EXPECT_EQ(gate.closings(), 1u);
  EXPECT_TRUE(gate.Stamp(1502 * kMs));
  EXPECT_FALSE(gate.MayProcess(1503 * kMs));
}

TEST(LivenessGateTest, AnAnswerToAnOlderQuestionDoesNotOpenIt) {
  LivenessGate gate(absl::Milliseconds(500));
  gate.Stamp(1000 * kMs);
  EXPECT_TRUE(gate.Stamp(2000 * kMs));
  const uint64_t asked = gate.closings();
  EXPECT_TRUE(gate.Stamp(3000 * kMs));  // frozen again meanwhile
  gate.Open(asked);
  EXPECT_FALSE(gate.MayProcess(3001 * kMs));
  gate.Open(gate.closings());
  EXPECT_TRUE(gate.MayProcess(3001 * kMs));
}

TEST(LivenessGateTest, WithoutALimitItNeverCloses) {
  LivenessGate gate(absl::InfiniteDuration());
  gate.Stamp(1);
  EXPECT_FALSE(gate.Stamp(INT64_MAX));
  EXPECT_TRUE(gate.MayProcess(INT64_MAX));
}

class LivenessTest : public ClusterTest {
 protected:
  bool Answers(const std::string& id, int64_t n) {
    return Inject("w", InjectOf(id, MakeEvent("In", n))).ok();
  }
  void TearDown() override { workers_.clear(); }  // before what they use here

  std::atomic<int64_t> now_ns_ = 1000 * kMs;
  SwitchedBus cut_{*bus_};
};

TEST_F(LivenessTest, CutOffItWaitsUntilItIsRegisteredAgain) {
  ScriptedCoordinator coordinator(*bus_);
  StartWorkerOn(cut_, "w");
  ASSERT_TRUE(coordinator.heartbeats.WaitForSize(1));
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(1));
  const std::string gone = Deploy("w", DeployOf("q", kCopy).Epoch(1));
  ASSERT_TRUE(Answers(id, 1));
  coordinator.FailRegistrations(1'000'000, absl::UnavailableError("no leader"));
  cut_.Set(false);
  cut_.Set(true);
  // Nobody has told it to go on.
  ASSERT_TRUE(coordinator.registrations.WaitForSize(3));
  Listener out(*bus_, Output("p"));
  EXPECT_FALSE(Answers(id, 2));
  PublishEvent(Into("p"), MakeEvent("In", 3));
  EXPECT_EQ(Ping("w").pipelines(0).status(), "running");  // it may go on by itself
  EXPECT_EQ(out.events.size(), 0u);
  coordinator.Supersede({gone});
  coordinator.FailRegistrations(0, absl::OkStatus());
  EXPECT_TRUE(out.events.WaitForSize(1));  // what came meanwhile was held
  EXPECT_TRUE(Answers(id, 4));
  EXPECT_FALSE(Answers(gone, 1));
  EXPECT_TRUE(Undeploy("w", gone, 1).ok());
}

TEST_F(LivenessTest, WithoutALeaderItRunsOn) {
  StartWorkerOn(cut_, "w");
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(1));
  EXPECT_TRUE(Answers(id, 1));
}

TEST_F(LivenessTest, AfterItStoodStillItAsksFirst) {
  boot_clock_ = [this] { return now_ns_.load(); };
  ScriptedCoordinator coordinator(*bus_);
  StartWorker("w");
  ASSERT_TRUE(coordinator.heartbeats.WaitForSize(1));
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(1));
  ASSERT_TRUE(WaitUntil([&] { return Answers(id, 1); }));
  coordinator.FailRegistrations(1'000'000, absl::UnavailableError("no leader"));
  const size_t before = coordinator.registrations.size();
  now_ns_ += 600 * kMs;
  ASSERT_TRUE(coordinator.registrations.WaitForSize(before + 2));
  EXPECT_FALSE(Answers(id, 2));
  coordinator.FailRegistrations(0, absl::OkStatus());
  EXPECT_TRUE(WaitUntil([&] { return Answers(id, 3); }));
}

}  // namespace
}  // namespace varpulis::worker
