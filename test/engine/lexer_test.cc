#include "engine/lang/lexer.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Lexed {
  std::vector<Token> tokens;
  std::vector<std::string> errors;
};

Lexed LexAll(std::string_view source) {
  DiagnosticList diagnostics(source);
  Lexed result;
  result.tokens = Lex(source, diagnostics);
  for (const Diagnostic& diagnostic : diagnostics.Take()) {
    result.errors.push_back(std::to_string(diagnostic.line) + ":" +
                            std::to_string(diagnostic.column) + " " + diagnostic.message + " " +
                            diagnostic.hint);
  }
  return result;
}

std::vector<std::string> Texts(std::string_view source) {
  std::vector<std::string> texts;
  for (const Token& token : LexAll(source).tokens) texts.emplace_back(token.text);
  texts.pop_back();
  return texts;
}

TEST(LexerTest, TakesTheLongestToken) {
  EXPECT_THAT(Texts("a..=b ..c **d ?.e ?? f->g=>h:=i"),
              ElementsAre("a", "..=", "b", "..", "c", "**", "d", "?.", "e", "??", "f", "->", "g",
                          "=>", "h", ":=", "i"));
  EXPECT_THAT(Texts("notional trueish order"), ElementsAre("notional", "trueish", "order"));
  EXPECT_THAT(Texts("1..5"), ElementsAre("1", "..", "5"));
}

TEST(LexerTest, SkipsEveryKindOfComment) {
  EXPECT_THAT(Texts("a # x\n// y\n/* z\n */ b"), ElementsAre("a", "b"));
  EXPECT_THAT(LexAll("a /* z").errors, ElementsAre(HasSubstr("1:3 comment without")));
}

TEST(LexerTest, ReadsNumbers) {
  const auto tokens = LexAll("42 1.5 1e6 2.5E-3 9223372036854775807").tokens;
  EXPECT_EQ(tokens[0].integer, 42);
  EXPECT_EQ(tokens[1].real, 1.5);
  EXPECT_EQ(tokens[2].real, 1e6);
  EXPECT_EQ(tokens[3].real, 2.5e-3);
  EXPECT_EQ(tokens[4].integer, INT64_MAX);
  EXPECT_THAT(LexAll("9223372036854775808").errors, ElementsAre(HasSubstr("64 bits")));
  EXPECT_THAT(LexAll("12abc").errors, ElementsAre(HasSubstr("`12abc` is not a number")));
}

TEST(LexerTest, ReadsDurations) {
  const auto tokens = LexAll("7ns 6us 5ms 4s 3m 2h 1d").tokens;
  EXPECT_EQ(tokens[0].integer, 7);
  EXPECT_EQ(tokens[2].integer, 5'000'000);
  EXPECT_EQ(tokens[4].integer, 180'000'000'000);
  EXPECT_EQ(tokens[6].integer, 86'400'000'000'000);
  EXPECT_THAT(LexAll("300000000d").errors, ElementsAre(HasSubstr("too long")));
  EXPECT_THAT(LexAll("1h30m").errors, ElementsAre(HasSubstr("not a number")));
}

TEST(LexerTest, DecodesStrings) {
  EXPECT_EQ(LexAll(R"("a\"b\n\t\\\u{e9}\q")").tokens[0].string, "a\"b\n\t\\\xC3\xA9\\q");
  EXPECT_EQ(LexAll("'it''s'").tokens[0].string, "it");
  EXPECT_THAT(LexAll("x \"open").errors, ElementsAre(HasSubstr("1:3 string without")));
}

TEST(LexerTest, ReadsTimestamps) {
  EXPECT_EQ(LexAll("@1970-01-02").tokens[0].integer, 86'400'000'000'000);
  EXPECT_EQ(LexAll("@1970-01-01T02:00:01+01:30").tokens[0].integer, 1'801'000'000'000);
  EXPECT_THAT(LexAll("@2026-02-30").errors, ElementsAre(HasSubstr("not a timestamp")));
  EXPECT_THAT(LexAll("@2026-01-01T25:00:00").errors, ElementsAre(HasSubstr("not a timestamp")));
}

TEST(LexerTest, HintsAtWordsOfOtherLanguages) {
  EXPECT_THAT(LexAll("a && b || !c").errors,
              ElementsAre(HasSubstr("`and`"), HasSubstr("`or`"), HasSubstr("`not`")));
}

TEST(LexerTest, LimitsBrackets) {
  EXPECT_THAT(LexAll(std::string(24, '(')).errors, IsEmpty());
  EXPECT_THAT(LexAll(std::string(25, '(')).errors, ElementsAre(HasSubstr("1:25 brackets")));
}

TEST(LexerTest, CountsColumnsInCharacters) {
  EXPECT_THAT(LexAll("\"\xC3\xA9\xC3\xA9\" $").errors, ElementsAre(HasSubstr("1:6 ")));
}

}  // namespace
}  // namespace varpulis::engine
