// One worker hangs: what it owes is told, what the others do is not hidden.

#include <signal.h>

#include <future>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::HasSubstr;

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

// Stopped for as long as this object lives.
class Stopped {
 public:
  explicit Stopped(Node& node) : node_(node) { node_.Signal(SIGSTOP); }
  ~Stopped() { node_.Signal(SIGCONT); }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;

 private:
  Node& node_;
};

TEST(SilentWorkerTest, EveryCallerHearsTheCoordinatorsAnswer) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Start());
  const std::string group = cluster.Deploy(kTwo);
  ASSERT_FALSE(group.empty());
  const int port = cluster.coordinator().http_port();
  // Each waits for the hung worker: at once, so that they wait together.
  const auto post = [&](const std::string& path, const std::string& body) {
    return std::async(std::launch::async, [=] {
      return Fetch("127.0.0.1", port,
                   {.method = "POST",
                    .path = "/api/v1/cluster/pipeline-groups" + path,
                    .body = body,
                    .headers = {{"x-api-key", "admin"}}});
    });
  };
  {
    const Stopped stopped(cluster.worker(1));
    auto deploying = post("", kTwo);
    auto injecting = post("/" + group + "/inject", R"({"event_type": "Y", "fields": {"v": 1}})");
    auto batching = post("/" + group + "/inject-batch",
                         R"({"events_text": "X { v: 1 }\nY { v: 2 }\nX { v: 3 }"})");

    const HttpReply deployed = deploying.get();
    EXPECT_EQ(deployed.status, 201) << deployed.body;
    EXPECT_EQ(deployed.At("/status"), "\"partially_running\"");
    EXPECT_EQ(deployed.At("/placements/0/status"), "\"Running\"");
    EXPECT_THAT(deployed.At("/placements/1/error"), HasSubstr("worker-1"));

    const HttpReply injected = injecting.get();
    EXPECT_EQ(injected.status, 504) << injected.body;
    EXPECT_EQ(injected.At("/code"), "\"worker_timeout\"");
    EXPECT_THAT(injected.At("/error"), HasSubstr("worker worker-1: "));

    const HttpReply batch = batching.get();
    EXPECT_EQ(batch.status, 200) << batch.body;
    EXPECT_EQ(batch.At("/events_sent"), "2");
    EXPECT_EQ(batch.At("/events_failed"), "1");
    EXPECT_EQ(batch.At("/output_count"), "2");
    EXPECT_THAT(batch.At("/errors/0"), HasSubstr("worker-1"));
  }
  EXPECT_TRUE(WaitUntil([&] {
    const HttpReply groups = cluster.Get("/pipeline-groups");
    return groups.At("/pipeline_groups/0/status") == "\"running\"" &&
           groups.At("/pipeline_groups/1/status") == "\"running\"";
  })) << cluster.Get("/pipeline-groups").body;
}

}  // namespace
}  // namespace varpulis::testing
