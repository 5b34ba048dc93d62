#pragma once

#include <string_view>
#include <vector>

#include "engine/lang/lexer.h"

namespace varpulis::engine {

// A token as the formatter sees it: `Zone{i}` of a compile-time loop is one word.
struct FormatToken {
  std::string_view text;
  TokenKind kind = TokenKind::kEnd;
  Span span;
  bool starts_line = false;
  int column = 0;
  bool space_before = false;  // when it does not start a line
  int brackets = 0;           // open before it
  bool opens_block = false;   // `{` of a function's body

  bool Is(std::string_view word) const { return kind != TokenKind::kString && text == word; }
};

std::vector<FormatToken> FormatTokens(std::string_view source, const std::vector<Token>& tokens);

}  // namespace varpulis::engine
