#include "engine/runtime/columns.h"

#include <fstream>
#include <functional>
#include <iterator>
#include <random>

#include "absl/strings/str_cat.h"
#include "engine/runtime/batch_codec.h"
#include "engine/runtime/columns_writer.h"
#include "google/protobuf/text_format.h"

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using testing::HasSubstr;
using varpulis::v1::Columns;
using varpulis::v1::Event;
using varpulis::v1::EventBatch;

EventBatch Rows(const std::vector<Event>& events) {
  EventBatch batch;
  for (const Event& event : events) *batch.add_events() = event;
  return batch;
}

Columns ToColumns(const std::vector<Event>& events) {
  ColumnsWriter writer;
  for (const Event& event : events) writer.Add(event);
  const Columns columns = writer.Finish();
  EXPECT_LE(columns.ByteSizeLong(), writer.bytes());
  EXPECT_EQ(writer.events(), events.size());
  return columns;
}

// Through the bytes of the wire.
EventBatch BackToRows(const Columns& sent) {
  Columns columns;
  EXPECT_TRUE(columns.ParseFromString(sent.SerializeAsString()));
  EXPECT_TRUE(CheckColumns(columns).ok()) << CheckColumns(columns);
  EventBatch batch;
  ColumnsToRows(columns, batch.mutable_events());
  return batch;
}

void ExpectSameBytes(const std::vector<Event>& events) {
  const EventBatch back = BackToRows(ToColumns(events));
  EXPECT_EQ(back.SerializeAsString(), Rows(events).SerializeAsString());
}

class RandomEvents {
 public:
  explicit RandomEvents(unsigned seed) : random_(seed) {}

  std::vector<Event> Make(int count) {
    std::vector<Event> events;
    for (int i = 0; i < count; ++i) events.push_back(Make());
    return events;
  }

 private:
  int Below(int limit) { return static_cast<int>(random_() % limit); }

  Event Make() {
    Event event;
    event.set_event_type(std::string(1, static_cast<char>('A' + Below(4))));
    if (Below(20) != 0) event.set_timestamp_ns(static_cast<int64_t>(random_()));
    const int fields = Below(5);
    for (int i = 0; i < fields; ++i) {
      auto* field = event.add_fields();
      field->set_name(absl::StrCat("f", Below(3) == 0 ? Below(8) : i));
      Fill(field->mutable_value(), 3);
    }
    return event;
  }

  void Fill(varpulis::v1::Value* value, int depth) {
    switch (Below(depth > 0 ? 12 : 9)) {
      case 0:
        return;  // null
      case 1:
        return value->set_bool_value(Below(2) == 0);
      case 2:
        return value->set_int_value(static_cast<int64_t>(random_()));
      case 3:
      case 4:
        return value->set_int_value(Below(1000) - 500);
      case 5:
        return value->set_float_value(Below(1000) / 8.0);
      case 6:
        return value->set_timestamp_ns(static_cast<int64_t>(random_()));
      case 7:
        return value->set_duration_ns(static_cast<int64_t>(random_()));
      case 9:
        for (int i = Below(4); i > 0; --i) {
          Fill(value->mutable_list_value()->add_items(), depth - 1);
        }
        value->mutable_list_value();
        return;
      case 10:
        for (int i = Below(4); i > 0; --i) {
          auto* entry = value->mutable_map_value()->add_entries();
          entry->set_name(absl::StrCat("k", i));
          Fill(entry->mutable_value(), depth - 1);
        }
        value->mutable_map_value();
        return;
      default: {
        static const char* const kTexts[] = {"", "a", "ä", "a longer text of more than 16",
                                             "\u20ac"};
        return value->set_string_value(kTexts[Below(5)]);
      }
    }
  }

  std::mt19937_64 random_;
};

TEST(ColumnsTest, RandomEventsComeBackByteForByte) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    ExpectSameBytes(RandomEvents(seed).Make(static_cast<int>(seed % 60)));
  }
}

Event MakeEvent(
    const std::string& type, int64_t time,
    const std::vector<std::pair<std::string, std::function<void(varpulis::v1::Value&)>>>& fields =
        {}) {
  Event event;
  event.set_event_type(type);
  event.set_timestamp_ns(time);
  for (const auto& [name, set] : fields) {
    auto* field = event.add_fields();
    field->set_name(name);
    set(*field->mutable_value());
  }
  return event;
}
auto Int(int64_t value) {
  return [=](varpulis::v1::Value& out) { out.set_int_value(value); };
}
auto Float(double value) {
  return [=](varpulis::v1::Value& out) { out.set_float_value(value); };
}
auto Text(const std::string& value) {
  return [=](varpulis::v1::Value& out) { out.set_string_value(value); };
}
auto Null() {
  return [](varpulis::v1::Value&) {};
}

