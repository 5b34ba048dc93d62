// What users read must be true: every program of examples/ and docs/language.md runs here, and
// gives byte for byte what stands next to it.

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "engine/lang/builtin_names.h"
#include "engine/lang/check.h"
#include "engine/lang/concat.h"
#include "engine/lang/diagnostics.h"

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

const std::string kRepository = VARPULIS_REPOSITORY;
const std::string kGuide = kRepository + "/docs/language.md";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Tells the first line that differs; `line` is that of `expected[0]` in the file.
void ExpectSameLines(const std::string& path, int line, const std::vector<std::string>& expected,
                     const std::vector<std::string>& actual, const std::string& what) {
  const auto at = [](const std::vector<std::string>& lines, size_t i) {
    return i < lines.size() ? lines[i] : std::string("(nothing)");
  };
  for (size_t i = 0; i < std::max(expected.size(), actual.size()); ++i) {
    if (at(expected, i) == at(actual, i)) continue;
    ADD_FAILURE_AT(path.c_str(), line + static_cast<int>(i))
        << what << "\nwritten: " << at(expected, i) << "\ncomes:   " << at(actual, i);
    return;
  }
}

// `{"stream":"Hot",…,"fields":{"c":1}}` as `Hot {"c":1}`.
std::string Short(const std::string& line) {
  const size_t name = line.find(':') + 2;
  std::string text = line.substr(name, line.find('"', name) - name);
  text += ' ';
  text += line.substr(line.find("\"fields\":") + 9);
  text.pop_back();
  return text;
}

std::vector<std::string> Outputs(std::string_view source, std::string_view events,
                                 size_t batch_rows) {
  CollectedLines sink;
  if (auto pipeline = CompileOrDie(source); pipeline != nullptr) {
    Feed(*pipeline, events, sink, batch_rows);
    pipeline->Finish(sink);
  }
  return std::move(sink.lines);
}

// ---- examples/ ----

TEST(ExamplesTest, GiveWhatStandsNextToThem) {
  const std::string guide = ReadFile(kGuide);
  int programs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kRepository + "/examples")) {
    if (entry.path().extension() != ".vpl") continue;
    ++programs;
    const std::string path = entry.path().string();
    const std::string base = path.substr(0, path.size() - 4);
    const std::string source = ReadFile(path);
    for (const Diagnostic& diagnostic : Pipeline::Check(source).diagnostics) {
      ADD_FAILURE_AT(path.c_str(), diagnostic.line) << FormatDiagnostic(diagnostic, source, "");
    }
    EXPECT_TRUE(source.starts_with("# ")) << path << " does not say what it shows";
    const std::string mention = Concat("examples/", entry.path().filename().string());
    EXPECT_NE(guide.find(mention), std::string::npos) << kGuide << " does not mention " << mention;
    const std::vector<std::string> expected = Lines(ReadFile(base + ".expected.jsonl"));
    EXPECT_FALSE(expected.empty()) << path;
    for (size_t batch_rows : {1, 7, 1024}) {
      ExpectSameLines(base + ".expected.jsonl", 1, expected,
                      Outputs(source, ReadFile(base + ".evt"), batch_rows),
                      Concat("with batches of ", batch_rows));
    }
  }
  EXPECT_GE(programs, 12);
}

// ---- docs/language.md ----

struct Block {
  std::string language;
  std::string text;
  int line = 0;  // of its first line
};

std::vector<Block> BlocksOf(const std::string& markdown) {
  std::vector<Block> blocks;
  bool inside = false;
  int number = 0;
  for (const std::string& line : Lines(markdown)) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({line.substr(3), "", number + 1});
    } else if (inside) {
      blocks.back().text.append(line).append("\n");
    }
  }
  return blocks;
}

class GuideTest : public testing::Test {
 protected:
  const std::string text_ = ReadFile(kGuide);
  const std::vector<Block> blocks_ = BlocksOf(text_);
};

TEST_F(GuideTest, ProgramsGiveWhatIsPrinted) {
  const Block* program = nullptr;
  const Block* events = nullptr;
  int outputs = 0;
  for (const Block& block : blocks_) {
    if (block.language == "vpl") {
      program = &block;
      events = nullptr;
    } else if (block.language == "evt") {
      events = &block;
    } else if (block.language == "jsonl" || block.language == "output") {
      if (program == nullptr || events == nullptr) {
        ADD_FAILURE_AT(kGuide.c_str(), block.line) << "outputs without program and events";
        continue;
      }
      ++outputs;
      for (size_t batch_rows : {1, 7, 1024}) {
        std::vector<std::string> actual = Outputs(program->text, events->text, batch_rows);
        if (block.language == "output")
          std::transform(actual.begin(), actual.end(), actual.begin(), Short);
        ExpectSameLines(kGuide, block.line, Lines(block.text), actual,
                        Concat("with batches of ", batch_rows));
      }
    }
  }
  EXPECT_GE(outputs, 20);
}

// A program is free of messages, but for event types that it does not declare, unless a block with
// the messages follows it.
TEST_F(GuideTest, ChecksSayWhatIsPrinted) {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    if (block.language != "vpl") continue;
    const bool shown = i + 1 < blocks_.size() && blocks_[i + 1].language == "diagnostics";
    std::string messages;
    for (const Diagnostic& diagnostic : Pipeline::Check(block.text).diagnostics) {
      const std::string message = FormatDiagnostic(diagnostic, block.text, "");
      messages += message;
      if (shown || diagnostic.code == "W030") continue;
      ADD_FAILURE_AT(kGuide.c_str(), block.line + diagnostic.line - 1) << message;
    }
    if (shown) {
      const Block& expected = blocks_[i + 1];
      ExpectSameLines(kGuide, expected.line, Lines(expected.text), Lines(messages), "messages");
    }
  }
}

