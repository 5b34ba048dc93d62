#include "engine/plan/planner.h"

#include <algorithm>
#include <utility>

#include "engine/lang/concat.h"
#include "engine/plan/fingerprint.h"

namespace varpulis::engine {
namespace {

PlanExpr Make(PlanExprKind kind, int index = 0) {
  PlanExpr expr;
  expr.kind = kind;
  expr.index = index;
  return expr;
}

class Planner {
 public:
  explicit Planner(const Program& program) : program_(program) {}

  Plan Run() {
    for (const Statement& statement : program_.statements) {
      if (const auto* stream = std::get_if<StreamDecl>(&statement)) {
        stream_index_.emplace(stream->name.text, decls_.size());
        decls_.push_back(stream);
      } else if (const auto* variable = std::get_if<VariableDecl>(&statement)) {
        PlanVariable(*variable);
      }
    }
    plan_.streams.resize(decls_.size());
    for (size_t index : ProducersFirst()) PlanStreamAt(index);
    Wire();
    return std::move(plan_);
  }

 private:
  // Where a name is looked up. No layout: outside streams.
  struct Scope {
    int layout = -1;
    std::string_view alias;
    std::string_view type;
    std::vector<std::pair<std::string_view, int>> locals;
  };

  Layout& LayoutAt(int index) { return plan_.layouts[static_cast<size_t>(index)]; }

  int AddLayout(std::string type_name, bool open) {
    Layout layout;
    layout.type_name = std::move(type_name);
    layout.open = open;
    plan_.layouts.push_back(std::move(layout));
    return static_cast<int>(plan_.layouts.size()) - 1;
  }

  void PlanVariable(const VariableDecl& variable) {
    Scope scope;
    PlanAssignment assignment;
    assignment.value = Resolve(*variable.value, scope);
    assignment.span = variable.value->span;
    auto [found, added] =
        globals_.emplace(variable.name.text, static_cast<int>(plan_.globals.size()));
    if (added) {
      const bool is_mutable =
          variable.kind == VariableKind::kVar || variable.kind == VariableKind::kAssign;
      plan_.globals.push_back({variable.name.text, is_mutable});
    }
    assignment.global = found->second;
    plan_.assignments.push_back(std::move(assignment));
  }

  // The checks have refused cycles.
  std::vector<size_t> ProducersFirst() const {
    std::vector<bool> done(decls_.size(), false);
    std::vector<size_t> order;
    for (size_t start = 0; start < decls_.size(); ++start) {
      std::vector<size_t> path;
      for (size_t at = start; !done[at];) {
        done[at] = true;
        path.push_back(at);
        auto producer = stream_index_.find(decls_[at]->source.type.text);
        if (producer == stream_index_.end()) break;
        at = producer->second;
      }
      order.insert(order.end(), path.rbegin(), path.rend());
    }
    return order;
  }

  int InputLayout(const std::string& type) {
    auto [found, added] = input_layouts_.emplace(type, 0);
    if (added) found->second = AddLayout(type, /*open=*/true);
    return found->second;
  }

  void PlanStreamAt(size_t index) {
    const StreamDecl& decl = *decls_[index];
    PlanStream& stream = plan_.streams[index];
    stream.name = decl.name.text;
    const std::string& source = decl.source.type.text;
    auto producer = stream_index_.find(source);
    stream.input_layout = producer != stream_index_.end()
                              ? plan_.streams[producer->second].output_layout
                              : InputLayout(source);
    Scope scope;
    scope.layout = stream.input_layout;
    scope.type = source;
    if (decl.source.alias.has_value()) scope.alias = decl.source.alias->text;
    std::string fingerprint = Concat("from ", source);
    for (const StreamOp& op : decl.ops) {
      PlanOp planned = PlanOperator(decl, op, scope);
      ConcatTo(&fingerprint, "|", static_cast<int>(planned.kind), " ", planned.count, " ",
               planned.output_type);
      for (const PlanExpr& expr : planned.exprs) ConcatTo(&fingerprint, " ", Portable(expr, scope));
      fingerprint = Fingerprint(fingerprint);  // chained, so that long chains stay linear
      planned.fingerprint = fingerprint;
      if (planned.output_layout >= 0) scope.layout = planned.output_layout;
      stream.ops.push_back(std::move(planned));
    }
    stream.output_layout = scope.layout;
  }

