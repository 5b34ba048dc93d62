#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

#include "test/engine/run_program.h"
#include "test/engine/state_programs.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line;
  return all;
}

class StateProgram : public ::testing::TestWithParam<const char*> {};

TEST_P(StateProgram, BatchesDoNotShow) {
  const std::string events = Joined(RandomEvents(200, 7));
  std::string first;
  for (size_t batch_rows : {1, 2, 7, 1024}) {
    Everything sink;
    auto pipeline = CompileOrDie(GetParam());
    ASSERT_NE(pipeline, nullptr);
    Feed(*pipeline, events, sink, batch_rows);
    pipeline->Finish(sink);
    if (batch_rows == 1) first = sink.text;
    EXPECT_EQ(first, sink.text) << "with batches of " << batch_rows;
  }
  EXPECT_THAT(first, Not(IsEmpty()));
}

TEST_P(StateProgram, CutsDoNotShow) {
  std::mt19937_64 random(3);
  for (uint64_t round = 0; round < 12; ++round) {
    const std::vector<std::string> events = RandomEvents(90, round);
    Everything whole, cut;
    auto reference = CompileOrDie(GetParam());
    auto pipeline = CompileOrDie(GetParam());
    ASSERT_NE(pipeline, nullptr);
    const size_t first = random() % events.size(), second = random() % events.size();
    for (size_t i = 0; i < events.size(); ++i) {
      if (i == first || i == second) {
        std::string bytes;
        ASSERT_TRUE(pipeline->Save()->SerializeToString(&bytes));
        checkpoint::v1::PipelineCheckpoint checkpoint;
        ASSERT_TRUE(checkpoint.ParseFromString(bytes));
        pipeline = CompileOrDie(GetParam());
        ASSERT_TRUE(pipeline->Restore(checkpoint).ok());
        EXPECT_EQ(pipeline->Save()->SerializeAsString(), bytes)
            << checkpoint.ShortDebugString() << "\n"
            << pipeline->Save()->ShortDebugString();
      }
      Feed(*reference, events[i], whole);
      Feed(*pipeline, events[i], cut);
    }
    reference->Finish(whole);
    pipeline->Finish(cut);
    ASSERT_EQ(whole.text, cut.text) << "cut at " << first << " and " << second;
    EXPECT_EQ(reference->events_in(), pipeline->events_in());
    EXPECT_EQ(reference->events_out(), pipeline->events_out());
  }
}

// Nothing in a checkpoint, and nothing in the outputs, is of the process that made it: no address
// and no order of a hash table.
TEST_P(StateProgram, CutsDoNotShowInAFreshProcess) {
  const auto program = static_cast<size_t>(
      std::find(std::begin(kStatePrograms), std::end(kStatePrograms), GetParam()) -
      std::begin(kStatePrograms));
  std::mt19937_64 random(program);
  const std::vector<std::string> events = RandomEvents(90, program);
  const auto cut = static_cast<ptrdiff_t>(random() % events.size());
  Everything whole, first;
  auto reference = CompileOrDie(GetParam());
  auto pipeline = CompileOrDie(GetParam());
  ASSERT_NE(pipeline, nullptr);
  Feed(*reference, Joined(events), whole);
  reference->Finish(whole);
  Feed(*pipeline, Joined({events.begin(), events.begin() + cut}), first);

  const std::string path = absl::StrCat(testing::TempDir(), "/cut_", getpid(), "_", program);
  std::ofstream(path + ".state", std::ios::binary) << pipeline->Save()->SerializeAsString();
  std::ofstream(path + ".evt", std::ios::binary) << Joined({events.begin() + cut, events.end()});
  const std::string command =
      absl::StrCat(VARPULIS_CUT_CHILD, " ", program, " ", path, ".state ", path, ".evt");
  FILE* const child = popen(command.c_str(), "r");
  ASSERT_NE(child, nullptr);
  std::string second;
  char buffer[4096];
  while (const size_t got = fread(buffer, 1, sizeof(buffer), child)) second.append(buffer, got);
  EXPECT_EQ(pclose(child), 0);
  std::remove((path + ".state").c_str());
  std::remove((path + ".evt").c_str());
  EXPECT_EQ(whole.text, first.text + second) << "cut at " << cut;
}