TEST(ColumnsTest, KeepsApartWhatIsNotTheSame) {
  ExpectSameBytes({MakeEvent("A", 1, {{"x", Int(1)}, {"y", Null()}}),
                   MakeEvent("A", 2, {{"x", Float(1)}, {"y", Int(0)}}),
                   MakeEvent("A", 3, {{"y", Int(0)}, {"x", Int(1)}}),  // another order
                   MakeEvent("A", 4, {{"x", Int(1)}}),                 // y is missing
                   MakeEvent("A", 5), MakeEvent("A", 6, {{"x", Null()}})});
  Event untimed;
  untimed.set_event_type("A");
  ExpectSameBytes({untimed, MakeEvent("A", 0), untimed});
}

TEST(ColumnsTest, KeepsTheOrderAcrossTypes) {
  std::vector<Event> events;
  for (int i = 0; i < 1000; ++i) {
    events.push_back(MakeEvent(i * i % 7 < 3 ? "A" : "B", i, {{"n", Int(i)}}));
  }
  ExpectSameBytes(events);
  EXPECT_EQ(ToColumns(events).shapes_size(), 2);
}

TEST(ColumnsTest, OneShapeNeedsNoOrderAndNoKinds) {
  const Columns columns = ToColumns({MakeEvent("A", 1, {{"n", Int(1)}, {"s", Text("x")}}),
                                     MakeEvent("A", 2, {{"n", Int(2)}, {"s", Text("x")}})});
  EXPECT_TRUE(columns.order().empty());
  ASSERT_EQ(columns.shapes_size(), 1);
  EXPECT_TRUE(columns.shapes(0).columns(0).kinds().empty());
  EXPECT_EQ(columns.text(), "x");  // once
}

TEST(ColumnsTest, EmptyBatch) {
  ExpectSameBytes({});
  EXPECT_EQ(ToColumns({}).ByteSizeLong(), 0u);
}

TEST(ColumnsTest, ADictionaryOfMoreThan64kStrings) {
  std::vector<Event> events;
  for (int i = 0; i < 70'000; ++i) {
    events.push_back(MakeEvent("A", i, {{"s", Text(absl::StrCat("text ", i))}}));
  }
  events.push_back(MakeEvent("A", 1, {{"s", Text("text 69999")}}));
  ExpectSameBytes(events);
  EXPECT_EQ(ToColumns(events).text_sizes_size(), 70'000);
}

TEST(ColumnsTest, AWriterIsUsedAgain) {
  ColumnsWriter writer;
  for (int round = 0; round < 3; ++round) {
    const std::vector<Event> events = RandomEvents(round).Make(50);
    for (const Event& event : events) writer.Add(event);
    EXPECT_EQ(writer.Finish().SerializeAsString(), ToColumns(events).SerializeAsString());
    writer.Clear();
  }
}

// The example of docs/protocol.md.
TEST(ColumnsTest, TheDocumentedExample) {
  std::ifstream file(VARPULIS_REPOSITORY "/docs/protocol.md");
  std::string document((std::istreambuf_iterator<char>(file)), {});
  const size_t from = document.find("columns {\n  text:");
  ASSERT_NE(from, std::string::npos);
  EventBatch batch;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      document.substr(from, document.find("```", from) - from), &batch));
  auto Bool = [](varpulis::v1::Value& out) { out.set_bool_value(true); };
  EXPECT_EQ(BackToRows(batch.columns()).SerializeAsString(),
            Rows({MakeEvent("A", 1000, {{"x", Int(1)}, {"s", Text("hot")}}),
                  MakeEvent("B", 2000, {{"on", Bool}}),
                  MakeEvent("A", 3000, {{"x", Int(2)}, {"s", Text("hot")}}),
                  MakeEvent("A", 4000, {{"x", Null()}, {"s", Text("cold")}}),
                  MakeEvent("A", 5000, {{"x", Float(2.5)}})})
                .SerializeAsString());
}

// ---------------------------------------------------------------- malformed

