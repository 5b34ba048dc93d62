#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/cluster.pb.h"
#include "proto/event.pb.h"
#include "proto/worker_api.pb.h"
#include "test/transport/json_reading.h"
#include "transport/error_reply.h"
#include "transport/json_codec.h"

namespace varpulis::transport {
namespace {

using testing::HasSubstr;

TEST(JsonRefusalTest, NamesThePath) {
  using varpulis::v1::DeployGroupRequest;
  const std::pair<const char*, const char*> rows[] = {
      {R"([])", "expected an object, got an array"},
      {R"(null)", "expected an object, got null"},
      {R"({})", "name: is required"},
      {R"({"name":null,"pipelines":[]})", "name: is required"},
      {R"({"name":"g"})", "pipelines: is required"},
      {R"({"name":"g","pipelines":{}})", "pipelines: expected an array, got an object"},
      {R"({"name":"g","pipelines":[1]})", "pipelines[0]: expected an object, got a number"},
      {R"({"name":"g","pipelines":[null]})", "pipelines[0]: expected an object, got null"},
      {R"({"name":"g","pipelines":[{"name":"p","source":1}]})",
       "pipelines[0].source: expected a string, got a number"},
      {R"({"name":"g","pipelines":[{"name":"p","source":"s"},{"name":"q"}]})",
       "pipelines[1].source: is required"},
      {R"({"name":"g","pipelines":[],"extra":1})", "extra: unknown key"},
      {R"({"name":"g","pipelines":[{"name":"p","source":"s","replica":2}]})",
       "pipelines[0].replica: unknown key"},
      {R"({"name":"g","pipelines":[],"name":"h"})", "name: the key appears twice"},
      {R"({"name":"g","pipelines":[{"name":"p","source":"s","replicas":-1}]})",
       "pipelines[0].replicas: expected an unsigned integer, got a negative number"},
      {R"({"name":"g","pipelines":[{"name":"p","source":"s","replicas":2.0}]})",
       "pipelines[0].replicas: expected an unsigned integer, got a float"},
      {R"({"name":"g","pipelines":[{"name":"p","source":"s","replicas":"2"}]})",
       "pipelines[0].replicas: expected an unsigned integer, got a string"},
      {R"({"name":"g","pipelines":[{"name":"p","source":"s","replicas":4294967296}]})",
       "pipelines[0].replicas: must be at most 4294967295"},
      {R"({"name":"g","pipelines":[{"name":"p","source":"s"}],
           "routes":[{"from_pipeline":"a","to_pipeline":"b","event_types":["x",null]}]})",
       "routes[0].event_types[1]: expected a string, got null"},
  };
  for (const auto& [json, text] : rows) EXPECT_EQ(Refusal<DeployGroupRequest>(json), text) << json;

  DeployGroupRequest message;
  const absl::Status status = FromJson(R"({"name":"g","pipelines":3})", &message);
  const varpulis::v1::ErrorReply reply = ToErrorReply(status);
  ASSERT_EQ(reply.details_size(), 1);
  EXPECT_EQ(reply.details(0).path(), "pipelines");
  EXPECT_EQ(reply.details(0).message(), "expected an array, got a number");
}

TEST(JsonRefusalTest, AnEventHasAType) {
  EXPECT_EQ(Refusal<varpulis::v1::Event>(R"({"fields":{"x":1}})"), "event_type: is required");
  EXPECT_EQ(Refusal<varpulis::v1::WorkerInjectRequest>(R"({"event":{"fields":{"x":1}}})"),
            "event.event_type: is required");
  EXPECT_EQ(Refusal<varpulis::v1::EventBatch>(R"({"events":[{"event_type":"T"},{}]})"),
            "events[1].event_type: is required");
}

