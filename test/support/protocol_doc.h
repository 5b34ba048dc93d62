#pragma once

#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

// Reading the project's own sources: what a document promises is compared with what the code does.
namespace varpulis::testing {

// A file of the source tree, which VARPULIS_SOURCE_DIR names.
inline std::string ReadSource(const std::string& path) {
  std::ifstream file(absl::StrCat(VARPULIS_SOURCE_DIR, "/", path));
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Everything that `pattern`'s only group matches, in order.
inline std::vector<std::string> AllMatches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
    found.push_back((*it)[1]);
  }
  return found;
}

// What stands between backticks.
inline std::vector<std::string> CodeIn(const std::string& text) {
  return AllMatches(text, "`([^`]+)`");
}

// The cells of the Markdown table that follows the line `heading`, without its head.
inline std::vector<std::vector<std::string>> TableUnder(const std::string& document,
                                                        const std::string& heading) {
  std::vector<std::vector<std::string>> rows;
  bool below = false;
  int line_of_table = 0;
  for (const absl::string_view line : absl::StrSplit(document, '\n')) {
    if (line == heading) below = true;
    if (!below) continue;
    if (!absl::StartsWith(line, "|")) {
      if (line_of_table > 0) break;
      continue;
    }
    if (++line_of_table <= 2) continue;  // the head and the rule under it
    std::vector<std::string> cells;
    for (const absl::string_view cell : absl::StrSplit(line, '|')) {
      cells.emplace_back(absl::StripAsciiWhitespace(cell));
    }
    rows.emplace_back(cells.begin() + 1, cells.end() - 1);  // nothing stands outside the bars
  }
  EXPECT_FALSE(rows.empty()) << "no table under " << heading;
  return rows;
}

}  // namespace varpulis::testing
