#include "engine/lang/check.h"

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/lang/constant.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What most programs below begin with: five lines.
constexpr char kTypes[] =
    "event A: id: int v: float tags: [str]\nevent B: id: int w: float\n"
    "connector C = mqtt(url: \"mqtt://x\") connector H = http(url: \"http://x\")\n"
    "context fast fn twice(x: float) -> float:\n    return x * 2\n";

// "E050@2:9" for each; lines count from the end of kTypes.
std::vector<std::string> Codes(const std::string& source) {
  std::vector<std::string> codes;
  for (const Diagnostic& diagnostic : CheckSource(kTypes + source).diagnostics) {
    codes.push_back(diagnostic.code + "@" + std::to_string(diagnostic.line - 5) + ":" +
                    std::to_string(diagnostic.column));
  }
  return codes;
}

struct Case {
  std::string source;
  std::vector<std::string> codes;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.source; }

class CheckTest : public ::testing::TestWithParam<Case> {};

TEST_P(CheckTest, Reports) {
  EXPECT_EQ(Codes(GetParam().source), GetParam().codes) << GetParam().source;
}

INSTANTIATE_TEST_SUITE_P(
    Declarations, CheckTest,
    ::testing::Values(
        Case{"event A: x: int", {"E001@1:7"}}, Case{"stream S = A\nstream S = B", {"E002@2:8"}},
        Case{"fn twice():\n  1", {"E003@1:4"}}, Case{"connector C = http()", {"E004@1:11"}},
        Case{"context fast", {"E005@1:9"}}, Case{"pattern P = A\npattern P = B", {"E006@2:9"}},
        Case{"type T = int\ntype T = int", {"E007@2:6"}},
        Case{"let x = 1\nlet x = 2", {"E107@2:5"}}, Case{"event D: x: int x: str", {"E108@1:17"}},
        Case{"connector D = mqtt(url: \"a\", url: \"b\")", {"E108@1:30"}},
        Case{"event D extends Aa: x: int", {"E109@1:17"}}, Case{"import \"x.vpl\"", {"E114@1:1"}},
        Case{"connector D = mqtt(url: abs(1), list: [1, [x, -5]])", {"E115@1:25"}},
        Case{"config x { a: 1 + 2, b: abs(1) }", {"E115@1:25"}},
        Case{"let a = 1\na := 2", {"E040@2:1"}}, Case{"let a = b", {"E106@1:9"}},
        Case{"let a = twize(1.0)", {"E050@1:9"}}, Case{"let a = twice(1.0, 2)", {"E051@1:9"}},
        Case{"let a = twice(x: 1.0)", {"E105@1:9"}}, Case{"let a = abs(1, 2)", {"W051@1:9"}},
        Case{"let a = 1 is integer", {"E100@1:14"}}, Case{"let a = x => 1", {"E116@1:11"}},
        Case{"if true:\n  emit X()\nstream S = A", {"E104@1:1"}},
        Case{"twice(1.0)\nstream S = A", {"E104@1:1"}}));

INSTANTIATE_TEST_SUITE_P(
    Functions, CheckTest,
    ::testing::Values(Case{"fn f(p: int, v: int):\n"
                           "  var a = 1\n"
                           "  let b = 2\n"
                           "  const c = 3\n"
                           "  a := p\n"
                           "  p := 2\n"
                           "  b := 3\n"
                           "  c := 4\n"
                           "  for i in 0..3:\n"
                           "    i := 1\n",
                           {"E040@7:3", "E040@8:3"}},
                      Case{"let a = 1\nvar b = 2\nfn f():\n  a := 2\n  b := 3\n  q := 4\n",
                           {"E040@4:3", "E106@6:3"}},
                      Case{"fn f(p: int, p: int):\n  p", {"E107@1:14"}},
                      Case{"fn f():\n  break\n  while true:\n    continue\n  continue",
                           {"E117@2:3", "W104@3:3", "E117@5:3"}},
                      Case{"fn f(x: int) -> int:\n  return 1\n  x", {"W104@3:3"}},
                      Case{"fn f(x: int):\n  x + 1\n  x", {"E104@2:3"}},
                      Case{"fn f(x: int):\n  let a = x x\n  return a", {"E104@2:13"}},
                      Case{"fn f(x: int):\n  twice(x)\n  if x > 1:\n    1\n  else:\n    2", {}},
                      Case{"fn f():\n  nope(1)\n  emit Out(a: nope2())", {"E050@2:3", "E050@3:15"}},
                      Case{"fn f(x: int):\n  anything + x.y.z", {}},
                      // Calls of what was refused say nothing more.
                      Case{"fn f(x):\n  x\nlet a = f(1)\nstream S = A .emit(v: f(v, g(v)))",
                           {"E100@1:7", "E050@4:28"}},
                      Case{"fn f(x: int) -> int: return x\nstream S = A .where(f(v))",
                           {"E111@1:22"}},
                      Case{"fn f(g: int):\n  let h = x => 1\n  h(2)", {"E116@2:13"}}));

