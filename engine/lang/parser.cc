#include "engine/lang/parser.h"

#include <utility>

#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

struct UnsupportedStatement {
  std::string_view keyword;
  std::string_view what;
};
constexpr UnsupportedStatement kUnsupported[] = {
    {"fn", "functions are"},
    {"pattern", "pattern declarations are"},
    {"connector", "connectors are"},
    {"context", "contexts are"},
    {"import", "imports are"},
    {"config", "`config` blocks are"},
    {"for", "`for` is"},
};

bool StartsStatement(const Token& token) {
  for (std::string_view word : {"stream", "event", "let", "var", "const", "fn", "pattern", "type",
                                "connector", "context", "import", "config"}) {
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

Program Parser::Run() {
  Program program;
  while (Peek().kind != TokenKind::kEnd && !diagnostics_.full()) {
    const size_t before = at_;
    const int column = Peek().column;
    depth_ = 0;
    if (!ParseStatement(program)) {
      if (at_ == before) Take();
      SkipStatement(column);
    }
  }
  return program;
}

// To the next line that can begin a statement: not indented deeper than the broken one, or opened
// by a keyword of a statement at its column.
void Parser::SkipStatement(int column) {
  while (Peek().kind != TokenKind::kEnd) {
    const Token& token = Peek();
    if (token.starts_line && token.column <= column && token.kind == TokenKind::kName &&
        (StartsStatement(token) || token.column < column || Peek(1).IsSymbol(":="))) {
      return;
    }
    Take();
  }
}

bool Parser::Accept(std::string_view text) {
  if (!Peek().Is(text)) return false;
  Take();
  return true;
}

Span Parser::SpanFrom(size_t begin) const {
  return {begin, at_ == 0 ? begin + 1 : tokens_[at_ - 1].span.end};
}

bool Parser::Unexpected(std::string_view expected) {
  const Token& token = Peek();
  std::string hint = SyntaxHint(token.text);
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

bool Parser::TakeName(std::string_view what, Name* name) {
  if (Peek().kind != TokenKind::kName) return Unexpected(what);
  const Token& token = Take();
  name->text = std::string(token.text);
  name->span = token.span;
  return true;
}

bool Parser::ParseStatement(Program& program) {
  const Token& token = Peek();
  const bool named = Peek(1).kind == TokenKind::kName;
  if (token.Is("stream") && named) return ParseStream(program);
  if (token.Is("event") && named) return ParseEvent(program);
  if (token.Is("type") && named) return ParseTypeDecl(program);
  if (named && token.Is("let")) return ParseVariable(VariableKind::kLet, program);
  if (named && token.Is("var")) return ParseVariable(VariableKind::kVar, program);
  if (named && token.Is("const")) return ParseVariable(VariableKind::kConst, program);
  if (token.kind == TokenKind::kName && Peek(1).IsSymbol(":=")) {
    return ParseVariable(VariableKind::kAssign, program);
  }
  return ParseUnsupported(program);
}

bool Parser::ParseUnsupported(Program& program) {
  const Token& token = Peek();
  const Token& next = Peek(1);
  for (const UnsupportedStatement& statement : kUnsupported) {
    if (!token.Is(statement.keyword)) continue;
    const bool fits = next.kind == TokenKind::kName ||
                      (token.Is("import") && next.kind == TokenKind::kString) ||
                      (token.Is("config") && next.IsSymbol(":"));
    if (!fits) continue;
    diagnostics_.Error(token.span, "E110",
                       Concat(statement.what, " not supported by this build yet"));
    UnsupportedDecl decl;
    decl.keyword = std::string(token.text);
    Take();
    if (Peek().kind == TokenKind::kName) {
      TakeName("a name", &decl.name);
      program.statements.emplace_back(std::move(decl));
    }
    return false;  // skips the rest of it
  }
  for (std::string_view word : {"if", "while", "emit", "return", "break", "continue"}) {
    if (token.Is(word) && !next.IsSymbol(".") && token.kind == TokenKind::kName) {
      diagnostics_.Error(token.span, "E104",
                         Concat("`", word, "` has no effect outside a function"));
      return false;
    }
  }
  return ParseLooseExpression(program);
}

// Any sequence of words would be one, so the word itself is what the message is about.
bool Parser::ParseLooseExpression(Program& program) {
  const Token& token = Peek();
  std::string hint = SyntaxHint(token.text);
  if (hint.empty() && token.kind == TokenKind::kName) {
    hint = DidYouMean(token.text, {"stream", "event", "let", "var", "const", "fn", "pattern",
                                   "type", "connector", "context", "import"});
  }
  if (token.kind != TokenKind::kName && token.kind != TokenKind::kInt &&
      token.kind != TokenKind::kFloat && token.kind != TokenKind::kString) {
    return Unexpected("a declaration");
  }
  diagnostics_.Error(token.span, "E104", "an expression is no declaration and has no effect here",
                     std::move(hint));
  return false;
}

bool Parser::ParseEvent(Program& program) {
  const int column = Peek().column;
  Take();
  EventDecl event;
  if (!TakeName("the name of the event type", &event.name)) return false;
  if (Accept("extends")) {
    event.parent.emplace();
    if (!TakeName("the name of the parent type", &*event.parent)) return false;
  }
  if (Accept("{")) {
    if (!ParseEventFields(event, -1) || !Expect("}", "after the last field")) return false;
  } else {
    if (!Expect(":", "after the name of the event type")) return false;
    if (!ParseEventFields(event, column)) return false;
    if (event.fields.empty() && !event.parent.has_value()) return Unexpected("a field");
  }
  program.statements.emplace_back(std::move(event));
  return true;
}

// Fields on the line of the declaration, or on lines indented deeper than `column`.
bool Parser::ParseEventFields(EventDecl& event, int column) {
  while (Peek().kind == TokenKind::kName && Peek(1).IsSymbol(":") &&
         !(Peek().starts_line && Peek().column <= column)) {
    EventField field;
    TakeName("a field", &field.name);
    Take();
    if (!ParseType(&field.type, &field.optional)) return false;
    event.fields.push_back(std::move(field));
    Accept(",");
  }
  if (Peek().kind == TokenKind::kName && !Peek().starts_line) return Unexpected("`name: type`");
  if (Peek().kind == TokenKind::kName && Peek().column > column && column >= 0) {
    return Unexpected("`name: type`");
  }
  return true;
}

bool Parser::ParseType(std::string* type, bool* optional) {
  if (++depth_ > kMaxParseDepth) {
    diagnostics_.Error(Peek().span, "E102", "type is too deeply nested");
    return false;
  }
  const std::string_view first = Peek().text;
  const std::string hint = SyntaxHint(first);
  bool inner_optional = false;
  std::string inner;
  if (Accept("[")) {
    if (!ParseType(&inner, &inner_optional) || !Expect("]", "after the type")) return false;
  } else if (Accept("{")) {
    if (!ParseType(&inner, &inner_optional) || !Expect(":", "between key and value type") ||
        !ParseType(&inner, &inner_optional) || !Expect("}", "after the type")) {
      return false;
    }
  } else if (Accept("(")) {
    do {
      if (!ParseType(&inner, &inner_optional)) return false;
    } while (Accept(","));
    if (!Expect(")", "after the types")) return false;
  } else {
    Name name;
    if (!TakeName("a type", &name)) return false;
    if (!hint.empty() && hint != "write `event`" && hint != "write `fn`") {
      diagnostics_.Error(name.span, "E100", Concat("`", name.text, "` is not a type"), hint);
      return false;
    }
    if (name.text == "Stream" && Accept("<") &&
        (!ParseType(&inner, &inner_optional) || !Expect(">", "after the type"))) {
      return false;
    }
  }
  const std::string_view last = tokens_[at_ - 1].text;
  *type = std::string(first.data(), static_cast<size_t>(last.data() + last.size() - first.data()));
  *optional = Accept("?");
  --depth_;
  return true;
}

bool Parser::ParseVariable(VariableKind kind, Program& program) {
  VariableDecl variable;
  variable.kind = kind;
  if (kind != VariableKind::kAssign) Take();
  if (!TakeName("a name", &variable.name)) return false;
  if (kind == VariableKind::kAssign) {
    Take();
  } else {
    std::string type;
    bool optional = false;
    if (Accept(":") && !ParseType(&type, &optional)) return false;
    if (!Expect("=", "before the value")) return false;
  }
  variable.value = ParseExpr();
  if (variable.value == nullptr) return false;
  program.statements.emplace_back(std::move(variable));
  return true;
}

bool Parser::ParseTypeDecl(Program& program) {
  Take();
  TypeDecl decl;
  std::string type;
  bool optional = false;
  if (!TakeName("the name of the type", &decl.name) || !Expect("=", "before the type") ||
      !ParseType(&type, &optional)) {
    return false;
  }
  program.statements.emplace_back(std::move(decl));
  return true;
}

}  // namespace varpulis::engine
