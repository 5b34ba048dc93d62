#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {

bool Parser::ParseEvent(Program& program) {
  const int column = LineColumn();
  const size_t begin = Take().span.begin;
  EventDecl event;
  if (!TakeName("the name of the event type", &event.name) ||
      !TakeOptionalName("extends", "the name of the parent type", &event.parent)) {
    return false;
  }
  if (Accept("{")) {
    if (!ParseEventFields(event, -1) || !Expect("}", "after the last field")) return false;
  } else {
    if (!Expect(":", "after the name of the event type")) return false;
    if (!ParseEventFields(event, column)) return false;
    if (event.fields.empty() && !event.parent.has_value()) return Unexpected("a field");
  }
  event.span = SpanFrom(begin);
  program.statements.emplace_back(std::move(event));
  return true;
}

// Fields on the line of the declaration, or on lines indented deeper than `column`; -1: in braces.
bool Parser::ParseEventFields(EventDecl& event, int column) {
  const Token& first = Peek();
  const bool block = first.starts_line && column >= 0;
  bool ok = true, same_indent = true;
  while (Peek().kind != TokenKind::kEnd && !(Peek().starts_line && Peek().column <= column)) {
    if (!block && !(AtName() && Peek(1).IsSymbol(":"))) break;
    if (column >= 0 && same_indent) same_indent = CheckIndent(first, Peek());
    const size_t before = at_;
    if (ParseEventField(event)) continue;
    if (!block) return false;
    // The next line is another field.
    ok = false;
    if (at_ == before) Take();
    while (Peek().kind != TokenKind::kEnd && !Peek().starts_line) Take();
  }
  if (block) return ok && same_indent;
  const bool ours = !Peek().starts_line || (column >= 0 && Peek().column > column);
  if (AtName() && ours && (column < 0 || !AtDeclaration())) return Unexpected("`name: type`");
  return same_indent;
}

bool Parser::ParseEventField(EventDecl& event) {
  if (!AtName() || !Peek(1).IsSymbol(":")) return Unexpected("`name: type`");
  EventField field;
  TakeName("a field", &field.name);
  Take();
  if (!ParseType(&field.type, &field.optional)) return false;
  event.fields.push_back(std::move(field));
  Accept(",");
  return true;
}

bool Parser::ParseType(std::string* type, bool* optional) {
  if (!Enter()) return false;
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
    }
    if (name.text == "Stream" && Accept("<") &&
        (!ParseType(&inner, &inner_optional) || !Expect(">", "after the type"))) {
      return false;
    }
  }
  const std::string_view last = tokens_[at_ - 1].text;
  *type = std::string(first.data(), static_cast<size_t>(last.data() + last.size() - first.data()));
  *optional = Accept("?");
  Leave();
  return true;
}

bool Parser::ParseFullType(std::string* type) {
  bool optional = false;
  if (!ParseType(type, &optional)) return false;
  if (optional) *type += '?';
  return true;
}

bool Parser::ParseTypeDecl(Program& program) {
  const size_t begin = Take().span.begin;
  TypeDecl decl;
  if (!TakeName("the name of the type", &decl.name) || !Expect("=", "before the type") ||
      !ParseFullType(&decl.type)) {
    return false;
  }
  decl.span = SpanFrom(begin);
  program.statements.emplace_back(std::move(decl));
  return true;
}

bool Parser::ParseConnector(Program& program) {
  const size_t begin = Take().span.begin;
  ConnectorDecl decl;
  if (!TakeName("the name of the connector", &decl.name) ||
      !Expect("=", "after the name of the connector") ||
      !TakeName("a kind of connector, such as `mqtt` or `kafka`", &decl.type) ||
      !Expect("(", "after the kind of connector") ||
      !ParseNamedList(decl.params, /*allow_bare=*/false) || !Expect(")", "after the parameters")) {
    return false;
  }
  decl.span = SpanFrom(begin);
  program.statements.emplace_back(std::move(decl));
  return true;
}

bool Parser::ParseContext(Program& program) {
  const size_t begin = Take().span.begin;
  ContextDecl decl;
  if (!TakeName("the name of the context", &decl.name)) return false;
  if (Accept("(")) {
    do {
      if (!ParseCores(decl)) return false;
    } while (Accept(","));
    if (!Expect(")", "after the parameters")) return false;
  }
  decl.span = SpanFrom(begin);
  program.statements.emplace_back(std::move(decl));
  return true;
}

bool Parser::ParseCores(ContextDecl& context) {
  if (!Accept("cores")) return Unexpected("`cores: [0, 1]`");
  if (!Expect(":", "after `cores`") || !Expect("[", "before the list of cores")) return false;
  do {
    if (Peek().kind != TokenKind::kInt) return Unexpected("the number of a core");
    context.cores.push_back(Take().integer);
  } while (Accept(","));
  return Expect("]", "after the list of cores");
}

bool Parser::ParseImport(Program& program) {
  const size_t begin = Take().span.begin;
  ImportDecl decl;
  const Token& path = Take();
  decl.path = {path.string, path.span};
  if (!TakeOptionalName("as", "an alias", &decl.alias)) return false;
  decl.span = SpanFrom(begin);
  program.statements.emplace_back(std::move(decl));
  return true;
}

bool Parser::ParseConfig(Program& program) {
  const int column = Peek().column;
  const size_t begin = Take().span.begin;
  ConfigDecl decl;
  if (Accept(":")) {
    if (!Peek().starts_line || Peek().column <= column) {
      return Unexpected("`name: value` on an indented line");
    }
    if (!ParseConfigEntries(decl, column)) return false;
  } else {
    TakeName("the name of the configuration", &decl.name);
    if (!Expect("{", "after the name of the configuration") || !ParseConfigEntries(decl, -1) ||
        !Expect("}", "after the last entry")) {
      return false;
    }
  }
  decl.span = SpanFrom(begin);
  program.statements.emplace_back(std::move(decl));
  return true;
}

// `name: value [,]`, on lines deeper than `column`.
bool Parser::ParseConfigEntries(ConfigDecl& config, int column) {
  const Token& first = Peek();
  while (!Peek().IsSymbol("}") && Peek().kind != TokenKind::kEnd &&
         !(Peek().starts_line && Peek().column <= column)) {
    if (column >= 0 && !CheckIndent(first, Peek())) return false;
    NamedExpr entry;
    if (!TakeName("`name: value`", &entry.label) || !Expect(":", "after the name")) return false;
    entry.expr = ParseExpr();
    if (entry.expr == nullptr) return false;
    config.params.push_back(std::move(entry));
    Accept(",");
  }
  return true;
}

}  // namespace varpulis::engine
