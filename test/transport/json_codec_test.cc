#include "transport/json_codec.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "proto/cluster.pb.h"
#include "proto/event.pb.h"
#include "transport/error_reply.h"

namespace varpulis::transport {
namespace {

using google::protobuf::Message;
using testing::HasSubstr;

template <typename M>
M Read(absl::string_view json) {
  M message;
  const absl::Status status = FromJson(json, &message);
  EXPECT_TRUE(status.ok()) << json << ": " << status;
  return message;
}

// The text of the refusal; "" when it was taken.
template <typename M>
std::string Refusal(absl::string_view json, const JsonReadOptions& options = {}) {
  M message;
  const absl::Status status = FromJson(json, &message, options);
  if (status.ok()) return "";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorCode(status), "invalid_request");
  return std::string(status.message());
}

// Our examples have no blanks inside strings that matter.
std::string Compact(absl::string_view json) {
  std::string out;
  bool quoted = false;
  for (const char c : json) {
    if (c == '"') quoted = !quoted;
    if (quoted || (c != ' ' && c != '\n')) out.push_back(c);
  }
  return out;
}

// ---------------------------------------------------------------- the documented examples

TEST(JsonGoldenTest, RegisterResponse) {
  varpulis::v1::RegisterWorkerResponse response;
  response.set_worker_id("worker-0");
  response.set_status("registered");
  response.set_heartbeat_interval_secs(5);
  EXPECT_EQ(ToJson(response), Compact(R"({"worker_id": "worker-0", "status": "registered",
                        "heartbeat_interval_secs": 5})"));
}

TEST(JsonGoldenTest, RegisterRequest) {
  const auto request = Read<varpulis::v1::RegisterWorkerRequest>(R"({
    "worker_id": "worker-0",
    "address": "http://localhost:9000",
    "api_key": "test",
    "capacity": {"cpu_cores": 8, "pipelines_running": 0, "max_pipelines": 100}
  })");
  EXPECT_EQ(request.worker_id(), "worker-0");
  EXPECT_EQ(request.capacity().cpu_cores(), 8u);
  EXPECT_EQ(request.capacity().max_pipelines(), 100u);
  EXPECT_EQ(request.api_key(), "");  // checked, never kept
  EXPECT_THAT(ToJson(request), testing::Not(HasSubstr("api_key")));
}

TEST(JsonGoldenTest, WorkersList) {
  varpulis::v1::ListWorkersResponse response;
  varpulis::v1::WorkerInfo* worker = response.add_workers();
  worker->set_id("worker-0");
  worker->set_address("http://localhost:9000");
  worker->set_status(varpulis::v1::WORKER_STATUS_READY);
  worker->set_pipelines_running(1);
  worker->set_max_pipelines(100);
  worker->add_assigned_pipelines("ingest");
  worker->set_cpu_cores(8);
  response.set_total(1);
  response.mutable_pagination()->set_total(1);
  response.mutable_pagination()->set_limit(50);
  EXPECT_EQ(ToJson(response), Compact(R"({
  "workers": [
    {
      "id": "worker-0",
      "address": "http://localhost:9000",
      "status": "ready",
      "pipelines_running": 1,
      "max_pipelines": 100,
      "assigned_pipelines": ["ingest"],
      "cpu_cores": 8,
      "events_processed": 0
    }
  ],
  "total": 1,
  "pagination": {"total": 1, "limit": 50, "offset": 0, "has_more": false}
})"));
}

