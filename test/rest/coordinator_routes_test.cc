#include "rest/coordinator_routes.h"

#include "proto/cluster.pb.h"

#include "test/rest/shim_fixture.h"

namespace varpulis::rest {
namespace {

using testing::HasSubstr;

constexpr char kBase[] = "/api/v1/cluster";
constexpr char kGroup[] = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

std::string Path(const std::string& rest) { return kBase + rest; }

constexpr char kRegister[] =
    R"({"worker_id":"worker-0","address":"http://localhost:9000",)"
    R"("api_key":"test",)"
    R"("capacity":{"cpu_cores":8,"pipelines_running":0,"max_pipelines":100}})";
constexpr char kSpec[] =
    R"j({"name":"my-app","pipelines":[{"name":"pipeline-a","source":"stream A = X .emit(v: 1)",)j"
    R"j("worker_affinity":"worker-0"}],"routes":[{"from_pipeline":"_external",)j"
    R"j("to_pipeline":"pipeline-a","event_types":["TypeA*"]}]})j";

class CoordinatorRoutesTest : public ShimTest {
 protected:
  std::string Api(const char* resource, const char* verb) { return subjects_.Api(resource, verb); }
};

TEST_F(CoordinatorRoutesTest, RegistersAWorker) {
  Script<v1::RegisterWorkerRequest, v1::RegisterWorkerResponse>(
      Api("workers", "register"), [](const v1::RegisterWorkerRequest& request) {
        EXPECT_EQ(request.worker_id(), "worker-0");
        EXPECT_EQ(request.address(), "http://localhost:9000");
        EXPECT_EQ(request.api_key(), "");  // never travels over NATS
        EXPECT_EQ(request.capacity().cpu_cores(), 8u);
        EXPECT_EQ(request.capacity().max_pipelines(), 100u);
        v1::RegisterWorkerResponse reply;
        reply.set_worker_id(request.worker_id());
        reply.set_status("registered");
        reply.set_heartbeat_interval_secs(5);
        return reply;
      });
  ServeCoordinator();
  const HttpReply reply = Post(Path("/workers/register"), kRegister);
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.body,
            R"({"worker_id":"worker-0","status":"registered","heartbeat_interval_secs":5})");
  EXPECT_EQ(last_context_.request_id.size(), 36u);  // made here: a mutating call carries one
}

TEST_F(CoordinatorRoutesTest, TakesAHeartbeatWithoutAKey) {
  Script<v1::Heartbeat, v1::HeartbeatResponse>(
      Api("workers", "heartbeat"),
      [](const v1::Heartbeat& beat) -> absl::StatusOr<v1::HeartbeatResponse> {
        if (beat.worker_id() != "worker-0") {
          return transport::MakeError("worker_not_found", "no such worker");
        }
        EXPECT_EQ(beat.events_processed(), 1000u);
        EXPECT_EQ(beat.pipelines_running(), 2u);
        v1::HeartbeatResponse reply;
        reply.set_acknowledged(true);
        return reply;
      });
  ServeCoordinator(ApiKeys("admin"));
  const std::string beat = R"({"events_processed":1000,"pipelines_running":2})";
  const HttpReply reply = Post(Path("/workers/worker-0/heartbeat"), beat);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"acknowledged":true})");
  EXPECT_THAT(Post(Path("/workers/nobody/heartbeat"), beat), IsError(404, "worker_not_found"));
  EXPECT_THAT(Post(Path("/workers/worker-0/heartbeat"), R"({"pipelines_running":2})"),
              IsError(400, "invalid_request"));
}