INSTANTIATE_TEST_SUITE_P(
    Streams, CheckTest,
    ::testing::Values(
        Case{"stream S = A .having(v > 1)", {"E010@1:15"}},
        Case{"stream S = A .window(5).aggregate(n: count()).aggregate(m: sum(n))", {"E011@1:47"}},
        Case{"stream S = A .window(5).window(6)", {"E012@1:25"}},
        Case{"stream S = A .within(5s)", {"E020@1:15"}},
        Case{"stream S = A .not(B)", {"E020@1:15"}},
        Case{"stream S = A.from(D, topic: \"x\")", {"E030@1:19"}},
        Case{"stream S = A .to(D)", {"E030@1:18"}},
        Case{"stream S = A .enrich(D, key: id, fields: [x])", {"E030@1:22"}},
        Case{"stream S = A .context(fats)", {"E031@1:23"}},
        Case{"stream S = A .enrich(C, key: id, fields: [x])", {"E032@1:22"}},
        Case{"stream S = A .enrich(H, key: id, fields: [], ttl: 5)", {"W032@1:42", "E080@1:46"}},
        Case{"stream S = A .enrich(H, key: id, fields: [name]).where(name == enrich_status)", {}},
        Case{"stream S = A .where(\"x\")", {"E060@1:21"}},
        Case{"stream S = A .where(v * 2)", {"W060@1:23"}},
        Case{"stream S = A -> B .within(\"x\")", {"E061@1:27"}},
        Case{"stream S = A -> B .within([1])", {"E061@1:27"}},
        Case{"stream S = A -> B .within(id)", {"E126@1:27"}},
        Case{"stream S = A .allowed_lateness(1.5)", {"E061@1:32"}},
        Case{"const W = 5s\nstream S = A -> B .within(2 * W - 1s)", {}},
        Case{"stream S = A .log(levl: \"info\")", {"E080@1:19"}},
        Case{"stream S = A .log(level: \"loud\", message: v)", {"E105@1:26", "E105@1:43"}},
        Case{"stream S = A .watermark(slack: 1s)", {"E080@1:25"}},
        Case{"stream S = A .fork(2)", {"E090@1:15"}},
        Case{"stream S = A .wher(v > 1)", {"E100@1:15"}},
        Case{"stream S = A .limit(v)", {"E105@1:21"}},
        Case{"stream S = A .window(id)", {"E126@1:22"}},
        Case{"stream S = A .window(\"x\")", {"E127@1:22"}},
        Case{"stream S = A .window(-5)", {"E127@1:22"}},
        Case{"stream S = A .window(5s, sliding: 2)", {"E127@1:35"}},
        Case{"stream S = A .window(session: 2)", {"E127@1:31"}},
        Case{"stream S = A .window(sliding: 2)", {"E105@1:15"}},
        Case{"stream S = timer(0s)", {"E061@1:18"}},
        Case{"stream S = A where v > 1", {"E125@1:20"}},
        Case{"stream S = A .on(id == 1)", {"E124@1:15"}},
        Case{"stream S = join(A, B)", {"E124@1:12"}},
        Case{"stream S = join(A, A).on(A.id == A.id)", {"E122@1:20"}},
        Case{"stream S = A .trend_aggregate(n: count_trends())", {"E123@1:15"}},
        Case{"stream S = A .forecast()", {"E123@1:15"}},
        Case{"stream S = A .score(model: \"m\")", {"E105@1:15"}},
        Case{"stream S = A .map(v)", {"E116@1:19"}},
        Case{"stream S = A .where(x => x.v > 1)", {"E116@1:23"}},
        Case{"stream S = A .filter((a, b) => a.v > 1)", {"E116@1:29"}},
        Case{"stream S = A .filter(x => x.z > 1)", {"W100@1:29"}},
        Case{"stream S = A .where(tags.lenn() > 1)", {"E050@1:26"}},
        Case{"stream S = A .where(tags.map(x => x).len(1) > 1)", {"E051@1:38"}},
        Case{"stream S = A .where(tags.map(1))", {"E116@1:30"}},
        Case{"stream S = A .emit as Q(v: v)", {"W031@1:23"}},
        Case{"stream S = A .emit(context: fats, v: v, v: 1)", {"W105@1:29", "W101@1:41"}},
        Case{"stream S = A as a .emit(v: a, l: len(a), k: \"id\" in a, n: a ?? 1)", {}},
        Case{"stream S = A as a .where(a) .emit(v: a + 1, w: not a, x: [a > 1], y: a in [1])",
             {"W106@1:26", "W106@1:38", "W106@1:52", "W106@1:59", "W106@1:70"}},
        Case{"stream S = A .filter(x => x) .map(x => { let y = x * 2\n {all: x, y: y} })",
             {"W106@1:50"}},
        Case{"stream S = Aa", {"W030@1:12"}},
        Case{"let v = 1\nstream S = A .where(v > 1)", {"W102@2:21"}},
        Case{"stream S = A.from(C, topik: \"x\", qos: \"1\")", {"W080@1:22", "W081@1:39"}},
        Case{"stream S = A .partition_by(id).window(5).aggregate(n: count()).where(id > 1 and "
             "_partition == \"1\")",
             {}},
        Case{"stream S = A .window(5).partition_by(id).aggregate(n: count())", {"W002@1:25"}},
        Case{"stream S = merge(A, stream X = B .where(u > 1)).where(v > w and u > 1)",
             {"W100@1:41", "W100@1:65"}},
        Case{"stream S = merge(A, stream X = B).emit(a: A.v, b: B.w, c: X.w, d: A.w)",
             {"W107@1:59", "W100@1:69"}},
        Case{"stream Q = Z\nstream S = merge(stream Y = Q, stream V = T) .emit(a: Y.f, b: Q.f, "
             "c: Z.f, d: V.f) .where(Y.f > 1)",
             {"W030@1:12", "W030@2:43", "W107@2:55", "W107@2:79", "W100@2:91"}},
        Case{"stream S = Z .partition_by(r.k)", {"W030@1:12", "W107@1:28"}},
        Case{"stream S = A .partition_by(r.id)", {"W100@1:28"}},
        Case{"stream S = Z as r .partition_by(r.k)\nstream T = Z .partition_by(Z.k)\n"
             "stream U = join(Z, Y) .on(Z.k == Y.k) .partition_by(Z.k)",
             {"W030@1:12", "W030@3:20"}},
        Case{"stream S = join(A, B).on(A.id == B.id).window(3)", {"E129@1:47"}},
        Case{"const N = 3\nstream S = join(A, B).on(A.id == B.id).window(N)", {"E129@2:47"}},
        Case{"stream S = join(A, B).on(A.id == B.id).window(session: 5s)", {"E129@1:56"}},
        Case{"stream S = join(A, B).on(A.id == B.id).window(9s, sliding: 5s)", {"E129@1:60"}},
        Case{"stream S = join(A, B).on(A.id == B.id).window(9s)", {}},
        Case{"stream S = join(A, stream X = B).on(A.id == X.id).emit(a: A.v, b: X.w, c: B.w, "
             "d: w, e: X.v)",
             {"W100@1:91"}},
        Case{"stream S = A .map(x => {n: x.v}).where(n > 1 and v > 1)", {"W100@1:50"}}));

