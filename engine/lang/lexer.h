#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/diagnostics.h"
#include "engine/lang/template.h"

namespace varpulis::engine {

inline constexpr size_t kMaxSourceBytes = 1 << 20;
inline constexpr int kMaxBracketDepth = 24;

enum class TokenKind { kEnd, kName, kInt, kFloat, kString, kDuration, kTimestamp, kSymbol, kError };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Span span;
  std::string_view text;     // as written; borrows the source
  std::string string;        // decoded, of a kString
  int64_t integer = 0;       // of a kInt, kDuration (ns), kTimestamp (ns)
  double real = 0;           // of a kFloat
  bool starts_line = false;  // the first token of its line
  int column = 0;            // bytes since the start of the line, from 0
  std::string_view indent;   // of a token that starts a line: what stands before it
  bool open_end = false;     // a kError that may have taken what belongs behind it along

  bool Is(std::string_view symbol_or_word) const {
    return (kind == TokenKind::kSymbol || kind == TokenKind::kName) && text == symbol_or_word;
  }
  bool IsSymbol(std::string_view symbol) const {
    return kind == TokenKind::kSymbol && text == symbol;
  }
};

// The tokens of `source`, ended by a kEnd. No word is reserved: keywords are kName. What is not a
// token is reported (E101, E102) and becomes a kError, about which there is nothing more to say.
// Spans are places in the original text when `map` tells where `source` comes from. Borrows
// `source`.
std::vector<Token> Lex(std::string_view source, DiagnosticList& diagnostics,
                       const SourceMap* map = nullptr);

}  // namespace varpulis::engine