TEST(CheckColumnsTest, RefusesWhatDoesNotFit) {
  const Columns good = ToColumns({MakeEvent("A", 1, {{"n", Int(1)}, {"s", Text("ä")}}),
                                  MakeEvent("B", 2, {{"n", Int(2)}, {"n", Null()}}),
                                  MakeEvent("B", 3, {{"n", Float(3)}, {"n", Int(4)}})});
  ASSERT_TRUE(CheckColumns(good).ok());
  struct Case {
    const char* message;
    std::function<void(Columns&)> spoil;
  };
  const Case cases[] = {
      {"have 2 bytes together, the text 3", [](Columns& c) { c.set_text("ä "); }},
      {"the strings have 5 bytes together", [](Columns& c) { c.add_text_sizes(3); }},
      {"inside a character",
       [](Columns& c) {
         c.set_text_sizes(0, 1);
         c.add_text_sizes(1);
       }},
      {"event without event_type", [](Columns& c) { c.mutable_shapes(0)->clear_event_type(); }},
      {"has 2 timestamps for 1 events",
       [](Columns& c) { c.mutable_shapes(0)->add_timestamps_ns(0); }},
      {"has 1 timestamps for 2 events", [](Columns& c) { c.mutable_shapes(0)->set_count(2); }},
      {"column `s`: string 1 of 1",
       [](Columns& c) { c.mutable_shapes(0)->mutable_columns(1)->set_strings(0, 1); }},
      {"column `n`: has 2 values of kind 3 for 1 events",
       [](Columns& c) { c.mutable_shapes(0)->mutable_columns(0)->add_ints(0); }},
      {"column `n`: has 0 values of kind 0 for 1 events",
       [](Columns& c) { c.mutable_shapes(0)->mutable_columns(0)->clear_ints(); }},
      {"has 1 values of kind 4 for 0 events",
       [](Columns& c) { c.mutable_shapes(0)->mutable_columns(0)->add_floats(0); }},
      {"has 1 kinds for 2 events",
       [](Columns& c) { c.mutable_shapes(1)->mutable_columns(0)->mutable_kinds()->pop_back(); }},
      {"has the unknown kind 9",
       [](Columns& c) { (*c.mutable_shapes(1)->mutable_columns(0)->mutable_kinds())[0] = 9; }},
      {"has the unknown kind 255",
       [](Columns& c) { (*c.mutable_shapes(1)->mutable_columns(0)->mutable_kinds())[0] = '\xff'; }},
      {"has 1 values of kind 3 for 0 events",
       [](Columns& c) { (*c.mutable_shapes(1)->mutable_columns(0)->mutable_kinds())[0] = 1; }},
      {"several shapes without an order", [](Columns& c) { c.clear_order(); }},
      {"the order has 4 of 3 events", [](Columns& c) { c.add_order(0); }},
      {"names shape 2 of 2", [](Columns& c) { c.set_order(0, 2); }},
      {"names shape 0 2 times, which has 1 events", [](Columns& c) { c.set_order(1, 0); }},
      {"more than 1048576 events", [](Columns& c) { c.mutable_shapes(0)->set_count(0xFFFFFFFF); }},
  };
  for (const Case& item : cases) {
    Columns bad = good;
    item.spoil(bad);
    const absl::Status refused = CheckColumns(bad);
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << item.message;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(item.message));
  }
}

TEST(CheckColumnsTest, FewBytesAreNotMuchText) {
  Columns columns;
  columns.set_text(std::string(1 << 20, 'x'));
  columns.add_text_sizes(1 << 20);
  auto* shape = columns.add_shapes();
  shape->set_event_type("A");
  shape->set_count(65);
  auto* column = shape->add_columns();
  column->set_name("s");
  for (int i = 0; i < 65; ++i) column->add_strings(0);
  EXPECT_THAT(std::string(CheckColumns(columns).message()), HasSubstr("more than 67108864 bytes"));
  shape->set_count(64);
  column->mutable_strings()->RemoveLast();
  EXPECT_TRUE(CheckColumns(columns).ok());
}

// ---------------------------------------------------------------- into the engine

// What a program gives for events, as rows one by one or as columns in batches.
std::string RunOn(const std::string& program, const std::vector<Event>& events, size_t batch,
                  uint64_t* refused) {
  auto pipeline = CompileOrDie(program);
  Everything sink;
  *refused = 0;
  if (batch == 0) {
    for (const Event& event : events) *refused += pipeline->Push(event, sink).ok() ? 0 : 1;
  } else {
    for (size_t from = 0; from < events.size(); from += batch) {
      const size_t to = std::min(events.size(), from + batch);
      const Columns columns = ToColumns({events.begin() + static_cast<ptrdiff_t>(from),
                                         events.begin() + static_cast<ptrdiff_t>(to)});
      *refused += pipeline->PushColumns(columns, sink).events;
    }
  }
  pipeline->Finish(sink);
  return sink.text;
}

