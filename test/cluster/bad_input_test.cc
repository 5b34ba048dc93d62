// Input that is wrong in every way is refused with a clear error, and nothing else suffers.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

std::string Repeat(const std::string& text, int times) {
  std::string result;
  result.reserve(text.size() * static_cast<size_t>(times));
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

class BadInputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster({.workers = 1});
    ASSERT_TRUE(cluster_->Start());
    group_ = cluster_->Deploy(
        R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: v)"}]})json");
    ASSERT_FALSE(group_.empty());
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  // After each abuse the cluster still does its work.
  void TearDown() override {
    const HttpReply reply = cluster_->Post(Inject(), R"({"event_type": "X", "fields": {"v": 7}})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.At("/worker_response/output_events/0/fields/v"), "7");
  }
  static std::string Inject() { return "/pipeline-groups/" + group_ + "/inject"; }

  static Cluster* cluster_;
  static std::string group_;
};

Cluster* BadInputTest::cluster_ = nullptr;
std::string BadInputTest::group_;

TEST_F(BadInputTest, MalformedJsonIsA400ThatSaysWhere) {
  for (const char* body :
       {"{", "{\"event_type\": }", "[]", "null", "\"x\"", "{\"event_type\": \"X\"} trailing",
        "{\"event_type\": \"X\", \"event_type\": \"Y\"}", "\xff\xfe{}", "{'event_type': 'X'}",
        "{\"event_type\": \"\xc3\x28\"}", "{\"event_type\": \"X\", \"fields\": {\"v\": NaN}}"}) {
    const HttpReply reply = cluster_->Post(Inject(), body);
    EXPECT_EQ(reply.status, 400) << body << " → " << reply.body;
    EXPECT_EQ(reply.At("/code"), "\"invalid_request\"") << body;
    EXPECT_GT(reply.At("/error").size(), 10u) << body;
  }
}

TEST_F(BadInputTest, WrongTypesNameTheField) {
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"event_type": 5})", "event_type"},
           {R"({"event_type": null})", "event_type"},
           {R"({"fields": {}})", "event_type"},
           {R"({"event_type": "X", "fields": []})", "fields"},
           {R"({"event_type": "X", "fields": "v"})", "fields"},
           {R"({"event_type": "X", "feilds": {}})", "feilds"},
           {R"({"event_type": "X", "timestamp": "yesterday"})", "timestamp"}}) {
    const HttpReply reply = cluster_->Post(Inject(), body);
    EXPECT_EQ(reply.status, 400) << body << " → " << reply.body;
    EXPECT_TRUE(absl::StrContains(reply.At("/error"), field)) << body << " → " << reply.body;
  }
}

TEST_F(BadInputTest, BodiesAboveTheLimitAreRefused) {
  const std::string big =
      absl::StrCat(R"({"event_type": "X", "fields": {"v": ")", std::string(10 << 20, 'x'), "\"}}");
  const HttpReply reply = cluster_->Post(Inject(), big);
  EXPECT_EQ(reply.status, 413) << reply.body;
  EXPECT_EQ(reply.At("/code"), "\"payload_too_large\"");
}

TEST_F(BadInputTest, ATenMebibyteBatchIsTakenThoughTheBrokerTakesOne) {
  std::string text;
  int events = 0;
  while (text.size() < (10u << 20)) {
    absl::StrAppend(&text, "X { v: ", events++, ", note: 'padding padding padding padding' }\\n");
  }
  const HttpReply reply = cluster_->Post("/pipeline-groups/" + group_ + "/inject-batch",
                                         absl::StrCat(R"({"events_text": ")", text, "\"}"));
  ASSERT_EQ(reply.status, 200) << reply.body.substr(0, 500);
  EXPECT_EQ(reply.At("/events_sent"), absl::StrCat(events));
  EXPECT_EQ(reply.At("/events_failed"), "0");
  EXPECT_EQ(reply.At("/output_count"), absl::StrCat(events));
  EXPECT_EQ(reply.At("/truncated"), "true");
  EXPECT_EQ(reply.Json()["output_events"].Size(), 1000u);
}

