#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(StreamTest, CarriesEachEventToItsEnd) {
  // vpl.md §7.5 without its window.
  EXPECT_THAT(RunShort("stream Cold = Probe .where(c < 0) .emit(id: id, c: c)\n"
                       "stream Next = Cold .emit(n: id)\n"
                       "stream Every = Probe .emit(seen: id)\n",
                       "Probe{id:1,c:-5}\nProbe{id:2,c:3}\nProbe{id:3,c:-7}\n"),
              ElementsAre("Cold{\"id\":1,\"c\":-5}", "Every{\"seen\":1}", "Next{\"n\":1}",
                          "Every{\"seen\":2}", "Cold{\"id\":3,\"c\":-7}", "Every{\"seen\":3}",
                          "Next{\"n\":3}"));
}

TEST(StreamTest, ServesDerivedRowsFirstInFirstOut) {
  EXPECT_THAT(RunShort("stream D = C .emit(x: \"D\")\nstream A = E\nstream B = E\n"
                       "stream C = A .emit(x: \"C\")\nstream F = B .emit(x: \"F\")\n",
                       "E{}"),
              ElementsAre("C{\"x\":\"C\"}", "F{\"x\":\"F\"}", "D{\"x\":\"D\"}"));
}

TEST(StreamTest, PassesOnlyExactlyTrue) {
  EXPECT_THAT(RunShort("stream S = E .where(v) .emit(k: k)",
                       "E{k:1,v:true}\nE{k:2,v:1}\nE{k:3}\nE{k:4,v:false}\nE{k:5,v:\"true\"}\n"),
              ElementsAre("S{\"k\":1}"));
}

TEST(StreamTest, StreamsWithoutEmitFeedOthersOnly) {
  EXPECT_THAT(RunShort("stream A = E .where(v > 1)\nstream B = A .select(w: v * 2)\n"
                       "stream C = B .emit(w: w, v: v)\n",
                       "E{v:1}\nE{v:2}\n"),
              ElementsAre("C{\"w\":4}"));
}

TEST(StreamTest, EmitFollowsTheTable) {
  // vpl.md §7.3, column New, on {price: 9}.
  const auto emit = [](const std::string& arguments) {
    return RunShort("stream S = E .emit(" + arguments + ")", "E{price:9}");
  };
  EXPECT_THAT(emit("a: price, b: size"), ElementsAre("S{\"a\":9}"));
  EXPECT_THAT(emit("a: \"price\""), ElementsAre("S{\"a\":\"price\"}"));
  EXPECT_THAT(emit("a: \"price\", c: 1"), ElementsAre("S{\"a\":\"price\",\"c\":1}"));
  EXPECT_THAT(emit("a: size, c: 1"), ElementsAre("S{\"c\":1}"));
  EXPECT_THAT(emit(""), ElementsAre("S{}"));
  EXPECT_THAT(emit("a: 1, a: 2"), ElementsAre("S{\"a\":2}"));
  EXPECT_THAT(emit("context: fast, a: 1"), ElementsAre("S{\"a\":1}"));
}

TEST(StreamTest, EmitNamesItsType) {
  const std::string time = "\"timestamp\":\"1970-01-01T00:00:00Z\"";
  EXPECT_THAT(
      RunLines("stream S = E .emit as T(a: 1)", "E{}"),
      ElementsAre("{\"stream\":\"S\",\"event_type\":\"T\"," + time + ",\"fields\":{\"a\":1}}"));
  EXPECT_THAT(RunLines("stream S = E .emit(event_type: \"U\")", "E{}"),
              ElementsAre("{\"stream\":\"S\",\"event_type\":\"U\"," + time +
                          ",\"fields\":{\"event_type\":\"U\"}}"));
  // Routing goes by the stream's name.
  EXPECT_THAT(RunShort("stream S = E .emit as T(a: 1)\nstream X = T .emit(x: a)\n"
                       "stream Y = S .emit(y: a)",
                       "E{}"),
              ElementsAre("S{\"a\":1}", "Y{\"y\":1}"));
}

TEST(StreamTest, SeveralEmitsEachGiveOutput) {
  EXPECT_THAT(
      RunShort("stream S = E .emit(a: v) .where(a > 1) .emit(b: a, c: v)", "E{v:1}\nE{v:2}"),
      ElementsAre("S{\"a\":1}", "S{\"a\":2}", "S{\"b\":2}"));
}

TEST(StreamTest, KeepsTimestamps) {
  EXPECT_THAT(
      RunLines("stream S = E .select(v) .emit(v: v)\nstream T = S .emit()",
               "BATCH 1234\nE{v:1}\n@2m E{v:2}\n"),
      ElementsAre(::testing::HasSubstr("00:00:01.234Z"), ::testing::HasSubstr("00:00:01.234Z"),
                  ::testing::HasSubstr("00:02:00Z"), ::testing::HasSubstr("00:02:00Z")));
}

