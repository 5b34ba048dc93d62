#include <algorithm>
#include <utility>

#include "engine/lang/checker.h"
#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

std::string List(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) ConcatTo(&list, list.empty() ? "" : ", ", name);
  return list;
}

const Expr* Find(const StreamOp& op, std::string_view label) {
  for (const NamedExpr& named : op.named) {
    if (named.label.text == label) return named.expr.get();
  }
  return nullptr;
}

bool IsString(const Expr& expr) {
  return expr.kind == ExprKind::kLiteral && expr.literal.kind == LiteralKind::kString;
}

}  // namespace

std::shared_ptr<Checker::Shape> Checker::NewShape(const Chain& chain) const {
  auto shape = std::make_shared<Shape>();
  shape->owner = Concat("stream `", chain.stream.name.text, "` at this point");
  return shape;
}

void Checker::Replace(Chain& chain, ShapePtr shape) {
  chain.scope.shape = std::move(shape);
  chain.scope.captures.clear();
  chain.scope.parts = nullptr;
}

void Checker::CheckOp(const StreamOp& op, Chain& chain) {
  Scope& scope = chain.scope;
  switch (op.kind) {
    case OpKind::kWhere:
    case OpKind::kHaving:
      return CheckCondition(op, scope);
    case OpKind::kSelect:
    case OpKind::kEmit:
    case OpKind::kTap:
      return CheckFields(op, chain);
    case OpKind::kMap:
      return CheckMap(op, chain);
    case OpKind::kWindow:
      return CheckWindow(op, chain);
    case OpKind::kAggregate:
      return CheckAggregate(op, chain);
    case OpKind::kPartitionBy:
      return CheckPartition(op, chain);
    case OpKind::kTrendAggregate:
      return CheckTrendAggregate(op, chain);
    case OpKind::kProcess:
      CheckExpr(*op.expr, scope);
      return Replace(chain, nullptr);
    case OpKind::kDistinct:
      if (op.expr != nullptr) CheckExpr(*op.expr, scope);
      return;
    case OpKind::kOrderBy:
    case OpKind::kPrint:
      for (const ExprPtr& arg : op.args) CheckExpr(*arg, scope);
      return;
    case OpKind::kLog:
      return CheckLog(op, scope);
    case OpKind::kPattern:
      return CheckLambda(*op.named[0].expr, 1, scope, /*takes_event=*/false);
    case OpKind::kWithin:
      return CheckDuration(*op.expr, "`.within`");
    case OpKind::kAllowedLateness:
      return CheckDuration(*op.expr, "`.allowed_lateness`");
    case OpKind::kWatermark:
      if (!CheckLabels(op, {"out_of_order"})) return;
      if (const Expr* slack = Find(op, "out_of_order")) CheckDuration(*slack, "`out_of_order`");
      return;
    case OpKind::kContext:
      return CheckContext(op.target);
    case OpKind::kTo: {
      const ConnectorDecl* connector = FindConnector(op.target);
      if (connector != nullptr) CheckConnectorParams(*connector, /*from=*/false, op.named);
      return CheckParams(op.named);
    }
    case OpKind::kEnrich:
      return CheckEnrich(op, chain);
    case OpKind::kScore:
      return CheckScore(op, chain);
    case OpKind::kForecast:
      return CheckForecast(op, chain);
    case OpKind::kUnsupported:
      return Replace(chain, nullptr);
    case OpKind::kStep:
    case OpKind::kNot:
    case OpKind::kOn:
    case OpKind::kLimit:
      return;  // looked at already
  }
}

