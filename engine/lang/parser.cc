#include "engine/lang/parser.h"

#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/source_text.h"

namespace varpulis::engine {
namespace {

constexpr std::string_view kStatementWords[] = {"stream",    "event",   "let",    "var",
                                                "const",     "fn",      "type",   "pattern",
                                                "connector", "context", "import", "config"};

bool StartsStatement(const Token& token) {
  return std::any_of(std::begin(kStatementWords), std::end(kStatementWords),
                     [&](std::string_view word) { return token.Is(word); });
}

// Where no statement ends, so that a next line goes on with it.
bool LeavesOpen(const Token& token) {
  return token.kind == TokenKind::kSymbol && !token.Is(")") && !token.Is("]") && !token.Is("}") &&
         !token.Is("?");
}

// Words that continue an expression or a stream between two names.
bool IsInfixWord(const Token& token) {
  for (std::string_view word : {"and", "or", "in", "is", "not", "as", "where", "then", "else",
                                "within", "partition", "on", "AND", "OR", "asc", "desc"}) {
    if (token.Is(word)) return true;
  }
  return false;
}

}  // namespace

std::string SyntaxHint(std::string_view word) {
  struct Remark {
    std::string_view word, use;
  };
  constexpr Remark kRemarks[] = {
      {"string", "str"},   {"String", "str"},   {"integer", "int"},  {"boolean", "bool"},
      {"double", "float"}, {"function", "fn"},  {"func", "fn"},      {"def", "fn"},
      {"class", "event"},  {"struct", "event"}, {"record", "event"}, {"elseif", "elif"},
      {"&&", "and"},       {"||", "or"},        {"!", "not"},
  };
  for (const Remark& remark : kRemarks) {
    if (remark.word == word) return Concat("write `", remark.use, "`");
  }
  return "";
}

Program ParseSource(std::string_view source, DiagnosticList& diagnostics) {
  const size_t invalid = FindInvalidUtf8(source);
  if (invalid != std::string_view::npos) {
    diagnostics.Error({invalid, invalid + 1}, "E140", "this is not UTF-8",
                      "a program is text in UTF-8; save the file in that encoding");
    return {};
  }
  const ExpandedSource expanded = ExpandTemplates(source, diagnostics);
  if (!expanded.changed) return Parser(Lex(source, diagnostics), diagnostics).Run();
  return Parser(Lex(expanded.text, diagnostics, &expanded.map), diagnostics).Run();
}

Program Parser::Run() {
  Program program;
  while (Peek().kind != TokenKind::kEnd && !diagnostics_.full()) {
    const size_t before = at_;
    const int column = Peek().column;
    depth_ = 0;
    mode_ = {};
    diagnostics_.set_muted(false);
    if (!ParseStatement(program)) {
      const Token& word = tokens_[before];
      const Token& name = tokens_[std::min(before + 1, tokens_.size() - 1)];
      if (StartsStatement(word) && name.kind == TokenKind::kName) {
        program.broken.emplace_back(name.text);
      }
      if (at_ == before) Take();
      SkipStatement(column);
    }
  }
  diagnostics_.set_muted(false);
  return program;
}

// To the next line that can begin a statement: not indented deeper than the broken one, and opened
// by a word of a statement, by two names in a row, which continue nothing, or by an assignment.
void Parser::SkipStatement(int column) {
  while (Peek().kind != TokenKind::kEnd && !AtStatementLine(column)) Take();
}

bool Parser::AtStatementLine(int column) const {
  const Token& token = Peek();
  const Token& next = Peek(1);
  if (!token.starts_line || token.column > column || token.kind != TokenKind::kName) return false;
  const bool two_names = next.kind == TokenKind::kName && !next.starts_line &&
                         !IsInfixWord(token) && !IsInfixWord(next);
  const bool word =
      StartsStatement(token) && (next.kind == TokenKind::kName || next.kind == TokenKind::kString ||
                                 (token.Is("config") && next.IsSymbol(":")));
  return word || two_names || token.column < column || next.IsSymbol(":=");
}

// The same behind a statement that is whole but has no effect: the next line may be another one.
void Parser::SkipLooseStatement(int column) {
  int depth = 0;
  for (bool first = true; Peek().kind != TokenKind::kEnd; first = false) {
    const Token& token = Peek();
    if (!first && depth <= 0) {
      const Token& last = tokens_[at_ - 1];
      const bool value = token.kind == TokenKind::kName || token.kind == TokenKind::kInt ||
                         token.kind == TokenKind::kFloat || token.kind == TokenKind::kString;
      const bool goes_on = LeavesOpen(last) || IsInfixWord(last) || IsInfixWord(token) ||
                           token.Is("elif") || Peek(1).IsSymbol(":");
      if (token.starts_line && token.column <= column && value && !goes_on) return;
      if (AtDeclaration()) return;
    }
    if (!first && !token.Is("elif") && AtStatementLine(column)) return;
    if (token.Is("(") || token.Is("[") || token.Is("{")) ++depth;
    if (token.Is(")") || token.Is("]") || token.Is("}")) --depth;
    Take();
  }
}

// A word that declares, and what follows it there. Declarations need no line of their own.
bool Parser::AtDeclaration(size_t ahead) const {
  const Token& token = Peek(ahead);
  const Token& next = Peek(ahead + 1);
  if (token.kind != TokenKind::kName) return false;
  if (next.IsSymbol(":=")) return true;
  if (token.Is("import")) return next.kind == TokenKind::kString;
  return StartsStatement(token) && next.kind == TokenKind::kName && !IsInfixWord(next);
}

bool Parser::Accept(std::string_view text) {
  if (!Peek().Is(text)) return false;
  Take();
  return true;
}

Span Parser::SpanFrom(size_t begin) const {
  return {begin, at_ == 0 ? begin + 1 : tokens_[at_ - 1].span.end};
}

bool Parser::Unexpected(std::string_view expected, std::string hint) {
  const Token& token = Peek();
  if (at_ > 0 && tokens_[at_ - 1].kind == TokenKind::kError) return false;  // reported
  if (hint.empty()) hint = SyntaxHint(token.text);
  if (hint.empty() && at_ > 0) hint = SyntaxHint(tokens_[at_ - 1].text);
  diagnostics_.Error(
      token.span, "E100",
      token.kind == TokenKind::kEnd
          ? Concat("the program ends where ", expected, " is expected")
          : Concat("`", token.text.substr(0, 40), "` where ", expected, " is expected"),
      std::move(hint));
  return false;
}

bool Parser::Expect(std::string_view symbol, std::string_view where) {
  if (Accept(symbol)) return true;
  return Unexpected(Concat("`", symbol, "` ", where));
}

// So that a broken statement does not take the first word of the next one for its own.
bool Parser::AtNextStatement() const {
  const Token& next = Peek(1);
  return Peek().starts_line && StartsStatement(Peek()) && next.kind == TokenKind::kName &&
         !next.starts_line && !IsInfixWord(next);
}

bool Parser::TakeName(std::string_view what, Name* name) {
  if (!AtName() || AtNextStatement()) return Unexpected(what);
  const Token& token = Take();
  name->text = std::string(token.text);
  name->span = token.span;
  return true;
}

bool Parser::TakeOptionalName(std::string_view word, std::string_view what,
                              std::optional<Name>* name) {
  if (!Accept(word)) return true;
  return TakeName(what, &name->emplace());
}

bool Parser::ParseStatement(Program& program) {
  const Token& token = Peek();
  const Token& next = Peek(1);
  const bool named = next.kind == TokenKind::kName;
  if (token.kind != TokenKind::kName) return ParseLooseStatement();
  if (token.Is("import") && next.kind == TokenKind::kString) return ParseImport(program);
  if (token.Is("config") && (named || next.IsSymbol(":"))) return ParseConfig(program);
  if (token.Is("stream") && named) return ParseStream(program);
  if (token.Is("event") && named) return ParseEvent(program);
  if (token.Is("type") && named) return ParseTypeDecl(program);
  if (token.Is("fn") && named) return ParseFunction(program);
  if (token.Is("pattern") && named) return ParsePattern(program);
  if (token.Is("connector") && named) return ParseConnector(program);
  if (token.Is("context") && named) return ParseContext(program);
  std::optional<VariableKind> variable;
  if (named && token.Is("let")) variable = VariableKind::kLet;
  if (named && token.Is("var")) variable = VariableKind::kVar;
  if (named && token.Is("const")) variable = VariableKind::kConst;
  if (next.IsSymbol(":=")) variable = VariableKind::kAssign;
  if (!variable.has_value()) return ParseLooseStatement();
  VariableDecl decl;
  if (!ParseVariable(*variable, &decl)) return false;
  program.statements.emplace_back(std::move(decl));
  return true;
}

// Any sequence of words would be an expression, so the first word is what the message is about.
bool Parser::ParseLooseStatement() {
  const Token& token = Peek();
  const Token& next = Peek(1);
  const int column = token.column;
  const bool behind_error = at_ > 0 && tokens_[at_ - 1].kind == TokenKind::kError;
  const bool before_error = next.kind == TokenKind::kError && StartsStatement(token);
  if ((behind_error && !token.starts_line) || before_error) return false;  // reported
  if (token.Is("import")) {
    Take();
    return Unexpected("the path of a file in quotes", "such as import \"lib/types.vpl\"");
  }
  for (std::string_view word :
       {"if", "for", "while", "emit", "return", "break", "continue", "elif", "else"}) {
    if (token.Is(word) && !next.IsSymbol(".") && !next.IsSymbol("(")) {
      diagnostics_.Error(token.span, "E104",
                         Concat("`", word, "` has no effect outside a function"),
                         word == "for" ? "a compile-time loop has literal bounds: for i in 0..4:"
                                       : "move it into a `fn` and call that in a stream");
      SkipLooseStatement(column);
      return true;
    }
  }
  if (token.kind != TokenKind::kName && token.kind != TokenKind::kInt &&
      token.kind != TokenKind::kFloat && token.kind != TokenKind::kString) {
    return Unexpected("a declaration");
  }
  std::string hint = SyntaxHint(token.text);
  if (hint.empty() && token.kind == TokenKind::kName) {
    hint = DidYouMean(token.text, std::vector<std::string>(std::begin(kStatementWords),
                                                           std::end(kStatementWords)));
  }
  diagnostics_.Error(token.span, "E104", "an expression is no declaration and has no effect here",
                     std::move(hint));
  SkipLooseStatement(column);
  return true;
}

}  // namespace varpulis::engine
