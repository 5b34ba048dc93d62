#include "engine/lang/diagnostics.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/lang/check.h"
#include "engine/pipeline.h"
#include "test/engine/diagnostic_texts.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Codes(std::string_view source) { return CodesOf(source); }

TEST(DiagnosticsTest, ShowsThePlaceWithACaret) {
  EXPECT_EQ(Formatted("event R: v: int\nstream A = R\n\t.where(abz(v) > 1)\n"),
            "3:9: error: [E050] there is no function `abz`\n"
            "  \t.where(abz(v) > 1)\n"
            "  \t       ^^^\n"
            "  hint: did you mean `abs`?\n");
}

TEST(DiagnosticsTest, PutsTheCaretBelowCharactersNotBytes) {
  EXPECT_EQ(Formatted("event R: v: int\nstream A = R .where(v == \"\xC3\xA9\" + nop())\n"),
            "2:32: error: [E050] there is no function `nop`\n"
            "  stream A = R .where(v == \"\xC3\xA9\" + nop())\n"
            "                                 ^^^\n"
            "  hint: did you mean `now`?\n");
}

TEST(DiagnosticsTest, ReportsSeveralErrorsInOneRun) {
  EXPECT_THAT(Codes("event R: v: int\n"
                    "stream A = R .where(v >)\n"
                    "stream B = R .where(v ! 1)\n"
                    "stream C = R .limit(x)\n"
                    "stream D = R .where(foo(v))\n"),
              ElementsAre("E100@2:24", "E101@3:23", "E105@4:21", "E050@5:21"));
}

TEST(DiagnosticsTest, RefusesSecondDeclarations) {
  EXPECT_THAT(Codes("event R: v: int\nevent R: v: int\nstream A = R\nstream A = R\n"
                    "type T = int\ntype T = str\nlet x = 1\nlet x = 2\n"),
              ElementsAre("E001@2:7", "E002@4:8", "E007@6:6", "E107@8:5"));
}

TEST(DiagnosticsTest, RefusesAssignmentToConstants) {
  EXPECT_THAT(Codes("let a = 1\nconst b = 2\nvar c = 3\na := 4\nb := 5\nc := 6\nd := 7\nd := 8\n"),
              ElementsAre("E040@4:1", "E040@5:1"));
}

TEST(DiagnosticsTest, RefusesConditionsThatAreNone) {
  EXPECT_THAT(Codes("event R: v: int\nstream A = R .where(5)\nstream B = R .where(\"x\")\n"
                    "stream C = R .where(v + 1)\nstream D = R .where(true)\n"),
              ElementsAre("E060@2:21", "E060@3:21", "W060@4:23"));
}

TEST(DiagnosticsTest, WantsAnAggregateBeforeHaving) {
  EXPECT_THAT(Codes("event R: v: int\nstream A = R .having(v > 1)"), ElementsAre("E010@2:15"));
}

TEST(DiagnosticsTest, FindsCycles) {
  EXPECT_THAT(Codes("stream A = B\nstream B = C\nstream C = B\nstream D = D\nstream E = A\n"),
              ElementsAre("E103@2:12", "E103@4:12"));
  EXPECT_THAT(Formatted("stream B = C\nstream C = B\n"),
              HasSubstr("B \xE2\x86\x90 C \xE2\x86\x90 B"));
}

TEST(DiagnosticsTest, WarnsOfUnknownNames) {
  EXPECT_THAT(Formatted("event Reading: temperature: float\nstream A = Readin\n"),
              HasSubstr("2:12: warning: [W030] there is no event or stream `Readin`"));
  EXPECT_THAT(Formatted("event Reading: temperature: float\n"
                        "stream A = Reading .where(temprature > 1)\n"),
              HasSubstr("hint: did you mean `temperature`?"));
  // A stream's fields after `.emit` are known as well; `timestamp` always is.
  EXPECT_THAT(Codes("event R: v: int\nstream A = R .emit(w: v, t: timestamp)\n"
                    "stream B = A .where(v > 1)\nstream C = A .where(w > 1)\n"),
              ElementsAre("W100@3:21"));
  EXPECT_THAT(Codes("event P: a: int\nevent R extends P: v: int\nstream A = R .where(a > v)"),
              IsEmpty());
}

TEST(DiagnosticsTest, WarnsOfNameClashes) {
  EXPECT_THAT(Codes("event R: v: int\nlet v = 1\nstream A = R .emit(a: v, a: 2)\n"),
              ElementsAre("W102@3:23", "W101@3:26"));
}

TEST(DiagnosticsTest, RefusesLooseStatements) {
  EXPECT_THAT(Codes("strem A = B\n"), ElementsAre("E104@1:1"));
  EXPECT_THAT(Formatted("strem A = B\n"), HasSubstr("did you mean `stream`?"));
  EXPECT_THAT(Formatted("class A:\n  x: int\n"), HasSubstr("write `event`"));
  EXPECT_THAT(Codes("if true:\n  emit X()\n"), ElementsAre("E104@1:1"));
}

TEST(DiagnosticsTest, NamesWhatComesLaterOnceEach) {
  EXPECT_THAT(Codes("event R: v: int\n"
                    "connector C = mqtt(url: \"mqtt://h\")\n"
                    "stream A = R.from(C, topic: \"t\") .emit(v: v)\n"
                    "stream B = R as a -> R where v > a.v as b .within(5s) .emit(v: 1)\n"
                    "stream D = R .where(v > 1) .concurrent(4)\n"
                    "import \"x.vpl\"\n"),
              ElementsAre("E110@3:12", "E110@4:19", "E110@4:44", "E090@5:29", "E114@6:1"));
}

TEST(DiagnosticsTest, ReportsInitialisersWithoutValue) {
  EXPECT_THAT(Codes("let a = 1 / 0\nlet b = c\n"), ElementsAre("E106@1:9", "E106@2:9"));
  EXPECT_THAT(Codes("let a = 1\nlet b = a / 0\n"), ElementsAre("E106@2:9"));
}

TEST(DiagnosticsTest, ListsWhatGoesIn) {
  const CheckResult result =
      CheckSource("event R: v: int\nstream A = R\nstream B = A\nstream C = Q\n");
  EXPECT_TRUE(result.ok());
  EXPECT_THAT(result.input_event_types, ElementsAre("R", "Q"));
  EXPECT_THAT(result.streams, ElementsAre("A", "B", "C"));
}

TEST(DiagnosticsTest, WarningsDoNotHideErrors) {
  std::string source = "event R: v: int\n";
  for (int i = 0; i < 300; ++i) source += "stream S" + std::to_string(i) + " = R .where(q > 1)\n";
  source += "stream T = R .where(nofunc())\n";
  EXPECT_FALSE(CheckSource(source).ok());
}

TEST(DiagnosticsTest, LimitsTheSource) {
  EXPECT_THAT(Codes(std::string((1 << 20) + 1, ' ')), ElementsAre("E102@1:1"));
  EXPECT_EQ(CheckStatus(CheckSource("x"), "x").code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace varpulis::engine
