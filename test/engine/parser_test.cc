#include "engine/lang/parser.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/io/event_file.h"
#include "engine/lang/check.h"
#include "engine/plan/planner.h"

namespace varpulis::engine {
namespace {

using ::testing::HasSubstr;

// The plan of an initialiser, which shows how the text was grouped.
std::string Grouped(const std::string& text) {
  const CheckedProgram checked = ParseAndCheck("let a = 1 let b = 2 let c = 3\nlet x = " + text);
  EXPECT_TRUE(checked.result.ok()) << CheckStatus(checked.result, text).message();
  if (!checked.result.ok()) return "error";
  return DebugString(MakePlan(checked.program).assignments.back().value);
}

TEST(ParserTest, GroupsByPrecedence) {
  EXPECT_EQ(Grouped("1 + 2 * 3"), "(1 + (2 * 3))");
  EXPECT_EQ(Grouped("1 - 2 - 3"), "((1 - 2) - 3)");
  EXPECT_EQ(Grouped("-2 ** 2"), "((- 2) ** 2)");
  EXPECT_EQ(Grouped("2 ** 3 ** 2"), "(2 ** (3 ** 2))");
  EXPECT_EQ(Grouped("not 1 == 2 and true or false"), "(((not (1 == 2)) and true) or false)");
  EXPECT_EQ(Grouped("1 | 2 ^ 3 & 4 << 1"), "(1 | (2 ^ (3 & (4 << 1))))");
  EXPECT_EQ(Grouped("1 + 2 < 4 | 1"), "((1 + 2) < (4 | 1))");
  EXPECT_EQ(Grouped("null ?? 1..2"), "((null ?? 1) .. 2)");
  EXPECT_EQ(Grouped("1 not in [1, 2]"), "(1 not in [1, 2])");
  EXPECT_EQ(Grouped("1 is not null"), "(1 is not null)");
  EXPECT_EQ(Grouped("if true then 1 else 2 + 3"), "if(true, 1, (2 + 3))");
  EXPECT_EQ(Grouped("(1 == 1) == true"), "((1 == 1) == true)");
  EXPECT_EQ(Grouped("[1, 2][0:1]"), "slice([1, 2], 0, 1)");
  EXPECT_EQ(Grouped("{a: 1, \"b c\": [a]}"), "{\"a\": 1, \"b c\": [global0]}");
  EXPECT_EQ(Grouped("match 2: 1 => \"one\" n => n"), "match(2, 1 => \"one\", local0 => local0)");
}

TEST(ParserTest, ComparisonsDoNotChain) {
  const CheckResult result = CheckSource("let x = 1 < 2 < 3");
  ASSERT_EQ(result.diagnostics.size(), 1u);
  EXPECT_EQ(result.diagnostics[0].column, 15);
}

TEST(ParserTest, AcceptsKeywordsAsFields) {
  EXPECT_TRUE(CheckSource("stream S = T .where(stream > 1 and count == event and type != value)\n"
                          "    .emit(stream: stream, event: notional, order: index)")
                  .ok());
}

TEST(ParserTest, AcceptsEveryFormOfEvent) {
  EXPECT_TRUE(CheckSource("event A:\n    x: int?\n    y: [str]\n    m: {str: float}\n"
                          "event B: x: int y: str\n"
                          "event C { a: int, b: (int, str) }\n"
                          "event D extends A:\n    s: Stream<int>\n"
                          "stream S: A = A\n")
                  .ok());
  EXPECT_THAT(CheckSource("event A:\n  x: string\n").diagnostics[0].hint, HasSubstr("`str`"));
}

TEST(ParserTest, RefusesDepthInsteadOfCrashing) {
  const std::string many(100'000, ' ');
  for (const std::string& unit :
       {std::string("-"), std::string("not "), std::string("~"), std::string("("), std::string("["),
        std::string("{a:"), std::string("if true then 1 else "), std::string("2 ** "),
        std::string("abs("), std::string("x => ")}) {
    std::string source = "let x = ";
    while (source.size() < 500'000) source += unit;
    source += "1";
    EXPECT_FALSE(CheckSource(source).ok()) << unit;
  }
  for (const std::string& unit :
       {std::string("1 + "), std::string("true or "), std::string("a.")}) {
    std::string source = "let a = 1 let x = ";
    while (source.size() < 500'000) source += unit;
    source += "a";
    EXPECT_FALSE(CheckSource(source).ok()) << unit;
  }
  std::string type = "type T = ";
  while (type.size() < 500'000) type += "Stream<";
  EXPECT_FALSE(CheckSource(type).ok());
}

TEST(ParserTest, TakesLongChainsOfOperators) {
  std::string condition = "v == 0";
  for (int i = 1; i < 900; ++i) condition += " or v == " + std::to_string(i);
  EXPECT_TRUE(CheckSource("stream S = T .where(" + condition + ")").ok());
}

// Syntax errors only.
std::vector<std::string> SyntaxErrors(std::string_view source) {
  DiagnosticList diagnostics(source);
  ParseSource(source, diagnostics);
  std::vector<std::string> errors;
  for (const Diagnostic& diagnostic : diagnostics.Take()) {
    errors.push_back(FormatDiagnostic(diagnostic, source, ""));
  }
  return errors;
}

TEST(ParserTest, TakesEverySample) {
  for (const char* name : {"declarations", "expressions", "streams"}) {
    const auto source =
        ReadTextFile(std::string(VARPULIS_SAMPLES) + "/" + name + ".vpl", size_t{1} << 20);
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_THAT(SyntaxErrors(*source), ::testing::IsEmpty()) << name;
  }
}

// Any prefix of a program and any byte changed: a verdict, never a crash.
TEST(ParserTest, SurvivesDamage) {
  const std::string source =
      "event R extends P:\n  v: int?\nlet k = {a: [1, 2][0:1]}\n"
      "stream A = R as r .where(not r.v in 1..3 and match v: 1 => true _ => false)\n"
      "  .select(v, w: if v > 1 then \"x\\u{e9}\" else 'y').emit as T(w: w ?? @2026-01-01, d: "
      "5s)\n";
  for (size_t i = 0; i < source.size(); ++i) {
    CheckSource(source.substr(0, i));
    for (char c : {'(', ')', '"', '.', '@', '\0', '\xFF', ':', '='}) {
      std::string damaged = source;
      damaged[i] = c;
      CheckSource(damaged);
    }
  }
}

}  // namespace
}  // namespace varpulis::engine
