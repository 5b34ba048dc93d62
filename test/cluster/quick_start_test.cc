// The seed's quick start over HTTP, its JSON compared as text.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr char kSpecification[] = R"json({
  "name": "my-group",
  "pipelines": [
    {"name": "ingest", "source": "stream A = EventA .emit(result: \"ok\")", "worker_affinity": "worker-0"},
    {"name": "analyze", "source": "stream B = EventB .emit(result: \"ok\")", "worker_affinity": "worker-1"}
  ],
  "routes": [
    {"from_pipeline": "_external", "to_pipeline": "ingest", "event_types": ["EventA*"]},
    {"from_pipeline": "_external", "to_pipeline": "analyze", "event_types": ["EventB*"]}
  ]
})json";

TEST(QuickStartTest, WorksAsTheSeedPrintsIt) {
  Cluster cluster;
  ASSERT_TRUE(cluster.Start());

  const HttpReply workers = cluster.Get("/workers");
  EXPECT_EQ(workers.status, 200);
  EXPECT_EQ(workers.At("/total"), "2");
  EXPECT_EQ(workers.At("/workers/0/id"), "\"worker-0\"");
  EXPECT_EQ(workers.At("/workers/0/address"),
            absl::StrCat("\"http://localhost:", cluster.worker(0).http_port(), "\""));
  EXPECT_EQ(workers.At("/workers/0/status"), "\"ready\"");
  EXPECT_EQ(workers.At("/workers/0/pipelines_running"), "0");
  EXPECT_EQ(workers.At("/workers/0/max_pipelines"), "100");
  EXPECT_EQ(workers.At("/workers/0/assigned_pipelines"), "[]");

  const HttpReply group = cluster.Post("/pipeline-groups", kSpecification);
  ASSERT_EQ(group.status, 201) << group.body;
  EXPECT_EQ(group.At("/name"), "\"my-group\"");
  EXPECT_EQ(group.At("/status"), "\"running\"");
  EXPECT_EQ(group.At("/pipeline_count"), "2");
  EXPECT_EQ(group.At("/placements/0/pipeline_name"), "\"ingest\"");
  EXPECT_EQ(group.At("/placements/0/worker_id"), "\"worker-0\"");
  EXPECT_EQ(group.At("/placements/0/status"), "\"Running\"");
  EXPECT_EQ(group.At("/placements/1/worker_id"), "\"worker-1\"");
  constexpr char kUuid[] =
      "\"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\"";
  EXPECT_THAT(group.At("/id"), MatchesRegex(kUuid));
  EXPECT_THAT(group.At("/placements/0/pipeline_id"), MatchesRegex(kUuid));

  const std::string id = absl::StrReplaceAll(group.At("/id"), {{"\"", ""}});
  const std::string inject = "/pipeline-groups/" + id + "/inject";
  const HttpReply injected =
      cluster.Post(inject, R"({"event_type": "EventA", "fields": {"x": 42}})");
  ASSERT_EQ(injected.status, 200) << injected.body;
  EXPECT_THAT(
      injected.body,
      HasSubstr(
          R"({"routed_to":"ingest","worker_id":"worker-0","worker_response":{"accepted":true,"output_events":[{"event_type":"A")"));
  EXPECT_EQ(injected.At("/worker_response/output_events/0/fields"), R"({"result":"ok"})");
  const HttpReply to_b = cluster.Post(inject, R"({"event_type": "EventB_x"})");
  EXPECT_EQ(to_b.At("/worker_id"), "\"worker-1\"");
  EXPECT_EQ(to_b.At("/worker_response/output_events"), "[]");

  const HttpReply topology = cluster.Get("/topology");
  EXPECT_EQ(topology.At("/groups/0/group_id"), group.At("/id"));
  EXPECT_EQ(topology.At("/groups/0/group_name"), "\"my-group\"");
  EXPECT_EQ(topology.At("/groups/0/pipelines/0/name"), "\"ingest\"");
  EXPECT_EQ(topology.At("/groups/0/routes/0"),
            R"({"from_pipeline":"_external","to_pipeline":"ingest","event_types":["EventA*"]})");
  EXPECT_EQ(cluster.Get("/workers/worker-0").At("/assigned_pipelines"), R"(["ingest"])");
  EXPECT_EQ(cluster.Get("/pipeline-groups/" + id).At("/status"), "\"running\"");
  EXPECT_EQ(cluster.Get("/pipeline-groups").At("/pipeline_groups/0/id"), group.At("/id"));

  const HttpReply gone = cluster.Delete("/pipeline-groups/" + id);
  EXPECT_EQ(gone.status, 200);
  EXPECT_EQ(gone.body, R"({"torn_down":true})");
  EXPECT_EQ(cluster.Get("/pipeline-groups/" + id).status, 404);
  EXPECT_EQ(cluster.Get("/topology").At("/groups"), "[]");
}

TEST(QuickStartTest, AWorkerRegisteredByHandFollowsHeartbeatsAlone) {
  Cluster cluster({.workers = 0});
  ASSERT_TRUE(cluster.Start());
  const HttpReply registered = cluster.Post("/workers/register", R"({
    "worker_id": "worker-0", "address": "http://localhost:9000", "api_key": "test",
    "capacity": {"cpu_cores": 8, "pipelines_running": 0, "max_pipelines": 100}})");
  ASSERT_EQ(registered.status, 201) << registered.body;
  EXPECT_THAT(registered.body, HasSubstr(R"({"worker_id":"worker-0","status":"registered")"));

  // No key: heartbeats need none.
  const HttpReply heartbeat = cluster.Send(
      cluster.coordinator(), {.method = "POST",
                              .path = "/api/v1/cluster/workers/worker-0/heartbeat",
                              .body = R"({"events_processed": 1000, "pipelines_running": 2})"});
  EXPECT_EQ(heartbeat.status, 200);
  EXPECT_EQ(heartbeat.body, R"({"acknowledged":true})");
  const HttpReply worker = cluster.Get("/workers/worker-0");
  EXPECT_EQ(worker.At("/status"), "\"ready\"");
  EXPECT_EQ(worker.At("/pipelines_running"), "2");
  EXPECT_EQ(worker.At("/events_processed"), "1000");

  const HttpReply deleted = cluster.Delete("/workers/worker-0");
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(deleted.At("/deleted"), "true");
  EXPECT_EQ(cluster.Get("/workers/worker-0").status, 404);
}

TEST(QuickStartTest, AGatewayElsewhereServesTheSameApi) {
  Cluster cluster({.workers = 1});
  ASSERT_TRUE(cluster.Start());
  Node* gateway = cluster.StartNode("gateway", {"gateway", "--port=0", "--api-key=other"});
  ASSERT_NE(gateway, nullptr);
  ASSERT_NE(cluster.WaitForPort(*gateway, "gateway ready: http://"), 0);
  const HttpReply workers = cluster.Send(
      *gateway, {.path = "/api/v1/cluster/workers", .headers = {{"x-api-key", "other"}}});
  EXPECT_EQ(workers.status, 200);
  EXPECT_EQ(workers.body, cluster.Get("/workers").body);
}

}  // namespace
}  // namespace varpulis::testing
