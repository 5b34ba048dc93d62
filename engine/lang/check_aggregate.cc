#include <algorithm>
#include <utility>

#include "engine/lang/builtin_names.h"
#include "engine/lang/checker.h"
#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

struct Aggregate {
  std::string_view name;
  int min_arguments;
  int max_arguments;
};
constexpr Aggregate kAggregates[] = {
    {"count", 0, 1},      {"count_distinct", 1, 1},
    {"sum", 1, 1},        {"avg", 1, 1},
    {"min", 1, 1},        {"max", 1, 1},
    {"stddev", 1, 1},     {"first", 1, 1},
    {"last", 1, 1},       {"ema", 2, 2},
    {"variance", 1, 1},   {"median", 1, 1},
    {"percentile", 2, 2}, {"collect", 1, 1},
};
constexpr std::string_view kAggregateList =
    "count, count_distinct, sum, avg, min, max, stddev, variance, median, percentile, first, last, "
    "ema, collect";

constexpr std::string_view kTrends[] = {"count_trends", "count_events", "sum_trends",
                                        "avg_trends",   "min_trends",   "max_trends"};

const Aggregate* FindAggregate(const Expr& call) {
  // With two arguments they are the scalar functions.
  if ((call.text == "min" || call.text == "max") && call.children.size() == 2) return nullptr;
  for (const Aggregate& aggregate : kAggregates) {
    if (aggregate.name == call.text) return &aggregate;
  }
  return nullptr;
}

}  // namespace

void Checker::CheckAggregate(const StreamOp& op, Chain& chain) {
  std::shared_ptr<Shape> next = NewShape(chain);
  for (const NamedExpr& named : op.named) {
    CheckAggregateExpr(*named.expr, chain.scope);
    if (next->set.contains(named.label.text)) {
      diagnostics_.Warn(named.label.span, "W101",
                        Concat("field `", named.label.text, "` is given twice"),
                        "the last one counts");
    }
    next->Add(named.label.text);
  }
  if (chain.partition.has_value()) {
    next->Add("_partition");
    if (!chain.partition->empty()) next->Add(*chain.partition);
  }
  Replace(chain, next->names.size() > kMaxKnownFields ? nullptr : std::move(next));
}

// Any expression over aggregate calls; names are those of variables only.
void Checker::CheckAggregateExpr(const Expr& expr, Scope& scope) {
  const Expr* base = &expr;
  while (base->kind == ExprKind::kMember) base = base->children[0].get();
  if (base->kind == ExprKind::kName) {
    const bool field = scope.shape != nullptr && scope.shape->Has(base->text);
    if (variables_.contains(base->text) && !field) return;
    diagnostics_.Error(expr.span, "E073",
                       Concat("`", expr.text, "` has many values here, one for each event"),
                       Concat("choose one: last(", expr.text, ") or first(", expr.text, ")"));
    return;
  }
  if (expr.kind == ExprKind::kCall) return CheckAggregateCall(expr, scope);
  if (expr.kind == ExprKind::kLambda || expr.kind == ExprKind::kMatch ||
      expr.kind == ExprKind::kApply) {
    return CheckExpr(expr, scope);
  }
  const bool is = expr.kind == ExprKind::kBinary &&
                  (expr.binary == BinaryOp::kIs || expr.binary == BinaryOp::kIsNot);
  for (const ExprPtr& child : expr.children) {
    if (child != nullptr) CheckAggregateExpr(*child, scope);
    if (is) return;  // the other side is the name of a kind
  }
}

