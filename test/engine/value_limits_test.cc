#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kTooLarge[] = "made a value of more than 256 MiB";
constexpr char kTooDeep[] = "made a value of more than 32 levels";

// Outputs as fields, and texts.
class Said final : public OutputSink {
 public:
  void OnOutput(const OutputEvent& event) override {
    std::string line;
    AppendJsonLine(event, &line);
    line = line.substr(line.find("\"fields\":") + 9);
    outputs.push_back(line.substr(0, line.rfind('}')));
  }
  void OnText(TextLevel, std::string_view text) override { texts.emplace_back(text); }
  std::vector<std::string> outputs, texts;
};

Said RunSaid(const std::string& program, const std::string& events, const RunLimits& limits = {}) {
  Said said;
  auto pipeline = CompileOrDie(program);
  if (pipeline == nullptr) return said;
  pipeline->SetLimits(limits);
  Feed(*pipeline, events, said);
  return said;
}

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// `[[[1]]]`, and the same of maps.
std::string Lists(int levels) { return Repeated("[", levels) + "1" + Repeated("]", levels); }
std::string Maps(int levels) { return Repeated("{\"m\":", levels) + "1" + Repeated("}", levels); }

TEST(ValueLimitsTest, ExtentsAreKept) {
  const Value one[] = {Value::Int(1), Value::String("0123456789abcdef0")};
  const Value list = Value::List(one, 2);
  EXPECT_EQ(list.levels(), 1u);
  EXPECT_EQ(list.units(), 5u);
  const MapEntry entry{"k", list};
  const Value map = Value::Map(&entry, 1);
  EXPECT_EQ(map.levels(), 2u);
  EXPECT_EQ(map.units(), 8u);
  // Rounded up, by less than a thousandth.
  Value value = list;
  for (uint64_t units = 1; units < Extent::kMaxUnits; units += units / 3 + 1) {
    value.SetExtent({3, units});
    EXPECT_GE(value.units(), units);
    EXPECT_LE(value.units(), units + units / 1000);
    EXPECT_EQ(value.levels(), 3u);
  }
  value.SetExtent({1000, UINT64_MAX});
  EXPECT_EQ(value.levels(), 255u);
  EXPECT_EQ(value.units(), Extent::kMaxUnits);
  EXPECT_EQ(ExactExtent(value, 100).units, 5u);
}

TEST(ValueLimitsTest, DoublingAtLoadIsAnError) {
  for (const char* const twice : {"[a", "{x: a", "push([], a", "concat([a]"}) {
    std::string source = "let a0 = [1]\n";
    for (int i = 0; i < 30; ++i) {
      const std::string old = absl::StrCat("a", i);
      absl::StrAppend(&source, "let a", i + 1, " = ");
      switch (twice[0]) {
        case '[':
          absl::StrAppend(&source, "[", old, ", ", old, "]\n");
          break;
        case '{':
          absl::StrAppend(&source, "{x: ", old, ", y: ", old, "}\n");
          break;
        case 'p':
          absl::StrAppend(&source, "push(", old, ", ", old, ")\n");
          break;
        default:
          absl::StrAppend(&source, "concat([", old, "], [", old, "])\n");
      }
    }
    const CheckResult result = Pipeline::Check(source);
    ASSERT_FALSE(result.ok()) << twice;
    EXPECT_EQ(result.diagnostics[0].code, "E106");
    EXPECT_THAT(result.diagnostics[0].message, HasSubstr(kTooLarge));
  }
  std::string source = "let a0 = [1]\n";
  for (int i = 0; i < 40; ++i) absl::StrAppend(&source, "let a", i + 1, " = [a", i, "]\n");
  EXPECT_THAT(Pipeline::Check(source).diagnostics[0].message, HasSubstr(kTooDeep));
}

