#include <cmath>
#include <optional>
#include <random>
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
using Lines = std::vector<std::string>;

const ProgramCase kCases[] = {
    {"nothing but absent fields",
     "stream S = R.window(2).aggregate(s: sum(v), a: avg(v), i: min(v), x: max(v), d: stddev(v),"
     " q: variance(v), m: median(v), e: ema(v, 3), f: first(v), l: last(v), c: collect(v),"
     " u: count_distinct(v), n: count()).emit(s: s, a: a, i: i, x: x, d: d, q: q, m: m, e: e,"
     " f: f, l: l, c: c, u: u, n: n)",
     "R{}\nR{}\n",
     {"S{\"s\":0.0,\"a\":null,\"i\":null,\"x\":null,\"d\":null,\"q\":null,\"m\":null,\"e\":null,"
      "\"f\":null,\"l\":null,\"c\":[],\"u\":0,\"n\":2}"}},
    {"null is a value to some",
     "stream S = R.window(3).aggregate(c: collect(v), u: count_distinct(v), f: first(v), s: sum(v))"
     ".emit(c: c, u: u, f: f, s: s)",
     "R{v:null}\nR{}\nR{v:1}\n",
     {"S{\"c\":[null,1],\"u\":2,\"f\":null,\"s\":1.0}"}},
    {"kinds tell values apart in count_distinct, min and max are floats",
     "stream S = R.window(4).aggregate(u: count_distinct(v), i: min(v), x: max(v))"
     ".emit(u: u, i: i, x: x)",
     "R{v:1}\nR{v:1.0}\nR{v:\"1\"}\nR{v:1}\n",
     {"S{\"u\":3,\"i\":1.0,\"x\":1.0}"}},
    {"at the limits of int",
     "stream S = R.window(2).aggregate(s: sum(v), x: max(v), n: count() * 9223372036854775807,"
     " l: last(v) + 1).emit(s: s, x: x, n: n, l: l)",
     "R{v:9223372036854775807}\nR{v:9223372036854775807}\n",
     {"S{\"s\":18446744073709551616.0,\"x\":9223372036854775808.0,\"n\":-2,"
      "\"l\":-9223372036854775808}"}},
    {"NaN is skipped",
     "stream S = R.window(3).aggregate(s: sum(v), x: max(v), m: median(v), a: "
     "avg(v)).emit(s: s, x: x, m: m, a: a)",
     "R{v:nan}\nR{v:1}\nR{v:3}\n",
     {"S{\"s\":4.0,\"x\":3.0,\"m\":2.0,\"a\":2.0}"}},
    {"medians beside infinity",
     "stream S = R.window(3).aggregate(m: median(v), x: max(v) > 5).emit(m: m, x: x)",
     "R{v:inf}\nR{v:1}\nR{v:2}\n",
     {"S{\"m\":2.0,\"x\":true}"}},
    {"expressions over aggregates; / by zero is null",
     "stream S = R.window(2).aggregate(a: sum(v) / count(), b: (max(v) - min(v)) * 2,"
     " z: count() / (count() - 2), n: avg(q) + 1, c: if count() > 1 then \"many\" else \"one\")"
     ".emit(a: a, b: b, z: z, n: n, c: c)",
     "R{v:1}\nR{v:4}\n",
     {"S{\"a\":2.5,\"b\":6.0,\"z\":null,\"n\":null,\"c\":\"many\"}"}},
    {"expressions inside",
     "stream S = R.window(2).aggregate(s: sum(p * q), m: max(p + q))"
     ".emit(s: s, m: m)",
     "R{p:2,q:3}\nR{p:4}\n",
     {"S{\"s\":6.0,\"m\":5.0}"}},
    {"near constants are not one",
     "stream S = R.window(1).aggregate(a: sum(v * 1.00000001), b: sum(v * 1.00000002))"
     ".emit(same: a == b)",
     "R{v:1}\n",
     {"S{\"same\":false}"}},
    {"percentiles between ranks",
     "stream S = R.window(4).aggregate(a: percentile(v, 0), b: percentile(v, 25), c: percentile(v, "
     "100), d: percentile(v, 87.5)).emit(a: a, b: b, c: c, d: d)",
     "R{v:4}\nR{v:1}\nR{v:3}\nR{v:2}\n",
     {"S{\"a\":1.0,\"b\":1.75,\"c\":4.0,\"d\":3.625}"}},
    {"without a window: each event",
     "stream S = R.aggregate(n: count(), s: sum(v), d: stddev(v)).emit(n: n, s: s, d: d)",
     "R{v:1}\nR{v:2}\n",
     {"S{\"n\":1,\"s\":1.0,\"d\":null}", "S{\"n\":1,\"s\":2.0,\"d\":null}"}},
    {"keys by text; absent is default",
     "stream S = R.partition_by(k).window(2).aggregate(n: count(), own: first(k))"
     ".emit(p: _partition, k: k, own: own)",
     "R{k:1}\nR{k:null}\nR{}\nR{k:\"1\"}\nR{k:\"default\"}\nR{k:\"null\"}\nR{k:[1]}\nR{k:\"[1]\"}"
     "\n",
     {"S{\"p\":\"1\",\"k\":1,\"own\":1}", "S{\"p\":\"default\",\"own\":null}",
      "S{\"p\":\"null\",\"k\":null,\"own\":null}", "S{\"p\":\"[1]\",\"k\":\"[1]\",\"own\":[1]}"}},
    {"an alias takes the name of the key",
     "stream S = R.partition_by(k).window(1).aggregate(k: count()).emit(k: k, p: _partition)",
     "R{k:7}\n",
     {"S{\"k\":1,\"p\":\"7\"}"}},
    {"the last partition_by counts, a key may be an expression",
     "stream S = R.partition_by(a).partition_by(a + b).window(2).aggregate(n: count())"
     ".emit(p: _partition)",
     "R{a:1,b:2}\nR{a:1,b:3}\nR{a:2,b:1}\n",
     {"S{\"p\":\"3\"}"}},
    {"a window of all, groups in order of appearance",
     "stream S = R.window(5).partition_by(k).aggregate(s: sum(v)).emit(p: _partition, s: s)",
     "R{k:b,v:1}\nR{k:a,v:2}\nR{v:3}\nR{k:b,v:4}\nR{k:a,v:5}\n",
     {"S{\"p\":\"b\",\"s\":5.0}", "S{\"p\":\"a\",\"s\":7.0}", "S{\"p\":\"default\",\"s\":3.0}"}},
    {"equal times",
     "stream S = R.window(1s).aggregate(n: count()).emit(n: n)",
     "R{}\nR{}\nR{}\n@1s R{}\n@1s R{}\n@2s R{}\n",
     {"S{\"n\":3}", "S{\"n\":2}"}},
    {"times before the epoch and backwards",
     "stream S = R.window(2s).aggregate(n: count()).emit(n: n, t: timestamp)",
     "@10s R{}\n@3s R{}\n@11s R{}\n@12s R{}\n",
     {"S{\"n\":3,\"t\":\"1970-01-01T00:00:11Z\"}"}},
    {"sessions end in order of their first events, and flow on",
     "stream S = R.partition_by(k).window(session: 5s).aggregate(n: count())\n"
     "stream T = S.emit(p: _partition, n: n)\n"
     "stream U = S.window(session: 1s).aggregate(m: sum(n)).emit(m: m)",
     "R{k:b}\n@1s R{k:a}\n@2s R{k:b}\n@3s R{k:c}\n@20s R{k:b}\n",
     {"T{\"p\":\"b\",\"n\":2}", "T{\"p\":\"a\",\"n\":1}", "T{\"p\":\"c\",\"n\":1}", "U{\"m\":3.0}",
      "T{\"p\":\"b\",\"n\":1}", "U{\"m\":1.0}", "U{\"m\":1.0}"}},
    {"several windows in a row",
     "stream A = R.window(2).aggregate(s: sum(v))\nstream B = A.window(2).aggregate(m: max(s))\n"
     "stream C = B.window(2, sliding: 1).aggregate(l: collect(m)).emit(l: l)",
     "R{v:1}\nR{v:2}\nR{v:3}\nR{v:4}\nR{v:5}\nR{v:6}\nR{v:7}\nR{v:8}\n",
     {"C{\"l\":[7.0,15.0]}"}},
    {"filters between window and aggregate",
     "stream S = R.window(3).where(v > 1).aggregate(n: count()).emit(n: n)",
     "R{v:1}\nR{v:2}\nR{v:3}\nR{v:0}\nR{v:0}\nR{v:0}\n",
     {"S{\"n\":2}"}},
    {"several keys, descending, nothing last",
     "stream S = R.window(7).order_by(a desc, b).emit(a: a, b: b)",
     "R{a:1,b:z}\nR{b:y}\nR{a:2.5,b:x}\nR{a:null}\nR{a:1,b:a}\nR{a:2.5}\nR{a:1,b:a,c:1}\n",
     {"S{\"a\":2.5,\"b\":\"x\"}", "S{\"a\":2.5}", "S{\"a\":1,\"b\":\"a\"}",
      "S{\"a\":1,\"b\":\"a\"}", "S{\"a\":1,\"b\":\"z\"}", "S{\"b\":\"y\"}", "S{\"a\":null}"}},
};