INSTANTIATE_TEST_SUITE_P(
    Aggregates, CheckTest,
    ::testing::Values(
        Case{"stream S = A .aggregate(n: count())", {"W001@1:15"}},
        Case{"stream S = A .window(5).aggregate(n: summ(v))", {"E070@1:38"}},
        Case{"stream S = A .window(5).aggregate(n: sum())", {"E071@1:38"}},
        Case{"stream S = A .window(5).aggregate(n: ema(v))", {"E072@1:38"}},
        Case{"stream S = A .window(5).aggregate(n: v, m: A.v)", {"E073@1:38", "E073@1:44"}},
        Case{"stream S = A .window(5).aggregate(n: ema(v, 0), p: percentile(v, 101))",
             {"E105@1:45", "E105@1:66"}},
        Case{"stream S = A .window(5).aggregate(n: ema(v, id))", {"E126@1:45"}},
        Case{"let k = 2\nstream S = A .window(5).aggregate(n: k * sum(v * 2) / max(count(), 1), d: "
             "count(distinct(id)), m: max(v), r: twice(avg(v)), l: if count() > 2 then 1 else 0)",
             {}},
        Case{"stream S = A .window(5).aggregate(n: sum(z))", {"W100@1:42"}},
        Case{"stream S = A .window(5).aggregate(n: count()).where(v > n)", {"W100@1:53"}}));