void Checker::CheckFields(const StreamOp& op, Chain& chain) {
  Scope& scope = chain.scope;
  std::shared_ptr<Shape> next = NewShape(chain);
  for (const NamedExpr& named : op.named) {
    const std::string& label = named.label.text;
    // The name of a context, which becomes no field.
    if (op.kind == OpKind::kEmit && label == "context" && named.expr->kind == ExprKind::kName) {
      if (!context_names_.contains(named.expr->text)) {
        diagnostics_.Warn(named.expr->span, "W105",
                          Concat("there is no context `", named.expr->text, "`"),
                          WarningHint(named.expr->text, [&] { return Sorted(context_names_); }));
      }
      continue;
    }
    CheckExpr(*named.expr, scope);
    if (next->set.contains(label)) {
      diagnostics_.Warn(named.label.span, "W101", Concat("field `", label, "` is given twice"),
                        "the last one counts");
    }
    next->Add(label);
  }
  if (op.kind == OpKind::kTap) return;
  if (op.emit_as.has_value() && !events_.contains(op.emit_as->text) &&
      !broken_.contains(op.emit_as->text)) {
    const std::string nearest = WarningHint(op.emit_as->text, [&] { return Sorted(event_names_); });
    diagnostics_.Warn(
        op.emit_as->span, "W031", Concat("event type `", op.emit_as->text, "` is not declared"),
        nearest.empty() ? Concat("declare it: event ", op.emit_as->text, ": …") : nearest);
  }
  if (op.kind == OpKind::kEmit) {
    scope.alias = {};
    scope.type = chain.stream.name.text;
  }
  Replace(chain, next->names.size() > kMaxKnownFields ? nullptr : std::move(next));
}

void Checker::CheckCondition(const StreamOp& op, Scope& scope) {
  const Expr& expr = *op.expr;
  if (expr.kind == ExprKind::kLambda) {
    if (op.name.text == "filter") return CheckLambda(expr, 1, scope, /*takes_event=*/true);
    diagnostics_.Error(expr.main_span, "E116",
                       Concat("`.", op.name.text, "` needs a condition, not a function"),
                       "write .filter(x => …), or name the fields directly");
    return;
  }
  CheckExpr(expr, scope);
  CheckNoWholeEvent(expr, scope);
  const bool literal = expr.kind == ExprKind::kLiteral && expr.literal.kind != LiteralKind::kBool;
  if (literal || expr.kind == ExprKind::kList || expr.kind == ExprKind::kMap) {
    diagnostics_.Error(expr.span, "E060",
                       Concat("`.", op.name.text, "` needs a condition, not a value"),
                       "use a comparison, such as x > 1");
    return;
  }
  bool arithmetic = expr.kind == ExprKind::kUnary && expr.unary != UnaryOp::kNot;
  if (expr.kind == ExprKind::kBinary) {
    switch (expr.binary) {
      case BinaryOp::kAdd:
      case BinaryOp::kSubtract:
      case BinaryOp::kMultiply:
      case BinaryOp::kDivide:
      case BinaryOp::kModulo:
      case BinaryOp::kPower:
        arithmetic = true;
        break;
      default:
        break;
    }
  }
  if (arithmetic) {
    diagnostics_.Warn(expr.main_span, "W060",
                      Concat("`.", op.name.text, "` of a number never passes"),
                      "use a comparison, such as x + y > 1");
  }
}

void Checker::CheckMap(const StreamOp& op, Chain& chain) {
  const Expr& expr = *op.expr;
  if (expr.kind != ExprKind::kLambda) {
    diagnostics_.Error(expr.span, "E116", "`.map` takes a function",
                       "such as .map(x => {total: x.price * x.qty})");
    return Replace(chain, nullptr);
  }
  CheckLambda(expr, 1, chain.scope, /*takes_event=*/true);
  const Expr* value = expr.children.empty() ? nullptr : expr.children[0].get();
  if (value == nullptr || value->kind != ExprKind::kMap) return Replace(chain, nullptr);
  std::shared_ptr<Shape> next = NewShape(chain);
  for (const std::string& label : value->labels) next->Add(label);
  Replace(chain, next->names.size() > kMaxKnownFields ? nullptr : std::move(next));
}

std::optional<Literal> Checker::CheckConstant(const Expr& expr, std::string_view what) {
  if (expr.kind == ExprKind::kList || expr.kind == ExprKind::kMap) {
    diagnostics_.Error(expr.span, "E061", Concat(what, " needs a duration"), "such as 5s");
    return std::nullopt;
  }
  std::optional<Literal> value = constants_.Fold(expr);
  const bool negated = expr.kind == ExprKind::kUnary && expr.unary == UnaryOp::kNegate;
  if (!value.has_value() && negated && constants_.Fold(*expr.children[0]).has_value()) {
    diagnostics_.Error(expr.span, "E061", Concat(what, " needs a positive duration"), "such as 5s");
  } else if (!value.has_value()) {
    diagnostics_.Error(expr.span, "E126", Concat(what, " must be known before the program runs"),
                       "use a literal or a `const`");
  }
  return value;
}

