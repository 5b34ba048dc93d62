#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Events R with v = first … last, one per line.
std::string Values(int first, int last) {
  std::string events;
  for (int v = first; v <= last; ++v) absl::StrAppend(&events, "R { v: ", v, " }\n");
  return events;
}

std::string At(const std::vector<int>& seconds) {
  std::string events;
  for (int second : seconds) absl::StrAppend(&events, "@", second, "s R { v: ", second, " }\n");
  return events;
}

// The worked examples of vpl.md §4.3.
TEST(WindowTest, W1Count) {
  EXPECT_THAT(RunShort("stream S = R .window(3).aggregate(s: sum(v), n: count()).emit(s: s, n: n)",
                       Values(1, 7)),
              ElementsAre("S{\"s\":6.0,\"n\":3}", "S{\"s\":15.0,\"n\":3}"));
}

TEST(WindowTest, W2SlidingCount) {
  EXPECT_THAT(
      RunShort("stream S = R .window(3, sliding: 2).aggregate(s: sum(v)).emit(s: s)", Values(1, 7)),
      ElementsAre("S{\"s\":6.0}", "S{\"s\":12.0}", "S{\"s\":18.0}"));
}

TEST(WindowTest, W3Tumbling) {
  EXPECT_THAT(RunShort("stream S = R .window(10s).aggregate(n: count()).emit(n: n)",
                       At({0, 4, 9, 10, 21, 25})),
              ElementsAre("S{\"n\":3}", "S{\"n\":1}"));
}

TEST(WindowTest, W4Sliding) {
  EXPECT_THAT(RunShort("stream S = R .window(10s, sliding: 5s).aggregate(n: count()).emit(n: n)",
                       At({0, 3, 5, 9, 12, 20})),
              ElementsAre("S{\"n\":1}", "S{\"n\":3}", "S{\"n\":4}", "S{\"n\":2}"));
}

TEST(WindowTest, W5Session) {
  EXPECT_THAT(RunShort("stream S = R .window(session: 5s).aggregate(n: count()).emit(n: n)",
                       At({0, 3, 8, 14, 16})),
              ElementsAre("S{\"n\":3}", "S{\"n\":2}"));
}

constexpr char kKeyed[] =
    "R { k: a, v: 1 }\nR { k: b, v: 5 }\nR { k: a, v: 2 }\n"
    "R { k: b, v: 7 }\nR { k: a, v: 9 }\n";

TEST(WindowTest, W6PartitionedCount) {
  EXPECT_THAT(RunShort("stream S = R .partition_by(k).window(2).aggregate(s: sum(v))"
                       ".emit(k: _partition, s: s, own: k)",
                       kKeyed),
              ElementsAre("S{\"k\":\"a\",\"s\":3.0,\"own\":\"a\"}",
                          "S{\"k\":\"b\",\"s\":12.0,\"own\":\"b\"}"));
}

TEST(WindowTest, W7GroupedBatch) {
  EXPECT_THAT(RunShort("stream S = R .window(4).partition_by(k).aggregate(n: count())"
                       ".emit(k: _partition, n: n)",
                       kKeyed),
              ElementsAre("S{\"k\":\"a\",\"n\":2}", "S{\"k\":\"b\",\"n\":2}"));
}

TEST(WindowTest, W8Ema) {
  EXPECT_THAT(RunShort("stream S = R .window(3).aggregate(e: ema(v, 3)).emit(e: e)",
                       "R{v:10}\nR{v:20}\nR{v:30}\n"),
              ElementsAre("S{\"e\":22.5}"));
}

TEST(WindowTest, W9NullsAndKinds) {
  EXPECT_THAT(
      RunShort("stream S = R .window(3).aggregate(s: sum(v), a: avg(v), c: count(v), d: stddev(v),"
               " f: first(v), l: last(v), u: count_distinct(v))"
               ".emit(s: s, a: a, c: c, d: d, f: f, l: l, u: u)",
               "R{v:4}\nR{}\nR{v:\"x\"}\n"),
      ElementsAre("S{\"s\":4.0,\"a\":4.0,\"c\":3,\"d\":null,\"f\":4,\"l\":\"x\",\"u\":2}"));
}

TEST(WindowTest, W10Having) {
  EXPECT_THAT(RunShort("stream S = R .where(v > 50).window(2).aggregate(s: sum(v))"
                       ".having(s > 150).emit(s: s)",
                       "R{v:30}\nR{v:80}\nR{v:40}\nR{v:90}\nR{v:60}\nR{v:70}\n"),
              ElementsAre("S{\"s\":170.0}"));
}

TEST(WindowTest, W11WithoutAggregate) {
  EXPECT_THAT(RunShort("stream S = R .window(2).emit(v: v)", Values(1, 3)),
              ElementsAre("S{\"v\":1}", "S{\"v\":2}"));
}

TEST(WindowTest, W12LongSlide) {
  EXPECT_THAT(RunShort("stream S = R .window(3, sliding: 5).aggregate(s: sum(v)).emit(s: s)",
                       Values(1, 10)),
              ElementsAre("S{\"s\":12.0}", "S{\"s\":27.0}"));
}