TEST(JsonRefusalTest, NamesLineAndColumn) {
  using varpulis::v1::Value;
  EXPECT_THAT(Refusal<Value>("{\n  \"a\": 1,\n  \"b\" 2\n}"),
              HasSubstr("invalid JSON at line 3, column 7: "));
  const char* syntax[] = {"",
                          " ",
                          "{",
                          "[1,]",
                          "{\"a\":1,}",
                          "{'a':1}",
                          "nul",
                          "NaN",
                          "Infinity",
                          "-Infinity",
                          "+1",
                          "01",
                          "1.",
                          ".5",
                          "1e",
                          "0x10",
                          "\"a",
                          "\"\n\"",
                          "\"\\x\"",
                          "\"\\ud800\"",
                          "\"\\ud800x\"",
                          "\"\\udc00\"",
                          "{} {}",
                          "1 2",
                          "// c\n1",
                          "/* c */ 1",
                          "\xef\xbb\xbf{}",
                          "\"\xff\"",
                          "\"\xc0\x80\"",
                          "\"\xed\xa0\x80\"",
                          "\"\xf4\x90\x80\x80\"",
                          "{\"\xff\":1}",
                          "1e400",
                          "[1 2]",
                          "{\"a\"}",
                          "{1:2}",
                          "tru",
                          "\"\\u12g4\"",
                          "-"};
  for (const char* json : syntax) {
    EXPECT_THAT(Refusal<Value>(json), HasSubstr("invalid JSON at line ")) << json;
  }
  EXPECT_THAT(Refusal<Value>(absl::string_view("{}\0garbage", 10)), HasSubstr("invalid JSON"));
  EXPECT_THAT(Refusal<Value>(absl::string_view("{}\0", 3)), HasSubstr("invalid JSON"));
  EXPECT_THAT(Refusal<Value>(absl::string_view("\"a\0b\"", 5)), HasSubstr("invalid JSON"));
}