TEST(JsonGoldenTest, GroupResponse) {
  varpulis::v1::GroupInfo group;
  group.set_id("uuid-of-group");
  group.set_name("my-app");
  group.set_status(varpulis::v1::GROUP_STATUS_RUNNING);
  group.set_pipeline_count(2);
  varpulis::v1::PlacementInfo* placement = group.add_placements();
  placement->set_pipeline_name("pipeline-a");
  placement->set_worker_id("worker-0");
  placement->set_worker_address("http://localhost:9000");
  placement->set_pipeline_id("uuid-on-worker");
  placement->set_status(varpulis::v1::PLACEMENT_STATUS_RUNNING);
  (*group.mutable_sources())["pipeline-b"] = "b";
  (*group.mutable_sources())["pipeline-a"] = "a";
  EXPECT_EQ(ToJson(group), Compact(R"({
  "id": "uuid-of-group",
  "name": "my-app",
  "status": "running",
  "pipeline_count": 2,
  "placements": [
    {
      "pipeline_name": "pipeline-a",
      "worker_id": "worker-0",
      "worker_address": "http://localhost:9000",
      "pipeline_id": "uuid-on-worker",
      "status": "Running",
      "epoch": 0
    }
  ],
  "sources": {"pipeline-a": "a", "pipeline-b": "b"}
})"));
}

TEST(JsonGoldenTest, InjectRequestAndResponse) {
  const auto request =
      Read<varpulis::v1::InjectRequest>(R"({"event_type": "EventA", "fields": {"x": 42}})");
  EXPECT_EQ(request.event_type(), "EventA");
  ASSERT_EQ(request.fields_size(), 1);
  EXPECT_EQ(request.fields(0).name(), "x");
  EXPECT_EQ(request.fields(0).value().int_value(), 42);

  varpulis::v1::InjectResponse response;
  response.set_routed_to("pipeline-a");
  response.set_worker_id("worker-0");
  response.mutable_worker_response()->set_accepted(true);
  varpulis::v1::Event* event = response.mutable_worker_response()->add_output_events();
  event->set_event_type("A");
  varpulis::v1::Field* field = event->add_fields();
  field->set_name("v");
  field->mutable_value()->set_int_value(1);
  EXPECT_EQ(ToJson(response), Compact(R"({
  "routed_to": "pipeline-a",
  "worker_id": "worker-0",
  "worker_response": {"accepted": true, "output_events": [{"event_type": "A", "fields": {"v": 1}}]}
})"));
}

TEST(JsonGoldenTest, DeployRequest) {
  const auto request = Read<varpulis::v1::DeployGroupRequest>(R"json({
    "name": "my-group",
    "pipelines": [
      {"name": "ingest", "source": "stream A = EventA .emit(result: \"ok\")",
       "worker_affinity": "worker-0"}],
    "routes": [
      {"from_pipeline": "_external", "to_pipeline": "ingest", "event_types": ["EventA*"],
       "mqtt_topic": null}]
  })json");
  EXPECT_EQ(request.pipelines(0).source(), "stream A = EventA .emit(result: \"ok\")");
  EXPECT_EQ(request.pipelines(0).worker_affinity(), "worker-0");
  EXPECT_EQ(request.pipelines(0).replicas(), 1u);  // the default
  EXPECT_FALSE(request.pipelines(0).has_partition_key());
  EXPECT_FALSE(request.routes(0).has_mqtt_topic());  // null counts as absent
  EXPECT_EQ(Read<varpulis::v1::PipelineSpec>(R"({"name":"p","source":"","replicas":0})").replicas(),
            0u);
}

TEST(JsonGoldenTest, HealthPrintsNullWhereDocumented) {
  EXPECT_THAT(ToJson(varpulis::v1::ClusterHealthResponse()),
              HasSubstr(R"("last_health_sweep":null,"leader_epoch":0)"));
}

TEST(JsonGoldenTest, EmptyListsAreSkippedOnlyWhereAsked) {
  varpulis::v1::ErrorReply error;
  error.set_error("no group g");
  error.set_code("group_not_found");
  EXPECT_EQ(ToJson(error), R"({"error":"no group g","code":"group_not_found"})");
  varpulis::v1::ErrorDetail* detail = error.add_details();
  detail->set_path("p");
  detail->set_line(3);
  EXPECT_EQ(ToJson(error), R"({"error":"no group g","code":"group_not_found",)"
                           R"("details":[{"path":"p","message":"","line":3}]})");
  EXPECT_EQ(ToJson(varpulis::v1::DeleteGroupResponse()), R"({"torn_down":false})");
  EXPECT_EQ(
      ToJson(varpulis::v1::GroupInfo()),
      R"({"id":"","name":"","status":"unknown","pipeline_count":0,"placements":[],"sources":{}})");
}

