#include "engine/io/event_file.h"

#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "engine/io/event_line.h"
#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EventFileTest : public testing::Test {
 protected:
  EventFileTest() : path_(absl::StrCat(testing::TempDir(), "/events_", getpid(), ".evt")) {}
  ~EventFileTest() override { unlink(path_.c_str()); }

  std::unique_ptr<LineFile> Written(std::string_view text) {
    std::ofstream(path_, std::ios::binary) << text;
    auto file = LineFile::Open(path_);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(*file);
  }

  // What NextLines hands out, line by line, and at the end the error with its line number.
  static std::vector<std::string> AllLines(LineFile& file) {
    std::vector<std::string> lines;
    std::string_view text;
    while (true) {
      const absl::StatusOr<bool> more = file.NextLines(&text);
      if (!more.ok()) {
        lines.push_back(absl::StrCat(file.line_number(), ": ", more.status().message()));
        return lines;
      }
      if (!*more) return lines;
      EXPECT_EQ(text.back(), '\n');
      const size_t newline = text.find('\n');
      lines.emplace_back(text.substr(0, newline));
      file.Took(newline + 1, 1);
    }
  }

  std::string path_;
};

TEST_F(EventFileTest, SkipsAByteOrderMark) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_THAT(AllLines(*Written(mark + "a\n" + mark + "b\n")), ElementsAre("a", mark + "b"));
  EXPECT_THAT(AllLines(*Written(mark + "a")), ElementsAre("a"));
  EXPECT_THAT(AllLines(*Written(mark + "\nb")), ElementsAre("", "b"));
  std::unique_ptr<LineFile> file = Written(mark + "a\nb\n");
  std::string_view line;
  EXPECT_TRUE(file->Next(&line).value_or(false));
  EXPECT_EQ(line, "a");
  ASSERT_TRUE(file->Rewind().ok());
  EXPECT_THAT(AllLines(*file), ElementsAre("a", "b"));
  auto whole = LineFile::OpenWhole(path_);
  ASSERT_TRUE(whole.ok());
  EXPECT_THAT(AllLines(**whole), ElementsAre("a", "b"));
}

TEST_F(EventFileTest, HandsOutWholeLines) {
  EXPECT_THAT(AllLines(*Written("")), ElementsAre());
  EXPECT_THAT(AllLines(*Written("\n")), ElementsAre(""));
  EXPECT_THAT(AllLines(*Written("a\n\nb")), ElementsAre("a", "", "b"));
  EXPECT_THAT(AllLines(*Written("a\r\nb\r\n")), ElementsAre("a\r", "b\r"));
}