// One step of the watermark may pass several windows, which share events when they slide.
TEST(WindowTest, WatermarkPassesSeveralWindows) {
  EXPECT_THAT(RunShort("stream S = R .watermark(out_of_order: 1s).window(4s, sliding: 2s)"
                       ".aggregate(n: count()).emit(n: n)",
                       At({0, 2, 1, 9})),
              ElementsAre("S{\"n\":2}", "S{\"n\":3}", "S{\"n\":1}"));
  EXPECT_THAT(RunShort("stream S = R .watermark(out_of_order: 9s).window(10s)"
                       ".aggregate(all: collect(v)).emit(all: all)",
                       At({1, 12, 3, 99})),
              ElementsAre("S{\"all\":[1,3]}", "S{\"all\":[12]}"));
  EXPECT_THAT(RunShort("stream S = R .watermark(out_of_order: 9s).window(session: 2s)"
                       ".aggregate(all: collect(v)).emit(all: all)",
                       At({1, 7, 3, 99})),
              ElementsAre("S{\"all\":[1,3]}", "S{\"all\":[7]}", "S{\"all\":[99]}"));
}

// Times before 1970: windows of time begin at or below their events, never above.
TEST(WindowTest, TimesBeforeTheEpoch) {
  const auto at = [](const std::vector<int>& tenths) {
    std::string events;
    for (const int tenth : tenths) {  // of a second, as JSON with milliseconds
      absl::StrAppend(&events, "{\"event_type\": \"R\", \"timestamp\": ", tenth * 100,
                      ", \"v\": ", tenth, "}\n");
    }
    return events;
  };
  EXPECT_THAT(
      RunLines("stream S = R .emit(v: v)",
               "{\"event_type\": \"R\", \"timestamp\": \"1969-12-31T23:59:58.5Z\", \"v\": 1}\n"
               "{\"event_type\": \"R\", \"timestamp\": -1500, \"v\": 2}\n"),
      Each(HasSubstr("\"timestamp\":\"1969-12-31T23:59:58.500Z\"")));
  const std::string emit = ".aggregate(all: collect(v)).emit(all: all)";
  // Aligned to multiples of 10 s: [-20, -10), [-10, 0), [0, 10).
  EXPECT_THAT(RunShort("stream S = R .watermark(out_of_order: 0s).window(10s)" + emit,
                       at({-200, -101, -100, -1, 0, 99, 100})),
              ElementsAre("S{\"all\":[-200,-101]}", "S{\"all\":[-100,-1]}", "S{\"all\":[0,99]}"));
  EXPECT_THAT(RunShort("stream S = R .watermark(out_of_order: 0s).window(10s, sliding: 5s)" + emit,
                       at({-51, -50, -1, 0, 50})),
              ElementsAre("S{\"all\":[-51]}", "S{\"all\":[-51,-50,-1]}", "S{\"all\":[-50,-1,0]}"));
  EXPECT_THAT(
      RunShort("stream S = R .watermark(out_of_order: 0s).window(session: 2s)" + emit,
               at({-60, -41, -20, 1, 30})),
      ElementsAre("S{\"all\":[-60,-41]}", "S{\"all\":[-20]}", "S{\"all\":[1]}", "S{\"all\":[30]}"));
  // From the first event on, without a watermark.
  EXPECT_THAT(RunShort("stream S = R .window(10s)" + emit, at({-155, -56, -55, 44, 45})),
              ElementsAre("S{\"all\":[-155,-56]}", "S{\"all\":[-55,44]}"));
  EXPECT_THAT(
      RunShort("stream S = R .window(10s, sliding: 5s)" + emit, at({-75, -26, -25, 25})),
      ElementsAre("S{\"all\":[-75]}", "S{\"all\":[-75,-26,-25]}", "S{\"all\":[-75,-26,-25,25]}"));
  EXPECT_THAT(RunShort("stream S = timer(10s) .emit(t: timestamp)\nstream T = R .emit(v: v)",
                       at({-155, 1})),
              ElementsAre("T{\"v\":-155}", "S{\"t\":-5500}", "T{\"v\":1}"));
}

TEST(WindowTest, DerivedStreams) {  // §7.5
  EXPECT_THAT(
      RunShort("stream Cold = Probe .where(c < 0) .emit(id: id, c: c)\n"
               "stream Count = Cold .window(2) .aggregate(n: count(), low: min(c)) "
               ".emit(n: n, low: low)\n"
               "stream Every = Probe .emit(seen: id)\n",
               "Probe{id:1,c:-5}\nProbe{id:2,c:3}\nProbe{id:3,c:-7}\n"),
      ElementsAre("Cold{\"id\":1,\"c\":-5}", "Every{\"seen\":1}", "Every{\"seen\":2}",
                  "Cold{\"id\":3,\"c\":-7}", "Every{\"seen\":3}", "Count{\"n\":2,\"low\":-7.0}"));
}

}  // namespace
}  // namespace varpulis::engine