TEST(ValueLimitsTest, VariablesHaveALimitTogether) {
  std::string source = "let a0 = [1]\n";
  for (int i = 0; i < 22; ++i)
    absl::StrAppend(&source, "let a", i + 1, " = [a", i, ", a", i, "]\n");
  for (int i = 22; i < 40; ++i) absl::StrAppend(&source, "let a", i + 1, " = a", i, "\n");
  const CheckResult result = Pipeline::Check(source);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.diagnostics[0].code, "E106");
  EXPECT_THAT(result.diagnostics[0].message, HasSubstr("all variables together larger than 1024"));

  RunLimits limits;
  limits.variables_bytes = 1 << 20;
  const Said said = RunSaid(
      "var a = [1]\nvar b = [1]\nfn f(n: int):\n    let xs = range(n)\n    a := xs\n    b := xs\n"
      "    len(b)\nstream S = E.emit(n: f(v), a: len(a), b: len(b))",
      "E{v:10}\nE{v:40000}\nE{v:20}\n", limits);
  EXPECT_THAT(said.outputs, ElementsAre("{\"n\":10,\"a\":10,\"b\":10}", "{\"a\":40000,\"b\":10}",
                                        "{\"n\":20,\"a\":20,\"b\":20}"));
  EXPECT_THAT(said.texts,
              ElementsAre("function `f` made all variables together larger than 1 MiB"));
}

TEST(ValueLimitsTest, DoublingInAFunctionEndsTheCall) {
  const char* const kTurns[] = {
      "[x, x]",           "push(x, x)",        "{x: x, y: x}",
      "concat([x], [x])", "set([x, 1], 1, x)", "zip([x, 1], [x, 2])",
  };
  for (const char* const turn : kTurns) {
    const std::string program =
        absl::StrCat("fn f(n: int):\n    var x = [1]\n    for i in n:\n        x := ", turn,
                     "\n    x\nstream S = E.emit(n: v, d: f(v) == f(v), l: len(f(v)))");
    const Said said = RunSaid(program, "E{v:1}\nE{v:1000000}\nE{v:2}\n");
    ASSERT_EQ(said.outputs.size(), 3u) << turn;
    EXPECT_THAT(said.outputs[0], StartsWith("{\"n\":1,\"d\":true,\"l\":2")) << turn;
    EXPECT_EQ(said.outputs[1], "{\"n\":1000000}") << turn;
    ASSERT_EQ(said.texts.size(), 1u) << turn;
    EXPECT_THAT(said.texts[0], StartsWith("function `f` made a value of more than ")) << turn;
  }
}

TEST(ValueLimitsTest, NestingInAFunctionEndsTheCall) {
  for (const char* const turn : {"[x]", "{x: x}", "push([], x)", "zip([x], [x])"}) {
    const std::string program =
        absl::StrCat("fn f():\n    var x = [1]\n    while true:\n        x := ", turn,
                     "\n    x\nstream S = E.emit(n: v, x: f())");
    const Said said = RunSaid(program, "E{v:1}\nE{v:2}\n");
    EXPECT_THAT(said.outputs, ElementsAre("{\"n\":1}", "{\"n\":2}")) << turn;
    EXPECT_THAT(said.texts, ElementsAre(absl::StrCat("function `f` ", kTooDeep),
                                        absl::StrCat("function `f` ", kTooDeep)))
        << turn;
  }
}

TEST(ValueLimitsTest, VariablesGrowOverEventsToTheLimit) {
  RunLimits limits;
  limits.value_bytes = 1 << 20;
  const Said said = RunSaid(
      "var xs = [1]\nfn grow():\n    xs := [xs, xs]\n    1\n"
      "stream S = E.emit(ok: grow(), xs: len(xs))\nstream D = S.distinct(xs).emit(d: xs)\n",
      Repeated("E{v:1}\n", 40), limits);
  int grown = 0;
  for (const std::string& output : said.outputs)
    grown += output.find("\"ok\"") != std::string::npos ? 1 : 0;
  EXPECT_EQ(grown, 14);
  EXPECT_EQ(said.texts.size(), 26u);
  EXPECT_EQ(said.texts.back(), "function `grow` made a value of more than 1 MiB");
}