void Checker::CheckWindow(const StreamOp& op, Chain& chain) {
  chain.windowed = true;
  const WindowSpec& window = op.window;
  auto check = [&](const ExprPtr& expr, std::string_view what,
                   std::optional<LiteralKind> kind) -> std::optional<LiteralKind> {
    if (expr == nullptr) return std::nullopt;
    const std::optional<Literal> value = CheckConstant(*expr, what);
    if (!value.has_value()) return std::nullopt;
    const bool fits = kind.has_value() ? value->kind == *kind
                                       : value->kind == LiteralKind::kInt ||
                                             value->kind == LiteralKind::kDuration;
    if (fits && value->integer > 0) return value->kind;
    const bool count = kind == LiteralKind::kInt;
    diagnostics_.Error(expr->span, "E127",
                       Concat(what, " must be a positive ",
                              !kind.has_value() ? "duration or number of events"
                              : count           ? "number of events"
                                                : "duration"),
                       count ? "such as 10" : "such as 5s");
    return std::nullopt;
  };
  check(window.session, "the gap of a session", LiteralKind::kDuration);
  const auto kind = check(window.size, "the size of a window", std::nullopt);
  if (kind.has_value()) check(window.sliding, "the slide of this window", kind);
}

void Checker::CheckPartition(const StreamOp& op, Chain& chain) {
  const Expr& expr = *op.expr;
  const bool named = expr.kind == ExprKind::kName || expr.kind == ExprKind::kMember;
  chain.partition = named ? expr.text : "";
  if (!chain.has_steps) {
    chain.scope.in_partition = true;
    CheckExpr(expr, chain.scope);
    chain.scope.in_partition = false;
    return;
  }
  // It is evaluated on the events of the steps, not on the match.
  for (const Capture& step : chain.steps) {
    Scope scope;
    scope.has_event = true;
    scope.shape = step.shape;
    CheckExpr(expr, scope);
    if (step.shape != nullptr && expr.kind == ExprKind::kName && !step.shape->Has(expr.text)) {
      return;  // one message is enough
    }
  }
}

bool Checker::CheckLabels(const StreamOp& op, const std::vector<std::string>& known) {
  bool ok = true;
  for (const NamedExpr& named : op.named) {
    if (std::find(known.begin(), known.end(), named.label.text) != known.end()) continue;
    ok = false;
    const std::string nearest = DidYouMean(named.label.text, known);
    diagnostics_.Error(named.label.span, "E080",
                       Concat("`.", op.name.text, "` has no parameter `", named.label.text, "`"),
                       nearest.empty() ? Concat("it takes ", List(known)) : nearest);
  }
  return ok;
}

void Checker::CheckLog(const StreamOp& op, Scope& scope) {
  if (!CheckLabels(op, {"level", "message", "data"})) return;
  static const auto* const kLevels =
      new std::vector<std::string>{"error", "warn", "warning", "info", "debug", "trace"};
  if (const Expr* level = Find(op, "level")) {
    const bool known = IsString(*level) && std::find(kLevels->begin(), kLevels->end(),
                                                     level->literal.text) != kLevels->end();
    if (!known) {
      diagnostics_.Error(level->span, "E105", "this is not a level of the log",
                         Concat("one of ", List(*kLevels), ", in quotes"));
    }
  }
  const Expr* message = Find(op, "message");
  if (message != nullptr && !IsString(*message)) {
    diagnostics_.Error(message->span, "E105", "the message of `.log` must be a text in quotes",
                       "values belong into `data:`");
  }
  if (const Expr* data = Find(op, "data")) CheckExpr(*data, scope);
}

void Checker::CheckContext(const Name& name) {
  if (context_names_.contains(name.text) || broken_.contains(name.text)) return;
  const std::string nearest = ErrorHint(name.text, [&] { return Sorted(context_names_); });
  diagnostics_.Error(name.span, "E031", Concat("there is no context `", name.text, "`"),
                     nearest.empty() ? Concat("declare it: context ", name.text) : nearest);
}

