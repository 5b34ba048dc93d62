// The coordinator and the workers go away and come back.

#include <signal.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

constexpr char kTwo[] = R"json({
  "name": "two",
  "pipelines": [
    {"name": "a", "source": "stream A = X .emit(v: v)", "worker_affinity": "worker-0"},
    {"name": "b", "source": "stream B = Y .emit(v: v)", "worker_affinity": "worker-1"}
  ],
  "routes": [
    {"from_pipeline": "_external", "to_pipeline": "a", "event_types": ["X"]},
    {"from_pipeline": "_external", "to_pipeline": "b", "event_types": ["Y"]}
  ]
})json";

class RestartTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.Start());
    group_ = cluster_.Deploy(kTwo);
    ASSERT_FALSE(group_.empty());
  }
  bool Injects(const char* type) {
    return cluster_
               .Post("/pipeline-groups/" + group_ + "/inject",
                     absl::StrCat(R"({"event_type": ")", type, R"(", "fields": {"v": 1}})"))
               .At("/worker_response/output_events/0/fields/v") == "1";
  }

  Cluster cluster_;
  std::string group_;
};

TEST_F(RestartTest, ARestartedCoordinatorStillKnowsWorkersAndGroups) {
  const std::string before = cluster_.Get("/pipeline-groups/" + group_).body;
  cluster_.Kill(cluster_.coordinator(), SIGKILL);
  ASSERT_TRUE(cluster_.StartCoordinator());
  EXPECT_EQ(cluster_.Get("/pipeline-groups/" + group_).body, before);
  EXPECT_TRUE(WaitUntil([&] { return Injects("X") && Injects("Y"); }));
  ASSERT_TRUE(cluster_.WaitForReadyWorkers(2));
  EXPECT_EQ(cluster_.Get("/pipeline-groups/" + group_).body, before);  // nothing was deployed again
}

TEST_F(RestartTest, ARestartedCoordinatorStillKnowsWhatItsCallersAskedFor) {
  const auto remove = [&](const std::string& group, const std::string& key) {
    return cluster_.Send(cluster_.coordinator(),
                         {.method = "DELETE",
                          .path = "/api/v1/cluster/pipeline-groups/" + group,
                          .headers = {{"x-api-key", "admin"}, {"Idempotency-Key", key}}});
  };
  const HttpReply deployed = cluster_.Post("/pipeline-groups", kTwo, {{"Idempotency-Key", "make"}});
  ASSERT_EQ(deployed.status, 201) << deployed.body;
  const std::string group = deployed.At("/id").substr(1, 36);
  ASSERT_EQ(remove(group, "unmake").status, 200);
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(remove(group, "unmake").body, R"({"torn_down":true})");
    EXPECT_EQ(remove(group, "other").status, 404);
    EXPECT_EQ(remove(group_, "unmake").status, 409);
    EXPECT_EQ(cluster_.Post("/pipeline-groups", kTwo, {{"Idempotency-Key", "make"}}).status, 409);
    if (life > 0) break;
    cluster_.Kill(cluster_.coordinator(), SIGKILL);
    ASSERT_TRUE(cluster_.StartCoordinator());
  }
  EXPECT_EQ(cluster_.Get("/pipeline-groups").At("/total"), "1");
}

TEST_F(RestartTest, ACleanStopOfTheCoordinatorLosesNothingEither) {
  cluster_.Kill(cluster_.coordinator(), SIGTERM);
  ASSERT_TRUE(cluster_.StartCoordinator());
  EXPECT_TRUE(WaitUntil([&] { return Injects("X") && Injects("Y"); }));
}

TEST_F(RestartTest, ARestartedWorkerGetsItsPipelinesBack) {
  cluster_.Kill(cluster_.worker(0), SIGKILL);
  EXPECT_TRUE(Injects("Y"));
  ASSERT_TRUE(cluster_.StartWorker("worker-0"));
  EXPECT_TRUE(WaitUntil([&] { return Injects("X"); }))
      << cluster_.Get("/pipeline-groups/" + group_).body;
  EXPECT_EQ(cluster_.Get("/pipeline-groups/" + group_).At("/status"), "\"running\"");
  EXPECT_TRUE(Injects("Y"));
}

