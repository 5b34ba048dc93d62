#include "engine/lang/format.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/io/event_file.h"
#include "engine/lang/parser.h"
#include "engine/lang/tree.h"

namespace varpulis::engine {
namespace {

using ::testing::HasSubstr;

std::string Format(const std::string& source) {
  const absl::StatusOr<std::string> formatted = FormatSource(source);
  return formatted.ok() ? *formatted : "error: " + std::string(formatted.status().message());
}

std::string TreeOfText(const std::string& source) {
  DiagnosticList diagnostics(source);
  return TreeText(TreeOf(ParseSource(source, diagnostics)));
}

TEST(FormatTest, PutsOneSpaceWhereOneBelongs) {
  EXPECT_EQ(Format("stream S=A.where(x>1 and y<-2).select( a ,b:[ 1,2 ] [0 : 1],c:{ k:~x })"),
            "stream S = A .where(x > 1 and y < -2) .select(a, b: [1, 2][0:1], c: {k: ~x})\n");
  EXPECT_EQ(Format("let a=not(1==2)or(3-1)in[1..3,-2]\n"),
            "let a = not (1 == 2) or (3 - 1) in [1..3, -2]\n");
  EXPECT_EQ(Format("pattern P=SEQ(A+where x>1 as a,NOT(B),C ?)AND(D)within 5s\n"),
            "pattern P = SEQ(A+ where x > 1 as a, NOT(B), C?) AND (D) within 5s\n");
  EXPECT_EQ(
      Format("event A{x:int?,y:Stream < str >}\nfn f( )->int:\n return match x:1=>-1 _=>2"),
      "event A { x: int?, y: Stream<str> }\nfn f() -> int:\n    return match x: 1 => -1 _ => 2\n");
}

TEST(FormatTest, KeepsEverySample) {
  for (const char* name : {"declarations", "expressions", "streams", "templates", "layout"}) {
    const auto source =
        ReadTextFile(std::string(VARPULIS_SAMPLES) + "/" + name + ".vpl", size_t{1} << 20);
    ASSERT_TRUE(source.ok()) << source.status();
    const std::string once = Format(*source);
    EXPECT_EQ(TreeOfText(once), TreeOfText(*source)) << name;
    EXPECT_EQ(Format(once), once) << name;
  }
}

// Whatever is left of a program: an error, or a layout that stays.
TEST(FormatTest, SurvivesDamage) {
  int refused = 0;
  for (const char* name : {"declarations", "streams", "templates", "layout"}) {
    const auto source =
        ReadTextFile(std::string(VARPULIS_SAMPLES) + "/" + name + ".vpl", size_t{1} << 20);
    ASSERT_TRUE(source.ok());
    for (size_t i = 0; i < source->size(); i += 5) {
      for (const char* put : {"", "\n", " ", "#"}) {
        std::string damaged = *source;
        damaged.replace(i, 1, put);
        const absl::StatusOr<std::string> once = FormatSource(damaged);
        if (!once.ok()) {
          refused += absl::IsFailedPrecondition(once.status()) ? 1 : 0;
          continue;
        }
        EXPECT_EQ(Format(*once), *once) << damaged;
      }
    }
  }
  EXPECT_LT(refused, 50);
}

TEST(FormatTest, RefusesWhatDoesNotParse) {
  EXPECT_EQ(FormatSource("stream S =").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Format("stream S ="), HasSubstr("1:11: error: [E100]"));
}

}  // namespace
}  // namespace varpulis::engine
