#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {
namespace {

struct KnownOp {
  std::string_view name;
  OpKind kind;
};
constexpr KnownOp kOps[] = {
    {"where", OpKind::kWhere},
    {"filter", OpKind::kWhere},
    {"having", OpKind::kHaving},
    {"select", OpKind::kSelect},
    {"map", OpKind::kMap},
    {"window", OpKind::kWindow},
    {"aggregate", OpKind::kAggregate},
    {"partition_by", OpKind::kPartitionBy},
    {"emit", OpKind::kEmit},
    {"process", OpKind::kProcess},
    {"distinct", OpKind::kDistinct},
    {"limit", OpKind::kLimit},
    {"first", OpKind::kLimit},
    {"order_by", OpKind::kOrderBy},
    {"print", OpKind::kPrint},
    {"log", OpKind::kLog},
    {"tap", OpKind::kTap},
    {"pattern", OpKind::kPattern},
    {"within", OpKind::kWithin},
    {"not", OpKind::kNot},
    {"on", OpKind::kOn},
    {"to", OpKind::kTo},
    {"watermark", OpKind::kWatermark},
    {"allowed_lateness", OpKind::kAllowedLateness},
    {"context", OpKind::kContext},
    {"trend_aggregate", OpKind::kTrendAggregate},
    {"forecast", OpKind::kForecast},
    {"enrich", OpKind::kEnrich},
    {"score", OpKind::kScore},
};

// Not implemented on purpose (vpl.md §1.6, last row), with what to use instead.
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
  for (const KnownOp& op : kOps) names.emplace_back(op.name);
  return names;
}

}  // namespace

bool Parser::ParseOp(StreamDecl& stream) {
  StreamOp op;
  const size_t begin = Peek().span.begin;
  if (Peek().IsSymbol("->")) {
    op.kind = OpKind::kStep;
    op.name = {"->", Take().span};
    if (!ParseStep(op.step)) return false;
  } else {
    Take();
    if (!TakeName("the name of an operator", &op.name) || !ParseNamedOp(op)) return false;
  }
  op.span = SpanFrom(begin);
  stream.ops.push_back(std::move(op));
  return true;
}

bool Parser::ParseNamedOp(StreamOp& op) {
  for (const KnownOp& known : kOps) {
    if (known.name != op.name.text) continue;
    op.kind = known.kind;
    if (op.kind == OpKind::kEmit && !TakeOptionalName("as", "an event type", &op.emit_as)) {
      return false;
    }
    return Expect("(", Concat("after `.", op.name.text, "`")) && ParseOpArguments(op) &&
           Expect(")", Concat("after the arguments of `.", op.name.text, "`"));
  }
  const std::string text = Concat("`.", op.name.text, "`");
  for (const RefusedOp& refused : kRefused) {
    if (refused.name != op.name.text) continue;
    diagnostics_.Error(op.name.span, "E090", Concat(text, " is not implemented"),
                       std::string(refused.hint));
    SkipArguments();
    return true;
  }
  std::string hint = DidYouMean(op.name.text, OpNames());
  if (op.name.text == "from") hint = "it follows the event type at once: T.from(connector, …)";
  diagnostics_.Error(op.name.span, "E100", Concat("there is no operator ", text), std::move(hint));
  SkipArguments();
  return true;
}

// The brackets of an operator that was reported.
void Parser::SkipArguments() {
  if (!Peek().IsSymbol("(")) return;
  int depth = 0;
  do {
    if (Peek().IsSymbol("(")) ++depth;
    if (Peek().IsSymbol(")")) --depth;
    if (Peek().kind == TokenKind::kEnd) return;
    Take();
  } while (depth > 0);
}

bool Parser::ParseOpArguments(StreamOp& op) {
  switch (op.kind) {
    case OpKind::kSelect:
    case OpKind::kTap:
      return ParseNamedList(op.named, /*allow_bare=*/true);
    case OpKind::kEmit:
    case OpKind::kAggregate:
    case OpKind::kLog:
    case OpKind::kWatermark:
    case OpKind::kTrendAggregate:
    case OpKind::kForecast:
    case OpKind::kScore:
      return ParseNamedList(op.named, /*allow_bare=*/false);
    case OpKind::kDistinct:
      if (Peek().IsSymbol(")")) return true;
      op.expr = ParseExpr();
      return op.expr != nullptr;
    case OpKind::kLimit:
      return ParseLimit(op);
    case OpKind::kWindow:
      return ParseWindow(op);
    case OpKind::kOrderBy:
      return ParseOrderBy(op);
    case OpKind::kPrint:
      return ParseExprList(op.args);
    case OpKind::kContext:
      return TakeName("the name of a context", &op.target);
    case OpKind::kTo:
    case OpKind::kEnrich:
      return ParseTarget(op);
    case OpKind::kNot:
      op.step.negated = true;
      return ParseStep(op.step);
    case OpKind::kPattern:
      return ParsePatternOp(op);
    case OpKind::kWhere:
    case OpKind::kHaving:
    case OpKind::kMap:
    case OpKind::kPartitionBy:
    case OpKind::kProcess:
    case OpKind::kAllowedLateness:
    case OpKind::kOn:
    case OpKind::kWithin:
      op.expr = ParseExpr();
      return op.expr != nullptr;
    case OpKind::kStep:
    case OpKind::kUnsupported:
      break;
  }
  return true;
}

