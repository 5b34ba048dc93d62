// Every documented error of the seed's endpoints: status, code, and a text that helps.

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::HasSubstr;

class ErrorsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster({.workers = 1});
    ASSERT_TRUE(cluster_->Start());
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  static void ExpectError(const HttpReply& reply, int status, const std::string& code,
                          const std::string& text = "") {
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_EQ(reply.At("/code"), absl::StrCat("\"", code, "\"")) << reply.body;
    EXPECT_THAT(reply.At("/error"), HasSubstr(text));
  }
  static HttpReply WithKey(const std::string& method, const std::string& path,
                           const std::string& key) {
    HttpRequest request{.method = method, .path = path};
    if (!key.empty()) request.headers["x-api-key"] = key;
    return cluster_->Send(cluster_->coordinator(), request);
  }
  static HttpReply DeployOne(const std::string& source, const std::string& routes = "[]") {
    return cluster_->Post("/pipeline-groups",
                          absl::StrCat(R"({"name": "g", "pipelines": [{"name": "p", "source": ")",
                                       source, R"("}], "routes": )", routes, "}"));
  }

  static Cluster* cluster_;
};

Cluster* ErrorsTest::cluster_ = nullptr;

TEST_F(ErrorsTest, AMissingOrWrongKeyIsUnauthorized) {
  for (const char* path :
       {"/api/v1/cluster/workers", "/api/v1/cluster/topology", "/api/v1/cluster/pipeline-groups"}) {
    ExpectError(WithKey("GET", path, ""), 401, "unauthorized");
    ExpectError(WithKey("GET", path, "wrong"), 401, "unauthorized");
    EXPECT_EQ(WithKey("GET", path, "admin").status, 200);
  }
  EXPECT_EQ(WithKey("GET", "/health", "").status, 200);
  EXPECT_EQ(WithKey("GET", "/ready", "").status, 200);
  EXPECT_EQ(WithKey("GET", "/api/v1/cluster/transport", "").status, 200);
  EXPECT_EQ(WithKey("GET", "/api/v1/cluster/raft", "").status, 200);
}

TEST_F(ErrorsTest, UnknownThingsAreNotFound) {
  ExpectError(cluster_->Get("/workers/nobody"), 404, "worker_not_found", "nobody");
  ExpectError(cluster_->Delete("/workers/nobody"), 404, "worker_not_found");
  ExpectError(cluster_->Post("/workers/nobody/heartbeat",
                             R"({"events_processed": 1, "pipelines_running": 0})"),
              404, "worker_not_found");
  ExpectError(cluster_->Get("/pipeline-groups/nothing"), 404, "group_not_found", "nothing");
  ExpectError(cluster_->Delete("/pipeline-groups/nothing"), 404, "group_not_found");
  ExpectError(cluster_->Post("/pipeline-groups/nothing/inject", R"({"event_type": "E"})"), 404,
              "group_not_found");
  ExpectError(
      cluster_->Post("/pipeline-groups/nothing/inject-batch", R"({"events_text": "E { a: 1 }"})"),
      404, "group_not_found");
  EXPECT_EQ(cluster_->Get("/no-such-thing").status, 404);
}

TEST_F(ErrorsTest, AWrongMethodNamesTheRightOnes) {
  const HttpReply reply = cluster_->Send(
      cluster_->coordinator(),
      {.method = "PUT", .path = "/api/v1/cluster/workers", .headers = {{"x-api-key", "admin"}}});
  ExpectError(reply, 405, "method_not_allowed");
  EXPECT_THAT(reply.headers.at("allow"), HasSubstr("GET"));
}

TEST_F(ErrorsTest, AnotherMediaTypeIsRefused) {
  const HttpReply reply =
      cluster_->Post("/pipeline-groups", "<xml/>", {{"content-type", "text/xml"}});
  ExpectError(reply, 415, "unsupported_media_type");
}

TEST_F(ErrorsTest, LimitsOfListsAreChecked) {
  ExpectError(cluster_->Get("/workers?limit=1001"), 400, "invalid_limit");
  ExpectError(cluster_->Get("/workers?limit=0"), 400, "invalid_limit");
  EXPECT_EQ(cluster_->Get("/workers?limit=x").status, 400);
  EXPECT_EQ(cluster_->Get("/workers?limit=1&offset=0").At("/pagination/limit"), "1");
}

TEST_F(ErrorsTest, ASourceThatDoesNotCompileIsRefusedWithItsPosition) {
  const HttpReply reply = DeployOne("stream A = X .wher(v > 1)");
  ExpectError(reply, 400, "invalid_request");
  EXPECT_THAT(reply.At("/details/0/path"), HasSubstr("pipelines[0].source"));
  EXPECT_EQ(reply.At("/details/0/line"), "1");
  EXPECT_NE(reply.At("/details/0/column"), "");
  EXPECT_EQ(cluster_->Get("/pipeline-groups").At("/total"), "0");  // no side effect
}

