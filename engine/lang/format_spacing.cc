#include "engine/lang/format_spacing.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace varpulis::engine {
namespace {

// Words that are no operands: what follows is not their call or index.
bool IsOperatorWord(const FormatToken& token) {
  if (token.kind != TokenKind::kName) return false;
  for (std::string_view word :
       {"and", "or",     "not",   "in",     "is", "if",    "then", "else", "elif", "while",
        "for", "return", "where", "within", "as", "match", "on",   "by",   "all",  "extends"}) {
    if (token.text == word) return true;
  }
  return false;
}

bool IsOperand(const FormatToken& token) {
  return (token.kind != TokenKind::kSymbol && !IsOperatorWord(token)) || token.Is(")") ||
         token.Is("]") || token.Is("}");
}

bool IsOpen(const FormatToken& token) { return token.Is("(") || token.Is("[") || token.Is("{"); }
bool IsClose(const FormatToken& token) { return token.Is(")") || token.Is("]") || token.Is("}"); }

class Spacer {
 public:
  explicit Spacer(std::vector<FormatToken>& tokens) : tokens_(tokens) {}

  void Run() {
    for (at_ = 0; at_ < tokens_.size(); ++at_) {
      FormatToken& token = tokens_[at_];
      token.brackets = static_cast<int>(open_.size());
      if (token.starts_line && open_.empty() && !token.Is(".") && !token.Is("->")) {
        first_word_ = token.text;
      }
      token.space_before = at_ > 0 && Space(tokens_[at_ - 1], token);
      if (IsOpen(token)) {
        token.opens_block = token.Is("{") && OpensBlock();
        open_.push_back({token.text, token.opens_block});
      } else if (IsClose(token) && !open_.empty()) {
        open_.pop_back();
      }
    }
  }

 private:
  struct Bracket {
    std::string_view text;
    bool padded;
  };

  std::string_view Text(size_t index) const {
    return index < tokens_.size() ? tokens_[index].text : std::string_view();
  }
  bool In(std::string_view bracket) const { return !open_.empty() && open_.back().text == bracket; }

  // As the parser tells a body from a map; the braces of declarations look the same.
  bool OpensBlock() const {
    const std::string_view before = at_ > 0 ? Text(at_ - 1) : std::string_view();
    if (before == "=>") return Text(at_ + 1) != "}" && Text(at_ + 2) != ":";
    return open_.empty() && (first_word_ == "event" || first_word_ == "config") && before != ":";
  }

  // `+ * ?` behind the type of a step.
  bool IsRepeat(size_t index) const {
    if (Text(index) == "?") return true;
    if (Text(index) != "+" && Text(index) != "*") return false;
    if (index == 0 || tokens_[index - 1].kind != TokenKind::kName) return false;
    const std::string_view next = Text(index + 1);
    for (std::string_view word :
         {"as", "where", "within", "partition", "->", "AND", "OR", ",", ")", ""}) {
      if (next == word) return true;
    }
    return false;
  }

  bool IsUnary(size_t index) const {
    if (Text(index) == "~") return true;
    if (Text(index) != "-") return false;
    if (Text(index + 2) == "=>") return true;
    // A statement may begin with it; only its author knows.
    if (tokens_[index].starts_line && index + 1 < tokens_.size()) {
      return tokens_[index].span.end == tokens_[index + 1].span.begin;
    }
    return index == 0 || !IsOperand(tokens_[index - 1]) || IsRepeat(index - 1);
  }

  // `Stream<T>` has no spaces. The closing one is the next `>`.
  bool IsTypeBracket(size_t index) const {
    if (Text(index) == "<") return index > 0 && Text(index - 1) == "Stream";
    if (Text(index) != ">" && Text(index) != ">>") return false;
    for (size_t i = index; i-- > 0 && index - i < 16;) {
      if (Text(i) == "<") return IsTypeBracket(i);
    }
    return false;
  }