INSTANTIATE_TEST_SUITE_P(
    Patterns, CheckTest,
    ::testing::Values(
        Case{"stream S = A as x -> B as x", {"E122@1:27"}},
        Case{"pattern P = SEQ(A as x, B as x)", {"E122@1:30"}},
        Case{"pattern P = A as x OR B as x\nstream S = P .emit(i: x.id)", {}},
        Case{"stream S = A as a -> B where id == b.id as b -> A as c", {"W103@1:36"}},
        Case{"stream S = A as a -> B where id == c.id as b -> A as c", {"E118@1:36"}},
        Case{"stream S = A as aa -> B where id == ab.id as b", {"E118@1:37"}},
        Case{"stream S = A as a -> B where id == a.idd and ww > 1 as b",
             {"W100@1:38", "W100@1:46"}},
        Case{"stream S = A as a -> B as b .emit(i: a.id, j: b.v, k: id, d: match_duration_ms)",
             {"W100@1:49", "W100@1:55"}},
        Case{"stream S = A as a -> all B as b .emit(n: len(b), s: sum(b.w), f: first(b).w, z: "
             "sum(b.q))",
             {"W100@1:87"}},
        Case{"stream S = sequence(a: A, b: B where id == a.id) .not(A where id == b.id)"
             ".within(5s).emit(i: b.id)",
             {}},
        Case{"stream S = A as a -> B as b .not(A as c)", {"E120@1:34"}},
        Case{"pattern P = SEQ(NOT A, B)", {"E120@1:17"}}, Case{"pattern P = NOT A", {"E120@1:13"}},
        Case{"pattern P = A AND NOT B", {"E120@1:19"}},
        Case{"pattern P = SEQ(A, NOT SEQ(A, B), B)", {"E120@1:20"}},
        Case{"pattern P = SEQ(A, NOT B as b, A)", {"E120@1:29"}},
        Case{"pattern P = SEQ(A, NOT B)", {"E121@1:20"}},
        Case{"pattern P = SEQ(A, NOT B) within 5s", {}},
        Case{"pattern P = SEQ(A, NOT B)\nstream S = P .within(5s)", {}},
        Case{"stream S = A as a -> all B as b .trend_aggregate(n: count_trends())", {"E121@1:34"}},
        Case{"stream S = A as a -> all B as b .within(5s) .trend_aggregate(n: count_trendz(), m: "
             "sum_trends(b), o: sum_trends(c.w), p: sum_trends(b.q), q: v)",
             {"E070@1:65", "E071@1:84", "E118@1:113", "W100@1:135", "E073@1:142"}},
        Case{"fn f(x: int):\n  emit Out(x: x)\nfn g(x: int):\n  f(x)\n"
             "stream S = A as a -> B where g(id) as b",
             {"E119@5:30"}},
        Case{"pattern P = SEQ(Q, A)\npattern Q = SEQ(B, P)", {"E103@2:20"}},
        Case{"pattern P = SEQ(A as a, B as b)\npattern Q = SEQ(P, A as a)", {"E122@2:25"}},
        Case{"stream S = A as a -> B as b .partition_by(idd)", {"W100@1:43"}}));

INSTANTIATE_TEST_SUITE_P(
    Cycles, CheckTest,
    ::testing::Values(Case{"stream S = merge(A, T)\nstream T = S", {"E103@1:21"}},
                      Case{"stream S = A -> T\nstream T = B -> S", {"E103@1:17"}},
                      Case{"stream S = join(A, T).on(A.id == T.id)\nstream T = B", {}},
                      Case{"stream S = P\npattern P = SEQ(A, S)", {"E103@1:12"}},
                      Case{"stream S = A -> B .not(S)", {"E103@1:24"}},
                      Case{"stream S = sequence(a: A, b: S)", {"E103@1:30"}}));

