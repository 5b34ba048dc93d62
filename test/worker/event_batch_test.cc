#include "worker/event_batch.h"

#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/runtime/columns_writer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/error_reply.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::Event;
using varpulis::v1::EventBatch;
using varpulis::v1::Value;

Value* AddField(Event* event, const std::string& name) {
  auto* field = event->add_fields();
  field->set_name(name);
  return field->mutable_value();
}

absl::StatusOr<EventBatch> Decode(absl::string_view payload, bool is_json) {
  EventBatch batch;
  const absl::Status decoded = DecodeEventBatch(payload, is_json, &batch);
  if (!decoded.ok()) return decoded;
  return batch;
}

TEST(DecodeEventBatchTest, ReadsProtobuf) {
  EventBatch batch;
  batch.add_events()->set_event_type("A");
  batch.set_hops(3);
  const auto decoded = Decode(batch.SerializeAsString(), /*is_json=*/false);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->events(0).event_type(), "A");
  EXPECT_EQ(decoded->hops(), 3u);
}

TEST(DecodeEventBatchTest, ReadsOneJsonEvent) {
  const auto decoded = Decode(R"({"event_type": "A", "fields": {"x": 1, "y": 1.0}})", false);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->events_size(), 1);
  EXPECT_EQ(decoded->events(0).event_type(), "A");
  EXPECT_EQ(decoded->events(0).fields(0).value().int_value(), 1);
  EXPECT_EQ(decoded->events(0).fields(1).value().float_value(), 1.0);
  EXPECT_FALSE(decoded->events(0).has_timestamp_ns());
}

TEST(DecodeEventBatchTest, ReadsAJsonBatch) {
  const auto decoded = Decode(
      R"( {"events": [{"event_type": "A", "timestamp": "2026-01-01T00:00:00Z"}, {"event_type": "B"}]})",
      /*is_json=*/true);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->events_size(), 2);
  EXPECT_EQ(decoded->events(0).timestamp_ns(), 1'767'225'600'000'000'000);
}

TEST(DecodeEventBatchTest, RefusesWhatItCannotMean) {
  EXPECT_FALSE(Decode("\xff\xff\xff", false).ok());
  EXPECT_FALSE(Decode("{", false).ok());
  EXPECT_FALSE(Decode(R"({"event_type": "A", "oops": 1})", false).ok());
}

TEST(DecodeEventBatchTest, AnEventHasAType) {
  const std::pair<const char*, const char*> rows[] = {
      {R"({})", "event_type: is required"},
      {R"({"hops": 1})", "hops: unknown key"},
      {R"({"fields": {"x": 1}})", "event_type: is required"},
      {R"({"event_type": null})", "event_type: is required"},
      {R"({"event_type": ""})", "event without event_type"},
      {R"({"events": [{"event_type": "A"}, {"fields": {}}]})", "events[1].event_type: is required"},
  };
  for (const auto& [json, text] : rows) {
    const absl::Status refused = Decode(json, false).status();
    EXPECT_EQ(refused.message(), text) << json;
    EXPECT_EQ(transport::ErrorCode(refused), "invalid_request") << json;
  }
  EventBatch untyped;
  untyped.add_events();
  EXPECT_EQ(Decode(untyped.SerializeAsString(), false).status().message(),
            "event without event_type");
  EXPECT_EQ(Decode(R"({"events": []})", false)->events_size(), 0);
}

// Three events of replicas of a pipeline keyed by `k`, in columns; the middle one has no timestamp.
EventBatch Columnar() {
  EventBatch batch;
  engine::ColumnsWriter writer;
  for (int i = 0; i < 3; ++i) {
    Event event;
    event.set_event_type("A");
    if (i != 1) event.set_timestamp_ns(i);
    AddField(&event, "k")->set_string_value(absl::StrCat("key ", i));
    writer.Add(event);
  }
  *batch.mutable_columns() = writer.Finish();
  return batch;
}

TEST(ColumnsTest, AreReadCheckedAndStamped) {
  auto batch = Decode(Columnar().SerializeAsString(), false);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(CountEvents(*batch), 3u);
  StampMissing(77, &*batch);
  google::protobuf::RepeatedPtrField<Event> rows;
  engine::ColumnsToRows(batch->columns(), &rows);
  EXPECT_EQ(rows[0].timestamp_ns(), 0);
  EXPECT_EQ(rows[1].timestamp_ns(), 77);
  EXPECT_EQ(rows[2].timestamp_ns(), 2);

  EventBatch both = Columnar();
  both.add_events()->set_event_type("A");
  EXPECT_EQ(Decode(both.SerializeAsString(), false).status().message(),
            "a batch has events or columns, not both");
  EventBatch bad = Columnar();
  bad.mutable_columns()->set_order(0, 9);
  EXPECT_EQ(Decode(bad.SerializeAsString(), false).status().message(),
            "columns: the order names shape 9 of 2");
}

