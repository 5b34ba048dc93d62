#include "engine/lang/format.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "engine/lang/concat.h"
#include "engine/lang/format_spacing.h"
#include "engine/lang/parser.h"
#include "engine/lang/source_text.h"
#include "engine/lang/tree.h"

namespace varpulis::engine {
namespace {

constexpr int kIndent = 4;

class Formatter {
 public:
  Formatter(std::string_view source, std::vector<FormatToken> tokens)
      : source_(source), tokens_(std::move(tokens)) {
    levels_.push_back({});
  }

  std::string Run() {
    size_t end = 0;
    for (at_ = 0; at_ < tokens_.size(); ++at_) {
      Gap(end, tokens_[at_].span.begin);
      Put(tokens_[at_]);
      end = tokens_[at_].span.end;
    }
    at_ = tokens_.size();
    Gap(end, source_.size());
    while (!out_.empty() && (out_.back() == '\n' || out_.back() == ' ')) out_.pop_back();
    if (!out_.empty()) out_ += '\n';
    return std::move(out_);
  }

 private:
  // Lines of one block, or within one bracket.
  struct Level {
    bool bracket = false;
    int column = 0;       // of a block in the source
    int indent = 0;       // of its lines in the result
    int statement = 0;    // indentation of the statement at hand, or of the line with the bracket
    bool braces = false;  // a bracket whose first line begins a block
    bool loop = false;    // the body of a compile-time loop
  };

  // Comments and line breaks between two tokens.
  void Gap(size_t begin, size_t end) {
    newlines_ = 0;
    size_t line_start = begin;  // a comment behind a token has no column
    for (size_t i = begin; i < end;) {
      const char c = source_[i];
      if (c == '\n') {
        ++newlines_;
        line_start = ++i;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++i;
      } else {
        size_t stop = c == '/' && source_[i + 1] == '*' ? source_.find("*/", i) + 2
                                                        : std::min(source_.find('\n', i), end);
        std::string_view text = source_.substr(i, stop - i);
        while (!text.empty() &&
               (text.back() == ' ' || text.back() == '\r' || text.back() == '\t')) {
          text.remove_suffix(1);
        }
        PutComment(text, static_cast<int>(i - line_start));
        const size_t newline = text.rfind('\n');
        if (newline != std::string_view::npos) line_start = i + newline + 1;
        i = stop;
      }
    }
  }

  void Break() {
    if (out_.empty()) return;
    const bool opened = out_.back() == '(' || out_.back() == '[' || out_.back() == '{';
    out_ += newlines_ > 1 && !opened && !block_opened_ ? "\n\n" : "\n";
    newlines_ = 0;
  }

  void PutComment(std::string_view text, int column) {
    if (newlines_ == 0 && !out_.empty()) {
      out_ += after_comment_ || text[0] == '/' ? " " : "  ";
      if (text.substr(0, 2) == "//" && !after_comment_) out_ += ' ';
    } else {
      Break();
      out_.append(static_cast<size_t>(CommentIndent(column)), ' ');
    }
    out_ += text;
    after_comment_ = true;
  }

  // At the left edge a comment ends the body of a compile-time loop, so it stays there.
  int CommentIndent(int column) const {
    if (column == 0) return 0;
    const Level& top = levels_.back();
    if (top.bracket) return top.indent;
    // Before the first line of a block, its indentation is not known yet.
    if (block_opened_ && column > top.column) return top.statement + kIndent;
    for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
      if (level->bracket || column >= level->column) return level->indent;
    }
    return 0;
  }

  void Put(const FormatToken& token) {
    if (token.starts_line) {
      const bool alone = newlines_ > 0 || out_.empty();
      const int indent = LineIndent(token);
      if (alone) {
        Break();
        out_.append(static_cast<size_t>(indent), ' ');
      } else {
        out_ += ' ';  // behind a comment that ends on this line
      }
      line_indent_ = indent;
      block_opened_ = false;
    } else if (after_comment_ || token.space_before) {
      out_ += ' ';
    }
    after_comment_ = false;
    out_ += token.text;
    Track(token);
  }

