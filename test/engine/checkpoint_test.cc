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