TEST(AggregateTest, Table) { ExpectOutputs(kCases); }

// `now()` in an output is the time of the output, also when the end of the input closes it.
TEST(AggregateTest, NowIsTheTimeOfTheRow) {
  EXPECT_THAT(
      RunShort("stream S = R.partition_by(k).window(session: 5s)"
               ".aggregate(n: now()).emit(n: n)",
               "@1s R{k:1}\n@2s R{k:2}\n"),
      ElementsAre("S{\"n\":\"1970-01-01T00:00:01Z\"}", "S{\"n\":\"1970-01-01T00:00:02Z\"}"));
}

// Every function of a sliding window against the same function over the list of its values.
TEST(AggregateTest, SlidingWindowsGiveWhatTumblingOnesGive) {
  const std::string functions =
      "n: count(), u: count_distinct(v), s: sum(v), a: avg(v), i: min(v), x: max(v), d: stddev(v),"
      " q: variance(v), f: first(v), l: last(v), e: ema(v, 3), m: median(v), p: percentile(v, 80),"
      " c: collect(v)";
  const std::string emit =
      ".emit(n: n, u: u, s: s, a: a, i: i, x: x, d: d, q: q, f: f, l: l, e: e, m: m, p: p, c: c)";
  std::mt19937_64 random(11);
  for (int round = 0; round < 30; ++round) {
    const size_t size = 1 + random() % 9, slide = 1 + random() % 4;
    Lines events;
    for (int i = 0; i < 60; ++i) {
      // Binary fractions, so that sums are exact in any order.
      const char* const kValues[] = {"1", "2.5", "-3", "\"x\"", "null", "0.25", "7", "1.0", "4096"};
      const uint64_t pick = random() % 10;
      events.push_back(pick == 9 ? "R{}\n" : absl::StrCat("R{v:", kValues[pick], "}\n"));
    }
    std::string all;
    for (const std::string& event : events) all += event;
    const Lines sliding = RunShort(absl::StrCat("stream S = R.window(", size, ", sliding: ", slide,
                                                ").aggregate(", functions, ")", emit),
                                   all);
    Lines tumbling;
    size_t since = 0;
    for (size_t end = 1; end <= events.size(); ++end) {
      since = std::min(since + 1, slide);
      if (end < size || since < slide) continue;
      since = 0;
      std::string window;
      for (size_t i = end - size; i < end; ++i) window += events[i];
      const Lines one = RunShort(
          absl::StrCat("stream S = R.window(", size, ").aggregate(", functions, ")", emit), window);
      ASSERT_EQ(one.size(), 1u);
      tumbling.push_back(one[0]);
    }
    ASSERT_EQ(sliding.size(), tumbling.size());
    const auto number = [](const std::string& line, const std::string& name) {
      const size_t at = line.find("\"" + name + "\":") + name.size() + 3;
      return line[at] == 'n' ? std::nullopt : std::optional(std::stod(line.substr(at)));
    };
    for (size_t i = 0; i < sliding.size(); ++i) {
      for (const char* name : {"n", "u", "s", "a", "i", "x", "d", "q", "e", "m", "p"}) {
        const auto expected = number(tumbling[i], name), actual = number(sliding[i], name);
        ASSERT_EQ(expected.has_value(), actual.has_value()) << name << " " << sliding[i];
        if (expected.has_value()) {
          ASSERT_NEAR(*expected, *actual, 1e-9 * (1 + std::abs(*expected))) << name << sliding[i];
        }
      }
      const auto rest = [](const std::string& line) { return line.substr(line.find("\"c\":")); };
      const auto ends = [](const std::string& line) {
        return line.substr(line.find("\"f\":"), line.find("\"e\":") - line.find("\"f\":"));
      };
      ASSERT_EQ(rest(sliding[i]), rest(tumbling[i]));
      ASSERT_EQ(ends(sliding[i]), ends(tumbling[i]));
    }
  }
}

}  // namespace
}  // namespace varpulis::engine