TEST_F(EventFileTest, TakesLinesLongerThanItsReads) {
  const std::string line(kMaxLineBytes, 'x');
  const std::string short_line(70'000, 'y');
  EXPECT_THAT(AllLines(*Written(absl::StrCat("a\n", line, "\n", short_line, "\nb\n", line))),
              ElementsAre("a", line, short_line, "b", line));
  EXPECT_THAT(AllLines(*Written(absl::StrCat("a\n", line, "x\nb\n"))),
              ElementsAre("a", HasSubstr("2: line is longer than 1048576")));
}

TEST_F(EventFileTest, FindsBadTextInItsTurn) {
  std::string text;
  std::vector<std::string> wanted;
  for (int i = 0; i < 20'000; ++i) {
    wanted.push_back(absl::StrCat("line ", i));
    text += wanted.back() + "\n";
  }
  wanted.push_back("20001: text is not UTF-8");
  EXPECT_EQ(AllLines(*Written(text + "\xFF\nrest\n")), wanted);
}

// Reading many lines at once gives what reading them one by one gives, in odd cases too.
TEST(EventRowsTest, AgreeWithSingleLines) {
  const std::vector<std::string> lines = {
      "E { a: 1, b: \"x\" }",
      "E { a: 2, b: \"y\" }",
      "  E { a: 3, b: \"y\" }",
      "E { a: 4.5, b: \"\" }",
      "E {a:5,b:\"z\"}",
      "E { a: -6, b: \"z\" };",
      "E { a: 7, b: \"z\", }",
      "E { a: 8 }",
      "E { }",
      "E {}",
      "E { a: 9, b: \"q\\\"uoted\" }",
      "E { a: 123456789012345, b: \"z\" }",
      "E { a: 1234567890123456789, b: \"z\" }",
      "E { a: 1234567.890123456789, b: 0.5 }",
      "E { a: -0.0, b: -0 }",
      "E { a: 5., b: .5 }",
      "E { a: true, b: null }",
      "E { a: 1e3, b: word }",
      "E { a: 10, b: \"x\", c: 5 }",
      "E { a: 11, b: \"x\" }\r",
      "E\t{ a: 12,\tb: \"x\" }",
      "E { b: \"x\", a: 13 }",
      "F { a: 14 }",
      "E { a: 15, b: \"x\" }",
      "F { a: 16 }",
      "E { a: 17, b: \"x\" }",
      "# comment",
      "",
      "@5ms E { a: 18, b: \"x\" }",
      "@5s E { a: 19, b: \"x\" }",
      "@7 E { a: 20, b: \"x\" }",
      "@2m E { a: 21, b: \"x\" }",
      "@12345678901ms E { a: 22, b: \"x\" }",
      "@6ms  E { a: 23, b: \"x\" }",
      "BATCH 90",
      "E { a: 24, b: \"x\" }",
      "Unread { a: 1, b: \"x\" }",
      "Unread { a: 2, b: \"x\" }",
      "{\"event_type\": \"E\", \"data\": {\"a\": 25, \"b\": \"x\"}}",
      "E(26, \"x\")",
      "E { a: [1, 2], b: {k: 1} }",
      "Long_type_name_of_more_than_sixteen_bytes { a: 27, a_rather_long_field_name_here: 1 }",
      "Long_type_name_of_more_than_sixteen_bytes { a: 28, a_rather_long_field_name_here: 2 }",
      "Long_type_name_of_more_than_sixteen_bytes { a: 29, a_rather_long_field_name_hers: 3 }",
  };
  constexpr std::string_view kProgram =
      "stream A = E .emit(a: a, b: b, t: timestamp)\n"
      "stream B = F .emit(a: a)\n"
      "stream C = Long_type_name_of_more_than_sixteen_bytes\n"
      "  .emit(a: a, l: a_rather_long_field_name_here)";
  uint64_t state = 1;
  std::string text;
  CollectedLines single;
  auto pipeline = CompileOrDie(kProgram);
  EventLineReader reader(pipeline->inputs(), nullptr, pipeline->arena());
  for (int i = 0; i < 5'000; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::string& line = lines[(state >> 33) % lines.size()];
    text += line + "\n";
    LineEvent event;
    ASSERT_TRUE(reader.Read(line, &event).ok()) << line;
    const RowRun run{event.type, 1};
    if (event.present) pipeline->PushRows({&run, 1}, Batch(&event.row, 1), single);
  }
  EXPECT_EQ(RunLines(kProgram, text), single.lines);
}

TEST(EventRowsTest, StopBeforeTheLineAtFault) {
  auto pipeline = CompileOrDie("stream S = E .emit(v: v)");
  EventLineReader reader(pipeline->inputs(), nullptr, pipeline->arena());
  const std::string text = "E { v: 1 }\nE { v: 2 }\nE { v: \"3 }\nE { v: 4 }\n" +
                           std::string(EventLineReader::kReadableBehind, '\0');
  std::string_view lines(text.data(), text.size() - EventLineReader::kReadableBehind);
  EventRows rows;
  ASSERT_TRUE(reader.ReadRows(&lines, 100, &rows).ok());
  EXPECT_EQ(rows.rows.size(), 1u);  // the first of a type is read with care
  ASSERT_TRUE(reader.ReadRows(&lines, 100, &rows).ok());
  EXPECT_EQ(rows.rows.size(), 1u);
  EXPECT_EQ(rows.lines, 1);
  EXPECT_THAT(std::string(reader.ReadRows(&lines, 100, &rows).message()),
              HasSubstr("string without closing quote"));
  EXPECT_TRUE(rows.rows.empty());
  EXPECT_EQ(lines.substr(0, 9), "E { v: \"3");
}

}  // namespace
}  // namespace varpulis::engine
