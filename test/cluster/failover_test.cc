// A worker dies: what it ran goes on elsewhere. Moves by hand, drains and rebalancing.

#include <signal.h>

#include <atomic>
#include <future>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

constexpr char kOne[] = R"json({
  "name": "one",
  "pipelines": [{
    "name": "a",
    "source": "var n = 0\nfn next() -> int:\n    n := n + 1\n    n\nstream A = X .emit(v: v, n: next())",
    "worker_affinity": "worker-0"
  }],
  "routes": [{"from_pipeline": "_external", "to_pipeline": "a", "event_types": ["X"]}]
})json";

class FailoverClusterTest : public ::testing::Test {
 protected:
  explicit FailoverClusterTest(ClusterOptions options = {.workers = 2})
      : cluster_(std::move(options)) {}
  void SetUp() override {
    ASSERT_TRUE(cluster_.Start());
    group_ = cluster_.Deploy(kOne);
    ASSERT_FALSE(group_.empty());
  }
  bool Injects() {
    return cluster_
               .Post("/pipeline-groups/" + group_ + "/inject",
                     R"({"event_type": "X", "fields": {"v": 1}})")
               .At("/worker_response/output_events/0/fields/v") == "1";
  }
  // How many events the pipeline has seen.
  std::string Count() {
    return cluster_
        .Post("/pipeline-groups/" + group_ + "/inject",
              R"({"event_type": "X", "fields": {"v": 1}})")
        .At("/worker_response/output_events/0/fields/n");
  }
  std::string Where() {
    return cluster_.Get("/pipeline-groups/" + group_).At("/placements/0/worker_id");
  }
  std::string Group(const char* pointer) {
    return cluster_.Get("/pipeline-groups/" + group_).At(pointer);
  }

  Cluster cluster_;
  std::string group_;
};

TEST_F(FailoverClusterTest, APipelineOfAKilledWorkerGoesOnElsewhereWithinASecond) {
  ASSERT_TRUE(Injects());
  const absl::Time killed = absl::Now();
  cluster_.Kill(cluster_.worker(0), SIGKILL);
  ASSERT_TRUE(WaitUntil([&] { return Injects(); }));
  std::cout << "kill to the successor's first output: " << absl::Now() - killed << "\n";
  EXPECT_EQ(Where(), "\"worker-1\"");
  EXPECT_EQ(Group("/placements/0/epoch"), "1");
  EXPECT_EQ(cluster_.Get("/migrations").At("/migrations/0/reason"), "\"failover\"");
  // It comes back empty, and stays so.
  ASSERT_TRUE(cluster_.StartWorker("worker-0"));
  ASSERT_TRUE(cluster_.WaitForReadyWorkers(2));
  EXPECT_EQ(Where(), "\"worker-1\"");
}

TEST_F(FailoverClusterTest, MovesByHandWithItsState) {
  EXPECT_EQ(Count(), "1");
  EXPECT_EQ(Count(), "2");
  const HttpReply reply = cluster_.Post(absl::StrCat("/pipelines/", group_, "/a/migrate"),
                                        R"({"target_worker_id": "worker-1"})");
  ASSERT_EQ(reply.status, 202) << reply.body;
  EXPECT_EQ(reply.At("/status"), "\"started\"");
  const std::string id = reply.At("/migration_id");
  const std::string path = "/migrations/" + id.substr(1, id.size() - 2);
  EXPECT_TRUE(WaitUntil([&] { return cluster_.Get(path).At("/status") == "\"completed\""; }))
      << cluster_.Get(path).body;
  EXPECT_EQ(Where(), "\"worker-1\"");
  EXPECT_EQ(Count(), "3");
  EXPECT_EQ(cluster_
                .Post(absl::StrCat("/pipelines/", group_, "/a/migrate"),
                      R"({"target_worker_id": "worker-1"})")
                .status,
            409);
}

TEST_F(FailoverClusterTest, ADrainedWorkerIsEmptyAndGone) {
  EXPECT_EQ(Count(), "1");
  const HttpReply reply = cluster_.Post("/workers/worker-0/drain", "");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.At("/status"), "\"drained\"");
  EXPECT_EQ(reply.At("/pipelines_migrated"), "1");
  EXPECT_EQ(Where(), "\"worker-1\"");
  EXPECT_EQ(Count(), "2");
  EXPECT_EQ(cluster_.Get("/workers/worker-0").status, 404);
}