// A list of names or texts that are no fields here.
void Checker::CheckNames(const Expr& list, std::string_view what) {
  bool ok = list.kind == ExprKind::kList;
  for (const ExprPtr& item : list.children) {
    ok = ok && (item->kind == ExprKind::kName || IsString(*item));
  }
  if (ok) return;
  diagnostics_.Error(list.span, "E105", Concat("`", what, "` must be a list of names"),
                     "such as [name, country]");
}

void Checker::CheckEnrich(const StreamOp& op, Chain& chain) {
  const ConnectorDecl* connector = FindConnector(op.target);
  if (connector != nullptr) {
    const std::string& type = connector->type.text;
    if (type != "http" && type != "database" && type != "redis") {
      diagnostics_.Error(op.target.span, "E032",
                         Concat("`.enrich` cannot look up in a `", type, "` connector"),
                         "it can in http, database and redis");
    }
  }
  CheckLabels(op, {"key", "fields", "cache_ttl", "timeout", "fallback"});
  const Expr* key = Find(op, "key");
  if (key != nullptr) CheckExpr(*key, chain.scope);
  if (const Expr* ttl = Find(op, "cache_ttl")) CheckDuration(*ttl, "`cache_ttl`");
  if (const Expr* timeout = Find(op, "timeout")) CheckDuration(*timeout, "`timeout`");
  if (const Expr* fallback = Find(op, "fallback")) CheckConstant(*fallback, "`fallback`");
  const Expr* fields = Find(op, "fields");
  if (key == nullptr || fields == nullptr) {
    diagnostics_.Error(op.name.span, "E105", "`.enrich` needs `key:` and `fields:`",
                       "such as .enrich(C, key: id, fields: [name])");
  }
  if (fields == nullptr) return;
  CheckNames(*fields, "fields");
  if (fields->kind == ExprKind::kList && fields->children.empty()) {
    diagnostics_.Warn(fields->span, "W032", "`.enrich` without fields adds nothing");
  }
  if (chain.scope.shape == nullptr) return;
  auto next = std::make_shared<Shape>(*chain.scope.shape);
  for (const ExprPtr& field : fields->children) {
    next->Add(field->kind == ExprKind::kName ? field->text : field->literal.text);
  }
  next->Add("enrich_status");
  next->Add("enrich_latency_ms");
  chain.scope.shape = std::move(next);  // the event stays
}

void Checker::CheckScore(const StreamOp& op, Chain& chain) {
  CheckLabels(op, {"model", "inputs", "outputs"});
  const Expr* model = Find(op, "model");
  const Expr* inputs = Find(op, "inputs");
  const Expr* outputs = Find(op, "outputs");
  if (model == nullptr || !IsString(*model) || inputs == nullptr || outputs == nullptr) {
    diagnostics_.Error(op.name.span, "E105", "`.score` needs `model:`, `inputs:` and `outputs:`",
                       "such as .score(model: \"m.onnx\", inputs: [a, b], outputs: [risk])");
    return Replace(chain, nullptr);
  }
  CheckExpr(*inputs, chain.scope);
  CheckNames(*outputs, "outputs");
  if (chain.scope.shape == nullptr) return;
  auto next = std::make_shared<Shape>(*chain.scope.shape);
  for (const ExprPtr& output : outputs->children) {
    next->Add(output->kind == ExprKind::kName ? output->text : output->literal.text);
  }
  chain.scope.shape = std::move(next);
}

void Checker::CheckForecast(const StreamOp& op, Chain& chain) {
  CheckLabels(op, {"mode", "confidence", "horizon", "warmup", "max_depth", "hawkes", "conformal"});
  for (const NamedExpr& named : op.named) {
    const std::optional<Literal> value =
        CheckConstant(*named.expr, Concat("`", named.label.text, "`"));
    if (named.label.text != "mode" || !value.has_value()) continue;
    if (value->text == "fast" || value->text == "balanced" || value->text == "accurate") continue;
    diagnostics_.Error(named.expr->span, "E105", "this is not a mode of `.forecast`",
                       "one of \"fast\", \"balanced\", \"accurate\"");
  }
  Replace(chain, nullptr);  // also the fields of whatever event made the forecast
}

}  // namespace varpulis::engine