TEST_F(RestartTest, AWorkerAskedToStopLeavesAndComesBack) {
  cluster_.Kill(cluster_.worker(0), SIGTERM);
  EXPECT_TRUE(WaitUntil([&] { return cluster_.Get("/workers/worker-0").status == 404; }));
  EXPECT_EQ(cluster_.Get("/pipeline-groups/" + group_).At("/status"), "\"partially_running\"");
  ASSERT_TRUE(cluster_.StartWorker("worker-0"));
  EXPECT_TRUE(WaitUntil([&] { return Injects("X"); }));
}

TEST_F(RestartTest, ASecondCoordinatorFollowsAndServesTheSameHttp) {
  Node* second = cluster_.StartNode("second", {"coordinator", "--port=0", "--api-key=admin"});
  ASSERT_NE(second, nullptr);
  ASSERT_NE(cluster_.WaitForPort(*second, " ready: http://"), 0);
  const auto status = [&] {
    const HttpReply group = cluster_.Send(
        *second,
        {.path = "/api/v1/cluster/pipeline-groups/" + group_, .headers = {{"x-api-key", "admin"}}});
    return group.At("/status");
  };
  EXPECT_EQ(status(), "\"running\"");
  EXPECT_THAT(second->Log(), ::testing::Not(::testing::HasSubstr("leads with epoch")));
  EXPECT_THAT(cluster_.coordinator().Log(), ::testing::Not(::testing::HasSubstr("stands down")));
  cluster_.Kill(cluster_.coordinator(), SIGKILL);
  EXPECT_EQ(status(), "\"running\"") << "of its own leading";
  EXPECT_THAT(second->Log(), ::testing::HasSubstr("leads with epoch"));
}

TEST(HeartbeatTest, ASilentWorkerBecomesUnhealthyAndReadyAgain) {
  Cluster cluster(
      {.workers = 1, .coordinator_flags = {"--heartbeat-interval=1", "--heartbeat-timeout=2"}});
  ASSERT_TRUE(cluster.Start());
  cluster.worker(0).Signal(SIGSTOP);
  EXPECT_TRUE(
      WaitUntil([&] { return cluster.Get("/workers/worker-0").At("/status") == "\"unhealthy\""; }));
  cluster.worker(0).Signal(SIGCONT);
  EXPECT_TRUE(cluster.WaitForReadyWorkers(1));
}

TEST(VolatileTest, WithoutJetStreamASecondCoordinatorTakesOverAndTheFirstEnds) {
  ClusterOptions options{.workers = 0};
  options.broker.jetstream = false;
  Cluster cluster(std::move(options));
  ASSERT_TRUE(cluster.Start());
  Node* second = cluster.StartNode("second", {"coordinator", "--port=0", "--api-key=admin"});
  ASSERT_NE(second, nullptr);
  ASSERT_NE(cluster.WaitForPort(*second, " ready: http://"), 0);
  EXPECT_NE(cluster.coordinator().Wait(), 0);  // it ends by itself, and says why
  EXPECT_THAT(cluster.coordinator().Log(), ::testing::HasSubstr("stands down"));
  EXPECT_EQ(cluster.Send(*second, {.path = "/ready"}).status, 200);
}

TEST(VolatileTest, WithoutJetStreamTheClusterWorksAndSaysSo) {
  ClusterOptions options{.workers = 1};
  options.broker.jetstream = false;
  Cluster cluster(std::move(options));
  ASSERT_TRUE(cluster.Start());
  EXPECT_THAT(cluster.coordinator().Log(), ::testing::HasSubstr("JetStream"));
  EXPECT_EQ(cluster.Send(cluster.coordinator(), {.path = "/health"}).At("/durable"), "false");
  EXPECT_FALSE(
      cluster
          .Deploy(
              R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: 1)"}]})json")
          .empty());
}

}  // namespace
}  // namespace varpulis::testing
