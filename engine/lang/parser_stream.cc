#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {
namespace {

struct KnownOp {
  std::string_view name;
  OpKind kind;
};
constexpr KnownOp kSupported[] = {
    {"where", OpKind::kWhere},   {"filter", OpKind::kWhere}, {"having", OpKind::kHaving},
    {"select", OpKind::kSelect}, {"emit", OpKind::kEmit},    {"distinct", OpKind::kDistinct},
    {"limit", OpKind::kLimit},   {"first", OpKind::kLimit},
};
// Of the language, but of a later build.
constexpr std::string_view kLater[] = {
    "window",
    "aggregate",
    "partition_by",
    "process",
    "order_by",
    "print",
    "log",
    "tap",
    "pattern",
    "within",
    "not",
    "on",
    "to",
    "from",
    "map",
    "context",
    "watermark",
    "forecast",
    "enrich",
    "score",
    "allowed_lateness",
    "trend_aggregate",
};
// Never implemented (vpl.md §1.6, last row), with what to use instead.
struct RefusedOp {
  std::string_view name, hint;
};
constexpr RefusedOp kRefused[] = {
    {"concurrent", "use `context` declarations and `.context(…)`"},
    {"on_error", "events with errors have no value there: test with `is null` or use `??`"},
    {"collect", "use `.window(…)` with `.aggregate(all: collect(x))`"},
    {"fork", "declare several streams over the same source"},
    {"any", "use `or` in one `.where(…)`"},
    {"all", "use `and` in one `.where(…)`"},
};

std::vector<std::string> OpNames() {
  std::vector<std::string> names;
  for (const KnownOp& op : kSupported) names.emplace_back(op.name);
  for (std::string_view op : kLater) names.emplace_back(op);
  return names;
}

}  // namespace

bool Parser::ParseStream(Program& program) {
  Take();
  StreamDecl stream;
  if (!TakeName("the name of the stream", &stream.name)) return false;
  if (Accept(":")) {
    std::string type;
    bool optional = false;
    if (!ParseType(&type, &optional)) return false;
  }
  if (!Expect("=", "after the name of the stream")) return false;
  if (!ParseSource(stream)) return false;
  while (Peek().IsSymbol(".") || Peek().IsSymbol("->")) {
    if (!ParseOp(stream)) return false;
  }
  const Token& after = Peek();
  program.statements.emplace_back(std::move(stream));
  if (after.kind != TokenKind::kEnd && !after.starts_line) {
    return Unexpected("`.operator(…)` or a new line");
  }
  return true;
}

bool Parser::ParseSource(StreamDecl& stream) {
  const Token& token = Peek();
  for (std::string_view word : {"merge", "join", "sequence", "timer"}) {
    if (!token.Is(word) || !Peek(1).IsSymbol("(")) continue;
    diagnostics_.Error(token.span, "E110",
                       Concat("`", word, "(…)` is not supported by this build yet"));
    stream.source.type = {"", token.span};
    Take();
    SkipBrackets();
    return true;
  }
  if (token.Is("all") && Peek(1).kind == TokenKind::kName && !Peek(1).starts_line) Take();
  if (!TakeName("an event type or a stream", &stream.source.type)) return false;
  if (Accept("as")) {
    stream.source.alias.emplace();
    if (!TakeName("an alias", &*stream.source.alias)) return false;
  }
  return true;
}

// One message per operator; its brackets are skipped, and a step's words.
void Parser::SkipUnsupportedOp() {
  while (!Peek().IsSymbol("(") && Peek().kind == TokenKind::kName && !Peek().starts_line) Take();
  SkipBrackets();
}

void Parser::SkipBrackets() {
  if (!Peek().IsSymbol("(")) return;
  int depth = 0;
  do {
    if (Peek().IsSymbol("(")) ++depth;
    if (Peek().IsSymbol(")")) --depth;
    if (Peek().kind == TokenKind::kEnd) return;
    Take();
  } while (depth > 0);
}