// Lines `expression  # value`, over the event that the guide shows first.
TEST_F(GuideTest, ExpressionsHaveTheValuesPrinted) {
  const auto events = std::find_if(blocks_.begin(), blocks_.end(), [](const Block& block) {
    return block.language == "evt sample";
  });
  ASSERT_NE(events, blocks_.end());
  int values = 0;
  for (const Block& block : blocks_) {
    if (block.language != "values") continue;
    int number = block.line - 1;
    for (const std::string& line : Lines(block.text)) {
      ++number;
      if (line.empty()) continue;
      const size_t comment = line.rfind("  # ");
      if (comment == std::string::npos) {
        ADD_FAILURE_AT(kGuide.c_str(), number) << "no value: " << line;
        continue;
      }
      ++values;
      const std::string source =
          Concat("stream S = Sample .emit(v: ", line.substr(0, comment), ")");
      const std::vector<std::string> outputs = Outputs(source, events->text, 1);
      std::string actual = outputs.empty() ? "(no output)" : Short(outputs[0]);
      actual = actual == "S {}" ? "missing" : actual.substr(7, actual.size() - 8);  // S {"v":…}
      ExpectSameLines(kGuide, number, {line.substr(comment + 4)}, {actual}, line);
    }
  }
  EXPECT_GE(values, 100);
}

// The first strings of the entries `{"name", second…` of a table in a source file of the parser.
std::vector<std::string> NamesInTable(const std::string& file, std::string_view second) {
  std::vector<std::string> names;
  for (const std::string& line : Lines(ReadFile(kRepository + file))) {
    std::string_view rest = line;
    if (!rest.starts_with("    {\"")) continue;
    rest.remove_prefix(6);
    const size_t end = rest.find('"');
    if (end == std::string_view::npos) continue;
    const std::string_view behind = rest.substr(end);
    if (behind.starts_with(Concat("\", ", second))) {
      names.emplace_back(rest.substr(0, end));
    }
  }
  return names;
}

// `word` followed by `behind`, and not the end of a longer name.
bool Mentions(std::string_view text, std::string_view word, std::string_view behind) {
  const std::string whole = Concat(word, behind);
  for (size_t at = text.find(whole); at != std::string_view::npos; at = text.find(whole, at + 1)) {
    const char before = at == 0 ? ' ' : text[at - 1];
    if (std::isalnum(static_cast<unsigned char>(before)) == 0 && before != '_') return true;
  }
  return false;
}

// From the heading to the next of the same depth.
std::string_view Section(std::string_view text, std::string_view heading) {
  const size_t begin = text.find(Concat("\n## ", heading, "\n"));
  EXPECT_NE(begin, std::string_view::npos) << heading;
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find("\n## ", begin + 1) - begin);
}

TEST_F(GuideTest, NamesEveryOperator) {
  std::vector<std::string> names = NamesInTable("/engine/lang/parser_operator.cc", "OpKind::");
  EXPECT_GE(names.size(), 25u) << "where is the table of the operators?";
  const std::vector<std::string> refused =
      NamesInTable("/engine/lang/parser_operator.cc", "\"use ");
  EXPECT_GE(refused.size(), 3u);
  names.insert(names.end(), refused.begin(), refused.end());
  for (const std::string& name : names) {
    EXPECT_TRUE(Mentions(text_, Concat("`.", name), "`") ||
                Mentions(text_, Concat("`.", name), "("))
        << kGuide << " does not mention the operator ." << name;
  }
  const std::vector<std::string> signs =
      NamesInTable("/engine/lang/parser_expression.cc", "BinaryOp::");
  EXPECT_GE(signs.size(), 20u);
  const std::string_view section = Section(text_, "Operators in expressions");
  for (const std::string& sign : signs) {
    const std::string cell = Concat("`", sign == "|" ? "\\|" : sign, "`");  // of a table
    EXPECT_NE(section.find(cell), std::string_view::npos) << kGuide << " does not mention " << sign;
  }
}

TEST_F(GuideTest, NamesEveryFunction) {
  const std::string_view section = Section(text_, "Functions");
  for (const std::string& name : BuiltinNames()) {
    EXPECT_TRUE(Mentions(section, name, "(")) << kGuide << " does not mention " << name;
  }
}

TEST_F(GuideTest, NamesEveryAggregate) {
  // The message lists them when nothing is near.
  const CheckResult result = CheckSource("stream S = R .aggregate(x: qqqqqqqqqqqq(v))");
  std::string_view hint;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    if (diagnostic.code == "E070") hint = diagnostic.hint;
  }
  constexpr std::string_view kBefore = "there are ";
  ASSERT_TRUE(hint.starts_with(kBefore)) << hint;
  hint.remove_prefix(kBefore.size());
  const std::string_view section = Section(text_, "Aggregates");
  while (!hint.empty()) {
    const size_t end = std::min(hint.find(", "), hint.size());
    const std::string_view name = hint.substr(0, end);
    hint.remove_prefix(std::min(end + 2, hint.size()));
    EXPECT_TRUE(IsAggregateName(name)) << name;
    EXPECT_TRUE(Mentions(section, name, "(")) << kGuide << " does not mention " << name;
  }
}

}  // namespace
}  // namespace varpulis::engine
