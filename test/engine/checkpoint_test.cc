#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/io/evt.h"
#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kProgram[] =
    "var step = 2\n"
    "stream New = E .distinct(k) .limit(20) .emit(k: k, v: v * step)\n"
    "stream Twice = New .distinct(v) .emit(v: v)\n"
    "stream All = E .distinct() .limit(30) .emit(v: v)\n";

std::vector<std::string> Events(int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::string> events;
  for (int i = 0; i < count; ++i) {
    events.push_back("@" + std::to_string(i) + "ms E { k: " + std::to_string(random() % 30) +
                     (random() % 2 == 0 ? ".0" : "") + ", v: " + std::to_string(random() % 8) +
                     ", s: \"x" + std::to_string(random() % 2) + "\" }\n");
  }
  return events;
}

TEST(CheckpointTest, CutAnywhereGivesTheSameOutput) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 40; ++round) {
    const std::vector<std::string> events = Events(120, static_cast<uint64_t>(round));
    CollectedLines whole, cut;
    auto reference = CompileOrDie(kProgram);
    auto pipeline = CompileOrDie(kProgram);
    const size_t at = random() % events.size();
    for (size_t i = 0; i < events.size(); ++i) {
      if (i == at) {
        std::string bytes;
        ASSERT_TRUE(pipeline->Save()->SerializeToString(&bytes));
        checkpoint::v1::PipelineCheckpoint checkpoint;
        ASSERT_TRUE(checkpoint.ParseFromString(bytes));
        pipeline = CompileOrDie(kProgram);
        ASSERT_TRUE(pipeline->Restore(checkpoint).ok());
        EXPECT_EQ(pipeline->Save()->SerializeAsString(), bytes);
      }
      Feed(*reference, events[i], whole);
      Feed(*pipeline, events[i], cut);
    }
    ASSERT_EQ(whole.lines, cut.lines) << "cut at " << at;
    EXPECT_EQ(pipeline->events_in(), 120u);
    EXPECT_EQ(pipeline->events_out(), whole.lines.size());
  }
}

TEST(CheckpointTest, AChangedOperatorStartsAfresh) {
  auto old_one =
      CompileOrDie("stream A = E .limit(2) .emit(v: v)\nstream B = E .limit(2) .emit(v: v)");
  CollectedLines sink;
  Feed(*old_one, "E{v:1}\nE{v:2}\n", sink);
  auto new_one =
      CompileOrDie("stream A = E .limit(2) .emit(w: v)\nstream B = E .limit(3) .emit(v: v)");
  ASSERT_TRUE(new_one->Restore(*old_one->Save()).ok());
  sink.lines.clear();
  Feed(*new_one, "E{v:3}\n", sink);
  EXPECT_THAT(sink.lines, ElementsAre(HasSubstr("\"stream\":\"B\"")));
}

TEST(CheckpointTest, KeepsStateAcrossUnrelatedStreams) {
  auto old_one = CompileOrDie("stream A = E .distinct(v) .emit(v: v)");
  CollectedLines sink;
  Feed(*old_one, "E{v:1}\n", sink);
  // A stream before it changes the numbers of slots, not the meaning.
  auto new_one = CompileOrDie("stream X = E .where(q > 1)\nstream A = E .distinct(v) .emit(v: v)");
  ASSERT_TRUE(new_one->Restore(*old_one->Save()).ok());
  sink.lines.clear();
  Feed(*new_one, "E{v:1}\nE{v:2}\n", sink);
  EXPECT_THAT(sink.lines, ElementsAre(HasSubstr("\"v\":2")));
}

// A stream that lets one event pass: it gives the second only where its state was dropped.
bool KeepsState(const std::string& before, const std::string& after) {
  auto old_one = CompileOrDie(before);
  auto new_one = CompileOrDie(after);
  CollectedLines sink;
  Feed(*old_one, "E{v:5}\n", sink);
  EXPECT_EQ(sink.lines.size(), 1u);
  EXPECT_TRUE(new_one->Restore(*old_one->Save()).ok());
  sink.lines.clear();
  Feed(*new_one, "E{v:5}\n", sink);
  return sink.lines.empty();
}

