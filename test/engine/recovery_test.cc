// What one mistake, or several, make of the messages: each is told once, and none hides another.

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/lang/check.h"
#include "engine/lang/format.h"
#include "engine/lang/import.h"
#include "engine/pipeline.h"
#include "test/engine/diagnostic_texts.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Undeclared events are no matter here.
std::vector<std::string> Codes(std::string_view source) { return CodesOf(source, "W030"); }

// ---- Several declarations on one line.

TEST(RecoveryTest, DeclarationsShareALine) {
  EXPECT_THAT(Codes("stream A = X  stream B = Y  stream J1 = join(A, B).on(A.k == B.k).window(5s)"
                    "  stream J2 = join(stream L = A, stream R = B).on(L.k == R.k).emit(k: k)"),
              IsEmpty());
  EXPECT_THAT(Codes("event A: x: int y: str stream S = A .where(x > 1) .emit(y: y)"), IsEmpty());
  EXPECT_THAT(Codes("event A: x: int   event B { x: int } event C extends B: y: [str]? let a = 1"
                    " var b = a b := 2 const c = a type T = int stream S = C as s fn f(x: int):\n"
                    "    return x\nstream T = C .emit(x: f(x))"),
              IsEmpty());
  EXPECT_THAT(
      CheckSource("pattern P = SEQ(A, B) within 5s stream S = P context c stream T = S").streams,
      ElementsAre("S", "T"));
  // The line counts for what is indented below it.
  EXPECT_THAT(Codes("let z = 1 event A: x: int\n  y: int\nstream S = A .where(y > z)"), IsEmpty());
  EXPECT_THAT(Codes("let z = 1 fn f():\nreturn 1"), ElementsAre("E111@2:1", "E104@2:1"));
  // Fields on lines of their own end with their block, and loose words are none.
  EXPECT_THAT(Codes("event A:\n  x: int\n  stream S = A"), ElementsAre("E100@3:3"));
  EXPECT_THAT(Codes("stream A = X zzz\nstream B = = A"), ElementsAre("E100@1:14", "E100@2:12"));
}

// ---- Equal messages, and their limit.

TEST(RecoveryTest, AMistakeInALoopIsToldOnce) {
  const std::string source =
      "for i in 0..150:\n    stream Zone{i} = A .emti(x)\nstream B = A .wher(x > 1)\n";
  EXPECT_THAT(Codes(source), ElementsAre("E100@2:25", "E100@3:15"));
  // With the number in the text it is not equal, and yet hides nothing.
  EXPECT_THAT(Codes("for i in 0..150:\n    stream Z{i} = A .where(f{i}(1))\nlet a = b\n"),
              ElementsAre("E050@2:28", "E050@2:28", "E050@2:28", "E106@3:9", "E141@2:28"));
}

TEST(RecoveryTest, SaysHowManyMoreThereAre) {
  std::string source;
  for (int i = 0; i < 130; ++i) source += "stream S" + std::to_string(i) + " = R .limit(x)\n";
  const std::vector<Diagnostic> found = CheckSource(source).diagnostics;
  ASSERT_FALSE(found.empty());
  const auto errors = [](const Diagnostic& d) { return d.severity == Severity::kError; };
  EXPECT_EQ(std::count_if(found.begin(), found.end(), errors), 101);
  EXPECT_EQ(found.back().code, "E141");
  EXPECT_EQ(found.back().message, "30 more errors are not shown");
  EXPECT_EQ(found.back().line, 101);
}

// ---- Loose statements, and fields.

TEST(RecoveryTest, EveryLooseStatementIsTold) {
  EXPECT_THAT(Codes("emit T(a: 1)\na + b\nzzz(1)"),
              ElementsAre("E104@1:1", "E104@2:1", "E104@3:1"));
  EXPECT_THAT(Codes("foo(\n1,\nbar\n)\n.baz\n+ 1\nif x:\n  f(1)\nelif y:\n  f(2)\nelse:\n  f(3)\n"
                    "let z = = 1\n"),
              ElementsAre("E104@1:1", "E104@7:1", "E100@13:9"));
}

TEST(RecoveryTest, EveryFieldIsTold) {
  EXPECT_THAT(Codes("event A:\n a: string\n b: integer\n c: boolean\nstream S = A .where(d > 1)"),
              ElementsAre("E100@2:5", "E100@3:5", "E100@4:5", "W100@5:21"));
  EXPECT_THAT(Codes("event A:\n a: = int\n b str\n c: int\nlet z = = 1"),
              ElementsAre("E100@2:5", "E100@3:2", "E100@5:9"));
}