TEST_F(CoordinatorRoutesTest, ListsWorkersAsDocumented) {
  Script<v1::ListRequest, v1::ListWorkersResponse>(Api("workers", "list"),
                                                   [](const v1::ListRequest& request) {
                                                     v1::ListWorkersResponse reply;
                                                     EXPECT_EQ(request.limit(), 5u);
                                                     EXPECT_EQ(request.offset(), 10u);
                                                     v1::WorkerInfo& worker = *reply.add_workers();
                                                     worker.set_id("worker-0");
                                                     worker.set_address("http://localhost:9000");
                                                     worker.set_status(v1::WORKER_STATUS_READY);
                                                     worker.set_pipelines_running(1);
                                                     worker.set_max_pipelines(100);
                                                     worker.add_assigned_pipelines("ingest");
                                                     reply.set_total(1);
                                                     return reply;
                                                   });
  ServeCoordinator();
  const HttpReply reply = Get(Path("/workers?limit=5&offset=10&unknown=x"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            R"({"workers":[{"id":"worker-0","address":"http://localhost:9000","status":"ready",)"
            R"("pipelines_running":1,"max_pipelines":100,"assigned_pipelines":["ingest"],)"
            R"("cpu_cores":0,"events_processed":0}],"total":1})");
  EXPECT_THAT(Get(Path("/workers?limit=x")), IsError(400, "invalid_request"));
  EXPECT_THAT(Get(Path("/workers?limit=-1")), IsError(400, "invalid_request"));
}

TEST_F(CoordinatorRoutesTest, PassesOnWhatTheCoordinatorThinksOfALimit) {
  Fail<v1::ListRequest, v1::ListWorkersResponse>(Api("workers", "list"), "invalid_limit");
  ServeCoordinator();
  EXPECT_THAT(Get(Path("/workers?limit=0")), IsError(400, "invalid_limit"));
}

TEST_F(CoordinatorRoutesTest, GetsAndDeletesAWorker) {
  Script<v1::WorkerRequest, v1::WorkerInfo>(
      Api("workers", "get"),
      [](const v1::WorkerRequest& request) -> absl::StatusOr<v1::WorkerInfo> {
        if (request.worker_id() != "w-1") {
          return transport::MakeError("worker_not_found", "no worker named x");
        }
        v1::WorkerInfo info;
        info.set_id(request.worker_id());
        info.set_status(v1::WORKER_STATUS_UNHEALTHY);
        return info;
      });
  Script<v1::WorkerRequest, v1::DeleteWorkerResponse>(Api("workers", "delete"),
                                                      [](const v1::WorkerRequest& request) {
                                                        EXPECT_EQ(request.worker_id(), "w-1");
                                                        v1::DeleteWorkerResponse reply;
                                                        reply.set_deleted(true);
                                                        return reply;
                                                      });
  ServeCoordinator();
  EXPECT_THAT(Get(Path("/workers/w-1")).body, HasSubstr(R"("id":"w-1")"));
  EXPECT_THAT(Get(Path("/workers/w%2d1")).body, HasSubstr(R"("status":"unhealthy")"));
  EXPECT_THAT(Get(Path("/workers/nobody")), IsError(404, "worker_not_found"));
  EXPECT_EQ(Delete(Path("/workers/w-1")).body, R"({"deleted":true,"placements_affected":0})");
  EXPECT_EQ(last_context_.request_id.size(), 36u);
}

TEST_F(CoordinatorRoutesTest, AnIdThatIsNoTokenNeverTravels) {
  ServeCoordinator();
  for (const char* id : {"a.b", "%3E", "a%2Eb", "*", "%2A", "a%20b", "a%2Fb", "%C3%A4"}) {
    SCOPED_TRACE(id);
    const std::string group = Path("/pipeline-groups/") + id;
    const HttpReply got = Get(group);
    EXPECT_THAT(got, IsError(400, "invalid_request"));
    EXPECT_THAT(got.body, HasSubstr(R"({"error":"group id must be 1 to 64 characters of )"));
    EXPECT_EQ(Delete(group).body, got.body);
    EXPECT_EQ(Post(group + "/inject", R"({"event_type":"A"})").body, got.body);
    EXPECT_EQ(Post(group + "/inject-batch", R"({"events_text":"A{}"})").body, got.body);
    EXPECT_EQ(Delete(group).status, 400);
    const HttpReply worker = Get(Path("/workers/") + id);
    EXPECT_THAT(worker, IsError(400, "invalid_request"));
    EXPECT_THAT(worker.body, HasSubstr(R"({"error":"worker id must be 1 to 64 characters of )"));
    EXPECT_EQ(Delete(Path("/workers/") + id).body, worker.body);
  }
  EXPECT_THAT(Get(Path("/workers/") + std::string(65, 'a')), IsError(400, "invalid_request"));
  EXPECT_EQ(calls_, 0);
}

TEST_F(CoordinatorRoutesTest, DeploysAGroup) {
  Script<v1::DeployGroupRequest, v1::GroupInfo>(
      Api("groups", "deploy"), [](const v1::DeployGroupRequest& request) {
        EXPECT_EQ(request.pipelines(0).source(), "stream A = X .emit(v: 1)");
        EXPECT_EQ(request.pipelines(0).replicas(), 1u);
        EXPECT_EQ(request.routes(0).event_types(0), "TypeA*");
        v1::GroupInfo group;
        group.set_id("uuid-of-group");
        group.set_name(request.name());
        group.set_status(v1::GROUP_STATUS_RUNNING);
        group.set_pipeline_count(1);
        v1::PlacementInfo& placement = *group.add_placements();
        placement.set_pipeline_name("pipeline-a");
        placement.set_worker_id("worker-0");
        placement.set_worker_address("http://localhost:9000");
        placement.set_pipeline_id("uuid-on-worker");
        placement.set_status(v1::PLACEMENT_STATUS_RUNNING);
        placement.set_epoch(1);
        return group;
      });
  ServeCoordinator();
  const HttpReply reply =
      Post(Path("/pipeline-groups"), kSpec, {"Idempotency-Key: deploy-7", "x-request-id: r 1"});
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.body,
            R"({"id":"uuid-of-group","name":"my-app","status":"running","pipeline_count":1,)"
            R"("placements":[{"pipeline_name":"pipeline-a","worker_id":"worker-0",)"
            R"("worker_address":"http://localhost:9000","pipeline_id":"uuid-on-worker",)"
            R"("status":"Running","epoch":1}],"sources":{}})");
  EXPECT_EQ(last_context_.request_id, "deploy-7");
  EXPECT_EQ(reply.headers.at("x-request-id"), "r 1");
  EXPECT_EQ(reply.headers.at("cache-control"), "no-store");
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
}

TEST_F(CoordinatorRoutesTest, RefusesABodyThatIsNotTheSpecification) {
  ServeCoordinator();
  for (const char* body :
       {"{", "[]", "7", "\"x\"", R"({"name":"a"})", R"({"name":7,"pipelines":[]})",
        R"({"name":"a","pipelines":{}})", R"({"name":"a","pipelines":[],"nmae":"b"})",
        R"({"name":"a","pipelines":[{"name":"p"}]})", R"({"name":"a","name":"b","pipelines":[]})",
        "{\"name\":\"\xff\",\"pipelines\":[]}"}) {
    EXPECT_THAT(Post(Path("/pipeline-groups"), body), IsError(400, "invalid_request")) << body;
  }
  EXPECT_THAT(Post(Path("/pipeline-groups"), ""), IsError(400, "invalid_request"));
  EXPECT_THAT(
      Post(Path("/pipeline-groups"), R"({"name":"a","pipelines":[{"name":"p","source":3}]})").body,
      HasSubstr("pipelines[0].source"));
  EXPECT_EQ(calls_, 0);
}

TEST_F(CoordinatorRoutesTest, RefusesABodyThatDoesNotSayItIsJson) {
  ServeCoordinator();
  HttpClient client = Client();
  client.Send(
      "POST /api/v1/cluster/validate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
      "Content-Type: application/x-www-form-urlencoded\r\n\r\n{}");
  EXPECT_THAT(client.ReadReply(), IsError(415, "unsupported_media_type"));
  // The connection goes on; without a Content-Type the body is taken for what it has to be.
  client.Send("POST /api/v1/cluster/validate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_THAT(client.ReadReply(), IsError(400, "invalid_request"));
}

TEST_F(CoordinatorRoutesTest, ValidatesASource) {
  Script<v1::ValidateRequest, v1::ValidateResponse>(
      Api("cluster", "validate"), [](const v1::ValidateRequest& request) {
        EXPECT_EQ(request.source(), "stream = 3");
        v1::ValidateResponse reply;
        v1::ValidateDiagnostic& found = *reply.add_diagnostics();
        found.set_severity("error");
        found.set_line(1);
        found.set_column(8);
        found.set_message("`=` where a name is expected");
        found.set_code("E100");
        return reply;
      });
  ServeCoordinator();
  const HttpReply reply = Post(Path("/validate"), R"({"source":"stream = 3"})");
  EXPECT_EQ(reply.status, 200);  // also for a source with errors
  EXPECT_EQ(reply.body, R"({"valid":false,"diagnostics":[{"severity":"error","line":1,"column":8,)"
                        R"("message":"`=` where a name is expected","code":"E100"}]})");
}

TEST_F(CoordinatorRoutesTest, ListsGetsAndDeletesGroups) {
  Script<v1::ListRequest, v1::ListGroupsResponse>(Api("groups", "list"),
                                                  [](const v1::ListRequest&) {
                                                    v1::ListGroupsResponse reply;
                                                    reply.mutable_pagination()->set_limit(50);
                                                    return reply;
                                                  });
  Script<v1::GroupRequest, v1::GroupInfo>(Api("groups", "get"),
                                          [](const v1::GroupRequest& request) {
                                            v1::GroupInfo group;
                                            group.set_id(request.group_id());
                                            group.set_status(v1::GROUP_STATUS_PARTIALLY_RUNNING);
                                            return group;
                                          });
  Script<v1::GroupRequest, v1::DeleteGroupResponse>(Api("groups", "delete"),
                                                    [](const v1::GroupRequest&) {
                                                      v1::DeleteGroupResponse reply;
                                                      reply.set_torn_down(true);
                                                      return reply;
                                                    });
  ServeCoordinator();
  EXPECT_EQ(Get(Path("/pipeline-groups")).body,
            R"({"pipeline_groups":[],"total":0,"pagination":{"total":0,"limit":50,"offset":0,)"
            R"("has_more":false}})");
  EXPECT_THAT(Get(Path("/pipeline-groups/") + kGroup).body,
              HasSubstr(R"("status":"partially_running")"));
  EXPECT_EQ(Delete(Path("/pipeline-groups/") + kGroup).body, R"({"torn_down":true})");
}

TEST_F(CoordinatorRoutesTest, InjectsAnEvent) {
  Script<v1::InjectRequest, v1::InjectResponse>(
      subjects_.Inject(kGroup), [](const v1::InjectRequest& request) {
        EXPECT_EQ(request.event_type(), "TypeA_foo");
        EXPECT_EQ(request.fields(0).name(), "value");
        EXPECT_EQ(request.fields(0).value().int_value(), 42);
        v1::InjectResponse reply;
        reply.set_routed_to("pipeline-a");
        reply.set_worker_id("worker-0");
        v1::WorkerInjectResponse& worker = *reply.mutable_worker_response();
        worker.set_accepted(true);
        v1::Event& output = *worker.add_output_events();
        output.set_event_type("A");
        v1::Field& field = *output.add_fields();
        field.set_name("ratio");
        field.mutable_value()->set_float_value(2);
        return reply;
      });
  ServeCoordinator();
  const HttpReply reply = Post(Path("/pipeline-groups/") + kGroup + "/inject",
                               R"({"event_type":"TypeA_foo","fields":{"value":42}})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            R"({"routed_to":"pipeline-a","worker_id":"worker-0","worker_response":)"
            R"({"accepted":true,"output_events":[{"event_type":"A","fields":{"ratio":2.0}}]}})");
  EXPECT_EQ(last_context_.request_id, "");
}

TEST_F(CoordinatorRoutesTest, TheIdempotencyKeyOfAnInjectIsItsEventIdUnlessItHasOne) {
  std::vector<std::string> ids;  // of the bus's thread; read after the answers have come
  Script<v1::InjectRequest, v1::InjectResponse>(subjects_.Inject(kGroup),
                                                [&](const v1::InjectRequest& request) {
                                                  ids.push_back(request.event_id());
                                                  return v1::InjectResponse();
                                                });
  ServeCoordinator();
  const std::string inject = Path("/pipeline-groups/") + kGroup + "/inject";
  Post(inject, R"({"event_type":"A"})");
  Post(inject, R"({"event_type":"A"})", {"Idempotency-Key: key-1"});
  Post(inject, R"({"event_type":"A","event_id":"e7"})", {"Idempotency-Key: key-1"});
  EXPECT_THAT(ids, testing::ElementsAre("", "key-1", "e7"));
}

TEST_F(CoordinatorRoutesTest, TellsHowLongItWaits) {
  Script<v1::Empty, v1::TopologyResponse>(Api("topology", "get"),
                                          [](const v1::Empty&) { return v1::TopologyResponse(); });
  CoordinatorShimOptions options;
  options.timeout = absl::Seconds(7);
  ServeCoordinator({}, {}, options);
  EXPECT_EQ(Get(Path("/topology")).status, 200);
  EXPECT_EQ(last_context_.timeout, absl::Seconds(7));
}

TEST_F(CoordinatorRoutesTest, InjectsABatch) {
  Script<v1::InjectBatchRequest, v1::InjectBatchResponse>(
      subjects_.InjectBatch(kGroup), [](const v1::InjectBatchRequest& request) {
        v1::InjectBatchResponse reply;
        reply.set_events_sent(request.events_text().size());
        return reply;
      });
  ServeCoordinator();
  EXPECT_THAT(
      Post(Path("/pipeline-groups/") + kGroup + "/inject-batch", R"({"events_text":"A { x: 1 }"})")
          .body,
      HasSubstr(R"({"events_sent":10,"events_failed":0,"output_events":[],"errors":[],)"));
}

TEST_F(CoordinatorRoutesTest, ShowsTopologyAndValidates) {
  Script<v1::Empty, v1::TopologyResponse>(Api("topology", "get"), [](const v1::Empty&) {
    v1::TopologyResponse reply;
    v1::TopologyGroup& group = *reply.add_groups();
    group.set_group_id("g");
    group.set_group_name("my-app");
    return reply;
  });
  Script<v1::ValidateRequest, v1::ValidateResponse>(Api("cluster", "validate"),
                                                    [](const v1::ValidateRequest& request) {
                                                      EXPECT_EQ(request.source(), "stream");
                                                      v1::ValidateResponse reply;
                                                      reply.set_valid(true);
                                                      return reply;
                                                    });
  ServeCoordinator();
  EXPECT_EQ(Get(Path("/topology")).body,
            R"({"groups":[{"group_id":"g","group_name":"my-app","pipelines":[],"routes":[]}],)"
            R"("workers":[],"routes":[]})");
  EXPECT_EQ(Post(Path("/validate"), R"({"source":"stream"})").body,
            R"({"valid":true,"diagnostics":[]})");
}

TEST_F(CoordinatorRoutesTest, SaysWhereTheBrokerIs) {
  Script<v1::Empty, v1::TransportResponse>(Api("cluster", "transport"), [](const v1::Empty&) {
    v1::TransportResponse reply;
    reply.set_transport("nats");
    reply.add_urls("nats://127.0.0.1:4222");
    reply.set_subject_prefix("varpulis.cluster");
    return reply;
  });
  ServeCoordinator(ApiKeys("admin"));
  EXPECT_EQ(Get(Path("/transport")).body, R"({"transport":"nats","urls":["nats://127.0.0.1:4222"],)"
                                          R"("subject_prefix":"varpulis.cluster"})");
  HttpClient client = Client();
  client.Send("GET /api/v1/cluster/transport HTTP/1.1\r\nHost: 10.1.2.3:9100\r\n\r\n");
  EXPECT_THAT(client.ReadReply().body, HasSubstr(R"("urls":["nats://10.1.2.3:4222"])"));

  CoordinatorShimOptions options;
  options.advertised_urls = {"nats://broker.example:4222"};
  ServeCoordinator({}, {}, options);
  EXPECT_THAT(Get(Path("/transport")).body, HasSubstr(R"("urls":["nats://broker.example:4222"])"));
}

TEST_F(CoordinatorRoutesTest, ProbesNeedNoKey) {
  Script<v1::Empty, v1::ClusterHealthResponse>(Api("cluster", "health"), [](const v1::Empty&) {
    v1::ClusterHealthResponse reply;
    reply.set_status("no_workers");
    reply.set_role("coordinator");
    reply.mutable_workers();
    return reply;
  });
  Script<v1::Empty, v1::Empty>(Api("cluster", "ready"),
                               [](const v1::Empty&) { return v1::Empty(); });
  ServeCoordinator(ApiKeys("admin"));
  EXPECT_THAT(Get("/health").body,
              HasSubstr(R"({"status":"no_workers","role":"coordinator","version":"",)"
                        R"("workers":{"total":0,"healthy":0,"unhealthy":0,"draining":0})"));
  EXPECT_THAT(Get("/health").body, HasSubstr(R"("last_health_sweep":null)"));
  EXPECT_EQ(Get("/ready").body, R"({"status":"ready","role":"coordinator"})");
}

TEST_F(CoordinatorRoutesTest, IsNotReadyWithoutALeader) {
  ServeCoordinator({}, {}, NoRetry());
  const HttpReply reply = Get("/ready");
  EXPECT_EQ(reply.status, 503);
  EXPECT_THAT(reply.body, HasSubstr(R"({"status":"not_ready","role":"coordinator","error":")"));
  EXPECT_THAT(Get("/health"), IsError(503, "not_ready"));
  EXPECT_EQ(Get("/health").headers.at("retry-after"), "1");
}

}  // namespace
}  // namespace varpulis::rest