TEST_F(ErrorsTest, BadSpecificationsAreRefusedWithoutSideEffect) {
  constexpr char kFine[] = "stream A = X .emit(v: 1)";
  ExpectError(cluster_->Post("/pipeline-groups", R"({"name": "g", "pipelines": []})"), 400,
              "invalid_request");
  ExpectError(cluster_->Post("/pipeline-groups", R"({"pipelines": []})"), 400, "invalid_request",
              "name");
  ExpectError(
      cluster_->Post("/pipeline-groups",
                     absl::StrCat(R"({"name": "g", "pipelines": [{"name": "a.b", "source": ")",
                                  kFine, R"("}]})")),
      400, "invalid_request");
  ExpectError(
      cluster_->Post("/pipeline-groups",
                     absl::StrCat(R"({"name": "g", "pipelines": [{"name": "p", "source": ")", kFine,
                                  R"("}, {"name": "p", "source": ")", kFine, R"("}]})")),
      400, "invalid_request");
  ExpectError(
      DeployOne(kFine,
                R"([{"from_pipeline": "_external", "to_pipeline": "q", "event_types": ["*"]}])"),
      400, "invalid_request");
  ExpectError(
      DeployOne(kFine, R"([{"from_pipeline": "p", "to_pipeline": "p", "event_types": ["*"]}])"),
      400, "invalid_request");
  ExpectError(
      DeployOne(kFine,
                R"([{"from_pipeline": "_external", "to_pipeline": "p", "event_types": []}])"),
      400, "invalid_request");
  ExpectError(
      DeployOne(
          kFine,
          R"([{"from_pipeline": "_external", "to_pipeline": "p", "event_types": ["*"], "nats_subject": "$SYS.x"}])"),
      400, "invalid_request");
  ExpectError(
      DeployOne(
          kFine,
          R"([{"from_pipeline": "_external", "to_pipeline": "p", "event_types": ["*"], "mqtt_topik": "x"}])"),
      400, "invalid_request", "mqtt_topik");
  EXPECT_EQ(cluster_->Get("/pipeline-groups").At("/total"), "0");
}

TEST_F(ErrorsTest, AnAddressNobodyCanReachIsRefused) {
  for (const char* address : {"http://0.0.0.0:9000", "http://[::]:9000", "", "ftp://x"}) {
    ExpectError(
        cluster_->Post(
            "/workers/register",
            absl::StrCat(
                R"({"worker_id": "w", "address": ")", address,
                R"(", "api_key": "k", "capacity": {"cpu_cores": 1, "pipelines_running": 0, "max_pipelines": 1}})")),
        400, "invalid_request");
  }
}

TEST_F(ErrorsTest, ABadLineOfABatchIsNamedAndNothingIsSent) {
  const std::string group = cluster_->Deploy(
      R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: 1)"}]})json");
  ASSERT_FALSE(group.empty());
  const HttpReply reply = cluster_->Post("/pipeline-groups/" + group + "/inject-batch",
                                         R"({"events_text": "X { a: 1 }\nthis is no event\n"})");
  ExpectError(reply, 400, "invalid_request", "line 2");
  EXPECT_EQ(cluster_->Delete("/pipeline-groups/" + group).status, 200);
}

TEST_F(ErrorsTest, TheWorkersOwnApiChecksItsKeyAndIds) {
  const auto ask = [](const std::string& method, const std::string& path, const std::string& key,
                      const std::string& body = "") {
    return cluster_->Send(
        cluster_->worker(0),
        {.method = method, .path = path, .body = body, .headers = {{"x-api-key", key}}});
  };
  ExpectError(ask("GET", "/api/v1/pipelines", "wrong"), 401, "invalid_api_key");
  ExpectError(ask("GET", "/api/v1/pipelines/nothing", "test"), 404, "pipeline_not_found");
  ExpectError(ask("POST", "/api/v1/pipelines", "test", R"({"name": "p", "source": "stream = "})"),
              400, "parse_error");
  EXPECT_EQ(ask("GET", "/health", "").status, 200);
  EXPECT_EQ(ask("GET", "/ready", "").status, 200);
}

TEST(ErrorsWithoutWorkersTest, ADeployWithoutWorkersIsUnavailable) {
  Cluster cluster({.workers = 0});
  ASSERT_TRUE(cluster.Start());
  const HttpReply reply = cluster.Post(
      "/pipeline-groups",
      R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: 1)"}]})json");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.At("/code"), "\"no_workers_available\"");
  EXPECT_EQ(cluster.Send(cluster.coordinator(), {.path = "/health"}).At("/status"),
            "\"no_workers\"");
}

TEST(ErrorsWithoutWorkersTest, AWorkerThatIsGoneIsUnavailableAtOnce) {
  Cluster cluster({.workers = 1});
  ASSERT_TRUE(cluster.Start());
  const std::string group = cluster.Deploy(
      R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: 1)"}]})json");
  cluster.Kill(cluster.worker(0));
  HttpReply reply;
  // The broker needs a moment to see that the connection is gone.
  EXPECT_TRUE(WaitUntil([&] {
    reply = cluster.Post("/pipeline-groups/" + group + "/inject", R"({"event_type": "X"})");
    return reply.status == 503;
  })) << reply.body;
  EXPECT_EQ(reply.At("/code"), "\"worker_unavailable\"");
}

}  // namespace
}  // namespace varpulis::testing