TEST(RecoveryTest, WhatReadsABrokenDeclarationIsNotBlamed) {
  EXPECT_THAT(CheckSource("let a = 1 +\nlet b = a\nstream S = A .where(>)\nstream T = S\n"
                          "fn f(x):\n  x\nstream U = T .emit(x: f(1))\nevent E x: int\n"
                          "stream V = E\n")
                  .diagnostics,
              SizeIs(4));
}

// ---- What is no token.

TEST(RecoveryTest, ABadTokenIsToldOnce) {
  EXPECT_THAT(Codes("let a = 1h30m\nlet b = a\nlet c = = 1"), ElementsAre("E101@1:9", "E100@3:9"));
  EXPECT_THAT(Codes("stream A = X .emit(a: 9223372036854775808)\nstream B = A .where(z > 1)"),
              ElementsAre("E101@1:23", "W100@2:21"));
  EXPECT_THAT(Codes("let a = @2026-13-01\nlet b = 1"), ElementsAre("E101@1:9"));
  EXPECT_THAT(Codes("stream A = X .limit(99999999999999999999) .window(1h30m)"),
              ElementsAre("E101@1:21", "E101@1:51"));
  EXPECT_THAT(Codes("stream A = X .where(a > 1 && b || !c)"),
              ElementsAre("E101@1:27", "E101@1:32", "E101@1:35"));
  EXPECT_THAT(Codes("stream A = X .where(a ! 1)\nlet c = 5 $\nlet d = $ 5\nlet e = 6;\n"),
              ElementsAre("E101@1:23", "E101@2:11", "E101@3:9", "E101@4:10"));
  EXPECT_THAT(Codes("stream $A = X\nfn f():\n    let a = 1h30m\n    $\n    return a $ 2\n"),
              ElementsAre("E101@1:8", "E101@3:13", "E101@4:5", "E101@5:14"));
  EXPECT_THAT(Codes("stream A = X /* open\nlet b = 3"), ElementsAre("E101@1:14"));
}

TEST(RecoveryTest, AnOpenStringTakesOnlyItsLine) {
  EXPECT_THAT(Codes("let a = \"abc\n"), ElementsAre("E101@1:9"));
  EXPECT_THAT(Codes("stream A = X .emit(a: \"abc)\n    .where(b > 1)\nstream B = A .emit(b: 'x')\n"
                    "let z = = 1\n"),
              ElementsAre("E101@1:23", "E100@4:9"));
  EXPECT_THAT(Codes("let t = \"two\nlines\"\nlet a = \"abc\nlet b = \"Hello, World!\"\n"
                    "let c = \"x && y\"\nlet d = = 1\n"),
              ElementsAre("E101@3:9", "E100@6:9"));
}

TEST(RecoveryTest, DeepBracketsAreToldOnce) {
  const std::string open(30, '('), close(30, ')');
  EXPECT_THAT(Codes("let a = " + open + "1" + close + "\nlet b = = a\n"),
              ElementsAre("E102@1:33", "E100@2:9"));
  EXPECT_THAT(Codes("let a = " + open + "1\nlet b = 1\n"), ElementsAre("E102@1:33"));
}

TEST(RecoveryTest, MixedIndentationIsToldOnce) {
  EXPECT_THAT(Codes("fn f(x: int) -> int:\n    let a = 1\n\tlet b = 2\n\ta + b\n"
                    "stream A = X .emit(f: f(1))\n"),
              ElementsAre("E112@3:2"));
  EXPECT_THAT(Codes("event A:\n  x: int\n\ty: int\n\tz: int\nstream S = A"),
              ElementsAre("E112@3:2"));
}

// ---- Hints that lead nowhere.

TEST(RecoveryTest, AStreamIsNotProposedForItsOwnSource) {
  EXPECT_THAT(Formatted("stream Readings = Reading.where(a > 1)"),
              HasSubstr("hint: it is taken for an event type from outside"));
  EXPECT_THAT(Formatted("stream Readings = Reading\nstream Readingz = Readings"),
              HasSubstr("hint: it is taken for an event type from outside"));
  EXPECT_THAT(Formatted("stream Readings = X\nstream Y = Reading"),
              HasSubstr("did you mean `Readings`?"));
}

TEST(RecoveryTest, WhatDoesNotRunIsToldOnce) {
  EXPECT_THAT(Codes("stream S = A.within(5s)"), ElementsAre("E110@1:14"));
  EXPECT_THAT(Codes("stream S = A.forecast(mode: \"fast\")"), ElementsAre("E110@1:14"));
  EXPECT_EQ(CheckSource("stream S = A.within(5s)").diagnostics.back().code, "E020");
}

