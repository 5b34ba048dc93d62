#include "transport/json_codec.h"

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "proto/cluster.pb.h"
#include "proto/event.pb.h"
#include "test/transport/json_reading.h"

namespace varpulis::transport {
namespace {

using testing::HasSubstr;

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
  // RapidJSON itself makes 0 of this one.
  EXPECT_EQ(Read<Value>("184467440737095516155").float_value(), 184467440737095516155.0);
  EXPECT_EQ(Read<Value>("0.1").float_value(), 0.1);
  EXPECT_EQ(Read<Value>("5e-324").float_value(), 5e-324);
  EXPECT_EQ(Read<Value>("1e-400").float_value(), 0.0);
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
  EXPECT_EQ(
      Read<varpulis::v1::Event>(R"({"event_type":"T","timestamp":1767225600250})").timestamp_ns(),
      1767225600'250000000);
  EXPECT_FALSE(
      Read<varpulis::v1::Event>(R"({"event_type":"T","timestamp":null})").has_timestamp_ns());
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
    EXPECT_THAT(
        Refusal<varpulis::v1::Event>(absl::StrCat(R"({"event_type":"T","timestamp":)", bad, "}")),
        HasSubstr("timestamp: "))
        << bad;
  }
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

}  // namespace
}  // namespace varpulis::transport