TEST_F(BadInputTest, IdsThatAreNoTokensNeverReachASubject) {
  for (const char* id : {"a.b", "%3E", "*", "%2E%2E", "a%20b", "a%0Ab", "%00", "x%2Ey", "%ff"}) {
    for (const char* path : {"/workers/", "/pipeline-groups/"}) {
      EXPECT_EQ(cluster_->Get(absl::StrCat(path, id)).status, 400) << path << id;
      EXPECT_EQ(cluster_->Delete(absl::StrCat(path, id)).status, 400) << path << id;
    }
    const HttpReply inject =
        cluster_->Post(absl::StrCat("/pipeline-groups/", id, "/inject"), R"({"event_type": "X"})");
    EXPECT_EQ(inject.status, 400) << id;
    const HttpReply registered =
        cluster_->Post("/workers/register",
                       R"({"worker_id": "a.b", "address": "http://localhost:1", "api_key": "k",
                                 "capacity": {"cpu_cores": 1, "pipelines_running": 0, "max_pipelines": 1}})");
    EXPECT_EQ(registered.status, 400);
  }
}

TEST_F(BadInputTest, DeepNestingIsRefusedNotFollowed) {
  constexpr int kDeep = 100'000;
  const std::string arrays = Repeat("[", kDeep) + Repeat("]", kDeep);
  EXPECT_EQ(
      cluster_
          ->Post(Inject(), absl::StrCat(R"({"event_type": "X", "fields": {"v": )", arrays, "}}"))
          .status,
      400);
  const std::string brackets = Repeat("(", kDeep) + "1" + Repeat(")", kDeep);
  EXPECT_EQ(
      cluster_
          ->Post("/pipeline-groups",
                 absl::StrCat(
                     R"({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .where()",
                     brackets, R"json( > 0)"}]})json"))
          .status,
      400);
  const std::string nots = Repeat("-", kDeep);
  EXPECT_EQ(
      cluster_
          ->Post(
              "/pipeline-groups",
              absl::StrCat(
                  R"({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: )",
                  nots, R"json(1)"}]})json"))
          .status,
      400);
}

TEST_F(BadInputTest, WhatIsJustWithinTheLimitsGoesThrough) {
  const auto inject = [](int depth, size_t type_bytes, size_t id_bytes) {
    return cluster_
        ->Post(Inject(),
               absl::StrCat(R"({"event_type": "X)", std::string(type_bytes - 1, 'x'),
                            R"(", "event_id": ")", std::string(id_bytes, 'i'),
                            R"(", "fields": {"v": )", Repeat("[", depth), Repeat("]", depth), "}}"))
        .status;
  };
  EXPECT_EQ(inject(31, 1, 1), 200);
  EXPECT_EQ(inject(32, 256, 256), 200);
  EXPECT_EQ(inject(33, 1, 2), 400);
  EXPECT_EQ(inject(1, 257, 3), 400);
  EXPECT_EQ(inject(1, 1, 257), 400);
}

TEST_F(BadInputTest, RubbishOnTheBusIsAnsweredOrIgnored) {
  transport::NatsConnection& bus = cluster_->bus();
  const transport::Subjects& subjects = cluster_->subjects();
  for (const std::string& subject :
       {subjects.Register(), subjects.Heartbeat("worker-0"), subjects.Command("worker-0", "deploy"),
        subjects.Command("worker-0", "inject"), subjects.Inject(group_),
        subjects.Api("groups", "deploy"), subjects.Pipeline(group_, "_external", "p")}) {
    for (const std::string& payload :
         {std::string("{"), std::string("\xff\xff\xff\x07", 4), std::string(1000, '\0'),
          std::string(R"({"unknown": true})")}) {
      EXPECT_TRUE(bus.Publish({.subject = subject, .payload = payload}).ok());
    }
  }
  EXPECT_TRUE(bus.Flush(absl::Seconds(5)).ok());
  EXPECT_EQ(cluster_->Get("/workers").At("/workers/0/status"), "\"ready\"");
}

}  // namespace
}  // namespace varpulis::testing