void Checker::CheckAggregateCall(const Expr& call, Scope& scope) {
  const Aggregate* aggregate = FindAggregate(call);
  if (aggregate == nullptr) {
    const bool known = functions_.contains(call.text) || FindBuiltin(call.text) != nullptr;
    if (!known) {
      std::vector<std::string> names;
      for (const Aggregate& candidate : kAggregates) names.emplace_back(candidate.name);
      const std::string nearest = DidYouMean(call.text, names);
      diagnostics_.Error(call.main_span, "E070",
                         Concat("there is no aggregate function `", call.text, "`"),
                         nearest.empty() ? Concat("there are ", kAggregateList) : nearest);
      return;
    }
    for (const ExprPtr& child : call.children) CheckAggregateExpr(*child, scope);
    if (auto function = functions_.find(call.text); function != functions_.end()) {
      const int count = static_cast<int>(function->second->parameters.size());
      CheckArguments(call, function->second->name.span, count, count);
    } else {
      const BuiltinInfo* info = FindBuiltin(call.text);
      CheckArguments(call, std::nullopt, info->min_arguments, info->max_arguments);
    }
    return;
  }
  const int count = static_cast<int>(call.children.size());
  if (count < aggregate->min_arguments || count > aggregate->max_arguments) {
    const bool ema = aggregate->name == "ema";
    diagnostics_.Error(
        call.main_span, ema ? "E072" : "E071",
        Concat("`", call.text, "` has ", count, " arguments and takes ", aggregate->max_arguments),
        ema                               ? "write ema(x, 12)"
        : aggregate->name == "percentile" ? std::string("write percentile(x, 95)")
                                          : Concat("write ", call.text, "(x)"));
    return;
  }
  if (count == 0) return;
  const Expr& argument = *call.children[0];
  const bool distinct = call.text == "count" && argument.kind == ExprKind::kCall &&
                        argument.text == "distinct" && argument.children.size() == 1;
  CheckExpr(distinct ? *argument.children[0] : argument, scope);
  if (count < 2) return;
  const Expr& parameter = *call.children[1];
  const std::optional<Literal> value =
      CheckConstant(parameter, Concat("the second argument of `", call.text, "`"));
  if (!value.has_value()) return;
  const bool integer = value->kind == LiteralKind::kInt;
  const double number = integer ? static_cast<double>(value->integer) : value->real;
  const bool fits = call.text == "ema" ? integer && number >= 1
                                       : (integer || value->kind == LiteralKind::kFloat) &&
                                             number >= 0 && number <= 100;
  if (fits) return;
  diagnostics_.Error(parameter.span, "E105",
                     call.text == "ema" ? "the length of `ema` must be a whole number of 1 or more"
                                        : "the percentile must be a number from 0 to 100");
}

void Checker::CheckTrendAggregate(const StreamOp& op, Chain& chain) {
  std::shared_ptr<Shape> next = NewShape(chain);
  for (const NamedExpr& named : op.named) {
    if (named.expr->kind == ExprKind::kCall) {
      CheckTrendCall(*named.expr, chain.scope);
    } else {
      diagnostics_.Error(named.expr->span, "E073", "this is no function of the matches",
                         "such as n: count_trends()");
    }
    next->Add(named.label.text);
  }
  next->Add("is_final");
  next->Add("stream");
  if (chain.partition.has_value() && !chain.partition->empty()) next->Add(*chain.partition);
  Replace(chain, std::move(next));
}

// count_trends(), count_events(alias), sum_trends(alias.field) …
void Checker::CheckTrendCall(const Expr& call, const Scope& scope) {
  if (std::find(std::begin(kTrends), std::end(kTrends), call.text) == std::end(kTrends)) {
    const std::vector<std::string> names(std::begin(kTrends), std::end(kTrends));
    const std::string nearest = DidYouMean(call.text, names);
    diagnostics_.Error(call.main_span, "E070",
                       Concat("there is no function `", call.text, "` of the matches"),
                       nearest.empty() ? "there are count_trends, count_events, sum_trends, "
                                         "avg_trends, min_trends, max_trends"
                                       : nearest);
    return;
  }
  const bool none = call.text == "count_trends";
  const bool alias = call.text == "count_events";
  const Expr* argument = call.children.size() == 1 ? call.children[0].get() : nullptr;
  const Expr* base = argument != nullptr && argument->kind == ExprKind::kMember && !alias
                         ? argument->children[0].get()
                         : (alias ? argument : nullptr);
  const bool fits = none ? call.children.empty() : base != nullptr && base->kind == ExprKind::kName;
  if (!fits) {
    diagnostics_.Error(call.main_span, "E071",
                       none    ? "`count_trends` takes no arguments"
                       : alias ? "`count_events` takes the alias of a step"
                               : Concat("`", call.text, "` takes a field of a step"),
                       none    ? "write count_trends()"
                       : alias ? std::string("write count_events(a)")
                               : Concat("write ", call.text, "(a.field)"));
    return;
  }
  if (none) return;
  const Capture* capture = scope.Find(base->text);
  if (capture == nullptr) {
    std::vector<std::string> aliases;
    for (const Capture& known : scope.captures) aliases.emplace_back(known.name);
    diagnostics_.Error(base->span, "E118", Concat("no step has the alias `", base->text, "`"),
                       DidYouMean(base->text, aliases));
  } else if (!alias && capture->shape != nullptr) {
    CheckField(*argument, *capture->shape);
  }
}

}  // namespace varpulis::engine