TEST_F(FailoverClusterTest, AFrozenWorkerDoesNotGoOnWithWhatWasGivenAway) {
  EXPECT_EQ(Count(), "1");
  cluster_.worker(0).Signal(SIGSTOP);
  const absl::Time stopped = absl::Now();
  // Somebody has lost patience with it.
  ASSERT_EQ(cluster_.Delete("/workers/worker-0").status, 200);
  ASSERT_TRUE(WaitUntil([&] { return Where() == "\"worker-1\"" && Injects(); }));
  // What is published meanwhile reaches the connections of both.
  std::atomic<int> outputs = 0;
  auto subscription = cluster_.bus().Subscribe({.subject = cluster_.subjects().Output(group_, "a")},
                                               [&](transport::InboundMessage) { ++outputs; });
  ASSERT_TRUE(subscription.ok());
  ASSERT_TRUE(cluster_.bus().Flush(absl::Seconds(5)).ok());
  ASSERT_TRUE(cluster_.bus()
                  .Publish({.subject = cluster_.subjects().Pipeline(group_, "_external", "a"),
                            .payload = R"({"event_type": "X", "fields": {"v": 1}})"})
                  .ok());
  ASSERT_TRUE(WaitUntil([&] { return outputs == 1; }));
  // Shorter absences are nobody's reason to give anything away, but a person's.
  ASSERT_TRUE(WaitUntil([&] { return absl::Now() - stopped > absl::Seconds(1); }));
  cluster_.worker(0).Signal(SIGCONT);
  ASSERT_TRUE(cluster_.WaitForReadyWorkers(2));
  ASSERT_TRUE(
      WaitUntil([&] { return cluster_.Get("/workers/worker-0").At("/pipelines_running") == "0"; }));
  ASSERT_TRUE(cluster_.bus().Flush(absl::Seconds(5)).ok());
  EXPECT_EQ(outputs, 1);
  EXPECT_THAT(cluster_.worker(0).Log(), ::testing::HasSubstr("stood still"));
}

// Checkpoints every second, and one worker.
class ForgetClusterTest : public FailoverClusterTest {
 protected:
  ForgetClusterTest()
      : FailoverClusterTest({.workers = 1, .worker_flags = {"--checkpoint-interval=1"}}) {}

  // Whether the broker has anything of the pipeline's state.
  bool HasCheckpoints() {
    const auto store =
        cluster_.bus().OpenBlobStore({.stream = cluster_.subjects().CheckpointStream().name,
                                      .subject = cluster_.subjects().CheckpointStream().subject});
    std::promise<absl::Status> found;
    store->Load(
        cluster_.subjects().Checkpoint(group_, "a", 0), 0,
        [&](const absl::StatusOr<transport::Blob>& blob) { found.set_value(blob.status()); });
    return found.get_future().get().ok();
  }
};

TEST_F(ForgetClusterTest, TheCheckpointsGoWithTheGroup) {
  EXPECT_EQ(Count(), "1");
  ASSERT_TRUE(WaitUntil([&] { return HasCheckpoints(); }));
  ASSERT_EQ(cluster_.Delete("/pipeline-groups/" + group_).status, 200);
  EXPECT_FALSE(HasCheckpoints());
}

TEST_F(ForgetClusterTest, TheCheckpointsGoWithTheGroupAlsoWithoutAWorker) {
  EXPECT_EQ(Count(), "1");
  ASSERT_TRUE(WaitUntil([&] { return HasCheckpoints(); }));
  cluster_.Kill(cluster_.worker(0), SIGKILL);
  ASSERT_EQ(cluster_.Delete("/pipeline-groups/" + group_).status, 200);
  EXPECT_TRUE(WaitUntil([&] { return !HasCheckpoints(); }));
}

TEST_F(FailoverClusterTest, AWorkerThatIsAskedToStopIsDrainedFirst) {
  EXPECT_EQ(Count(), "1");
  cluster_.worker(0).Signal(SIGTERM);
  EXPECT_EQ(cluster_.worker(0).Wait(), 0);
  EXPECT_THAT(cluster_.worker(0).Log(), ::testing::HasSubstr("worker worker-0 is drained"));
  EXPECT_EQ(Where(), "\"worker-1\"");
  EXPECT_EQ(Count(), "2");
  EXPECT_EQ(cluster_.Get("/migrations").At("/migrations/0/reason"), "\"drain\"");
  EXPECT_EQ(cluster_.Get("/workers/worker-0").status, 404);
}

}  // namespace
}  // namespace varpulis::testing
