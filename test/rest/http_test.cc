// Paths, methods, keys, errors and retries: what happens around a call.

#include <thread>

#include "proto/cluster.pb.h"

#include "absl/strings/str_cat.h"
#include "test/rest/shim_fixture.h"

namespace varpulis::rest {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kWorkers[] = "/api/v1/cluster/workers";
constexpr char kInject[] = "/api/v1/cluster/pipeline-groups/g1/inject";

class HttpTest : public ShimTest {
 protected:
  void ScriptWorkers() {
    Script<v1::ListRequest, v1::ListWorkersResponse>(
        subjects_.Api("workers", "list"),
        [](const v1::ListRequest&) { return v1::ListWorkersResponse(); });
  }
};

TEST_F(HttpTest, AnswersUnknownPathsAndMethods) {
  ServeCoordinator();
  HttpClient client = Client();  // one connection: none of this ends it
  for (const char* path : {"/", "/nothing", "/api/v1/cluster", "/api/v1/cluster/workers/a/b/c",
                           "//health", "/api/v1/cluster/workers//heartbeat"}) {
    EXPECT_THAT(client.Request("GET", path), IsError(404, "not_found")) << path;
  }
  EXPECT_THAT(client.Request("GET", "/%zz"), IsError(400, "invalid_request"));
  const HttpReply reply = client.Request("PUT", "/api/v1/cluster/workers/w0");
  EXPECT_THAT(reply, IsError(405, "method_not_allowed"));
  EXPECT_EQ(reply.headers.at("allow"), "GET, HEAD, DELETE, OPTIONS");
  EXPECT_THAT(client.Request("BREW", "/health"), IsError(405, "method_not_allowed"));
}

TEST_F(HttpTest, AsksForTheKeyAndTheRole) {
  ScriptWorkers();
  Fail<v1::WorkerRequest, v1::DeleteWorkerResponse>(subjects_.Api("workers", "delete"),
                                                    "worker_not_found");
  const auto keys = ApiKeys::FromJson(R"({"keys":[{"key":"see","role":"viewer"},
      {"key":"do","role":"operator"},{"key":"all","role":"admin"}]})");
  ASSERT_TRUE(keys.ok());
  ServeCoordinator(*keys);
  EXPECT_THAT(Get(kWorkers), IsError(401, "unauthorized"));
  EXPECT_THAT(Get(kWorkers, {"x-api-key: nope"}), IsError(401, "unauthorized"));
  EXPECT_THAT(Get(kWorkers, {"x-api-key: nope"}).body, Not(HasSubstr("nope")));
  EXPECT_EQ(Get(kWorkers, {"X-API-Key: see"}).status, 200);
  const std::string worker = absl::StrCat(kWorkers, "/w0");
  EXPECT_THAT(Delete(worker, {"x-api-key: see"}), IsError(403, "forbidden"));
  EXPECT_THAT(Delete(worker, {"x-api-key: do"}), IsError(403, "forbidden"));
  EXPECT_THAT(Delete(worker, {"x-api-key: all"}), IsError(404, "worker_not_found"));
  EXPECT_THAT(Post(kInject, R"({"event_type":"A"})", {"x-api-key: see"}),
              IsError(403, "forbidden"));
}

TEST_F(HttpTest, HeadIsGetWithoutABody) {
  ScriptWorkers();
  ServeCoordinator();
  HttpClient client = Client();
  const HttpReply head = client.Request("HEAD", kWorkers);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  const HttpReply get = client.Request("GET", kWorkers);  // nothing of a body lay in between
  EXPECT_EQ(head.headers.at("content-length"), absl::StrCat(get.body.size()));
}

TEST_F(HttpTest, OptionsNeedsNoKeyAndListsTheMethods) {
  ServeCoordinator(ApiKeys("k"));
  const HttpReply reply = Client().Request("OPTIONS", kWorkers);
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.headers.at("allow"), "GET, HEAD, OPTIONS");
  EXPECT_FALSE(reply.headers.contains("access-control-allow-origin"));
  EXPECT_THAT(Client().Request("OPTIONS", "/nothing"), IsError(404, "not_found"));
}

