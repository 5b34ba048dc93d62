#include "rest/worker_routes.h"

#include "proto/worker_api.pb.h"

#include "test/rest/shim_fixture.h"

namespace varpulis::rest {
namespace {

using testing::HasSubstr;

constexpr char kPipelines[] = "/api/v1/pipelines";
constexpr char kOne[] = "/api/v1/pipelines/p-1";

class WorkerRoutesTest : public ShimTest {
 protected:
  std::string Api(const char* verb) { return subjects_.Api("pipelines", verb); }
};

TEST_F(WorkerRoutesTest, DeploysAPipeline) {
  Script<v1::DeployWorkerPipelineRequest, v1::DeployPipelineResponse>(
      Api("deploy"), [](const v1::DeployWorkerPipelineRequest& request) {
        v1::DeployPipelineResponse reply;
        reply.set_id("p-1");
        reply.set_name(request.name());
        reply.set_status("running");
        return reply;
      });
  ServeWorker();
  const HttpReply reply = Post(kPipelines, R"({"name":"ingest","source":"stream A = X"})");
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.body, R"({"id":"p-1","name":"ingest","status":"running"})");
  EXPECT_THAT(Post(kPipelines, R"({"name":"ingest"})"), IsError(400, "invalid_request"));
}

TEST_F(WorkerRoutesTest, AWrongProgramIsAParseError) {
  Fail<v1::DeployWorkerPipelineRequest, v1::DeployPipelineResponse>(Api("deploy"), "parse_error");
  ServeWorker();
  EXPECT_THAT(Post(kPipelines, R"({"name":"a","source":"?"})"), IsError(400, "parse_error"));
}

TEST_F(WorkerRoutesTest, ShowsPipelines) {
  Script<v1::ListRequest, v1::ListWorkerPipelinesResponse>(
      Api("list"), [](const v1::ListRequest& request) {
        EXPECT_EQ(request.limit(), 7u);
        return v1::ListWorkerPipelinesResponse();
      });
  Script<v1::WorkerPipelineRequest, v1::WorkerPipelineInfo>(
      Api("get"),
      [](const v1::WorkerPipelineRequest& request) -> absl::StatusOr<v1::WorkerPipelineInfo> {
        if (request.pipeline_id() != "p-1") return transport::MakeError("pipeline_not_found", "no");
        v1::WorkerPipelineInfo info;
        info.set_id("p-1");
        info.set_status("running");
        info.set_uptime_secs(3);
        return info;
      });
  ServeWorker();
  EXPECT_EQ(Get("/api/v1/pipelines?limit=7").body, R"({"pipelines":[],"total":0})");
  EXPECT_EQ(Get(kOne).body,
            R"({"id":"p-1","name":"","status":"running","source":"","uptime_secs":3})");
  EXPECT_THAT(Get("/api/v1/pipelines/p-2"), IsError(404, "pipeline_not_found"));
  EXPECT_THAT(Get("/api/v1/pipelines/a.b"), IsError(400, "invalid_request"));
  EXPECT_THAT(Get("/api/v1/pipelines/a.b").body,
              HasSubstr(R"({"error":"pipeline id must be 1 to 64 characters of )"));
}

TEST_F(WorkerRoutesTest, ChangesAPipeline) {
  Script<v1::WorkerPipelineRequest, v1::DeleteWorkerPipelineResponse>(
      Api("delete"), [](const v1::WorkerPipelineRequest&) {
        v1::DeleteWorkerPipelineResponse reply;
        reply.set_deleted(true);
        return reply;
      });
  Script<v1::ReloadWorkerPipelineRequest, v1::ReloadWorkerPipelineResponse>(
      Api("reload"), [](const v1::ReloadWorkerPipelineRequest& request) {
        EXPECT_EQ(request.pipeline_id(), "p-1");
        EXPECT_EQ(request.source(), "new");
        v1::ReloadWorkerPipelineResponse reply;
        reply.set_reloaded(true);
        return reply;
      });
  Script<v1::WorkerPipelineRequest, v1::WorkerPipelineMetrics>(
      Api("metrics"), [](const v1::WorkerPipelineRequest& request) {
        v1::WorkerPipelineMetrics reply;
        reply.set_pipeline_id(request.pipeline_id());
        reply.set_events_processed(9);
        return reply;
      });
  ServeWorker();
  EXPECT_EQ(Delete(kOne).body, R"({"deleted":true})");
  EXPECT_EQ(Post(std::string(kOne) + "/reload", R"({"source":"new"})").body,
            R"({"reloaded":true})");
  EXPECT_EQ(Get(std::string(kOne) + "/metrics").body,
            R"({"pipeline_id":"p-1","events_processed":9,"output_events_emitted":0})");
}

TEST_F(WorkerRoutesTest, CheckpointsAndRestores) {
  Script<v1::WorkerPipelineRequest, v1::WorkerCheckpointResponse>(
      Api("checkpoint"), [](const v1::WorkerPipelineRequest& request) {
        v1::WorkerCheckpointResponse reply;
        reply.set_pipeline_id(request.pipeline_id());
        reply.mutable_checkpoint()->set_version(1);
        reply.mutable_checkpoint()->set_state("AAAA");
        return reply;
      });
  Script<v1::WorkerRestoreRequest, v1::WorkerRestoreResponse>(
      Api("restore"), [](const v1::WorkerRestoreRequest& request) {
        EXPECT_EQ(request.checkpoint().state().size(), 900u << 10);
        v1::WorkerRestoreResponse reply;
        reply.set_pipeline_id(request.pipeline_id());
        reply.set_restored(true);
        return reply;
      });
  ServeWorker();
  const std::string path = kOne;
  EXPECT_THAT(Client().Request("POST", path + "/checkpoint").body,
              HasSubstr(R"("checkpoint":{"version":1,)"));
  const std::string state(900 << 10, 'A');
  EXPECT_EQ(Post(path + "/restore", R"({"checkpoint":{"version":1,"state":")" + state + "\"}}" +
                                        std::string(1 << 20, ' '))
                .body,
            R"({"pipeline_id":"p-1","restored":true,"events_restored":0})");
}

TEST_F(WorkerRoutesTest, TakesEvents) {
  Script<v1::InjectWorkerPipelineRequest, v1::WorkerInjectResponse>(
      Api("inject"), [](const v1::InjectWorkerPipelineRequest& request) {
        EXPECT_EQ(request.pipeline_id(), "p-1");
        EXPECT_EQ(request.event_type(), "EventA");
        v1::WorkerInjectResponse reply;
        reply.set_accepted(true);
        return reply;
      });
  Script<v1::InjectBatchWorkerPipelineRequest, v1::WorkerInjectBatchResponse>(
      Api("inject_batch"), [](const v1::InjectBatchWorkerPipelineRequest& request) {
        v1::WorkerInjectBatchResponse reply;
        reply.set_accepted(static_cast<uint64_t>(request.events_size()));
        return reply;
      });
  ServeWorker();
  EXPECT_EQ(
      Post(std::string(kOne) + "/events", R"({"event_type":"EventA","fields":{"x":42}})").body,
      R"({"accepted":true,"output_events":[]})");
  EXPECT_THAT(Post(std::string(kOne) + "/events-batch",
                   R"({"events":[{"event_type":"A"},{"event_type":"B","fields":{"x":[1,2.0]}}]})")
                  .body,
              HasSubstr(R"({"accepted":2,"rejected":[],"output_events":[],)"));
}

TEST_F(WorkerRoutesTest, ShowsUsageAndAsksForTheKey) {
  Script<v1::Empty, v1::WorkerUsageResponse>(Api("usage"), [](const v1::Empty&) {
    v1::WorkerUsageResponse reply;
    reply.set_tenant_id("default");
    reply.mutable_quota()->set_max_pipelines(1000);
    return reply;
  });
  ServeWorker(ApiKeys("test"));
  EXPECT_THAT(Get("/api/v1/usage"), IsError(401, "invalid_api_key"));
  EXPECT_THAT(Get("/api/v1/usage", {"x-api-key: admin"}), IsError(401, "invalid_api_key"));
  EXPECT_EQ(Get("/api/v1/usage", {"x-api-key: test"}).body,
            R"({"tenant_id":"default","events_processed":0,"output_events_emitted":0,)"
            R"("active_pipelines":0,"quota":{"max_pipelines":1000,"max_events_per_second":0,)"
            R"("max_streams_per_pipeline":0}})");
}

TEST_F(WorkerRoutesTest, ProbesNeedNoKey) {
  Script<v1::Empty, v1::WorkerHealthResponse>(subjects_.Api("worker", "health"),
                                              [](const v1::Empty&) {
                                                v1::WorkerHealthResponse reply;
                                                reply.set_status("healthy");
                                                reply.set_uptime_seconds(1.5);
                                                reply.set_version("0.1.0");
                                                return reply;
                                              });
  bool ready = false;
  Script<v1::Empty, v1::WorkerReadyResponse>(subjects_.Api("worker", "ready"),
                                             [&](const v1::Empty&) {
                                               v1::WorkerReadyResponse reply;
                                               reply.set_status(ready ? "ready" : "not_ready");
                                               reply.set_engine_loaded(ready);
                                               if (ready) reply.set_streams_count(2);
                                               if (!ready) reply.set_reason("not registered");
                                               return reply;
                                             });
  ServeWorker(ApiKeys("test"));
  EXPECT_EQ(Get("/health").body, R"({"status":"healthy","uptime_seconds":1.5,"version":"0.1.0"})");
  const HttpReply no = Get("/ready");
  EXPECT_EQ(no.status, 503);
  EXPECT_EQ(no.body, R"({"status":"not_ready","engine_loaded":false,"reason":"not registered"})");
  ready = true;
  const HttpReply yes = Get("/ready");
  EXPECT_EQ(yes.status, 200);
  EXPECT_EQ(yes.body, R"({"status":"ready","engine_loaded":true,"streams_count":2})");
}

}  // namespace
}  // namespace varpulis::rest