// Another stream in front reads other fields first, which numbers slots, functions and variables
// anew, and means nothing.
TEST_P(StateProgram, StateMovesBesideANewStream) {
  const std::string other =
      "fn zzz(a: int):\n    a\nvar zz = 1\nstream Zz = E .where(zzz(n) < 0 - zz and w == 99 and s "
      "== "
      "\"q\") .emit(n: n, w: w, v: v)\nstream Yy = F .where(n < 0) .emit(n: n, s: s)\n";
  const std::vector<std::string> events = RandomEvents(90, 5);
  Everything whole, cut;
  auto reference = CompileOrDie(GetParam());
  auto pipeline = CompileOrDie(GetParam());
  ASSERT_NE(pipeline, nullptr);
  for (size_t i = 0; i < events.size(); ++i) {
    if (i == events.size() / 2) {
      const checkpoint::v1::PipelineCheckpoint checkpoint = *pipeline->Save();
      pipeline = CompileOrDie(other + GetParam());
      ASSERT_NE(pipeline, nullptr);
      ASSERT_TRUE(pipeline->Restore(checkpoint).ok());
    }
    Feed(*reference, events[i], whole);
    Feed(*pipeline, events[i], cut);
  }
  reference->Finish(whole);
  pipeline->Finish(cut);
  EXPECT_EQ(whole.text, cut.text);
}

INSTANTIATE_TEST_SUITE_P(All, StateProgram, ::testing::ValuesIn(kStatePrograms));

// Runs `before` over three events, restores into `after` and gives what one more event makes.
std::vector<std::string> Moved(const char* before, const char* after) {
  CollectedLines sink;
  auto old_one = CompileOrDie(before);
  auto new_one = CompileOrDie(after);
  if (old_one == nullptr || new_one == nullptr) return {};
  Feed(*old_one, "E{a:1,b:10}\nE{a:2,b:20}\nE{a:3,b:30}\n", sink);
  EXPECT_TRUE(new_one->Restore(*old_one->Save()).ok());
  sink.lines.clear();
  Feed(*new_one, "E{a:4,b:40}\n", sink);
  return sink.lines;
}

TEST(CutTest, AChangedOperatorLosesItsState) {
  const struct {
    const char* before;
    const char* after;
    bool kept;
  } kCases[] = {
      {"stream S = E .window(4) .aggregate(s: sum(a)) .emit(s: s)",
       "stream S = E .window(4) .aggregate(s: sum(a)) .emit(s: s, t: 1)", true},
      {"stream S = E .window(4) .aggregate(s: sum(a)) .emit(s: s)",
       "stream S = E .window(4) .aggregate(s: sum(b)) .emit(s: s)", false},
      {"stream S = E .window(4) .aggregate(s: sum(a * 1.00000001)) .emit(s: s)",
       "stream S = E .window(4) .aggregate(s: sum(a * 1.00000002)) .emit(s: s)", false},
      {"stream S = E .window(5) .aggregate(s: sum(a)) .emit(s: s)",
       "stream S = E .window(4) .aggregate(s: sum(a)) .emit(s: s)", false},
      {"stream S = E .select(x: a, y: b) .window(4) .emit(s: x)",
       "stream S = E .select(y: a, x: b) .window(4) .emit(s: x)", false},
      {"fn f(x: int):\n    x * 2\nstream S = E .where(f(a) > 0) .window(4) .emit(a: a)",
       "fn f(x: int):\n    x * 3\nstream S = E .where(f(a) > 0) .window(4) .emit(a: a)", false},
      {"fn g(x: int):\n    x * 2\nfn f(x: int):\n    g(x)\n"
       "stream S = E .where(f(a) > 0) .window(4) .emit(a: a)",
       "fn g(x: int):\n    x * 3\nfn f(x: int):\n    g(x)\n"
       "stream S = E .where(f(a) > 0) .window(4) .emit(a: a)",
       false},
  };
  for (const auto& item : kCases) {
    EXPECT_EQ(!Moved(item.before, item.after).empty(), item.kept) << item.before << "\n"
                                                                  << item.after;
  }
}

}  // namespace
}  // namespace varpulis::engine