TEST(JsonRefusalTest, DepthIsLimitedWithoutRecursion) {
  using varpulis::v1::Value;
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_EQ(Refusal<Value>(nested(32)), "");
  EXPECT_THAT(Refusal<Value>(nested(33)), HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(Refusal<Value>(nested(5'000'000)), HasSubstr("nested deeper"));
  EXPECT_THAT(Refusal<Value>(std::string(5'000'000, '[')), HasSubstr("nested deeper"));
  std::string objects;
  for (int i = 0; i < 41; ++i) objects += "{\"a\":";
  EXPECT_THAT(Refusal<Value>(objects), HasSubstr("nested deeper"));
}

TEST(JsonRefusalTest, DepthIsThatOfAValueWhateverIsAroundIt) {
  using varpulis::v1::InjectBatchWorkerPipelineRequest;
  using varpulis::v1::InjectRequest;
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  const auto inject = [&](size_t depth) {
    return absl::StrCat(R"({"event_type":"T","fields":{"a":)", nested(depth), "}}");
  };
  EXPECT_EQ(Refusal<InjectRequest>(inject(31)), "");
  EXPECT_EQ(Refusal<InjectRequest>(inject(32)), "");
  EXPECT_THAT(Refusal<InjectRequest>(inject(33)), HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(Refusal<InjectRequest>(inject(33)), HasSubstr("fields.a"));
  EXPECT_THAT(Refusal<InjectRequest>(inject(1'000'000)), HasSubstr("nested deeper"));
  const auto batch = [&](size_t depth) {
    return absl::StrCat(R"({"events":[)", inject(depth), "]}");
  };
  EXPECT_EQ(Refusal<InjectBatchWorkerPipelineRequest>(batch(32)), "");
  EXPECT_THAT(Refusal<InjectBatchWorkerPipelineRequest>(batch(33)), HasSubstr("nested deeper"));
}

TEST(JsonRefusalTest, DuplicateKeysAnywhere) {
  using varpulis::v1::InjectRequest;
  EXPECT_EQ(Refusal<InjectRequest>(R"({"event_type":"T","fields":{"a":1,"a":2}})"),
            "fields.a: the key appears twice");
  EXPECT_EQ(Refusal<InjectRequest>(R"({"event_type":"T","fields":{"a":[{"b":{"c":1,"c":2}}]}})"),
            "fields.a[0].b.c: the key appears twice");
  EXPECT_EQ(Refusal<InjectRequest>(R"({"event_type":"T","fields":{"a":1,"\u0061":2}})"),
            "fields.a: the key appears twice");
  std::string many = R"({"event_type":"T","fields":{)";
  for (int i = 0; i < 100; ++i) absl::StrAppend(&many, "\"k", i, "\":1,");
  EXPECT_EQ(Refusal<InjectRequest>(many + "\"k7\":2}}"), "fields.k7: the key appears twice");
  EXPECT_EQ(Refusal<InjectRequest>(many + "\"k100\":2}}"), "");
  // Also where unknown keys are ignored.
  EXPECT_EQ(Refusal<varpulis::v1::Heartbeat>(
                R"({"events_processed":1,"pipelines_running":1,"x":[{"y":1,"y":2}]})"),
            "x[0].y: the key appears twice");
}

TEST(JsonRefusalTest, EventLimits) {
  using varpulis::v1::InjectRequest;
  JsonReadOptions small;
  small.max_fields_per_object = 2;
  small.max_string_bytes = 4;
  small.max_array_elements = 2;
  small.max_text_bytes = 8;
  const std::pair<const char*, const char*> rows[] = {
      {R"({"event_type":"T","fields":{"a":[1,2],"b":"1234"}})", ""},
      {R"({"event_type":"T","fields":{"a":1,"b":2,"c":3}})", "fields: has more than 2 fields"},
      {R"({"event_type":"T","fields":{"a":{"a":1,"b":2,"c":3}}})",
       "fields.a: has more than 2 fields"},
      {R"({"event_type":"T","fields":{"a":[1,2,3]}})", "fields.a: has more than 2 elements"},
      {R"({"event_type":"T","fields":{"a":["12345"]}})", "fields.a[0]: is longer than 4 bytes"},
      {R"({"event_type":"T","fields":{"12345":1}})", "fields.12345: name is longer than 4 bytes"},
      {R"({"event_type":"123456789"})", "event_type: is longer than 8 bytes"},
      {R"({"event_type":"T","fields":[]})", "fields: expected an object, got an array"},
  };
  for (const auto& [json, text] : rows) {
    EXPECT_EQ(Refusal<InjectRequest>(json, small), text) << json;
  }
}

TEST(JsonRefusalTest, MachineToMachineBodiesIgnoreWhatTheyDoNotKnow) {
  const auto heartbeat = Read<varpulis::v1::Heartbeat>(
      R"({"events_processed": 1000, "pipelines_running": 2, "future": {"a": [1, null]},
          "pipeline_metrics": [{"pipeline_name": "p", "events_in": 1, "events_out": 2, "new": 1,
            "connector_health": [{"connector_name": "c", "later": true}]}],
          "pipelines": [{"name": "p", "epoch": 3, "unheard": 1}]})");
  EXPECT_EQ(heartbeat.events_processed(), 1000u);
  EXPECT_EQ(heartbeat.pipeline_metrics(0).connector_health(0).connector_name(), "c");
  EXPECT_EQ(heartbeat.pipelines(0).placement_epoch(), 3u);
  EXPECT_EQ(Refusal<varpulis::v1::Heartbeat>(R"({"events_processed":"1"})"),
            "events_processed: expected an unsigned integer, got a string");
}

TEST(JsonRefusalTest, DiscardedFieldsAreStillChecked) {
  const char* body = R"({"worker_id":"w","address":"a",%
      "capacity":{"cpu_cores":1,"pipelines_running":0,"max_pipelines":1}})";
  using varpulis::v1::RegisterWorkerRequest;
  const auto with = [&](const char* key) { return absl::StrReplaceAll(body, {{"%", key}}); };
  EXPECT_EQ(Refusal<RegisterWorkerRequest>(with(R"("api_key":"k",)")), "");
  EXPECT_EQ(Refusal<RegisterWorkerRequest>(with("")), "api_key: is required");
  EXPECT_EQ(Refusal<RegisterWorkerRequest>(with(R"("api_key":1,)")),
            "api_key: expected a string, got a number");
}

