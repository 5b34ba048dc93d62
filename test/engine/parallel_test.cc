#include "engine/plan/parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/pipeline.h"

namespace varpulis::engine {
namespace {

using ::testing::HasSubstr;

// The field that the program is spread by, "any" for no state, or "no: " and why not.
std::string SpreadBy(std::string_view source, std::string_view field = "") {
  const CheckResult check = Pipeline::Check(source);
  EXPECT_TRUE(check.ok()) << source;
  if (!check.ok()) return "";
  const Spread spread = FindSpread(source, field);
  if (!spread.possible) return "no: " + spread.reason;
  return spread.field.empty() ? "any" : spread.field;
}

TEST(ParallelTest, StatelessProgramsGoAnyWay) {
  EXPECT_EQ(SpreadBy("stream S = A.where(x > 1).emit(x: x)"), "any");
  EXPECT_EQ(SpreadBy("stream S = A.where(x > 1).emit(x: x)", "x"), "any");
  EXPECT_EQ(SpreadBy("stream S = A.select(x, y: x).print(y).log().tap(x: x).emit(x: x)"), "any");
  EXPECT_EQ(SpreadBy("stream S = A.aggregate(n: count()).emit(n: n)"), "any");
  EXPECT_EQ(SpreadBy("stream S = merge(A, stream B = C.where(x > 1)).emit(x: x)"), "any");
  EXPECT_EQ(SpreadBy("fn f(x: int) -> int:\n    return x + 1\nstream S = A.emit(y: f(x))"), "any");
}

TEST(ParallelTest, WindowsByTheFieldOnly) {
  constexpr char kByKey[] =
      "stream S = A.partition_by(k).window(3).aggregate(s: sum(v)).emit(s: s)";
  EXPECT_EQ(SpreadBy(kByKey), "k");
  EXPECT_EQ(SpreadBy(kByKey, "k"), "k");
  EXPECT_EQ(SpreadBy(kByKey, "v"), "no: stream `S` has a window by something else than `v`");
  EXPECT_EQ(SpreadBy("stream S = A.window(3).aggregate(s: sum(v)).emit(s: s)"),
            "no: stream `S` has a window over all events");
  EXPECT_THAT(SpreadBy("stream S = A.window(3).partition_by(k).aggregate(n: count()).emit(n: n)"),
              HasSubstr("over all events"));
  EXPECT_THAT(SpreadBy("stream S = A.partition_by(k + 1).window(3).emit(k: k)", "k"),
              HasSubstr("by something else"));
  EXPECT_EQ(SpreadBy("stream S = A.partition_by(k).window(3).order_by(v).emit(v: v)"), "k");
  EXPECT_EQ(SpreadBy("stream S = A.partition_by(k).window(session: 5s).emit(v: v)"), "k");
}

TEST(ParallelTest, AllStreamsMustAgree) {
  EXPECT_THAT(SpreadBy("stream S = A.partition_by(k).window(3).emit(k: k)\n"
                       "stream T = A.partition_by(j).window(3).emit(j: j)"),
              HasSubstr("by something else than `k`"));
  EXPECT_EQ(SpreadBy("stream S = A.partition_by(k).window(3).emit(k: k)\n"
                     "stream T = B.partition_by(k).window(3).emit(k: k)"),
            "k");
}

TEST(ParallelTest, TheKeyIsFollowedThroughStreams) {
  constexpr std::string_view kSource =
      "stream S = A.partition_by(k).window(3).aggregate(n: count(), q: last(k)).emit(";
  constexpr std::string_view kNext =
      ")\nstream T = S.partition_by(z).window(2).aggregate(m: sum(n)).emit(m: m)";
  const auto with = [&](std::string_view emitted) {
    return SpreadBy(std::string(kSource) + std::string(emitted) + std::string(kNext));
  };
  EXPECT_EQ(with("n: n, z: k"), "k");
  EXPECT_EQ(with("n: n, z: q"), "k");
  EXPECT_EQ(with("n: n, z: _partition"), "k");
  EXPECT_THAT(with("n: n, z: n"), HasSubstr("stream `T` has a window by something else"));
  EXPECT_THAT(with("n: n, z: k + \"\""), HasSubstr("stream `T` has a window by something else"));
  EXPECT_EQ(SpreadBy("stream M = merge(A, B)\n"
                     "stream S = M.partition_by(k).window(2).emit(v: v)"),
            "k");
}

TEST(ParallelTest, JoinsByTheField) {
  EXPECT_EQ(SpreadBy("stream J = join(A, B).on(A.k == B.k).window(5s).emit(a: A.v, b: B.v)"), "k");
  EXPECT_EQ(
      FindSpread("stream J = join(A, B).on(A.k == B.k).window(5s).emit(a: A.v)", "").max_late_ns,
      5'000'000'000);
  EXPECT_THAT(SpreadBy("stream J = join(A, B).on(A.k == B.j).window(5s).emit(a: A.v)"),
              HasSubstr("stream `J` joins by something else than `k`"));
  EXPECT_EQ(SpreadBy("stream J = join(A, B).on(A.i == B.j and A.k == B.k).emit(a: A.v)", "k"), "k");
  EXPECT_THAT(SpreadBy("stream S = A.partition_by(k).window(2).emit(k: k)\n"
                       "stream J = join(S, B).on(S.k == B.k).emit(k: B.k)"),
              HasSubstr("may come late"));
}

TEST(ParallelTest, StateOfAllEvents) {
  EXPECT_THAT(SpreadBy("stream S = A.limit(3).emit(x: x)"), HasSubstr("`.limit`"));
  EXPECT_THAT(SpreadBy("stream S = A.distinct(x).emit(x: x)"), HasSubstr("`.distinct`"));
  EXPECT_THAT(SpreadBy("stream S = timer(5s).emit(x: 1)"), HasSubstr("timer"));
  EXPECT_THAT(SpreadBy("stream S = A.watermark(out_of_order: 1s).partition_by(k).window(5s)"
                       ".aggregate(n: count()).emit(n: n)"),
              HasSubstr("watermark"));
  EXPECT_THAT(SpreadBy("var n = 0\nfn f(x: int) -> int:\n    n := n + 1\n    return n\n"
                       "stream S = A.emit(n: f(x))"),
              HasSubstr("variables"));
  EXPECT_THAT(SpreadBy("stream S = A.partition_by(k).window(session: 5s).emit(k: k)\n"
                       "stream T = S.partition_by(k).window(session: 9s).emit(k: k)"),
              HasSubstr("behind another"));
}

}  // namespace
}  // namespace varpulis::engine
