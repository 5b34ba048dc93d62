#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::SizeIs;
using Lines = std::vector<std::string>;

// Seconds, with the value after a colon where it differs: "1 4 3:9".
std::string At(std::string_view times) {
  std::string events;
  while (!times.empty()) {
    const std::string_view one = times.substr(0, times.find(' '));
    times.remove_prefix(std::min(times.size(), one.size() + 1));
    const std::string time(one.substr(0, one.find(':')));
    const std::string key(one.find(':') == std::string_view::npos ? "a"
                                                                  : one.substr(one.find(':') + 1));
    absl::StrAppend(&events, "@", time, "s R { v: ", time, ", k: ", key, " }\n");
  }
  return events;
}

constexpr char kCollect[] = ".aggregate(c: collect(v)).emit(c: c)";

struct Case {
  const char* what;
  std::string chain;
  const char* times;
  Lines outputs;
};

TEST(WatermarkTest, Windows) {
  const std::string all = kCollect;
  const Case kCases[] = {
      {"aligned, whatever the first event",
       ".watermark(out_of_order: 0s).window(10s)" + all,
       "7 9 10 19 20",
       {"S{\"c\":[7,9]}", "S{\"c\":[10,19]}"}},
      {"out of order within the slack",
       ".watermark(out_of_order: 3s).window(10s)" + all,
       "7 11 8 12 13 23",
       {"S{\"c\":[7,8]}", "S{\"c\":[11,12,13]}"}},
      {"fires when the watermark reaches the end, not before",
       ".watermark(out_of_order: 3s).window(10s)" + all,
       "1 12",
       {}},
      {"late ones are dropped",
       ".watermark(out_of_order: 0s).window(10s)" + all,
       "1 10 9 11 20",
       {"S{\"c\":[1]}", "S{\"c\":[10,11]}"}},
      {"late but allowed ones fire again",
       ".watermark(out_of_order: 0s).allowed_lateness(5s).window(10s)" + all,
       "1 12 9 7 6 21",
       {"S{\"c\":[1]}", "S{\"c\":[1,9]}", "S{\"c\":[1,7,9]}", "S{\"c\":[12]}"}},
      {"the lateness may stand anywhere",
       ".watermark(out_of_order: 0s).window(10s)" + all + ".allowed_lateness(5s)",
       "1 12 9",
       {"S{\"c\":[1]}", "S{\"c\":[1,9]}"}},
      {"empty windows are silent",
       ".watermark(out_of_order: 0s).window(1s)" + all,
       "0 100 101",
       {"S{\"c\":[0]}", "S{\"c\":[100]}"}},
      {"sliding",
       ".watermark(out_of_order: 0s).window(4s, sliding: 2s)" + all,
       "1 2 5 8",
       {"S{\"c\":[1]}", "S{\"c\":[1,2]}", "S{\"c\":[2,5]}", "S{\"c\":[5]}"}},
      {"sliding with gaps",
       ".watermark(out_of_order: 0s).window(1s, sliding: 3s)" + all,
       "0 1 3 4 6 9",
       {"S{\"c\":[0]}", "S{\"c\":[3]}", "S{\"c\":[6]}"}},
      {"sessions merge",
       ".watermark(out_of_order: 9s).window(session: 2s)" + all,
       "1 5 3 9 30 60",
       {"S{\"c\":[1,3,5]}", "S{\"c\":[9]}", "S{\"c\":[30]}", "S{\"c\":[60]}"}},
      {"a gap of exactly that stays in",
       ".watermark(out_of_order: 0s).window(session: 2s)" + all,
       "1 3 6 7",
       {"S{\"c\":[1,3]}", "S{\"c\":[6,7]}"}},
      {"a late event makes a fired session longer",
       ".watermark(out_of_order: 0s).allowed_lateness(9s).window(session: 2s)" + all,
       "1 10 3 20",
       {"S{\"c\":[1]}", "S{\"c\":[1,3]}", "S{\"c\":[10]}", "S{\"c\":[20]}"}},
      {"rows without an aggregate, by time",
       ".watermark(out_of_order: 3s).window(10s).emit(v: v)",
       "3 1 2 13",
       {"S{\"v\":1}", "S{\"v\":2}", "S{\"v\":3}"}},
      {"partitions in order of appearance",
       ".watermark(out_of_order: 0s).partition_by(k).window(10s).aggregate(n: count())"
       ".emit(p: _partition, n: n)",
       "1:b 2:a 3:b 10:c 20:c",
       {"S{\"p\":\"b\",\"n\":2}", "S{\"p\":\"a\",\"n\":1}", "S{\"p\":\"c\",\"n\":1}"}},
      {"the end closes sessions by their first events",
       ".watermark(out_of_order: 9s).allowed_lateness(99s).partition_by(k).window(session: 2s)"
       ".aggregate(c: collect(v)).emit(p: _partition, c: c)",
       "1:a 20:b 21:a",
       {"S{\"p\":\"a\",\"c\":[1]}", "S{\"p\":\"b\",\"c\":[20]}", "S{\"p\":\"a\",\"c\":[21]}"}},
      {"count windows are as ever",
       ".watermark(out_of_order: 0s).window(2)" + all,
       "5 6 7 9",
       {"S{\"c\":[5,6]}", "S{\"c\":[7,9]}"}},
      {"the time of the result is that of its last event",
       ".watermark(out_of_order: 0s).window(10s).aggregate(n: count()).emit(t: timestamp)",
       "1 7 3 10",
       {"S{\"t\":\"1970-01-01T00:00:07Z\"}"}},
      {"filters in front leave the watermark to what passes",
       ".where(v != 30).watermark(out_of_order: 0s).window(10s)" + all,
       "1 30 2 10",
       {"S{\"c\":[1,2]}"}},
      {"filters behind do not",
       ".watermark(out_of_order: 0s).where(v != 30).window(10s)" + all,
       "1 30 2 40",
       {"S{\"c\":[1]}"}},
  };
  for (const Case& item : kCases) {
    EXPECT_THAT(RunShort("stream S = R" + item.chain, At(item.times)),
                ElementsAreArray(item.outputs))
        << item.what;
  }
}