TEST(JsonRefusalTest, EnumsAreReadByTheirText) {
  EXPECT_EQ(Read<varpulis::v1::WorkerInfo>(R"({"status":"draining"})").status(),
            varpulis::v1::WORKER_STATUS_DRAINING);
  EXPECT_EQ(Refusal<varpulis::v1::WorkerInfo>(R"({"status":"Draining"})"),
            "status: unknown value \"Draining\"");
  EXPECT_EQ(Refusal<varpulis::v1::WorkerInfo>(R"({"status":1})"),
            "status: expected a string, got a number");
  varpulis::v1::WorkerInfo from_the_future;
  from_the_future.set_status(static_cast<varpulis::v1::WorkerStatus>(99));
  EXPECT_THAT(ToJson(from_the_future), HasSubstr(R"("status":"unknown")"));
}

TEST(JsonRefusalTest, HostileKeysStayReadable) {
  const std::string text = Refusal<varpulis::v1::DeployGroupRequest>(
      absl::StrCat("{\"", std::string(100'000, 'k'), "\\r\\nX: y\":1}"));
  EXPECT_LT(text.size(), 200u);
  EXPECT_EQ(Refusal<varpulis::v1::DeployGroupRequest>(R"({"a\r\nb":1})"), "a  b: unknown key");
  EXPECT_EQ(Refusal<varpulis::v1::DeployGroupRequest>(R"({"":1})"), "\"\": unknown key");
}

TEST(JsonRefusalTest, ReadingClearsTheMessageFirst) {
  varpulis::v1::InjectRequest request;
  request.set_event_id("old");
  ASSERT_TRUE(FromJson(R"({"event_type":"T"})", &request).ok());
  EXPECT_FALSE(request.has_event_id());
}

// ---------------------------------------------------------------- path and query parameters

TEST(SetFieldFromTextTest, TakesIntegersAndStrings) {
  varpulis::v1::ListRequest list;
  EXPECT_TRUE(SetFieldFromText("limit", "10", &list).ok());
  EXPECT_TRUE(SetFieldFromText("offset", "0", &list).ok());
  EXPECT_EQ(list.limit(), 10u);
  EXPECT_TRUE(list.has_offset());
  varpulis::v1::WorkerRequest worker;
  EXPECT_TRUE(SetFieldFromText("worker_id", "worker-0", &worker).ok());
  EXPECT_EQ(worker.worker_id(), "worker-0");
  varpulis::v1::RunningPipeline running;  // by JSON key and by field name
  EXPECT_TRUE(SetFieldFromText("epoch", "3", &running).ok());
  EXPECT_EQ(running.placement_epoch(), 3u);
  EXPECT_TRUE(SetFieldFromText("placement_epoch", "4", &running).ok());
  EXPECT_EQ(running.placement_epoch(), 4u);
}

TEST(SetFieldFromTextTest, RefusesWhatDoesNotFit) {
  varpulis::v1::ListRequest list;
  for (const char* bad :
       {"", " ", "x", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "18446744073709551616"}) {
    const absl::Status status = SetFieldFromText("limit", bad, &list);
    EXPECT_EQ(ErrorCode(status), "invalid_request") << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("limit: expected an unsigned integer"));
  }
  EXPECT_FALSE(list.has_limit());
  EXPECT_EQ(SetFieldFromText("page", "1", &list).message(), "page: unknown parameter");
  varpulis::v1::WorkerRequest worker;
  EXPECT_FALSE(SetFieldFromText("worker_id", "\xff", &worker).ok());
  varpulis::v1::RegisterWorkerRequest request;
  for (const char* field : {"capacity", "running", "api_key"}) {
    EXPECT_EQ(SetFieldFromText(field, "x", &request).message(),
              absl::StrCat(field, field == std::string("capacity")
                                      ? ": cannot be given as text, got \"x\""
                                      : ": cannot be given as text"));
  }
}

}  // namespace
}  // namespace varpulis::transport