bool Parser::ParseOp(StreamDecl& stream) {
  StreamOp op;
  if (Peek().IsSymbol("->")) {
    diagnostics_.Error(Peek().span, "E110",
                       "pattern steps (`->`) are not supported by this build yet");
    op.name = {"->", Take().span};
    // The step's own filter may be any expression; the next operator begins a line or follows `)`.
    while (Peek().kind != TokenKind::kEnd && !Peek().IsSymbol("->") &&
           !(Peek().IsSymbol(".") && Peek(2).IsSymbol("(")) &&
           !(Peek().starts_line && Peek().kind == TokenKind::kName)) {
      if (Peek().IsSymbol("(")) {
        SkipBrackets();
      } else {
        Take();
      }
    }
    stream.ops.push_back(std::move(op));
    return true;
  }
  Take();
  if (!TakeName("the name of an operator", &op.name)) return false;
  for (const KnownOp& known : kSupported) {
    if (known.name != op.name.text) continue;
    op.kind = known.kind;
    if (!ParseOpArguments(op)) return false;
    stream.ops.push_back(std::move(op));
    return true;
  }
  const std::string text = Concat("`.", op.name.text, "`");
  bool reported = false;
  for (std::string_view later : kLater) {
    if (later != op.name.text) continue;
    diagnostics_.Error(op.name.span, "E110", Concat(text, " is not supported by this build yet"));
    reported = true;
  }
  for (const RefusedOp& refused : kRefused) {
    if (reported || refused.name != op.name.text) continue;
    diagnostics_.Error(op.name.span, "E090", Concat(text, " is not implemented"),
                       std::string(refused.hint));
    reported = true;
  }
  if (!reported) {
    diagnostics_.Error(op.name.span, "E100", Concat("there is no operator ", text),
                       DidYouMean(op.name.text, OpNames()));
  }
  SkipUnsupportedOp();
  stream.ops.push_back(std::move(op));
  return true;
}

bool Parser::ParseOpArguments(StreamOp& op) {
  if (op.kind == OpKind::kEmit) return ParseEmit(op);
  if (!Expect("(", Concat("after `.", op.name.text, "`"))) return false;
  switch (op.kind) {
    case OpKind::kSelect:
      if (!ParseNamedList(op, /*allow_bare=*/true)) return false;
      break;
    case OpKind::kWhere:
    case OpKind::kHaving:
      op.expr = ParseExpr();
      if (op.expr == nullptr) return false;
      break;
    case OpKind::kDistinct:
      if (Peek().IsSymbol(")")) break;
      op.expr = ParseExpr();
      if (op.expr == nullptr) return false;
      break;
    case OpKind::kLimit:
      op.count = 1;
      if (op.name.text == "first") break;
      if (Peek().kind != TokenKind::kInt || !Peek(1).IsSymbol(")")) {
        diagnostics_.Error(Peek().span, "E105", "`.limit` takes a literal whole number",
                           "such as .limit(10)");
        return false;
      }
      op.count = Take().integer;
      break;
    case OpKind::kEmit:
    case OpKind::kUnsupported:
      break;
  }
  return Expect(")", Concat("after the argument of `.", op.name.text, "`"));
}

bool Parser::ParseEmit(StreamOp& op) {
  if (Accept("as")) {
    op.emit_as.emplace();
    if (!TakeName("an event type", &*op.emit_as)) return false;
  }
  return Expect("(", "after `.emit`") && ParseNamedList(op, /*allow_bare=*/false) &&
         Expect(")", "after the fields");
}

// `f: e`, and `f` for `f: f` where allowed.
bool Parser::ParseNamedList(StreamOp& op, bool allow_bare) {
  while (!Peek().IsSymbol(")")) {
    NamedExpr named;
    const Token& token = Peek();
    if (token.kind != TokenKind::kName) return Unexpected("a field name");
    if (Peek(1).IsSymbol(":")) {
      TakeName("a field name", &named.label);
      Take();
    } else if (allow_bare && (Peek(1).IsSymbol(",") || Peek(1).IsSymbol(")"))) {
      named.label = {std::string(token.text), token.span};
    } else {
      Take();
      return Unexpected("`:` after the field name");
    }
    named.expr = ParseExpr();
    if (named.expr == nullptr) return false;
    op.named.push_back(std::move(named));
    if (!Accept(",") && !Peek().IsSymbol(")")) return Unexpected("`,` or `)`");
  }
  return true;
}

}  // namespace varpulis::engine