TEST(StreamTest, DistinctComparesValues) {
  EXPECT_THAT(RunShort("stream S = E .distinct(v) .emit(k: k)",
                       "E{k:1,v:1}\nE{k:2,v:1.0}\nE{k:3,v:\"1\"}\nE{k:4}\nE{k:5}\nE{k:6,v:[1]}\n"
                       "E{k:7,v:[1.0]}\nE{k:8,v:null}\n"),
              ElementsAre("S{\"k\":1}", "S{\"k\":3}", "S{\"k\":4}", "S{\"k\":6}", "S{\"k\":8}"));
  EXPECT_THAT(RunShort("stream S = E .distinct() .emit(k: k)",
                       "E{k:1,v:1}\nE{k:1,v:1}\nE{k:1,v:2}\nE{k:1}\nE{v:1,k:1}\n"
                       "{\"event_type\":\"E\",\"k\":1,\"v\":1}\n"),
              ElementsAre("S{\"k\":1}", "S{\"k\":1}", "S{\"k\":1}"));
  EXPECT_THAT(
      RunShort("stream S = E .select(v) .distinct() .emit(v: v)", "E{k:1,v:1}\nE{k:2,v:1}\n"),
      ElementsAre("S{\"v\":1}"));
}

TEST(StreamTest, DistinctForgetsTheLeastRecentlySeen) {
  std::string events = "E{v:-1}\nE{v:-2}\n";
  for (int i = 0; i < 99'998; ++i) events += "E{v:" + std::to_string(i) + "}\n";
  events += "E{v:-1}\nE{v:77777777}\n";  // -1 is fresh again, so the new key pushes out -2
  events += "E{v:-1}\nE{v:-2}\n";
  const auto lines = RunShort("stream S = E .distinct(v) .where(v < 0) .emit(v: v)", events);
  EXPECT_THAT(lines, ElementsAre("S{\"v\":-1}", "S{\"v\":-2}", "S{\"v\":-2}"));
}

TEST(StreamTest, LimitCountsForLife) {
  EXPECT_THAT(RunShort("stream A = E .where(v > 1) .limit(2) .emit(v: v)\n"
                       "stream B = E .first() .emit(v: v)\nstream C = E .limit(0) .emit(v: v)",
                       "E{v:1}\nE{v:2}\nE{v:3}\nE{v:4}\n"),
              ElementsAre("B{\"v\":1}", "A{\"v\":2}", "A{\"v\":3}"));
}

TEST(StreamTest, FindsDottedAndAliasedFields) {
  EXPECT_THAT(RunShort("stream S = E as x .emit(a: x.v, b: j.k, c: p.q, d: E.v)",
                       "{\"event_type\":\"E\",\"fields\":{\"v\":1,\"j.k\":2,\"p_q\":3}}"),
              ElementsAre("S{\"a\":1,\"b\":2,\"c\":3,\"d\":1}"));
}

TEST(StreamTest, LambdasKnowTheAliasToo) {
  EXPECT_THAT(
      RunShort("stream S = E as x .map(y => {w: x.v, u: y.v, t: E.v}) .emit(w: w, u: u, t: t)\n"
               "stream T = E as x .filter(y => x.v > 0 and y.v > 0) .emit(v: x.v)",
               "E{v:1}\n"),
      ElementsAre("S{\"w\":1,\"u\":1,\"t\":1}", "T{\"v\":1}"));
}

TEST(StreamTest, FieldsHideVariables) {
  EXPECT_THAT(RunShort("let top = 10\nconst k = top * 2\nvar w = 1\nw := w + k\n"
                       "stream S = E .emit(top: top, k: k, w: w)",
                       "E{v:1}\nE{top:3}\n"),
              ElementsAre("S{\"top\":10,\"k\":20,\"w\":21}", "S{\"top\":3,\"k\":20,\"w\":21}"));
}

TEST(StreamTest, AFieldNamedTimestampWins) {
  EXPECT_THAT(RunShort("stream S = E .emit(t: timestamp)", "E{timestamp:5}\n@1s E{}\n"),
              ElementsAre("S{\"t\":5}", "S{\"t\":\"1970-01-01T00:00:01Z\"}"));
}

TEST(StreamTest, RowsUnderAStreamsNameReachItsReaders) {
  EXPECT_THAT(RunShort("stream A = E .emit(v: v)\nstream B = A .emit(w: v)", "A{v:1,q:2}\n"),
              ElementsAre("B{\"w\":1}"));
}

TEST(StreamTest, IgnoresTypesNobodyReads) {
  EXPECT_THAT(
      RunShort("stream A = E .emit(v: v)", "X{v:1}\nX(1,2)\n{\"event_type\":\"X\",\"v\":[1]}\n"),
      IsEmpty());
}

}  // namespace
}  // namespace varpulis::engine
