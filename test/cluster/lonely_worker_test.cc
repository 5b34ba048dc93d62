// A worker whose coordinator is not there yet: it serves its own API and keeps trying.

#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kPipeline[] = R"json({"name": "mine", "source": "stream A = X .emit(v: v)"})json";

class LonelyWorkerTest : public ::testing::Test {
 protected:
  // A coordinator's address that nobody listens on; StartCoordinator comes back to it.
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartBroker());
    ASSERT_TRUE(cluster_.StartCoordinator());
    cluster_.Kill(cluster_.coordinator());
    const std::string url = absl::StrCat("http://127.0.0.1:", cluster_.coordinator().http_port());
    worker_ = Start({absl::StrCat("--coordinator=", url)});
    ASSERT_NE(worker_, nullptr);
  }
  Node* Start(std::vector<std::string> flags) {
    std::vector<std::string> args = {"server", "--port=0", "--api-key=test", "--worker-id=lonely"};
    args.insert(args.end(), flags.begin(), flags.end());
    Node* node = cluster_.StartNode("lonely", std::move(args), {}, /*add_broker=*/false);
    if (node == nullptr || cluster_.WaitForPort(*node, " listening on http://") == 0)
      return nullptr;
    return node;
  }
  HttpReply Ask(const std::string& path, const std::string& body = "") {
    return cluster_.Send(*worker_, {.method = body.empty() ? "GET" : "POST",
                                    .path = path,
                                    .body = body,
                                    .headers = {{"x-api-key", "test"}}});
  }

  Cluster cluster_;
  Node* worker_ = nullptr;
};

TEST_F(LonelyWorkerTest, IsHealthyNotReadyAndRunsPipelines) {
  const HttpReply health = Ask("/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.At("/status"), "\"healthy\"");
  const HttpReply ready = Ask("/ready");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.At("/status"), "\"not_ready\"");
  EXPECT_EQ(ready.At("/engine_loaded"), "false");
  EXPECT_THAT(ready.At("/reason"), HasSubstr("not registered"));

  const HttpReply deployed = Ask("/api/v1/pipelines", kPipeline);
  ASSERT_EQ(deployed.status, 201) << deployed.body;
  const std::string id = deployed.At("/id").substr(1, 36);
  const HttpReply injected = Ask(absl::StrCat("/api/v1/pipelines/", id, "/events"),
                                 R"({"event_type": "X", "fields": {"v": 7}})");
  EXPECT_EQ(injected.At("/output_events/0/fields/v"), "7") << injected.body;
  EXPECT_EQ(Ask("/api/v1/pipelines").At("/total"), "1");
}

TEST_F(LonelyWorkerTest, JoinsWhenTheCoordinatorComesAndKeepsItsOwnPipelines) {
  ASSERT_EQ(Ask("/api/v1/pipelines", kPipeline).status, 201);
  ASSERT_TRUE(cluster_.StartCoordinator());
  ASSERT_TRUE(cluster_.WaitForReadyWorkers(1));
  EXPECT_TRUE(WaitUntil([&] { return Ask("/ready").status == 200; }));
  EXPECT_EQ(Ask("/api/v1/pipelines").At("/total"), "1");
  EXPECT_FALSE(
      cluster_
          .Deploy(
              R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: 1)"}]})json")
          .empty());
}

TEST_F(LonelyWorkerTest, SigtermEndsItCleanly) {
  ASSERT_TRUE(WaitUntil([&] { return absl::StrContains(worker_->Log(), "trying again"); }));
  worker_->Signal(SIGTERM);
  EXPECT_EQ(worker_->Wait(), 0) << worker_->Log();
}

TEST_F(LonelyWorkerTest, TheSameWithoutABroker) {
  worker_->Signal(SIGTERM);
  ASSERT_EQ(worker_->Wait(), 0);
  ASSERT_TRUE(cluster_.broker().Kill(SIGKILL).ok());
  worker_ = Start({"--nats=" + cluster_.broker().url()});
  ASSERT_NE(worker_, nullptr);
  EXPECT_EQ(Ask("/health").status, 200);
  EXPECT_EQ(Ask("/ready").status, 503);
  EXPECT_EQ(Ask("/api/v1/pipelines", kPipeline).status, 201);
  worker_->Signal(SIGINT);
  EXPECT_EQ(worker_->Wait(), 0) << worker_->Log();
}

}  // namespace
}  // namespace varpulis::testing
