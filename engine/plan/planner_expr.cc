#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/lang/concat.h"
#include "engine/plan/planner_impl.h"

namespace varpulis::engine {
namespace {

PlanExpr FirstPresent(std::vector<PlanExpr> candidates) {
  PlanExpr expr = MakePlanExpr(PlanExprKind::kFirstPresent);
  for (PlanExpr& candidate : candidates) {
    if (candidate.kind != PlanExprKind::kMissing) expr.children.push_back(std::move(candidate));
  }
  if (expr.children.empty()) return MakePlanExpr(PlanExprKind::kMissing);
  if (expr.children.size() == 1) {
    PlanExpr only = std::move(expr.children[0]);
    return only;
  }
  return expr;
}

// Every bit of it.
std::string PortableLiteral(const Literal& literal) {
  uint64_t bits = 0;
  std::memcpy(&bits, &literal.real, sizeof(bits));
  return Concat("literal ", static_cast<int>(literal.kind), " ", literal.integer, " ",
                std::to_string(bits), " ", literal.text.size(), " ", literal.text);
}

}  // namespace

PlanExpr Planner::AllFields(const Scope& scope) {
  if (scope.layout < 0) return MakePlanExpr(PlanExprKind::kMissing);
  if (LayoutAt(scope.layout).open()) {
    return MakePlanExpr(PlanExprKind::kSlot, DemandAllFields(scope.layout));
  }
  const Layout& layout = LayoutAt(scope.layout);
  PlanExpr expr = MakePlanExpr(PlanExprKind::kMap);
  for (int slot = 0; slot < layout.slot_count; ++slot) {
    const std::string& field = layout.fields[static_cast<size_t>(slot)];
    if (field.empty()) continue;
    expr.children.push_back(MakePlanExpr(PlanExprKind::kSlot, slot));
    expr.labels.push_back(field);
  }
  return expr;
}

// Slots are numbered by first use in the whole program; field names make the text independent of
// what other streams read. Functions and constants get numbers in the order of their use in the
// chain, so that their names do not matter; PortableFunctions adds the bodies, and whoever has the
// values of the constants adds those (PlanOp::constants).
std::string Planner::Portable(const PlanExpr& expr, int layout) {
  if (expr.kind == PlanExprKind::kSlot && layout >= 0) {
    const Layout& at = plan_.layouts[static_cast<size_t>(layout)];
    return expr.index == at.all_fields_slot
               ? "all"
               : Concat("$", at.fields[static_cast<size_t>(expr.index)]);
  }
  if (expr.kind == PlanExprKind::kGlobal) {
    const PlanGlobal& global = plan_.globals[static_cast<size_t>(expr.index)];
    if (global.is_mutable) return Concat("global ", global.name);  // its value is state itself
    auto [found, added] =
        portables_.constant_numbers.emplace(expr.index, portables_.constants.size());
    if (added) portables_.constants.push_back(expr.index);
    return Concat("constant ", found->second);
  }
  if (expr.kind == PlanExprKind::kLiteral) return PortableLiteral(expr.literal);
  if (expr.children.empty() && expr.kind != PlanExprKind::kCallFunction) return DebugString(expr);
  std::string out = Concat(static_cast<int>(expr.kind), ":", static_cast<int>(expr.unary), ":",
                           static_cast<int>(expr.binary), ":", static_cast<int>(expr.builtin), ":",
                           expr.text, "(");
  if (expr.kind == PlanExprKind::kIsKind || expr.kind == PlanExprKind::kMissing) {
    ConcatTo(&out, expr.index, ",");
  }
  if (expr.kind == PlanExprKind::kCallFunction) {
    auto [found, added] =
        portables_.function_numbers.emplace(expr.index, portables_.functions.size());
    if (added) portables_.functions.emplace_back(expr.index, layout);
    ConcatTo(&out, found->second, ",");
  }
  for (const PlanExpr& child : expr.children) ConcatTo(&out, Portable(child, layout), ",");
  for (const std::string& label : expr.labels) ConcatTo(&out, label, ",");
  for (const PlanArm& arm : expr.arms) {
    ConcatTo(&out, static_cast<int>(arm.kind), " ", PortableLiteral(arm.literal), ",");
  }
  return out + ")";
}

// The bodies of functions that were named since the last time, and of those that they call.
void Planner::PortableFunctions(std::string* out) {
  while (portables_.written < portables_.functions.size()) {
    const auto [index, layout] = portables_.functions[portables_.written++];
    const PlanFunction& function = plan_.functions[static_cast<size_t>(index)];
    ConcatTo(out, " function ", function.parameter_count, " ", function.local_count);
    PortableBlock(function.body, layout, out);
  }
}

void Planner::PortableBlock(const std::vector<PlanStmt>& block, int layout, std::string* out) {
  for (const PlanStmt& stmt : block) {
    ConcatTo(out, "(", static_cast<int>(stmt.kind), " ", stmt.local, " ",
             stmt.global < 0 ? "" : plan_.globals[static_cast<size_t>(stmt.global)].name, " ");
    if (stmt.has_value) *out += Portable(stmt.expr, layout);
    if (stmt.kind == StmtKind::kEmit) *out += stmt.type;
    for (size_t i = 0; i < stmt.values.size(); ++i) {
      const Layout& emitted = plan_.layouts[static_cast<size_t>(stmt.layout)];
      ConcatTo(out, " ", emitted.fields[static_cast<size_t>(stmt.slots[i])], "=",
               Portable(stmt.values[i], layout));
    }
    PortableBlock(stmt.body, layout, out);
    *out += "|";
    PortableBlock(stmt.otherwise, layout, out);
    *out += ")";
  }
}

PlanExpr Planner::FieldOf(const std::string& name, const Scope& scope) {
  const int slot = Demand(scope.layout, name);
  return slot < 0 ? MakePlanExpr(PlanExprKind::kMissing) : MakePlanExpr(PlanExprKind::kSlot, slot);
}

// vpl.md §2.4: local, field of the event, variable; `timestamp` last.
PlanExpr Planner::ResolveName(const std::string& name, const Scope& scope) {
  for (auto local = scope.locals.rbegin(); local != scope.locals.rend(); ++local) {
    if (local->first == name) return MakePlanExpr(PlanExprKind::kLocal, local->second);
  }
  std::vector<PlanExpr> candidates;
  if (scope.function != nullptr &&
      (scope.function->names.contains(name) || scope.function->declared.contains(name))) {
    const int local = LocalNamed(name, *scope.function);
    if (scope.function->set.contains(name)) return MakePlanExpr(PlanExprKind::kLocal, local);
    candidates.push_back(MakePlanExpr(PlanExprKind::kLocal, local));  // if it is set by then
  }
  // The event as a whole, under its alias or a lambda's parameter.
  if (scope.layout >= 0 && scope.NamesEvent(name)) {
    candidates.push_back(FieldOf(name, scope));
    candidates.push_back(AllFields(scope));
    return FirstPresent(std::move(candidates));
  }
  if (scope.layout >= 0) candidates.push_back(FieldOf(name, scope));
  if (auto global = globals_.find(name); global != globals_.end()) {
    candidates.push_back(MakePlanExpr(PlanExprKind::kGlobal, global->second));
  } else if (name == "timestamp" && scope.layout >= 0) {
    candidates.push_back(MakePlanExpr(PlanExprKind::kTimestamp));
  }
  return FirstPresent(std::move(candidates));
}

PlanExpr Planner::ResolveMember(const Expr& expr, Scope& scope) {
  const Expr& base = *expr.children[0];
  auto member_of = [&](PlanExpr value) {
    if (value.kind == PlanExprKind::kMissing) return value;
    PlanExpr member = MakePlanExpr(PlanExprKind::kMember);
    member.text = expr.text;
    member.children.push_back(std::move(value));
    return member;
  };
  if (base.kind != ExprKind::kName || scope.layout < 0) return member_of(Resolve(base, scope));
  for (const auto& local : scope.locals) {
    if (local.first == base.text) return member_of(Resolve(base, scope));
  }
  if (scope.function != nullptr &&
      (scope.function->names.contains(base.text) || scope.function->declared.contains(base.text))) {
    return member_of(Resolve(base, scope));
  }
  auto own_field = [&] {
    return expr.text == "timestamp" ? ResolveName(expr.text, scope) : FieldOf(expr.text, scope);
  };
  if (scope.NamesEvent(base.text)) return own_field();
  for (const Layout::Part& part : LayoutAt(scope.layout).parts) {
    if (part.label == base.text || part.type == base.text) {
      return FieldOf(Concat(base.text, ".", expr.text), scope);
    }
  }
  std::vector<PlanExpr> candidates;
  candidates.push_back(FieldOf(Concat(base.text, ".", expr.text), scope));
  candidates.push_back(FieldOf(Concat(base.text, "_", expr.text), scope));
  if (base.text == scope.type) candidates.push_back(own_field());
  candidates.push_back(member_of(ResolveName(base.text, scope)));
  return FirstPresent(std::move(candidates));
}

int Planner::NewLocal(Scope& scope) {
  if (scope.function != nullptr) return scope.function->local_count++;
  const auto local = static_cast<int>(scope.locals.size());
  plan_.local_count = std::max(plan_.local_count, local + 1);
  return local;
}

PlanExpr Planner::ResolveMatch(const Expr& expr, Scope& scope) {
  PlanExpr match = MakePlanExpr(PlanExprKind::kMatch);
  match.children.push_back(Resolve(*expr.children[0], scope));
  for (size_t i = 0; i < expr.arms.size(); ++i) {
    const MatchArm& arm = expr.arms[i];
    PlanArm planned{arm.kind, arm.literal, -1};
    if (arm.kind == MatchArm::Kind::kBind) {
      planned.local = NewLocal(scope);
      scope.locals.emplace_back(arm.name, planned.local);
    }
    match.children.push_back(Resolve(*expr.children[i + 1], scope));
    if (arm.kind == MatchArm::Kind::kBind) scope.locals.pop_back();
    match.arms.push_back(std::move(planned));
  }
  return match;
}

// User functions come before built-ins.
PlanExpr Planner::ResolveCall(const Expr& expr, Scope& scope) {
  PlanExpr call = MakePlanExpr(PlanExprKind::kCall);
  for (const ExprPtr& child : expr.children) call.children.push_back(Resolve(*child, scope));
  if (auto function = functions_.find(expr.text); function != functions_.end()) {
    call.kind = PlanExprKind::kCallFunction;
    call.index = FunctionFor(*function->second, scope);
    return call;
  }
  const BuiltinInfo* info = FindBuiltin(expr.text);
  if (info == nullptr) return MakePlanExpr(PlanExprKind::kMissing);  // refused by the checks
  call.builtin = info->id;
  return call;
}

PlanExpr Planner::Resolve(const Expr& expr, Scope& scope) {
  PlanExpr planned;
  switch (expr.kind) {
    case ExprKind::kLiteral:
      planned.kind = PlanExprKind::kLiteral;
      planned.literal = expr.literal;
      return planned;
    case ExprKind::kName:
      return ResolveName(expr.text, scope);
    case ExprKind::kMember:
      return ResolveMember(expr, scope);
    case ExprKind::kMatch:
      return ResolveMatch(expr, scope);
    case ExprKind::kLambda:
    case ExprKind::kApply:
      return planned;  // refused by the checks
    case ExprKind::kCall:
      return ResolveCall(expr, scope);
    case ExprKind::kUnary:
      planned.kind = PlanExprKind::kUnary;
      planned.unary = expr.unary;
      break;
    case ExprKind::kBinary:
      planned.kind = PlanExprKind::kBinary;
      planned.binary = expr.binary;
      if (expr.binary == BinaryOp::kIs || expr.binary == BinaryOp::kIsNot) {
        planned.kind = PlanExprKind::kIsKind;
        planned.index = expr.binary == BinaryOp::kIsNot ? 1 : 0;
        planned.text = expr.children[1]->text;
        planned.children.push_back(Resolve(*expr.children[0], scope));
        return planned;
      }
      break;
    case ExprKind::kIndex:
      planned.kind = PlanExprKind::kIndex;
      break;
    case ExprKind::kSlice:
      planned.kind = PlanExprKind::kSlice;
      break;
    case ExprKind::kIf:
      planned.kind = PlanExprKind::kIf;
      break;
    case ExprKind::kList:
      planned.kind = PlanExprKind::kList;
      break;
    case ExprKind::kMap:
      planned.kind = PlanExprKind::kMap;
      planned.labels = expr.labels;
      break;
  }
  for (const ExprPtr& child : expr.children) {
    // An absent bound of a slice differs from one without a value.
    planned.children.push_back(child != nullptr ? Resolve(*child, scope)
                                                : MakePlanExpr(PlanExprKind::kMissing, 1));
  }
  return planned;
}

}  // namespace varpulis::engine