  PlanOp PlanOperator(const StreamDecl& decl, const StreamOp& op, Scope& scope) {
    PlanOp planned;
    switch (op.kind) {
      case OpKind::kWhere:
      case OpKind::kHaving:
        planned.kind = PlanOpKind::kFilter;
        planned.exprs.push_back(Resolve(*op.expr, scope));
        break;
      case OpKind::kDistinct:
        planned.kind = PlanOpKind::kDistinct;
        planned.exprs.push_back(op.expr != nullptr ? Resolve(*op.expr, scope) : AllFields(scope));
        break;
      case OpKind::kLimit:
        planned.kind = PlanOpKind::kLimit;
        planned.count = op.count;
        break;
      case OpKind::kSelect:
      case OpKind::kEmit:
        PlanFields(decl, op, scope, planned);
        break;
      case OpKind::kUnsupported:
        break;  // refused by the checks
    }
    return planned;
  }

  void PlanFields(const StreamDecl& decl, const StreamOp& op, Scope& scope, PlanOp& planned) {
    const bool emit = op.kind == OpKind::kEmit;
    planned.kind = emit ? PlanOpKind::kEmit : PlanOpKind::kSelect;
    planned.output_type = emit ? decl.name.text : "";
    planned.output_layout = AddLayout(emit ? decl.name.text : std::string(scope.type), false);
    for (const NamedExpr& named : op.named) {
      const std::string& label = named.label.text;
      if (emit && label == "context" && named.expr->kind == ExprKind::kName) continue;
      if (emit && label == "event_type" && named.expr->kind == ExprKind::kLiteral &&
          named.expr->literal.kind == LiteralKind::kString) {
        planned.output_type = named.expr->literal.text;
      }
      PlanExpr expr = Resolve(*named.expr, scope);
      Layout& layout = LayoutAt(planned.output_layout);
      const int slot = layout.Find(label);
      if (slot >= 0) {
        planned.exprs[static_cast<size_t>(slot)] = std::move(expr);  // given twice: the last counts
      } else {
        layout.AddField(label);
        planned.exprs.push_back(std::move(expr));
      }
    }
    if (op.emit_as.has_value()) planned.output_type = op.emit_as->text;
    if (emit) {
      scope.alias = {};
      scope.type = decl.name.text;
    }
  }

  PlanExpr AllFields(const Scope& scope) {
    Layout& layout = LayoutAt(scope.layout);
    if (layout.open) return Make(PlanExprKind::kSlot, layout.DemandAllFields());
    PlanExpr expr = Make(PlanExprKind::kMap);
    for (int slot = 0; slot < layout.slot_count; ++slot) {
      expr.children.push_back(Make(PlanExprKind::kSlot, slot));
      expr.labels.push_back(layout.fields[static_cast<size_t>(slot)]);
    }
    return expr;
  }

  // Slots are numbered by first use in the whole program; field names make the text independent of
  // what other streams read.
  std::string Portable(const PlanExpr& expr, const Scope& scope) {
    if (expr.kind == PlanExprKind::kSlot) {
      const Layout& layout = LayoutAt(scope.layout);
      return expr.index == layout.all_fields_slot
                 ? "all"
                 : Concat("$", layout.fields[static_cast<size_t>(expr.index)]);
    }
    if (expr.kind == PlanExprKind::kGlobal) {
      return Concat("global ", plan_.globals[static_cast<size_t>(expr.index)].name);
    }
    if (expr.children.empty()) return DebugString(expr);
    std::string out = Concat(static_cast<int>(expr.kind), ":", static_cast<int>(expr.unary), ":",
                             static_cast<int>(expr.binary), ":", static_cast<int>(expr.builtin),
                             ":", expr.text, "(");
    for (const PlanExpr& child : expr.children) ConcatTo(&out, Portable(child, scope), ",");
    for (const std::string& label : expr.labels) ConcatTo(&out, label, ",");
    for (const PlanArm& arm : expr.arms) {
      ConcatTo(&out, static_cast<int>(arm.kind), " ", arm.literal.text, " ", arm.literal.integer,
               " ", std::to_string(arm.literal.real), ",");
    }
    return out + ")";
  }

  PlanExpr FieldOf(const std::string& name, const Scope& scope) {
    Layout& layout = LayoutAt(scope.layout);
    const int slot = layout.open ? layout.Demand(name) : layout.Find(name);
    return slot < 0 ? Make(PlanExprKind::kMissing) : Make(PlanExprKind::kSlot, slot);
  }

  static PlanExpr FirstPresent(std::vector<PlanExpr> candidates) {
    PlanExpr expr = Make(PlanExprKind::kFirstPresent);
    for (PlanExpr& candidate : candidates) {
      if (candidate.kind != PlanExprKind::kMissing) expr.children.push_back(std::move(candidate));
    }
    if (expr.children.empty()) return Make(PlanExprKind::kMissing);
    if (expr.children.size() == 1) {
      PlanExpr only = std::move(expr.children[0]);
      return only;
    }
    return expr;
  }