TEST(ColumnsTest, EachIsKeptByOneReplica) {
  std::set<std::string> kept;
  for (uint32_t replica = 0; replica < 2; ++replica) {
    EventBatch batch = Columnar();
    KeepOwnShare({.id = {},
                  .group = {},
                  .name = "p",
                  .replica = replica,
                  .replicas = 2,
                  .partition_key = "k"},
                 &batch);
    for (const Event& event : batch.events()) {
      EXPECT_TRUE(kept.insert(event.fields(0).value().string_value()).second);
    }
    EXPECT_FALSE(batch.has_columns());
  }
  EXPECT_EQ(kept.size(), 3u);
}

TEST(StampMissingTest, KeepsTheProducersTime) {
  EventBatch batch;
  batch.add_events()->set_timestamp_ns(0);
  batch.add_events();
  StampMissing(77, &batch);
  EXPECT_EQ(batch.events(0).timestamp_ns(), 0);
  EXPECT_EQ(batch.events(1).timestamp_ns(), 77);
}

TEST(CanonicalKeyTextTest, IsOneTextPerValue) {
  Event event;
  AddField(&event, "string")->set_string_value("1");
  AddField(&event, "int")->set_int_value(1);
  AddField(&event, "float")->set_float_value(1.0);
  AddField(&event, "negative")->set_float_value(-0.0);
  AddField(&event, "tenth")->set_float_value(0.1);
  AddField(&event, "large")->set_float_value(1e21);
  AddField(&event, "true")->set_bool_value(true);
  AddField(&event, "null");
  EXPECT_EQ(CanonicalKeyText(event, "string"), "1");
  EXPECT_EQ(CanonicalKeyText(event, "int"), "1");
  EXPECT_EQ(CanonicalKeyText(event, "float"), "1");
  EXPECT_EQ(CanonicalKeyText(event, "negative"), "0");
  EXPECT_EQ(CanonicalKeyText(event, "tenth"), "0.1");
  EXPECT_EQ(CanonicalKeyText(event, "large"), "1000000000000000000000");
  EXPECT_EQ(CanonicalKeyText(event, "true"), "true");
  EXPECT_EQ(CanonicalKeyText(event, "null"), "");
  EXPECT_EQ(CanonicalKeyText(event, "missing"), "");
}

TEST(KeepOwnShareTest, ReplicasDivideTheEventsBetweenThem) {
  EventBatch all;
  for (int i = 0; i < 1000; ++i) {
    Event* event = all.add_events();
    event->set_event_type(absl::StrCat("T", i));
    AddField(event, "k")->set_int_value(i);
  }
  std::set<std::string> seen;
  size_t kept = 0;
  for (uint32_t replica = 0; replica < 3; ++replica) {
    EventBatch share = all;
    KeepOwnShare({.id = {},
                  .group = {},
                  .name = "p",
                  .replica = replica,
                  .replicas = 3,
                  .partition_key = "k"},
                 &share);
    EXPECT_GT(share.events_size(), 200);  // roughly a third each
    kept += share.events_size();
    std::string last;
    for (const Event& event : share.events()) seen.insert(event.event_type());
  }
  EXPECT_EQ(kept, 1000u);
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(KeepOwnShareTest, KeepsTheOrder) {
  EventBatch batch;
  for (int i = 0; i < 100; ++i) {
    Event* event = batch.add_events();
    event->set_timestamp_ns(i);
    AddField(event, "k")->set_int_value(i);
  }
  KeepOwnShare(
      {.id = {}, .group = {}, .name = "p", .replica = 1, .replicas = 2, .partition_key = "k"},
      &batch);
  for (int i = 1; i < batch.events_size(); ++i) {
    EXPECT_LT(batch.events(i - 1).timestamp_ns(), batch.events(i).timestamp_ns());
  }
}

TEST(KeepOwnShareTest, WithoutAKeyNothingIsFiltered) {
  EventBatch batch;
  batch.add_events();
  KeepOwnShare(
      {.id = {}, .group = {}, .name = "p", .replica = 1, .replicas = 2, .partition_key = {}},
      &batch);
  EXPECT_EQ(batch.events_size(), 1);
}

}  // namespace
}  // namespace varpulis::worker
