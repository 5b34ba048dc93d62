#include <algorithm>
#include <optional>
#include <utility>

#include "engine/plan/planner_impl.h"

namespace varpulis::engine {
namespace {

constexpr int64_t kDefaultEmaLength = 12;

size_t CountCalls(const Expr& expr) {
  size_t count = expr.kind == ExprKind::kCall ? 1 : 0;
  for (const ExprPtr& child : expr.children) {
    if (child != nullptr) count += CountCalls(*child);
  }
  return count;
}

}  // namespace

// Aggregate calls become locals; the outputs are expressions over those.
void Planner::PlanAggregateOp(const StreamOp& op, const ChainState& chain, Scope& scope,
                              PlanOp& planned) {
  planned.output_layout = AddLayout(std::string(scope.type), Layout::Kind::kClosed);
  for (const NamedExpr& named : op.named) planned.most_aggregates += CountCalls(*named.expr);
  for (const NamedExpr& named : op.named) {
    PlanExpr expr = ResolveAggregate(*named.expr, scope, planned);
    Layout& layout = LayoutAt(planned.output_layout);
    const int slot = layout.Find(named.label.text);
    if (slot >= 0) {
      planned.exprs[static_cast<size_t>(slot)] = std::move(expr);
    } else {
      layout.AddField(named.label.text);
      planned.exprs.push_back(std::move(expr));
    }
  }
  plan_.local_count = std::max(plan_.local_count, static_cast<int>(planned.aggregates.size()));
  if (planned.key.empty()) return;
  Layout& layout = LayoutAt(planned.output_layout);
  if (layout.Find("_partition") < 0) planned.partition_slot = layout.AddField("_partition");
  const bool is_field = chain.partition_by->kind == ExprKind::kName ||
                        chain.partition_by->kind == ExprKind::kMember;  // `alias.k`
  if (is_field && layout.Find(chain.partition_by->text) < 0) {
    planned.key_slot = layout.AddField(chain.partition_by->text);
  }
}

// True when `expr` is an aggregate call, which `*result` then reads.
bool Planner::TakeAggregate(const Expr& expr, Scope& scope, PlanOp& planned, PlanExpr* result) {
  if (expr.kind != ExprKind::kCall || !IsAggregateName(expr.text)) return false;
  static constexpr std::pair<std::string_view, AggregateFunction> kFunctions[] = {
      {"count", AggregateFunction::kCount},
      {"sum", AggregateFunction::kSum},
      {"count_distinct", AggregateFunction::kCountDistinct},
      {"avg", AggregateFunction::kAvg},
      {"min", AggregateFunction::kMin},
      {"max", AggregateFunction::kMax},
      {"stddev", AggregateFunction::kStddev},
      {"variance", AggregateFunction::kVariance},
      {"first", AggregateFunction::kFirst},
      {"last", AggregateFunction::kLast},
      {"ema", AggregateFunction::kEma},
      {"median", AggregateFunction::kMedian},
      {"percentile", AggregateFunction::kPercentile},
      {"collect", AggregateFunction::kCollect}};
  PlanAggregate aggregate;
  bool found = false;
  for (const auto& [name, function] : kFunctions) {
    if (expr.text != name) continue;
    aggregate.function = function;
    found = true;
  }
  const size_t count = expr.children.size();
  const bool extreme = aggregate.function == AggregateFunction::kMin ||
                       aggregate.function == AggregateFunction::kMax;
  if (!found || (extreme && count != 1)) return false;
  const Expr* argument = count > 0 ? expr.children[0].get() : nullptr;
  if (aggregate.function == AggregateFunction::kCount && argument != nullptr) {
    const bool distinct = argument->kind == ExprKind::kCall && argument->text == "distinct" &&
                          argument->children.size() == 1;
    if (distinct) {
      aggregate.function = AggregateFunction::kCountDistinct;
      argument = argument->children[0].get();
    } else {
      argument = nullptr;  // count(f) counts all events
    }
  }
  if (argument != nullptr) aggregate.argument.push_back(Resolve(*argument, scope));
  if (aggregate.function == AggregateFunction::kEma) {
    aggregate.parameter = static_cast<double>(std::max<int64_t>(
        1, count > 1 ? Constant(*expr.children[1], kDefaultEmaLength) : kDefaultEmaLength));
  }
  if (aggregate.function == AggregateFunction::kPercentile && count > 1) {
    const std::optional<Literal> rank = constants_.Fold(*expr.children[1]);
    if (rank.has_value()) {
      aggregate.parameter =
          rank->kind == LiteralKind::kFloat ? rank->real : static_cast<double>(rank->integer);
    }
  }
  if (aggregate.function == AggregateFunction::kMedian) {
    constexpr double kMiddle = 50;
    aggregate.parameter = kMiddle;
  }
  const std::string text = DebugString(aggregate);
  for (size_t i = 0; i < planned.aggregates.size(); ++i) {
    if (DebugString(planned.aggregates[i]) != text) continue;
    *result = MakePlanExpr(PlanExprKind::kLocal, static_cast<int>(i));
    return true;
  }
  *result = MakePlanExpr(PlanExprKind::kLocal, static_cast<int>(planned.aggregates.size()));
  planned.aggregates.push_back(std::move(aggregate));
  return true;
}

PlanExpr Planner::ResolveAggregate(const Expr& expr, Scope& scope, PlanOp& planned) {
  PlanExpr result;
  if (TakeAggregate(expr, scope, planned, &result)) return result;
  Scope outside;  // the fields of single events are no longer there
  // The first locals hold the results of the calls: what a `match` binds comes behind them all.
  outside.locals.resize(planned.most_aggregates);
  switch (expr.kind) {
    case ExprKind::kCall:
      result = MakePlanExpr(PlanExprKind::kCall);
      if (auto function = functions_.find(expr.text); function != functions_.end()) {
        result.kind = PlanExprKind::kCallFunction;
        result.index = FunctionFor(*function->second, outside);
      } else if (const BuiltinInfo* info = FindBuiltin(expr.text); info != nullptr) {
        result.builtin = info->id;
      } else {
        return MakePlanExpr(PlanExprKind::kMissing);
      }
      break;
    case ExprKind::kUnary:
      result = MakePlanExpr(PlanExprKind::kUnary);
      result.unary = expr.unary;
      break;
    case ExprKind::kBinary:
      if (expr.binary == BinaryOp::kIs || expr.binary == BinaryOp::kIsNot) {
        result = MakePlanExpr(PlanExprKind::kIsKind, expr.binary == BinaryOp::kIsNot ? 1 : 0);
        result.text = expr.children[1]->text;
        result.children.push_back(ResolveAggregate(*expr.children[0], scope, planned));
        return result;
      }
      result = MakePlanExpr(PlanExprKind::kBinary);
      result.binary = expr.binary;
      break;
    case ExprKind::kIf:
      result = MakePlanExpr(PlanExprKind::kIf);
      break;
    case ExprKind::kList:
      result = MakePlanExpr(PlanExprKind::kList);
      break;
    case ExprKind::kMap:
      result = MakePlanExpr(PlanExprKind::kMap);
      result.labels = expr.labels;
      break;
    default:
      return Resolve(expr, outside);
  }
  for (const ExprPtr& child : expr.children) {
    result.children.push_back(ResolveAggregate(*child, scope, planned));
  }
  return result;
}

}  // namespace varpulis::engine