TEST(ValueLimitsTest, CollectedValuesHaveThemToo) {
  // Each stage holds two of what the one before holds.
  std::string source = "stream S0 = E.emit(x: [v])\n";
  for (int i = 0; i < 20; ++i) {
    absl::StrAppend(&source, "stream S", i + 1, " = S", i,
                    ".window(2, sliding: 1).aggregate(x: collect(x)).emit(x: x)\n");
  }
  RunLimits limits;
  limits.value_bytes = 1 << 16;
  const Said said = RunSaid(source, Repeated("E{v:1}\n", 60), limits);
  ASSERT_FALSE(said.texts.empty());
  EXPECT_EQ(said.texts[0], "expressions made a value of more than 0 MiB");
  source.clear();
  for (int i = 0; i < 40; ++i) {
    absl::StrAppend(&source, "stream S", i + 1, i == 0 ? " = E" : absl::StrCat(" = S", i),
                    ".window(1).aggregate(v: collect(v)).emit(v: v)\n");
  }
  const Said deep = RunSaid(source, "E{v:1}\n");
  ASSERT_EQ(deep.outputs.size(), 40u);
  EXPECT_EQ(deep.outputs[31], absl::StrCat("{\"v\":", Lists(32), "}"));
  EXPECT_EQ(deep.outputs[32], "{\"v\":null}");
  EXPECT_EQ(deep.texts[0], absl::StrCat("expressions ", kTooDeep));
}

TEST(ValueLimitsTest, OneEventEmitsSoMuch) {
  RunLimits limits;
  limits.event_bytes = 4 << 20;
  const Said said = RunSaid(
      "fn f(n: int):\n    let xs = range(50000)\n    for i in n:\n        emit X(i: i, xs: xs)\n"
      "stream S = E.process(f(v))",
      "E{v:1}\nE{v:9}\nE{v:2}\n", limits);
  ASSERT_EQ(said.outputs.size(), 12u);
  EXPECT_THAT(said.outputs[5], StartsWith("{\"i\":4,\"xs\":[0,"));
  EXPECT_EQ(said.outputs[9], "{\"i\":8}");
  EXPECT_THAT(said.outputs[11], StartsWith("{\"i\":1,\"xs\":[0,"));
  EXPECT_THAT(said.texts,
              ElementsAre("expressions emitted more than 4 MiB of values for one event"));
}

TEST(ValueLimitsTest, PartsOfLargeListsCountAsWhatTheyAre) {
  RunLimits limits;
  limits.value_bytes = 1 << 20;  // 65,536 units
  const Said said = RunSaid(
      "fn f():\n    let all = range(50000)\n    var parts = []\n"
      "    for i in 50:\n        parts := push(parts, all[i * 1000:(i + 1) * 1000])\n"
      "    var q = [[[all[0]]], 1, 2]\n    for i in 100:\n        q := [pop(q[1:]), i]\n"
      "        q := push(push(q[1:], 1), i)\n"
      "    len(parts)\nstream S = E.emit(r: f())",
      "E{}\n", limits);
  EXPECT_THAT(said.outputs, ElementsAre("{\"r\":50}"));
  EXPECT_THAT(said.texts, IsEmpty());
}

TEST(ValueLimitsTest, PushingCountsExactly) {
  RunLimits limits;
  limits.value_bytes = size_t{16} * 300'001;
  const Said said = RunSaid(
      "fn f(n: int):\n    var xs = []\n    for i in n:\n        xs := push(xs, i)\n    len(xs)\n"
      "stream S = E.emit(r: f(v))",
      "E{v:300000}\nE{v:300001}\n", limits);
  EXPECT_THAT(said.outputs, ElementsAre("{\"r\":300000}", "{}"));
}