TEST(CheckBoundsTest, LongChainsOfStreamsAreNoRecursion) {
  std::string source;
  for (int i = 0; i < 20'000; ++i) {
    source += "stream S" + std::to_string(i) + " = S" + std::to_string(i + 1) + "\n";
  }
  EXPECT_TRUE(CheckSource(source).ok());
  source += "stream S20000 = S0\n";
  EXPECT_FALSE(CheckSource(source).ok());
}

TEST(CheckBoundsTest, PatternsThatDoubleAreRefused) {
  std::string source = "pattern P0 = SEQ(A, B)\n";
  for (int i = 1; i < 64; ++i) {
    const std::string before = "P" + std::to_string(i - 1);
    source += "pattern P" + std::to_string(i) + " = SEQ(" + before + ", " + before + ")\n";
  }
  EXPECT_THAT(Codes(source), Contains("E102@9:9"));
}

TEST(CheckBoundsTest, NestingIsNoRecursion) {
  std::string patterns = "stream S = P0\n", events = "event E0: x: int\n";
  for (int i = 0; i < 20'000; ++i) {
    const std::string number = std::to_string(i), next = std::to_string(i + 1);
    patterns += "pattern P" + number + " = SEQ(P" + next + ", E)\n";
    events += "event E" + next + " extends E" + number + ": y: int\n";
  }
  EXPECT_FALSE(CheckSource(patterns).ok());
  EXPECT_FALSE(CheckSource(events).ok());
}

TEST(CheckBoundsTest, ParametersAreCounted) {
  for (int count : {255, 256, 70'000}) {
    std::string parameters, arguments;
    for (int i = 0; i < count; ++i) {
      parameters += (i > 0 ? ", p" : "p") + std::to_string(i) + ":t";
      arguments += i > 0 ? ",1" : "1";
    }
    const std::vector<std::string> codes =
        Codes("fn f(" + parameters + "):\n  p0\nlet a = f(" + arguments + ")\nlet b = f(1)\n");
    if (count == 255) {
      EXPECT_THAT(codes, ElementsAre("E051@4:9"));
    } else {
      EXPECT_THAT(codes, ElementsAre(testing::StartsWith("E102@1:"), "E051@4:9"));
    }
  }
}

TEST(CheckTypesTest, InputsComeFromEverySource) {
  const CheckResult result = CheckSource(
      "stream S = merge(A, stream X = B)\nstream T = join(C, S).on(C.id == S.id)\n"
      "stream U = P -> D .not(E)\npattern P = SEQ(F, NOT G)\nstream V = timer(5s)\n");
  EXPECT_THAT(result.input_event_types, ElementsAre("A", "B", "C", "F", "G", "D", "E"));
}

TEST(ConstantTest, FoldsWhatIsKnown) {
  auto fold = [](const std::string& expr) -> std::string {
    const std::string source = "const w = 5s const n = 3 const later = missing\nlet x = " + expr;
    DiagnosticList diagnostics(source);
    const Program program = ParseSource(source, diagnostics);
    const auto& variable = std::get<VariableDecl>(program.statements.back());
    const std::optional<Literal> value = FoldConstant(*variable.value, program);
    if (!value.has_value()) return "none";
    if (value->kind == LiteralKind::kFloat) return std::to_string(value->real);
    if (value->kind == LiteralKind::kString) return value->text;
    return std::to_string(value->integer) + (value->kind == LiteralKind::kDuration ? "ns" : "");
  };
  EXPECT_EQ(fold("1 + 2 * n - 7 / 2"), "4");
  EXPECT_EQ(fold("1s - w * 2"), "-9000000000ns");
  EXPECT_EQ(fold("-w"), "none");
  EXPECT_EQ(fold("2 * w / 4"), "2500000000ns");
  EXPECT_EQ(fold("1 / 2.0"), "0.500000");
  EXPECT_EQ(fold("\"a\""), "a");
  EXPECT_EQ(fold("1 / 0"), "none");
  EXPECT_EQ(fold("9223372036854775807 + 1"), "none");
  EXPECT_EQ(fold("w * w"), "none");
  EXPECT_EQ(fold("later"), "none");
  EXPECT_EQ(fold("abs(1)"), "none");
}

}  // namespace
}  // namespace varpulis::engine