  bool Space(const FormatToken& before, const FormatToken& token) const {
    if (token.Is(",") || token.Is(":") || token.Is(")") || token.Is("]")) return false;
    if (token.Is("}")) return !open_.empty() && open_.back().padded;
    if (before.Is("(") || before.Is("[")) return false;
    if (before.Is("{")) return !open_.empty() && open_.back().padded;
    if (before.Is(":")) return !In("[");
    if (before.Is(",")) return true;
    if (token.Is("..") || token.Is("..=") || before.Is("..") || before.Is("..=")) return false;
    if (token.Is("?.") || before.Is("?.") || before.Is(".")) return false;
    if (token.Is(".")) return SpaceBeforeDot(before);
    if (IsTypeBracket(at_)) return false;
    if (before.Is("<") && IsTypeBracket(at_ - 1)) return false;
    if (IsRepeat(at_)) return false;
    if (IsUnary(at_ - 1)) return false;
    if (token.Is("(") || token.Is("[")) return SpaceBeforeBracket(before);
    return true;
  }

  // Operators of a stream stand apart from each other; members do not.
  bool SpaceBeforeDot(const FormatToken& before) const {
    const bool call = Text(at_ + 2) == "(" && Text(at_ + 1) != "from";
    if (call && open_.empty() && first_word_ == "stream") return true;
    return call && before.kind != TokenKind::kName && before.kind != TokenKind::kString &&
           before.kind != TokenKind::kSymbol;
  }

  bool SpaceBeforeBracket(const FormatToken& before) const {
    // `.not(…)` is an operator of a stream, whatever the word means elsewhere.
    if (at_ >= 2 && tokens_[at_ - 2].Is(".")) return false;
    if (!IsOperand(before)) return true;
    if (at_ >= 2 && tokens_[at_ - 2].Is("context") && open_.empty()) return true;
    const bool infix = before.Is("AND") || before.Is("OR");
    return infix && at_ >= 2 && IsOperand(tokens_[at_ - 2]);
  }

  std::vector<FormatToken>& tokens_;
  size_t at_ = 0;
  std::vector<Bracket> open_;
  std::string_view first_word_;
};

// Names of compile-time loops: `for NAME in` at the start of a line.
absl::flat_hash_set<std::string_view> LoopNames(const std::vector<Token>& tokens) {
  absl::flat_hash_set<std::string_view> names;
  for (size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (tokens[i].starts_line && tokens[i].Is("for") && tokens[i + 2].Is("in")) {
      names.insert(tokens[i + 1].text);
    }
  }
  return names;
}

}  // namespace

std::vector<FormatToken> FormatTokens(std::string_view source, const std::vector<Token>& tokens) {
  const absl::flat_hash_set<std::string_view> loops = LoopNames(tokens);
  std::vector<FormatToken> result;
  bool glue = false;  // the token before ends in `{i}`
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    const Token& token = tokens[i];
    const bool variable =
        token.IsSymbol("{") && i + 3 < tokens.size() && tokens[i + 2].IsSymbol("}") &&
        loops.contains(tokens[i + 1].text) &&
        tokens[i + 2].span.end - token.span.begin == tokens[i + 1].text.size() + 2;
    const bool word = token.kind == TokenKind::kName || token.kind == TokenKind::kInt ||
                      token.kind == TokenKind::kDuration;
    const Span span{token.span.begin, variable ? tokens[i + 2].span.end : token.span.end};
    const bool joins = !result.empty() && result.back().span.end == span.begin &&
                       (glue ? word || variable
                             : variable && (result.back().kind == TokenKind::kName ||
                                            result.back().kind == TokenKind::kInt));
    if (joins) {
      result.back().span.end = span.end;
    } else {
      FormatToken next;
      next.kind = variable ? TokenKind::kName : token.kind;
      next.span = span;
      next.starts_line = token.starts_line;
      next.column = token.column;
      result.push_back(next);
    }
    FormatToken& last = result.back();
    last.text = source.substr(last.span.begin, last.span.end - last.span.begin);
    if (variable) i += 2;
    glue = variable || (glue && joins);
  }
  Spacer(result).Run();
  return result;
}

}  // namespace varpulis::engine
