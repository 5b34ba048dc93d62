#include "engine/pipeline.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/io/evt.h"
#include "engine/runtime/batch_codec.h"
#include "engine/runtime/operators.h"
#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

varpulis::v1::Event MakeEvent(std::string_view text, int64_t timestamp_ns = 0) {
  auto events = ParseEventText(text);
  EXPECT_TRUE(events.ok());
  varpulis::v1::Event event = (*events)[0];
  event.set_timestamp_ns(timestamp_ns);
  return event;
}

TEST(PipelineTest, TakesAndGivesProtoEvents) {
  auto pipeline =
      CompileOrDie("event E: v: int\nstream S = E .where(v > 1) .emit as T(v: v, l: l, d: 5s)");
  std::vector<EmittedEvent> outputs;
  ASSERT_TRUE(pipeline->Push(MakeEvent("E { v: 1 }"), &outputs).ok());
  ASSERT_TRUE(pipeline->Push(MakeEvent("E { v: 2, l: [1, {a: b}] }", 77), &outputs).ok());
  ASSERT_THAT(outputs, SizeIs(1));
  EXPECT_EQ(outputs[0].stream, "S");
  EXPECT_EQ(outputs[0].event.event_type(), "T");
  EXPECT_EQ(outputs[0].event.timestamp_ns(), 77);
  ASSERT_EQ(outputs[0].event.fields_size(), 3);
  EXPECT_EQ(outputs[0].event.fields(0).value().int_value(), 2);
  EXPECT_EQ(outputs[0]
                .event.fields(1)
                .value()
                .list_value()
                .items(1)
                .map_value()
                .entries(0)
                .value()
                .string_value(),
            "b");
  EXPECT_EQ(outputs[0].event.fields(2).value().duration_ns(), 5'000'000'000);
  EXPECT_EQ(pipeline->events_in(), 2u);
  EXPECT_EQ(pipeline->events_out(), 1u);
  EXPECT_EQ(pipeline->stream_count(), 1u);
  EXPECT_THAT(pipeline->input_event_types(), ElementsAre("E"));
}

TEST(PipelineTest, RefusesEventsBeyondTheLimits) {
  auto pipeline = CompileOrDie("stream S = E .distinct() .emit(v: v)");
  std::vector<EmittedEvent> outputs;
  varpulis::v1::Event event;
  EXPECT_THAT(pipeline->Push(event, &outputs).message(), HasSubstr("no type"));
  event.set_event_type("E");
  EXPECT_THAT(pipeline->Push(event, &outputs).message(), HasSubstr("no timestamp"));
  event.set_timestamp_ns(1);
  varpulis::v1::Value* value = event.add_fields()->mutable_value();
  for (int i = 0; i < 40; ++i) value = value->mutable_list_value()->add_items();
  EXPECT_THAT(pipeline->Push(event, &outputs).message(), HasSubstr("deeper"));
  event.clear_fields();
  for (int i = 0; i < 1025; ++i) event.add_fields();
  EXPECT_THAT(pipeline->Push(event, &outputs).message(), HasSubstr("1024"));
  EXPECT_EQ(pipeline->events_in(), 0u);
}

TEST(PipelineTest, CompileErrorsAreFormatted) {
  const absl::Status status = Pipeline::Compile("stream S = E .window(v)").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1:22: error: [E126]"));
}

TEST(BatchCodecTest, RoundTripsEveryKind) {
  Arena arena;
  const MapEntry entries[] = {{"k", Value::Float(-0.0)}, {"n", Value::Null()}};
  const Value items[] = {Value::Bool(true),         Value::Int(INT64_MIN),  Value::Float(1e300),
                         Value::String("\xC3\xA9"), Value::Timestamp(-1),   Value::Duration(5),
                         Value::Map(entries, 2),    Value::List(nullptr, 0)};
  const Value list = Value::List(items, 8);
  varpulis::v1::Value proto, again;
  ValueToProto(list, &proto);
  ASSERT_TRUE(again.ParseFromString(proto.SerializeAsString()));
  Value back;
  ASSERT_TRUE(ValueFromProto(again, arena, &back).ok());
  EXPECT_TRUE(Equal(list, back));
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(back.items()[i].kind(), items[i].kind()) << i;
  const OwnedValue owned(list);
  EXPECT_TRUE(Equal(owned.get(), list));
  EXPECT_EQ(HashValue(owned.get()), HashValue(list));
}

// Operators give the same whatever the size of the batches they are given.
class Collector final : public Operator {
 public:
  void OnBatch(Batch batch, RunContext&) override {
    for (const Row& row : batch) values.push_back(row.slots[0].integer());
  }
  std::vector<int64_t> values;
};

class CountingSink final : public OutputSink {
 public:
  void OnOutput(const OutputEvent& event) override { values.push_back(event.values[0].integer()); }
  std::vector<int64_t> values;
};

TEST(OperatorTest, BatchSizeDoesNotMatter) {
  std::vector<std::vector<int64_t>> results;
  for (size_t batch_size : {1, 7, 1024}) {
    Arena arena;
    PlanExpr slot;
    slot.kind = PlanExprKind::kSlot;
    PlanExpr one;
    one.kind = PlanExprKind::kLiteral;
    one.literal.kind = LiteralKind::kInt;
    one.literal.integer = 200;
    PlanExpr less;
    less.kind = PlanExprKind::kBinary;
    less.binary = BinaryOp::kLess;
    less.children = {slot, one};
    Filter filter(CompileExpression(less, arena));
    std::vector<ExpressionPtr> fields;
    fields.push_back(CompileExpression(slot, arena));
    Emit emit("S", "S", {"v"}, std::move(fields));
    Limit limit(1500);
    Collector end;
    filter.set_next(&emit);
    emit.set_next(&limit);
    limit.set_next(&end);
    CountingSink sink;
    RunContext run;
    run.eval.arena = &arena;
    run.sink = &sink;
    std::vector<Value> values;
    for (int i = 0; i < 3000; ++i) values.push_back(Value::Int(i * 7919 % 251));
    for (size_t from = 0; from < values.size(); from += batch_size) {
      std::vector<Row> rows;
      for (size_t i = from; i < std::min(values.size(), from + batch_size); ++i) {
        rows.push_back({static_cast<int64_t>(i), &values[i]});
      }
      filter.OnBatch(absl::MakeSpan(rows), run);
    }
    std::vector<int64_t> result = sink.values;
    result.insert(result.end(), end.values.begin(), end.values.end());
    EXPECT_EQ(end.values.size(), 1500u);
    results.push_back(result);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

}  // namespace
}  // namespace varpulis::engine