TEST_F(HttpTest, AllowsListedOriginsOnly) {
  ScriptWorkers();
  HttpOptions options;
  options.cors_origins = {"https://console.example"};
  ServeCoordinator({}, options);
  const HttpReply listed = Get(kWorkers, {"Origin: https://console.example"});
  EXPECT_EQ(listed.headers.at("access-control-allow-origin"), "https://console.example");
  EXPECT_FALSE(Get(kWorkers, {"Origin: https://evil.example"})
                   .headers.contains("access-control-allow-origin"));
  const HttpReply preflight =
      Client().Request("OPTIONS", kInject, "", {"Origin: https://console.example"});
  EXPECT_THAT(preflight.headers.at("access-control-allow-headers"), HasSubstr("x-api-key"));
}

// A page of another site needs no preflight to send a body without a Content-Type.
TEST_F(HttpTest, RefusesCommandsFromForeignPages) {
  Fail<v1::InjectRequest, v1::InjectResponse>(subjects_.Inject("g1"), "group_not_found");
  ServeCoordinator();
  const std::string event = R"({"event_type":"A"})";
  EXPECT_THAT(Post(kInject, event, {"Origin: https://evil.example"}), IsError(403, "forbidden"));
  EXPECT_THAT(Post(kInject, event, {"Origin: http://localhost"}), IsError(404, "group_not_found"));
}

TEST_F(HttpTest, MapsEveryErrorOfTheCoordinator) {
  struct {
    const char* code;
    int status;
  } const cases[] = {
      {"group_not_found", 404}, {"no_route", 404},       {"conflict", 409},
      {"worker_draining", 409}, {"rate_limited", 429},   {"internal", 500},
      {"deploy_failed", 500},   {"routing_failed", 502}, {"no_workers_available", 503},
      {"worker_timeout", 504},  {"invalid_request", 400}};
  std::string code;
  Script<v1::InjectRequest, v1::InjectResponse>(
      subjects_.Inject("g1"), [&](const v1::InjectRequest&) -> absl::StatusOr<v1::InjectResponse> {
        v1::ErrorReply details;
        v1::ErrorDetail& detail = *details.add_details();
        detail.set_path("line 3");
        detail.set_message("why");
        return transport::MakeError(code, "scripted", details);
      });
  ServeCoordinator({}, {}, NoRetry());
  for (const auto& expected : cases) {
    code = expected.code;
    const HttpReply reply = Post(kInject, R"({"event_type":"A"})");
    EXPECT_THAT(reply, IsError(expected.status, expected.code));
    EXPECT_THAT(reply.body,
                AllOf(HasSubstr("scripted"), HasSubstr(R"("details":[{"path":"line 3")")));
  }
}

TEST_F(HttpTest, ANatsTimeoutIsA504) {
  std::vector<transport::Replier<v1::InjectResponse>> kept;
  Defer<v1::InjectRequest, v1::InjectResponse>(
      subjects_.Inject("g1"),
      [&](const v1::InjectRequest&, transport::Replier<v1::InjectResponse> r) {
        kept.push_back(std::move(r));
      });
  CoordinatorShimOptions options;
  options.timeout = absl::Milliseconds(30);
  ServeCoordinator({}, {}, options);
  EXPECT_THAT(Post(kInject, R"({"event_type":"A"})"), IsError(504, "worker_timeout"));
  EXPECT_EQ(calls_, 1);  // outcome unknown: not sent again
}

TEST_F(HttpTest, WaitsForANewLeader) {
  ServeCoordinator();
  HttpClient client = Client();
  client.Send(HttpClient::Text("GET", kWorkers));
  client.Send(HttpClient::Text("GET", "/nothing"));
  ScriptWorkers();  // elected meanwhile, or already
  EXPECT_EQ(client.ReadReply().status, 200);
  EXPECT_EQ(client.ReadReply().status, 404);
}

