#include <algorithm>
#include <optional>
#include <utility>

#include "engine/lang/concat.h"
#include "engine/plan/fingerprint.h"
#include "engine/plan/planner_impl.h"

namespace varpulis::engine {

int64_t Planner::Constant(const Expr& expr, int64_t otherwise) const {
  const std::optional<Literal> literal = constants_.Fold(expr);
  if (!literal.has_value()) return otherwise;
  const bool whole = literal->kind == LiteralKind::kInt || literal->kind == LiteralKind::kDuration;
  return whole ? literal->integer : otherwise;
}

void Planner::PlanStreamAt(size_t index) {
  const StreamDecl& decl = *decls_[index];
  PlanStream stream;
  stream.name = decl.name.text;
  Scope scope;
  std::vector<const Expr*> residual;
  std::string fingerprint = "from";
  portables_ = {};
  switch (decl.source.kind) {
    case SourceKind::kMerge:
      PlanMerge(decl, stream);
      break;
    case SourceKind::kJoin:
      PlanJoin(decl, stream, &residual);
      break;
    case SourceKind::kTimer: {
      stream.source = SourcePlanKind::kTimer;
      stream.timer_interval = Constant(*decl.source.interval, 1'000'000'000);
      if (decl.source.initial_delay != nullptr) {
        stream.timer_delay = Constant(*decl.source.initial_delay, 0);
      }
      const std::string type = Concat("Timer_", decl.name.text);
      scope.type = decl.name.text;
      stream.ports.push_back({type, LayoutOf(type), {}, {}});
      stream.input_layout = stream.ports[0].layout;
      ConcatTo(&fingerprint, " timer ", stream.timer_interval, " ", stream.timer_delay);
      break;
    }
    default:
      scope.type = decl.source.type.text;
      if (decl.source.alias.has_value()) scope.alias = decl.source.alias->text;
      stream.input_layout = LayoutOf(decl.source.type.text);
      stream.ports.push_back({decl.source.type.text, stream.input_layout, {}, {}});
  }
  PlanPendingFunctions();
  for (const PlanPort& port : stream.ports) {
    ConcatTo(&fingerprint, " ", port.type);
    for (const PlanExpr& condition : port.conditions) {
      ConcatTo(&fingerprint, " where ", Portable(condition, port.layout));
    }
  }
  for (const PlanJoinSource& source : stream.join) {
    ConcatTo(&fingerprint, " ", source.label, " on");
    const auto place = static_cast<size_t>(&source - stream.join.data());
    const int rows = LayoutAt(stream.input_layout).parts[place].layout;
    for (const PlanExpr& key : source.key) ConcatTo(&fingerprint, " ", Portable(key, rows));
  }
  if (stream.source == SourcePlanKind::kJoin) {
    ConcatTo(&fingerprint, " within ", stream.join_window);
    stream.join_fingerprint = Fingerprint(fingerprint);
  }
  scope.layout = stream.input_layout;
  for (const Expr* condition : residual) {
    PlanOp filter;
    filter.exprs.push_back(Condition(*condition, scope));
    FinishOp(stream, std::move(filter), scope, &fingerprint);
  }

  ChainState chain;
  bool emits = false, processes = false;
  for (size_t i = 0; i < decl.ops.size(); ++i) {
    const StreamOp& op = decl.ops[i];
    const bool join_clause = decl.source.kind == SourceKind::kJoin &&
                             (op.kind == OpKind::kOn || op.kind == OpKind::kWindow);
    if (join_clause) continue;
    switch (op.kind) {
      case OpKind::kPartitionBy:
        chain.partition_by = op.expr.get();
        continue;
      case OpKind::kAllowedLateness:
      case OpKind::kContext:
        continue;
      case OpKind::kAggregate:
        // Taken by the window right before it.
        if (!stream.ops.empty() && stream.ops.back().kind == PlanOpKind::kWindow && i > 0 &&
            decl.ops[i - 1].kind == OpKind::kWindow && !stream.ops.back().aggregates.empty()) {
          continue;
        }
        break;
      default:
        break;
    }
    emits = emits || op.kind == OpKind::kEmit;
    processes = processes || op.kind == OpKind::kProcess;
    PlanOp planned;
    planned.input_layout = scope.layout;
    PlanOperator(decl, i, chain, scope, planned);
    FinishOp(stream, std::move(planned), scope, &fingerprint);
  }
  if (processes && !emits) {
    PlanOp output;
    output.kind = PlanOpKind::kOutput;
    output.input_layout = scope.layout;
    FinishOp(stream, std::move(output), scope, &fingerprint);
  }
  stream.output_layout = scope.layout;
  stream.constants = std::move(portables_.constants);
  plan_.streams[index] = std::move(stream);
}

void Planner::FinishOp(PlanStream& stream, PlanOp planned, Scope& scope, std::string* fingerprint) {
  PlanPendingFunctions();
  const int layout = scope.layout;
  ConcatTo(fingerprint, "|", static_cast<int>(planned.kind), " ", planned.count, " ",
           planned.lateness, " ", planned.output_type, " ", DebugString(planned.window));
  for (const PlanExpr& key : planned.key) ConcatTo(fingerprint, " by ", Portable(key, layout));
  ConcatTo(fingerprint, " ", planned.enrich.connector);
  for (const std::string& field : planned.enrich.fields) ConcatTo(fingerprint, " ", field);
  for (const PlanAggregate& aggregate : planned.aggregates) {
    ConcatTo(fingerprint, " ", static_cast<int>(aggregate.function), " ",
             RealText(aggregate.parameter));
    for (const PlanExpr& argument : aggregate.argument) {
      ConcatTo(fingerprint, " ", Portable(argument, layout));
    }
  }
  const int exprs_over = planned.aggregates.empty() ? layout : -1;
  for (const PlanExpr& expr : planned.exprs) ConcatTo(fingerprint, " ", Portable(expr, exprs_over));
  // Later operators know the values by these names.
  if (planned.output_layout >= 0 && LayoutAt(planned.output_layout).kind == Layout::Kind::kClosed) {
    for (const std::string& field : LayoutAt(planned.output_layout).fields) {
      ConcatTo(fingerprint, " ", field);
    }
  }
  PortableFunctions(fingerprint);
  planned.constants = portables_.constants.size();
  *fingerprint = Fingerprint(*fingerprint);  // chained, so that long chains stay linear
  planned.fingerprint = *fingerprint;
  if (planned.input_layout < 0) planned.input_layout = layout;
  if (planned.output_layout >= 0) scope.layout = planned.output_layout;
  stream.ops.push_back(std::move(planned));
}

// A condition, or a lambda of one parameter that is applied to the event.
PlanExpr Planner::Condition(const Expr& expr, Scope& scope) {
  if (expr.kind != ExprKind::kLambda) return Resolve(expr, scope);
  Scope inner = scope;
  if (!expr.labels.empty()) inner.parameter = expr.labels[0];
  if (expr.block != nullptr) {
    return MakePlanExpr(PlanExprKind::kCallFunction, PlanLambdaBlock(expr, inner));
  }
  return Resolve(*expr.children[0], inner);
}

void Planner::PlanOperator(const StreamDecl& decl, size_t position, ChainState& chain, Scope& scope,
                           PlanOp& planned) {
  const StreamOp& op = decl.ops[position];
  switch (op.kind) {
    case OpKind::kWhere:
    case OpKind::kHaving:
      planned.kind = PlanOpKind::kFilter;
      planned.exprs.push_back(Condition(*op.expr, scope));
      return;
    case OpKind::kDistinct:
      planned.kind = PlanOpKind::kDistinct;
      planned.exprs.push_back(op.expr != nullptr ? Resolve(*op.expr, scope) : AllFields(scope));
      return;
    case OpKind::kLimit:
      planned.kind = PlanOpKind::kLimit;
      planned.count = op.count;
      return;
    case OpKind::kSelect:
    case OpKind::kEmit:
      return PlanFields(decl, op, scope, planned);
    case OpKind::kMap:
      return PlanMap(decl, op, scope, planned);
    case OpKind::kWindow:
      PlanWindowOp(op, chain, planned);
      if (chain.partition_by != nullptr) {
        planned.key.push_back(Resolve(*chain.partition_by, scope));
      }
      if (position + 1 < decl.ops.size() && !planned.window.event_time &&
          decl.ops[position + 1].kind == OpKind::kAggregate) {
        PlanAggregateOp(decl.ops[position + 1], chain, scope, planned);
      }
      return;
    case OpKind::kAggregate:
      planned.kind = PlanOpKind::kAggregate;
      if (chain.partition_by != nullptr) {
        planned.key.push_back(Resolve(*chain.partition_by, scope));
      }
      return PlanAggregateOp(op, chain, scope, planned);
    case OpKind::kOrderBy:
      planned.kind = PlanOpKind::kOrderBy;
      for (const ExprPtr& key : op.args) planned.exprs.push_back(Resolve(*key, scope));
      planned.descending = op.descending;
      planned.descending.resize(planned.exprs.size());
      return;
    case OpKind::kProcess: {
      planned.kind = PlanOpKind::kProcess;
      planned.output_layout = AddLayout(decl.name.text, Layout::Kind::kClosed);
      Layout& layout = LayoutAt(planned.output_layout);
      layout.type_slot = layout.AddHidden();
      Scope inner = scope;
      inner.emit_layout = planned.output_layout;
      planned.exprs.push_back(Condition(*op.expr, inner));
      scope.alias = {};
      return;
    }
    case OpKind::kPrint:
      planned.kind = PlanOpKind::kPrint;
      for (const ExprPtr& value : op.args) planned.exprs.push_back(Resolve(*value, scope));
      if (op.args.empty()) {
        planned.text = scope.type.empty() ? decl.name.text : std::string(scope.type);
        planned.exprs.push_back(AllFields(scope));
      }
      return;
    case OpKind::kLog:
      return PlanLog(decl.name.text, op, scope, planned);
    case OpKind::kTap:
      planned.kind = PlanOpKind::kTap;
      planned.text = decl.name.text;
      for (const NamedExpr& named : op.named) {
        planned.labels.push_back(named.label.text);
        planned.exprs.push_back(Resolve(*named.expr, scope));
      }
      return;
    case OpKind::kEnrich:
      return PlanEnrichOp(op, scope, planned);
    case OpKind::kWatermark:
      planned.kind = PlanOpKind::kWatermark;
      chain.event_time = true;
      for (const NamedExpr& named : op.named) {
        if (named.label.text == "out_of_order") planned.count = Constant(*named.expr, 0);
      }
      for (const StreamOp& other : decl.ops) {
        if (other.kind == OpKind::kAllowedLateness) planned.lateness = Constant(*other.expr, 0);
      }
      return;
    default:
      return;  // refused by the checks
  }
}

// The fields that are looked up stand in front of the row's own; those the answer lacks stay.
void Planner::PlanEnrichOp(const StreamOp& op, Scope& scope, PlanOp& planned) {
  planned.kind = PlanOpKind::kEnrich;
  planned.span = op.target.span;
  PlanEnrich& enrich = planned.enrich;
  enrich.connector = op.target.text;
  for (const NamedExpr& named : op.named) {
    const std::string& label = named.label.text;
    if (label == "key") planned.exprs.push_back(Resolve(*named.expr, scope));
    if (label == "cache_ttl") enrich.ttl_ns = Constant(*named.expr, enrich.ttl_ns);
    if (label == "timeout") enrich.timeout_ns = Constant(*named.expr, enrich.timeout_ns);
    if (label == "fallback") {
      const std::optional<Literal> fallback = constants_.Fold(*named.expr);
      enrich.has_fallback = fallback.has_value();
      if (fallback.has_value()) enrich.fallback = *fallback;
    }
    if (label == "fields") {
      for (const ExprPtr& field : named.expr->children) {
        enrich.fields.push_back(field->kind == ExprKind::kName ? field->text : field->literal.text);
      }
    }
  }
  const int found = AddLayout("", Layout::Kind::kClosed);
  for (const std::string& field : enrich.fields) LayoutAt(found).AddField(field);
  LayoutAt(found).AddField("enrich_status");
  LayoutAt(found).AddField("enrich_latency_ms");
  planned.output_layout = AddLayout(std::string(scope.type), Layout::Kind::kMerge);
  LayoutAt(planned.output_layout).parts = {{found, "", ""},
                                           {scope.layout, "", std::string(scope.type)}};
  if (const int type = LayoutAt(scope.layout).type_slot; type >= 0) {
    Layout& layout = LayoutAt(planned.output_layout);
    layout.type_slot = layout.AddHidden();
    layout.origins.push_back({{1, type}});
  }
}

void Planner::PlanLog(const std::string& stream, const StreamOp& op, Scope& scope,
                      PlanOp& planned) {
  planned.kind = PlanOpKind::kLog;
  planned.level = "info";
  // Rows of a merge or join have no event type of their own.
  planned.text = scope.type.empty() ? std::string(stream) : std::string(scope.type);
  bool has_data = false;
  for (const NamedExpr& named : op.named) {
    const bool text =
        named.expr->kind == ExprKind::kLiteral && named.expr->literal.kind == LiteralKind::kString;
    if (named.label.text == "level" && text) planned.level = named.expr->literal.text;
    if (named.label.text == "message" && text) planned.text = named.expr->literal.text;
    if (named.label.text == "data") {
      has_data = true;
      planned.exprs.push_back(Resolve(*named.expr, scope));
    }
  }
  if (!has_data) planned.exprs.push_back(AllFields(scope));
}

void Planner::PlanFields(const StreamDecl& decl, const StreamOp& op, Scope& scope,
                         PlanOp& planned) {
  const bool emit = op.kind == OpKind::kEmit;
  planned.kind = emit ? PlanOpKind::kEmit : PlanOpKind::kSelect;
  planned.output_type = emit ? decl.name.text : "";
  planned.output_layout =
      AddLayout(emit ? decl.name.text : std::string(scope.type), Layout::Kind::kClosed);
  for (const NamedExpr& named : op.named) {
    const std::string& label = named.label.text;
    if (emit && label == "context" && named.expr->kind == ExprKind::kName) continue;
    if (emit && label == "event_type" && named.expr->kind == ExprKind::kLiteral &&
        named.expr->literal.kind == LiteralKind::kString) {
      planned.output_type = named.expr->literal.text;
    }
    SetField(label, Resolve(*named.expr, scope), planned);
  }
  if (!emit) KeepType(scope, planned);
  if (op.emit_as.has_value()) planned.output_type = op.emit_as->text;
  if (emit) {
    scope.alias = {};
    scope.type = decl.name.text;
  }
}

// Of the rows that come out of `planned`. Given twice, the last counts.
void Planner::SetField(const std::string& name, PlanExpr value, PlanOp& planned) {
  Layout& layout = LayoutAt(planned.output_layout);
  if (const int slot = layout.Find(name); slot >= 0) {
    planned.exprs[static_cast<size_t>(slot)] = std::move(value);
  } else {
    layout.AddField(name);
    planned.exprs.push_back(std::move(value));
  }
}

// Behind `.process` each row says which type it was emitted as; `.select` and `.map` keep that.
void Planner::KeepType(const Scope& scope, PlanOp& planned) {
  const int from = scope.layout < 0 ? -1 : LayoutAt(scope.layout).type_slot;
  if (from < 0) return;
  Layout& layout = LayoutAt(planned.output_layout);
  layout.type_slot = layout.AddHidden();
  planned.exprs.push_back(MakePlanExpr(PlanExprKind::kSlot, from));
}

// A map literal names its fields; any other map is looked into as it comes.
void Planner::PlanMap(const StreamDecl&, const StreamOp& op, Scope& scope, PlanOp& planned) {
  Scope inner = scope;
  const Expr* body = op.expr.get();
  if (body->kind == ExprKind::kLambda) {
    if (!body->labels.empty()) inner.parameter = body->labels[0];
    if (body->block == nullptr) body = body->children[0].get();
  }
  if (body->kind == ExprKind::kMap) {
    planned.kind = PlanOpKind::kSelect;
    planned.output_layout = AddLayout(std::string(scope.type), Layout::Kind::kClosed);
    for (size_t i = 0; i < body->children.size(); ++i) {
      SetField(body->labels[i], Resolve(*body->children[i], inner), planned);
    }
    KeepType(scope, planned);
  } else {
    planned.kind = PlanOpKind::kMap;
    planned.output_layout = AddLayout(std::string(scope.type), Layout::Kind::kMap);
    planned.exprs.push_back(Condition(*body, inner));
    KeepType(scope, planned);
  }
  scope.alias = {};
}

void Planner::PlanWindowOp(const StreamOp& op, const ChainState& chain, PlanOp& planned) {
  planned.kind = PlanOpKind::kWindow;
  PlanWindow& window = planned.window;
  if (op.window.session != nullptr) {
    window.kind = WindowKind::kSession;
    window.size = Constant(*op.window.session, 1);
  } else {
    const std::optional<Literal> size = constants_.Fold(*op.window.size);
    const bool time = size.has_value() && size->kind == LiteralKind::kDuration;
    window.size = Constant(*op.window.size, 1);
    window.kind = time ? WindowKind::kTumbling : WindowKind::kCount;
    if (op.window.sliding != nullptr) {
      window.kind = time ? WindowKind::kSliding : WindowKind::kSlidingCount;
      window.slide = Constant(*op.window.sliding, 1);
    }
  }
  const bool count = window.kind == WindowKind::kCount || window.kind == WindowKind::kSlidingCount;
  window.event_time = chain.event_time && !count;
}

}  // namespace varpulis::engine