// ---- Encoding.

TEST(RecoveryTest, AByteOrderMarkIsSkipped) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_THAT(Codes(mark + "stream A = X .emit(a: 1)\n"), IsEmpty());
  EXPECT_THAT(Codes(mark + "let a = = 1\nlet b = = 1"), ElementsAre("E100@1:9", "E100@2:9"));
  EXPECT_THAT(Formatted(mark + "let a = = 1"), HasSubstr("\n  let a = = 1\n          ^\n"));
  EXPECT_THAT(Codes(mark + "for i in 0..2:\n  let a{i} = = 1\n"), ElementsAre("E100@2:14"));
  EXPECT_EQ(FormatSource(mark + "let  a = 1").value_or(""), "let a = 1\n");
  const auto loaded = LoadSource("a", [&](const std::string& file) -> absl::StatusOr<std::string> {
    return mark + (file == "a" ? "import \"b\"\nlet c = b\n" : "let b = 1\n");
  });
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(Codes(loaded->text), IsEmpty());
}

TEST(RecoveryTest, RefusesWhatIsNotUtf8) {
  EXPECT_THAT(Codes("let a = 1\nlet b = \"\xC3\xA9\xE9\"\n"), ElementsAre("E140@2:11"));
  EXPECT_THAT(Formatted("# caf\xE9\n"), HasSubstr("  # caf\xEF\xBF\xBD\n       ^\n"));
  for (const char* bad : {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                          "\xF8", "\xE2\x82", "\xF0\x9F\x98"}) {
    EXPECT_THAT(Codes(std::string("# ") + bad), ElementsAre("E140@1:3")) << bad;
  }
  EXPECT_THAT(Codes("# \xC2\x80 \xE2\x82\xAC \xED\x9F\xBF \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF\n"),
              IsEmpty());
  EXPECT_FALSE(FormatSource("# \xE9").ok());
}

// ---- Values that are known before.

TEST(RecoveryTest, InitialisersWithoutValueNeedNoLoading) {
  const auto check = [](std::string_view source) {
    std::vector<std::string> codes;
    for (const Diagnostic& found : CheckRunnable(source).diagnostics) codes.push_back(found.code);
    return codes;
  };
  for (const char* expr : {"1 / 0", "1 % 0", "1.5 / 0.0", "2 * (1 / 0)", "\"a\" + 1", "null + 1",
                           "true * 2", "-5s", "-\"a\"", "1h / 0", "z / (z - 1)"}) {
    const std::string source = std::string("let z = 1\nlet y = ") + expr + "\n";
    EXPECT_THAT(check(source), ElementsAre("E106")) << expr;
    // What loading says, and where.
    EXPECT_THAT(Codes(source), ElementsAre("E106@2:9")) << expr;
  }
  for (const char* expr : {"9223372036854775807 + 1", "\"a\" + \"b\"", "1s - 5s", "2 * -1",
                           "@2026-01-02 - @2026-01-01", "1s * 2", "v / 0.5", "null ?? 1",
                           "if false then 1 / 0 else 2", "2 ** -1", "-9223372036854775807"}) {
    const std::string source = std::string("var v = 0\nlet y = ") + expr + "\n";
    EXPECT_THAT(Codes(source), IsEmpty()) << expr;
  }
  EXPECT_THAT(check("let y = 1 / 0\nstream A = X.emit(a: y)"), ElementsAre("E106", "W030"));
  EXPECT_THAT(check("var v = 0\nlet y = 1 / v\n"), IsEmpty());
}

TEST(RecoveryTest, DurationsHaveNoSign) {
  EXPECT_THAT(Codes("stream S = A .window(-5s)"), ElementsAre("E061@1:22"));
  EXPECT_THAT(Codes("stream S = A .window(1s - 5s)"), ElementsAre("E127@1:22"));
}

TEST(RecoveryTest, LongExpressionsHaveTheLimitThatTheGuideNames) {
  const auto chain = [](int terms, const std::string& term) {
    std::string expr = term;
    for (int i = 1; i < terms; ++i) expr += " or " + term;
    return Codes("stream S = A .where(" + expr + ")");
  };
  EXPECT_THAT(chain(1000, "a"), IsEmpty());
  EXPECT_THAT(chain(1001, "a"), SizeIs(1));
  EXPECT_THAT(chain(999, "a == 1"), IsEmpty());
  EXPECT_THAT(chain(1000, "a == 1"), SizeIs(1));
}

}  // namespace
}  // namespace varpulis::engine