TEST(CheckpointTest, ConstantsAreAPartOfWhatUsesThem) {
  const std::string stream = "stream S = E .where(v > N) .limit(1) .emit(v: v)";
  EXPECT_TRUE(KeepsState("const N = 1\n" + stream, "const N = 1\n" + stream));
  EXPECT_FALSE(KeepsState("const N = 1\n" + stream, "const N = 2\n" + stream));
  EXPECT_FALSE(KeepsState("let N = 1\n" + stream, "let N = 1.0\n" + stream));
  // The value counts: not its text, its name (unless a field may have it), or constants that
  // nothing uses.
  EXPECT_TRUE(KeepsState("const N = 4\n" + stream,
                         "const X = 9\nconst M = 2\nlet N = M * len([1, X])\n" + stream));
  EXPECT_FALSE(
      KeepsState("const M = 2\nlet N = M * 2\n" + stream, "const M = 1\nlet N = M * 2\n" + stream));
  const std::string renamed = "stream S = E .select(v: v) .where(v > ";
  EXPECT_TRUE(KeepsState("const A = 1\n" + renamed + "A) .limit(1) .emit(v: v)",
                         "const B = 1\n" + renamed + "B) .limit(1) .emit(v: v)"));
  EXPECT_FALSE(KeepsState(
      "const A = 1\nconst B = 2\nstream S = E .where(v > A and v > B * 2) .limit(1) .emit(v: v)",
      "const A = 1\nconst B = 2\nstream S = E .where(v > B and v > A * 2) .limit(1) .emit(v: v)"));
  // Behind the operator it changes nothing that the operator knows.
  const std::string behind = "stream S = E .limit(1) .emit(v: v * N)";
  EXPECT_TRUE(KeepsState("const N = 1\n" + behind, "const N = 2\n" + behind));
  // In functions, directly or not, and in the conditions of a merge.
  const std::string called =
      "fn f(x: int):\n    g(x) + 1\nfn g(x: int):\n    if x > N:\n        return f(x - N)\n    1\n"
      "stream S = E .where(f(v) > 0) .limit(1) .emit(v: v)";
  EXPECT_TRUE(KeepsState("const N = 1\n" + called, "const N = 1\n" + called));
  EXPECT_FALSE(KeepsState("const N = 1\n" + called, "const N = 2\n" + called));
  const std::string merge = "stream S = merge(stream A = E .where(v > N), F) .limit(1) .emit(v: v)";
  EXPECT_FALSE(KeepsState("const N = 1\n" + merge, "const N = 2\n" + merge));
  // A variable is state itself.
  EXPECT_TRUE(KeepsState("var N = 1\n" + stream, "var N = 2\n" + stream));
}

TEST(CheckpointTest, FunctionsAreAPartOfWhatCallsThem) {
  const std::string stream = "stream S = E .where(f(v) > 0) .limit(1) .emit(v: v)";
  const auto with = [&](const std::string& functions) { return functions + "\n" + stream; };
  EXPECT_TRUE(KeepsState(with("fn f(x: int):\n    g(x)\nfn g(x: int):\n    x"),
                         with("fn h(x: int):\n    x\nfn f(x: int):\n    h(x)")));
  EXPECT_FALSE(KeepsState(with("fn f(x: int):\n    g(x)\nfn g(x: int):\n    x"),
                          with("fn f(x: int):\n    g(x)\nfn g(x: int):\n    x + 1")));
  EXPECT_FALSE(KeepsState(
      with("fn f(x: int):\n    g(x) + h(x)\nfn g(x: int):\n    x\nfn h(x: int):\n    x + 1"),
      with("fn f(x: int):\n    h(x) + h(x)\nfn g(x: int):\n    x\nfn h(x: int):\n    x + 1")));
}

// Neither the ways through them nor the depth of their calls count.
TEST(CheckpointTest, ManyFunctionsAreNoMatter) {
  std::string doubling, deep;
  for (int i = 0; i < 200; ++i) {
    const std::string next = "f" + std::to_string(i + 1);
    doubling += "fn f" + std::to_string(i) + "(x: int):\n  if x > 0:\n    return " + next +
                "(x) + " + next + "(x)\n  x\n";
  }
  for (int i = 0; i < 25'000; ++i) {
    deep += "fn f" + std::to_string(i) + "(x: int):\n f" + std::to_string(i + 1) + "(x)\n";
  }
  const std::string stream = "stream S = E .limit(1) .where(f0(0) != 1) .emit(v: v)";
  EXPECT_TRUE(KeepsState(doubling + "fn f200(x: int):\n  x\n" + stream,
                         doubling + "fn f200(x: int):\n  x\n" + stream));
  EXPECT_TRUE(Pipeline::Compile(deep + "fn f25000(x: int):\n  x\n" + stream).ok());
}

TEST(CheckpointTest, RestoresVariables) {
  auto pipeline = CompileOrDie(kProgram);
  auto checkpoint = *pipeline->Save();
  ASSERT_EQ(checkpoint.variables_size(), 1);
  checkpoint.mutable_variables(0)->mutable_value()->set_int_value(100);
  ASSERT_TRUE(pipeline->Restore(checkpoint).ok());
  CollectedLines sink;
  Feed(*pipeline, "E{k:1,v:1}\n", sink);
  EXPECT_THAT(sink.lines[0], HasSubstr("\"v\":100"));
}

TEST(CheckpointTest, RefusesNewerVersions) {
  auto pipeline = CompileOrDie(kProgram);
  auto checkpoint = *pipeline->Save();
  checkpoint.set_version(2);
  EXPECT_EQ(pipeline->Restore(checkpoint).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace varpulis::engine