TEST(ColumnsReaderTest, TheEngineGivesTheSameAsForRows) {
  const char* const programs[] = {
      "stream S = A .emit(f0: f0, f1: f1, f2: f2, t: timestamp)",
      "stream S = A .where(f0 > 0) .emit(x: f0 * 2)\nstream T = B .emit(f1: f1, n: f3)",
      "stream S = A .window(3) .aggregate(n: count(), s: sum(f0)) .emit(n: n, s: s)",
      "stream S = merge(A, B) .distinct() .emit(f0: f0, f1: f1)",
      "stream S = A .select(g: f0) .emit(g: g)\nstream T = S .emit(h: g)",
  };
  for (const char* program : programs) {
    for (unsigned seed = 0; seed < 10; ++seed) {
      SCOPED_TRACE(absl::StrCat(program, " seed ", seed));
      const std::vector<Event> events = RandomEvents(seed).Make(3000);
      uint64_t want_refused = 0, refused = 0;
      const std::string want = RunOn(program, events, 0, &want_refused);
      EXPECT_GT(want_refused, 0u);  // events without a timestamp
      for (const size_t batch : {1, 7, 1024, 3000}) {
        EXPECT_EQ(RunOn(program, events, batch, &refused), want) << batch;
        EXPECT_EQ(refused, want_refused) << batch;
      }
    }
  }
}

TEST(ColumnsReaderTest, RefusesTheEventsThatBreakLimitsAndNoOthers) {
  std::vector<Event> events;
  for (int i = 0; i < 10; ++i) {
    events.push_back(MakeEvent("A", i, {{"x", Int(i)}, {"l", [&](varpulis::v1::Value& value) {
                                                          value.mutable_list_value()->add_items();
                                                          if (i % 3 != 1) return;
                                                          for (size_t k = 0; k < kMaxListItems;
                                                               ++k) {
                                                            value.mutable_list_value()->add_items();
                                                          }
                                                        }}}));
  }
  uint64_t refused = 0;
  const std::string program = "stream S = A .emit(x: x, n: len(l))";
  const std::string want = RunOn(program, events, 0, &refused);
  EXPECT_EQ(refused, 3u);
  EXPECT_EQ(RunOn(program, events, 10, &refused), want);
  EXPECT_EQ(refused, 3u);
  // Nobody reads the list: nobody minds.
  RunOn("stream S = A .emit(x: x)", events, 10, &refused);
  EXPECT_EQ(refused, 0u);

  Event wide = MakeEvent("A", 1, {{"x", Int(1)}});
  for (size_t i = 0; i < kMaxFields; ++i) wide.add_fields()->set_name(absl::StrCat("w", i));
  auto pipeline = CompileOrDie("stream S = A .emit(x: x)");
  CollectedLines sink;
  const Columns columns = ToColumns({wide, MakeEvent("A", 2, {{"x", Int(2)}})});
  const Pipeline::Refused answer = pipeline->PushColumns(columns, sink);
  EXPECT_EQ(answer.events, 1u);
  EXPECT_THAT(std::string(answer.why.message()), HasSubstr("more than 1024 fields"));
  EXPECT_EQ(sink.lines.size(), 1u);
}

// Outputs straight into columns are those of the row form.
class BothForms final : public OutputSink {
 public:
  void OnOutput(const OutputEvent& event) override {
    writer.Add(event);
    OutputToProto(event, rows.add_events());
  }
  ColumnsWriter writer;
  EventBatch rows;
};

TEST(ColumnsWriterTest, OutputsOfAProgram) {
  BothForms sink;
  auto pipeline = CompileOrDie(
      "stream S = A .emit(a: f0, b: f1, c: f2)\nstream T = B .emit(a: f0)\n"
      "stream U = C .emit(m: {\"k\": f0}, d: 5s)");
  for (const Event& event : RandomEvents(1).Make(2000)) {
    pipeline->Push(event, sink).IgnoreError();  // some have no timestamp
  }
  ASSERT_GT(sink.rows.events_size(), 1000);
  const Columns& columns = sink.writer.Finish();
  EXPECT_LE(columns.ByteSizeLong(), sink.writer.bytes());
  EXPECT_EQ(BackToRows(columns).SerializeAsString(), sink.rows.SerializeAsString());
}

}  // namespace
}  // namespace varpulis::engine