TEST_F(HttpTest, GivesUpWaitingForALeader) {
  CoordinatorShimOptions options;
  options.retry_for = absl::Milliseconds(60);
  ServeCoordinator({}, {}, options);
  EXPECT_THAT(Get(kWorkers), IsError(503, "not_ready"));
  EXPECT_THAT(Post(kInject, R"({"event_type":"A"})"), IsError(503, "not_ready"));
}

TEST_F(HttpTest, RepeatsAnInjectThatWasNotDelivered) {
  Script<v1::InjectRequest, v1::InjectResponse>(
      subjects_.Inject("g1"),
      [this](const v1::InjectRequest&) -> absl::StatusOr<v1::InjectResponse> {
        if (calls_ < 3) return transport::MakeError("worker_unavailable", "moving");
        return v1::InjectResponse();
      });
  ServeCoordinator();
  EXPECT_EQ(Post(kInject, R"({"event_type":"A"})").status, 200);
  EXPECT_EQ(calls_, 3);
}

TEST_F(HttpTest, ARepeatedCallKeepsItsRequestId) {
  std::vector<std::string> ids;
  Script<v1::GroupRequest, v1::DeleteGroupResponse>(
      subjects_.Api("groups", "delete"),
      [&](const v1::GroupRequest&) -> absl::StatusOr<v1::DeleteGroupResponse> {
        ids.push_back(last_context_.request_id);
        if (ids.size() == 1) return transport::MakeError("not_leader", "standing down");
        return v1::DeleteGroupResponse();
      });
  ServeCoordinator();
  EXPECT_EQ(Delete("/api/v1/cluster/pipeline-groups/g1").status, 200);
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_EQ(ids[0].size(), 36u);
}

TEST_F(HttpTest, RefusesAnIdempotencyKeyThatIsNone) {
  ServeCoordinator();
  const std::string event = R"({"event_type":"A"})";
  EXPECT_THAT(Post(kInject, event, {"Idempotency-Key: " + std::string(129, 'k')}),
              IsError(400, "invalid_request"));
  EXPECT_THAT(Post(kInject, event, {"Idempotency-Key: \xc3\xa4"}), IsError(400, "invalid_request"));
}

TEST_F(HttpTest, ServesManyClientsAtOnce) {
  ScriptWorkers();
  HttpOptions options;
  options.io_threads = 2;
  ServeCoordinator({}, options);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      HttpClient client = Client();
      for (int i = 0; i < 50; ++i) good += client.Request("GET", kWorkers).status == 200 ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 400);
}

TEST_F(HttpTest, AnswersPipelinedRequestsInOrder) {
  Script<v1::WorkerRequest, v1::WorkerInfo>(subjects_.Api("workers", "get"),
                                            [](const v1::WorkerRequest& request) {
                                              v1::WorkerInfo info;
                                              info.set_id(request.worker_id());
                                              return info;
                                            });
  ServeCoordinator();
  std::string all;
  for (int i = 0; i < 100; ++i) all += HttpClient::Text("GET", absl::StrCat(kWorkers, "/w", i));
  HttpClient client = Client();
  ASSERT_TRUE(client.Send(all));
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(client.ReadReply().body, HasSubstr(absl::StrCat(R"("id":"w)", i, "\"")));
  }
}

TEST_F(HttpTest, SaysThatAPortIsTaken) {
  ServeCoordinator();
  HttpOptions options;
  options.port = server_->port();
  const auto second = HttpServer::Start(options, CoordinatorRoutes(*bus_, subjects_, {}));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("address in use: 127.0.0.1:", options.port)));
  options.bind = "nowhere";
  EXPECT_EQ(HttpServer::Start(options, CoordinatorRoutes(*bus_, subjects_, {})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace varpulis::rest