// ---------------------------------------------------------------- values

TEST(JsonValueTest, PrintsEveryKind) {
  varpulis::v1::Value value;
  const auto print = [&value] { return ToJson(value); };
  EXPECT_EQ(print(), "null");
  value.set_bool_value(true);
  EXPECT_EQ(print(), "true");
  value.set_int_value(std::numeric_limits<int64_t>::min());
  EXPECT_EQ(print(), "-9223372036854775808");
  const std::pair<double, const char*> floats[] = {
      {1.0, "1.0"},       {0.1, "0.1"},    {1e300, "1e+300"},
      {-0.0, "-0.0"},     {1e-7, "1e-07"}, {123456789.0, "123456789.0"},
      {5e-324, "5e-324"}, {1.5, "1.5"},    {1.7976931348623157e308, "1.7976931348623157e+308"},
      {100000.0, "1e+05"}};
  for (const auto& [number, text] : floats) {
    value.set_float_value(number);
    EXPECT_EQ(print(), text);
  }
  for (const double number :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity()}) {
    value.set_float_value(number);
    EXPECT_EQ(print(), "null");
  }
  value.set_string_value("a\"\\\n\r\t\b\f\x01\x7f/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(print(),
            "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\x7f/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
  value.set_string_value("a\xff\xc3(\xed\xa0\x80z");  // broken text stays valid JSON
  EXPECT_TRUE(FromJson(print(), &value).ok());
  value.set_duration_ns(90'000'000'000);
  EXPECT_EQ(print(), "\"90s\"");
  value.set_duration_ns(1'500'000'000);
  EXPECT_EQ(print(), "\"1.5s\"");
  value.set_duration_ns(-1);
  EXPECT_EQ(print(), "\"-0.000000001s\"");
  value.set_duration_ns(std::numeric_limits<int64_t>::min());
  EXPECT_EQ(print(), "\"-9223372036.854775808s\"");
  value.mutable_list_value()->add_items()->set_int_value(1);
  value.mutable_list_value()->add_items();
  EXPECT_EQ(print(), "[1,null]");
  for (const char* name : {"z", "a"}) {  // insertion order is kept
    varpulis::v1::Field* field = value.mutable_map_value()->add_entries();
    field->set_name(name);
    field->mutable_value()->set_float_value(2);
  }
  EXPECT_EQ(print(), R"({"z":2.0,"a":2.0})");
}

TEST(JsonValueTest, IntegersStayIntegers) {
  using varpulis::v1::Value;
  const struct {
    const char* json;
    Value::KindCase kind;
  } rows[] = {
      {"42", Value::kIntValue},
      {"-1", Value::kIntValue},
      {"0", Value::kIntValue},
      {"9223372036854775807", Value::kIntValue},
      {"-9223372036854775808", Value::kIntValue},
      {"42.0", Value::kFloatValue},
      {"4e1", Value::kFloatValue},
      {"9223372036854775808", Value::kFloatValue},
      {"18446744073709551615", Value::kFloatValue},
      {"-9223372036854775809", Value::kFloatValue},
      {"100000000000000000000000000", Value::kFloatValue},
      {"null", Value::KIND_NOT_SET},
      {"\"x\"", Value::kStringValue},
      {"\"2026-01-01T00:00:00Z\"", Value::kStringValue},  // no guessing
      {"[]", Value::kListValue},
      {"{}", Value::kMapValue},
      {" true ", Value::kBoolValue},
  };
  for (const auto& [json, kind] : rows) EXPECT_EQ(Read<Value>(json).kind_case(), kind) << json;
  EXPECT_EQ(Read<Value>("18446744073709551615").float_value(), 18446744073709551615.0);
  EXPECT_EQ(Read<Value>("0.1").float_value(), 0.1);
  EXPECT_EQ(Read<Value>("\"\\u0000\\ud83d\\ude00\"").string_value(),
            std::string("\0\xf0\x9f\x98\x80", 5));
}

TEST(JsonValueTest, Timestamps) {
  const struct {
    const char* text;
    int64_t ns;
    const char* printed;
  } rows[] = {
      {"2026-01-01T00:00:00Z", 1767225600'000000000, "2026-01-01T00:00:00Z"},
      {"2026-01-01T02:30:00+02:30", 1767225600'000000000, "2026-01-01T00:00:00Z"},
      {"2025-12-31T23:00:00.25-01:00", 1767225600'250000000, "2026-01-01T00:00:00.250Z"},
      {"2026-01-01t00:00:00.000001z", 1767225600'000001000, "2026-01-01T00:00:00.000001Z"},
      {"2026-01-01T00:00:00.0000000019Z", 1767225600'000000001, "2026-01-01T00:00:00.000000001Z"},
      {"1969-12-31T23:59:59.5Z", -500'000'000, "1969-12-31T23:59:59.500Z"},
      {"2016-12-31T23:59:60Z", 1483228800'000000000, "2017-01-01T00:00:00Z"},
      {"2024-02-29T00:00:00Z", 1709164800'000000000, "2024-02-29T00:00:00Z"},
      {"1677-09-21T00:12:43.145224192Z", std::numeric_limits<int64_t>::min(),
       "1677-09-21T00:12:43.145224192Z"},
      {"2262-04-11T23:47:16.854775807Z", std::numeric_limits<int64_t>::max(),
       "2262-04-11T23:47:16.854775807Z"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto event = Read<varpulis::v1::Event>(
        absl::StrCat(R"({"event_type":"T","timestamp":")", row.text, "\"}"));
    EXPECT_EQ(event.timestamp_ns(), row.ns);
    EXPECT_EQ(ToJson(event),
              absl::StrCat(R"({"event_type":"T","timestamp":")", row.printed, R"(","fields":{}})"));
  }
  EXPECT_EQ(Read<varpulis::v1::Event>(R"({"timestamp":1767225600250})").timestamp_ns(),
            1767225600'250000000);
  EXPECT_FALSE(Read<varpulis::v1::Event>(R"({"timestamp":null})").has_timestamp_ns());
  for (const char* bad : {"\"\"",
                          "\"2026-01-01\"",
                          "\"2026-01-01T00:00:00\"",
                          "\"2026-01-01 00:00:00Z\"",
                          "\"2026-02-29T00:00:00Z\"",
                          "\"2026-13-01T00:00:00Z\"",
                          "\"2026-01-01T24:00:00Z\"",
                          "\"2026-01-01T00:60:00Z\"",
                          "\"2026-01-01T00:00:61Z\"",
                          "\"2026-01-01T00:00:00.Z\"",
                          "\"2026-01-01T00:00:00+25:00\"",
                          "\"2026-01-01T00:00:00+0100\"",
                          "\"2026-01-01T00:00:00Z \"",
                          "\"2263-01-01T00:00:00Z\"",
                          "\"1600-01-01T00:00:00Z\"",
                          "\"12026-01-01T00:00:00Z\"",
                          "\"infinite-future\"",
                          "9223372036854775807",
                          "-9223372036854775807",
                          "1.5",
                          "true",
                          "[]",
                          "18446744073709551615"}) {
    EXPECT_THAT(Refusal<varpulis::v1::Event>(absl::StrCat(R"({"timestamp":)", bad, "}")),
                HasSubstr("timestamp: "))
        << bad;
  }
}

// ---------------------------------------------------------------- refusals

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
  EXPECT_THAT(Refusal<Value>(nested(5'000'000)), HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(Refusal<Value>(std::string(5'000'000, '[')), HasSubstr("nested deeper"));
  std::string objects;
  for (int i = 0; i < 33; ++i) objects += "{\"a\":";
  EXPECT_THAT(Refusal<Value>(objects), HasSubstr("nested deeper"));
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

// ---------------------------------------------------------------- round trips

class RandomValues {
 public:
  explicit RandomValues(uint32_t seed) : random_(seed) {}

  void Fill(varpulis::v1::Value* value, int depth) {
    switch (Below(depth > 0 ? 7 : 5)) {
      case 0:
        return;
      case 1:
        return value->set_bool_value(Below(2) == 1);
      case 2:
        return value->set_int_value(static_cast<int64_t>(random_()));
      case 3: {
        double number = 0;
        const uint64_t bits = random_();
        static_assert(sizeof(bits) == sizeof(number));
        std::memcpy(&number, &bits, sizeof(bits));
        return value->set_float_value(std::isfinite(number) ? number : 0.5);
      }
      case 4:
        return value->set_string_value(Text());
      case 5:
        value->mutable_list_value();
        for (uint64_t i = Below(4); i > 0; --i) {
          Fill(value->mutable_list_value()->add_items(), depth - 1);
        }
        return;
      default:
        value->mutable_map_value();
        Fill(value->mutable_map_value()->mutable_entries(), depth - 1);
    }
  }

  void Fill(google::protobuf::RepeatedPtrField<varpulis::v1::Field>* fields, int depth) {
    for (uint64_t i = Below(5); i > 0; --i) {
      varpulis::v1::Field* field = fields->Add();
      field->set_name(absl::StrCat(i, Text()));
      Fill(field->mutable_value(), depth);
    }
  }

  int64_t Time() { return static_cast<int64_t>(random_()); }
  uint64_t Below(uint64_t limit) { return random_() % limit; }

 private:
  std::string Text() {
    static constexpr const char* kPieces[] = {"a",    "\"",       "\\",   "\n",
                                              "\x01", "\xc3\xa9", "/",    "\xf0\x9f\x98\x80",
                                              " ",    "{",        "\x7f", "\xe2\x80\xa8"};
    std::string text;
    for (uint64_t i = Below(6); i > 0; --i) text += kPieces[Below(std::size(kPieces))];
    if (Below(8) == 0) text.push_back('\0');
    return text;
  }

  std::mt19937_64 random_;
};

TEST(JsonRoundTripTest, EventsComeBackAsTheyWere) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed=", seed));
    RandomValues random(seed);
    varpulis::v1::Event event;
    event.set_event_type("T");
    if (random.Below(2) == 1) event.set_timestamp_ns(random.Time());
    random.Fill(event.mutable_fields(), 4);

    const std::string json = ToJson(event);
    const auto read = Read<varpulis::v1::Event>(json);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(event, read)) << json;
    EXPECT_EQ(ToJson(read), json);
  }
}

// Every reply of the API can be read back by the same rules.
TEST(JsonRoundTripTest, MessagesWithEverythingSet) {
  const char* texts[] = {
      R"({"id":"g","name":"n","status":"partially_running","pipeline_count":2,"placements":[)"
      R"({"pipeline_name":"p#0","worker_id":"w","worker_address":"a","pipeline_id":"i",)"
      R"("status":"Failed","epoch":18446744073709551615,"error":"boom"}],"sources":{"a":"1","b":""}})",
  };
  for (const char* text : texts) EXPECT_EQ(ToJson(Read<varpulis::v1::GroupInfo>(text)), text);
  const char* health =
      R"({"status":"degraded","role":"coordinator","version":"1.0.0","workers":{"total":3,"healthy":2,)"
      R"("unhealthy":1,"draining":0},"pipeline_groups":1,"active_migrations":0,)"
      R"("total_events_processed":7,"last_health_sweep":{"workers_checked":3,)"
      R"("workers_marked_unhealthy":1},"leader_epoch":42,"durable":true})";
  EXPECT_EQ(ToJson(Read<varpulis::v1::ClusterHealthResponse>(health)), health);
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