// Right below the limits: through outputs, windows, variables and checkpoints.
TEST(ValueLimitsTest, WhatIsWithinTheLimitsPassesEverywhere) {
  const std::string program =
      "var kept = [0]\n"
      "fn nested(n: int, map: bool):\n    var x = 1\n    for i in n:\n"
      "        if map:\n            x := {m: x}\n        else:\n            x := [x]\n    kept := "
      "x\n    x\n"
      "stream S = E.emit(x: nested(v, m))\n"
      "stream W = S.partition_by(1).window(2).aggregate(all: count(), l: last(x)).emit(l: l)\n"
      "stream T = S.window(2).emit(x: x)\n"
      "stream J = S.distinct(x).emit(x: x)\n"
      "stream R = Read.emit(kept: kept)";
  for (const bool map : {false, true}) {
    auto pipeline = CompileOrDie(program);
    ASSERT_NE(pipeline, nullptr);
    Said said;
    Feed(*pipeline, absl::StrCat("E{v:32,m:", map ? "true" : "false", "}\n"), said);
    const std::string nested = map ? Maps(32) : Lists(32);
    ASSERT_FALSE(said.outputs.empty());
    EXPECT_EQ(said.outputs[0], absl::StrCat("{\"x\":", nested, "}"));
    EXPECT_THAT(said.texts, IsEmpty());
    // Over the wire, and into the next pipeline.
    std::vector<EmittedEvent> emitted;
    varpulis::v1::Event event;
    event.set_event_type("Read");
    event.set_timestamp_ns(1);
    ASSERT_TRUE(pipeline->Push(event, &emitted).ok());
    ASSERT_EQ(emitted.size(), 1u);
    varpulis::v1::EventBatch batch, read;
    *batch.add_events() = emitted[0].event;
    ASSERT_TRUE(read.ParseFromString(batch.SerializeAsString()));
    auto next = CompileOrDie("stream S = R.emit(k: kept)");
    std::vector<EmittedEvent> passed;
    ASSERT_TRUE(next->Push(read.events(0), &passed).ok());
    ASSERT_EQ(passed.size(), 1u);
    EXPECT_EQ(passed[0].event.fields(0).value().SerializeAsString(),
              emitted[0].event.fields(0).value().SerializeAsString());

    const std::string bytes = pipeline->Save()->SerializeAsString();
    const auto checkpoint = Pipeline::ParseCheckpoint(bytes);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    auto again = CompileOrDie(program);
    ASSERT_TRUE(again->Restore(**checkpoint).ok());
    EXPECT_EQ(again->Save()->SerializeAsString(), bytes);
    Said restored;
    Feed(*again, absl::StrCat("Read{}\nE{v:32,m:", map ? "true" : "false", "}\n"), restored);
    ASSERT_GT(restored.outputs.size(), 2u);
    EXPECT_EQ(restored.outputs[0], absl::StrCat("{\"kept\":", nested, "}"));
    EXPECT_THAT(restored.outputs, ::testing::Contains(absl::StrCat("{\"l\":", nested, "}")));
    EXPECT_THAT(restored.texts, IsEmpty());
    Said over;
    Feed(*again, absl::StrCat("E{v:33,m:", map ? "true" : "false", "}\n"), over);
    EXPECT_EQ(over.texts, std::vector<std::string>{absl::StrCat("function `nested` ", kTooDeep)});
  }
  EXPECT_FALSE(Pipeline::ParseCheckpoint("\xFF\xFF").ok());
}

// All ways into a program take as many levels as its expressions make.
TEST(ValueLimitsTest, EventsHaveTheSameLevels) {
  EXPECT_EQ(RunLimits().value_levels, static_cast<uint32_t>(kMaxValueDepth));
  const std::string line = absl::StrCat("{\"event_type\":\"E\",\"v\":", Lists(32), "}\n");
  EXPECT_THAT(
      RunSaid("stream S = E.emit(v: v)", absl::StrCat("E{v:", Lists(32), "}\n", line)).outputs,
      ElementsAre(absl::StrCat("{\"v\":", Lists(32), "}"),
                  absl::StrCat("{\"v\":", Lists(32), "}")));
  // The map of all fields is one more.
  const Said said = RunSaid("stream S = E as e .emit(a: e, n: 1)", line);
  EXPECT_THAT(said.outputs, ElementsAre("{\"n\":1}"));
  EXPECT_THAT(said.texts, ElementsAre(absl::StrCat("expressions ", kTooDeep)));
}

}  // namespace
}  // namespace varpulis::engine