  int LineIndent(const FormatToken& token) {
    if (token.Is(")") || token.Is("]") || token.Is("}")) {
      for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
        if (level->bracket) return level->statement;
      }
    }
    Level* top = &levels_.back();
    if (top->bracket && top->braces) {  // the first line in the braces
      levels_.push_back({false, token.column, top->indent, top->indent});
      return levels_.back().indent;
    }
    if (top->bracket) return top->indent;
    const bool chained = token.Is(".") || token.Is("->");
    if (Continues() && !IsDeclaration(levels_.front())) return top->statement + kIndent;
    if (block_opened_ && token.column > top->column && !chained) {
      const int indent = top->statement + kIndent;
      levels_.push_back({false, token.column, indent, indent, false, loop_opened_});
      return indent;
    }
    // A chain goes on whatever its column is, except behind the body of a compile-time loop.
    const bool behind_loop = token.column == 0 && levels_.size() > 1 && levels_[1].loop;
    if (chained && !behind_loop) return top->statement + kIndent;
    while (!levels_.back().bracket && levels_.size() > 1 && token.column < levels_.back().column) {
      levels_.pop_back();
    }
    top = &levels_.back();
    if (top->bracket) return top->indent;
    const bool continued = token.column > top->column && !IsDeclaration(*top);
    top->statement = continued ? top->indent + kIndent : top->indent;
    return top->statement;
  }

  // The line before ends where nothing can end, so its column does not matter.
  bool Continues() const {
    if (at_ == 0) return false;
    for (std::string_view last :
         {"+", "-", "*",   "/",  "%",   "**", "==", "!=",   "<=",    ">=",     "<",  "<<",
          "&", "|", "^",   "~",  "=",   ":=", "=>", "->",   "..",    "..=",    "??", "?.",
          ".", ",", "and", "or", "not", "in", "is", "then", "where", "within", "as"}) {
      if (tokens_[at_ - 1].Is(last)) return true;
    }
    return false;
  }

  // At top level a declaration is one at any column.
  bool IsDeclaration(const Level& level) const {
    if (levels_.size() > 1 || level.bracket || at_ + 1 >= tokens_.size()) return false;
    if (tokens_[at_ + 1].kind != TokenKind::kName || tokens_[at_ + 1].starts_line) return false;
    for (std::string_view word : {"stream", "event", "let", "var", "const", "fn", "type", "pattern",
                                  "connector", "context"}) {
      if (tokens_[at_].Is(word)) return true;
    }
    return false;
  }

  void Track(const FormatToken& token) {
    if (token.Is("(") || token.Is("[") || token.Is("{")) {
      levels_.push_back({true, 0, line_indent_ + kIndent, line_indent_, token.opens_block});
    } else if (token.Is(")") || token.Is("]") || token.Is("}")) {
      while (levels_.size() > 1 && !levels_.back().bracket) levels_.pop_back();
      if (levels_.size() > 1) levels_.pop_back();
    }
    const bool last = at_ + 1 == tokens_.size() || tokens_[at_ + 1].starts_line;
    block_opened_ = token.Is(":") && last && !levels_.back().bracket;
    if (token.starts_line && token.column == 0) loop_opened_ = token.Is("for");
  }

  std::string_view source_;
  std::vector<FormatToken> tokens_;
  size_t at_ = 0;
  std::string out_;
  std::vector<Level> levels_;
  int newlines_ = 0;     // since the last token or comment
  int line_indent_ = 0;  // of the line being written
  bool after_comment_ = false;
  bool loop_opened_ = false;   // the last statement at the left edge is a `for`
  bool block_opened_ = false;  // the line before ends in a colon
};

std::string Tree(std::string_view source, std::string* errors) {
  DiagnosticList diagnostics(source);
  const Program program = ParseSource(source, diagnostics);
  for (const Diagnostic& diagnostic : diagnostics.Take()) {
    if (diagnostic.severity == Severity::kError)
      *errors += FormatDiagnostic(diagnostic, source, "");
  }
  return TreeText(TreeOf(program));
}

}  // namespace

absl::StatusOr<std::string> FormatSource(std::string_view source) {
  source.remove_prefix(ByteOrderMark(source));
  if (source.size() > kMaxSourceBytes) {
    return absl::InvalidArgumentError(
        Concat("the program is larger than ", kMaxSourceBytes, " bytes\n"));
  }
  std::string errors;
  const std::string before = Tree(source, &errors);
  DiagnosticList diagnostics(source);
  const std::vector<Token> tokens = Lex(source, diagnostics);
  if (errors.empty() && diagnostics.has_errors()) {
    errors = "a compile-time `for` makes tokens that are none by themselves\n";
  }
  if (!errors.empty()) return absl::InvalidArgumentError(errors);
  std::string formatted = Formatter(source, FormatTokens(source, tokens)).Run();
  if (Tree(formatted, &errors) != before || !errors.empty()) {
    return absl::FailedPreconditionError(
        "lines of one block begin at different columns, and moving them would change the "
        "meaning\n");
  }
  return formatted;
}

}  // namespace varpulis::engine