  // vpl.md §2.4: local, field of the event, variable; `timestamp` last.
  PlanExpr ResolveName(const std::string& name, const Scope& scope) {
    for (auto local = scope.locals.rbegin(); local != scope.locals.rend(); ++local) {
      if (local->first == name) return Make(PlanExprKind::kLocal, local->second);
    }
    std::vector<PlanExpr> candidates;
    if (scope.layout >= 0) candidates.push_back(FieldOf(name, scope));
    if (auto global = globals_.find(name); global != globals_.end()) {
      candidates.push_back(Make(PlanExprKind::kGlobal, global->second));
    } else if (name == "timestamp" && scope.layout >= 0) {
      candidates.push_back(Make(PlanExprKind::kTimestamp));
    }
    return FirstPresent(std::move(candidates));
  }

  PlanExpr ResolveMember(const Expr& expr, Scope& scope) {
    const Expr& base = *expr.children[0];
    auto member_of = [&](PlanExpr value) {
      if (value.kind == PlanExprKind::kMissing) return value;
      PlanExpr member = Make(PlanExprKind::kMember);
      member.text = expr.text;
      member.children.push_back(std::move(value));
      return member;
    };
    if (base.kind != ExprKind::kName || scope.layout < 0) return member_of(Resolve(base, scope));
    for (const auto& local : scope.locals) {
      if (local.first == base.text) return member_of(Resolve(base, scope));
    }
    auto own_field = [&] {
      return expr.text == "timestamp" ? ResolveName(expr.text, scope) : FieldOf(expr.text, scope);
    };
    if (base.text == scope.alias) return own_field();
    std::vector<PlanExpr> candidates;
    candidates.push_back(FieldOf(Concat(base.text, ".", expr.text), scope));
    candidates.push_back(FieldOf(Concat(base.text, "_", expr.text), scope));
    if (base.text == scope.type) candidates.push_back(own_field());
    candidates.push_back(member_of(ResolveName(base.text, scope)));
    return FirstPresent(std::move(candidates));
  }

  PlanExpr ResolveMatch(const Expr& expr, Scope& scope) {
    PlanExpr match = Make(PlanExprKind::kMatch);
    match.children.push_back(Resolve(*expr.children[0], scope));
    for (size_t i = 0; i < expr.arms.size(); ++i) {
      const MatchArm& arm = expr.arms[i];
      PlanArm planned{arm.kind, arm.literal, -1};
      if (arm.kind == MatchArm::Kind::kBind) {
        planned.local = static_cast<int>(scope.locals.size());
        scope.locals.emplace_back(arm.name, planned.local);
        plan_.local_count = std::max(plan_.local_count, planned.local + 1);
      }
      match.children.push_back(Resolve(*expr.children[i + 1], scope));
      if (arm.kind == MatchArm::Kind::kBind) scope.locals.pop_back();
      match.arms.push_back(std::move(planned));
    }
    return match;
  }

  PlanExpr Resolve(const Expr& expr, Scope& scope) {
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
        return planned;  // refused by the checks
      case ExprKind::kCall:
        planned.kind = PlanExprKind::kCall;
        planned.builtin = FindBuiltin(expr.text)->id;
        break;
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
                                                  : Make(PlanExprKind::kMissing, 1));
    }
    return planned;
  }

  void Wire() {
    absl::flat_hash_map<std::string, size_t> inputs;
    auto input_for = [&](const std::string& type, int layout, bool is_stream) -> PlanInput& {
      auto [found, added] = inputs.emplace(type, plan_.inputs.size());
      if (added) plan_.inputs.push_back({type, layout, {}, is_stream});
      return plan_.inputs[found->second];
    };
    for (bool streams : {false, true}) {
      for (size_t i = 0; i < decls_.size(); ++i) {
        const std::string& source = decls_[i]->source.type.text;
        const bool over_stream = stream_index_.contains(source);
        if (over_stream != streams) continue;
        input_for(source, plan_.streams[i].input_layout, streams)
            .streams.push_back(static_cast<int>(i));
        if (streams) {
          plan_.streams[stream_index_.at(source)].consumers.push_back(static_cast<int>(i));
        }
      }
    }
  }

  const Program& program_;
  Plan plan_;
  std::vector<const StreamDecl*> decls_;
  absl::flat_hash_map<std::string, size_t> stream_index_;
  absl::flat_hash_map<std::string, int> globals_, input_layouts_;
};

}  // namespace

Plan MakePlan(const Program& program) { return Planner(program).Run(); }

}  // namespace varpulis::engine