bool Parser::ParseLimit(StreamOp& op) {
  op.count = 1;
  if (op.name.text == "first") return true;
  if (Peek().kind != TokenKind::kInt || !Peek(1).IsSymbol(")")) {
    diagnostics_.Error(Peek().span, "E105", "`.limit` takes a literal whole number",
                       "such as .limit(10)");
    return false;
  }
  op.count = Take().integer;
  return true;
}

// `size [, sliding: s]`, `session: gap`, each with `policy: e`.
bool Parser::ParseWindow(StreamOp& op) {
  WindowSpec& window = op.window;
  do {
    const bool labelled = AtName() && Peek(1).IsSymbol(":");
    ExprPtr* part = &window.size;
    if (labelled) {
      const Token& label = Peek();
      part = label.Is("sliding")   ? &window.sliding
             : label.Is("session") ? &window.session
             : label.Is("policy")  ? &window.policy
                                   : nullptr;
      if (part == nullptr) {
        return Unexpected("`sliding:`, `session:` or `policy:`",
                          DidYouMean(label.text, {"sliding", "session", "policy"}));
      }
    }
    if (*part != nullptr) return Unexpected("another argument than one given before");
    if (labelled) {
      Take();
      Take();
    }
    *part = ParseExpr();
    if (*part == nullptr) return false;
  } while (Accept(","));
  const bool fits = window.session != nullptr ? window.size == nullptr && window.sliding == nullptr
                                              : window.size != nullptr;
  if (fits) return true;
  diagnostics_.Error(op.name.span, "E105", "`.window` takes a size or a `session:` gap",
                     "write .window(5s), .window(5s, sliding: 1s), .window(10) or "
                     ".window(session: 30s)");
  return false;
}

bool Parser::ParseOrderBy(StreamOp& op) {
  do {
    ExprPtr key = ParseExpr();
    if (key == nullptr) return false;
    op.args.push_back(std::move(key));
    const bool descending = Accept("desc");
    if (!descending) Accept("asc");
    op.descending.push_back(descending);
  } while (Accept(","));
  return true;
}

bool Parser::ParseExprList(std::vector<ExprPtr>& list) {
  while (!Peek().IsSymbol(")")) {
    ExprPtr expr = ParseExpr();
    if (expr == nullptr) return false;
    list.push_back(std::move(expr));
    if (!Accept(",") && !Peek().IsSymbol(")")) return Unexpected("`,` or `)`");
  }
  return true;
}

bool Parser::ParseTarget(StreamOp& op) {
  if (!TakeName("the name of a connector", &op.target)) return false;
  return !Accept(",") || ParseNamedList(op.named, /*allow_bare=*/false);
}

// n: events => e
bool Parser::ParsePatternOp(StreamOp& op) {
  NamedExpr named;
  if (!TakeName("`name: events => condition`", &named.label) || !Expect(":", "after the name")) {
    return false;
  }
  const Span begin = Peek().span;
  named.expr = ParseExpr();
  if (named.expr == nullptr) return false;
  if (Peek().IsSymbol("->") || named.expr->kind != ExprKind::kLambda) {
    diagnostics_.Error(begin, "E105", "`.pattern` takes a function of the batch",
                       "write n: events => condition; for sequences of events use steps: "
                       "stream S = A as a -> B as b");
    return false;
  }
  op.named.push_back(std::move(named));
  return true;
}

bool Parser::ParseNamedList(std::vector<NamedExpr>& list, bool allow_bare) {
  const ModeScope scope(*this, {});
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
    list.push_back(std::move(named));
    if (!Accept(",") && !Peek().IsSymbol(")")) return Unexpected("`,` or `)`");
  }
  return true;
}

}  // namespace varpulis::engine