TEST(WatermarkTest, DropsForItsOwnStreamOnly) {
  EXPECT_THAT(RunShort(absl::StrCat("stream S = R.watermark(out_of_order: 0s).window(10s)",
                                    kCollect, "\nstream T = R.window(2)", kCollect),
                       At("1 10 9 20")),
              ElementsAre("S{\"c\":[1]}", "T{\"c\":[1,10]}", "S{\"c\":[10]}", "T{\"c\":[9,20]}"));
}

TEST(WatermarkTest, CountsWhatItDrops) {
  auto pipeline = CompileOrDie("stream S = R.watermark(out_of_order: 1s).window(10s).emit(v: v)");
  CollectedLines sink;
  Feed(*pipeline, At("9 3 8 7"), sink);
  EXPECT_EQ(pipeline->Save()->operators(0).record().integers(1), 2);
}

// Timers and what is said.
class Texts final : public OutputSink {
 public:
  void OnOutput(const OutputEvent&) override {}
  void OnText(TextLevel level, std::string_view said) override {
    lines.push_back(
        absl::StrCat(static_cast<int>(level), " ", absl::string_view(said.data(), said.size())));
  }
  Lines lines;
};

TEST(TimerTest, Ticks) {
  EXPECT_THAT(RunShort("stream T = timer(2s).emit(t: timestamp)", "@1s E{}\n@3s E{}\n@8s E{}\n"),
              ElementsAre("T{\"t\":3000}", "T{\"t\":5000}", "T{\"t\":7000}"));
  EXPECT_THAT(RunShort("stream T = timer(2s, initial_delay: 1s).emit(t: timestamp)\n"
                       "stream E1 = E.emit(v: v)",
                       "@1s E{v:1}\n@4s E{v:2}\n@3s E{v:3}\n@6s E{v:4}\n"),
              ElementsAre("E1{\"v\":1}", "T{\"t\":4000}", "E1{\"v\":2}", "E1{\"v\":3}",
                          "T{\"t\":6000}", "E1{\"v\":4}"));
  // Several: by time, then in order of declaration; what they start goes its way at once.
  EXPECT_THAT(RunShort("stream B = timer(3s).emit(t: timestamp)\nstream A = timer(2s)\n"
                       "stream C = A.window(2).aggregate(n: count(), l: last(timestamp))"
                       ".emit(n: n, l: l)",
                       "E{}\n@6s E{}\n"),
              ElementsAre("B{\"t\":3000}", "C{\"n\":2,\"l\":4000}", "B{\"t\":6000}"));
}

TEST(TimerTest, AGapIsCutShort) {
  Texts sink;
  auto pipeline = CompileOrDie("stream T = timer(1ms).limit(1).emit(t: timestamp)");
  Feed(*pipeline, "E{}\n@1000s E{}\n@1001s E{}\n", sink);
  EXPECT_THAT(sink.lines, SizeIs(1));
}

TEST(TimerTest, TheEndOfTimeIsNoEndlessLoop) {
  auto pipeline = CompileOrDie("stream T = timer(100000d).emit(t: timestamp)");
  ASSERT_NE(pipeline, nullptr);
  std::vector<EmittedEvent> outputs;
  for (const int64_t time : {INT64_MIN, INT64_MAX, INT64_MAX}) {
    varpulis::v1::Event event;
    event.set_event_type("E");
    event.set_timestamp_ns(time);
    ASSERT_TRUE(pipeline->Push(event, &outputs).ok());
  }
}

TEST(TextTest, PrintLogTap) {
  const struct {
    const char* chain;
    Lines said;
  } kCases[] = {
      {".print(v, s, q, l)", {"5 [PRINT] 1 \"a\" null [1, \"b\"]"}},
      {".print()", {"5 [PRINT] E {v: 1, s: \"a\", l: [1, \"b\"]}"}},
      {".select(s, w: v + 0.5).print()", {"5 [PRINT] E {s: \"a\", w: 1.5}"}},
      {".log()", {"2 E {v: 1, s: \"a\", l: [1, \"b\"]}"}},
      {".log(level: \"warn\", message: \"hm\", data: v)", {"3 hm 1"}},
      {".log(level: \"error\", data: q)", {"4 E null"}},
      {".tap(a: v, b: s, c: q)", {"1 [TAP] S a=1 b=\"a\" c=null"}},
      {".print(v).print(s).where(v > 1).print(1)", {"5 [PRINT] 1", "5 [PRINT] \"a\""}},
  };
  for (const auto& item : kCases) {
    for (size_t batch_rows : {1, 1024}) {
      Texts sink;
      auto pipeline = CompileOrDie(absl::StrCat("stream S = E", item.chain));
      ASSERT_NE(pipeline, nullptr);
      Feed(*pipeline, "E{v:1,s:\"a\",l:[1,\"b\"]}\n", sink, batch_rows);
      EXPECT_THAT(sink.lines, ElementsAreArray(item.said)) << item.chain;
    }
  }
}

}  // namespace
}  // namespace varpulis::engine
