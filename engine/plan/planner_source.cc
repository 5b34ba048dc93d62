#include <algorithm>
#include <optional>
#include <utility>

#include "engine/plan/planner_impl.h"

namespace varpulis::engine {
namespace {

bool IsTime(const std::optional<Literal>& literal) {
  return literal.has_value() && literal->kind == LiteralKind::kDuration;
}

}  // namespace

void Planner::PlanMerge(const StreamDecl& decl, PlanStream& stream) {
  stream.source = SourcePlanKind::kMerge;
  stream.input_layout = AddLayout(decl.name.text, Layout::Kind::kMerge);
  absl::flat_hash_map<std::string, size_t> ports;
  for (const SourceClause& clause : decl.source.clauses) {
    const std::string& type = clause.type.text;
    const int layout = LayoutOf(type);
    auto [found, added] = ports.emplace(type, stream.ports.size());
    if (added) {
      stream.ports.push_back({type, layout, {}, {}});
      LayoutAt(stream.input_layout).parts.push_back({layout, type, RootType(type)});
    }
    PlanPort& port = stream.ports[found->second];
    Scope scope;
    scope.layout = layout;
    scope.type = type;
    PlanExpr always = MakePlanExpr(PlanExprKind::kLiteral);
    always.literal.kind = LiteralKind::kBool;
    always.literal.integer = 1;
    port.conditions.push_back(clause.condition != nullptr ? Condition(*clause.condition, scope)
                                                          : std::move(always));
  }
}

// The source that `X.f` speaks of, or -1.
int Planner::JoinPlace(const PlanStream& stream, const Expr& member) const {
  if (member.kind != ExprKind::kMember || member.children[0]->kind != ExprKind::kName) return -1;
  const std::string& label = member.children[0]->text;
  const Layout& layout = plan_.layouts[static_cast<size_t>(stream.input_layout)];
  for (size_t place = 0; place < layout.parts.size(); ++place) {
    if (layout.parts[place].label == label) return static_cast<int>(place);
  }
  for (size_t place = 0; place < layout.parts.size(); ++place) {
    if (layout.parts[place].type == label) return static_cast<int>(place);
  }
  return -1;
}

// `X.f == Y.g` makes a part of the key: each source's parts stand in the order of the pairs, and a
// pair joins the group of an earlier one that shares a side.
bool Planner::AddJoinPair(const Expr& left, const Expr& right, PlanStream& stream) {
  const int places[] = {JoinPlace(stream, left), JoinPlace(stream, right)};
  if (places[0] < 0 || places[1] < 0 || places[0] == places[1]) return false;
  const Expr* sides[] = {&left, &right};
  PlanExpr keys[2];
  for (int side = 0; side < 2; ++side) {
    const int layout = plan_.layouts[static_cast<size_t>(stream.input_layout)]
                           .parts[static_cast<size_t>(places[side])]
                           .layout;
    const int slot = Demand(layout, sides[side]->text);
    if (slot < 0) return false;
    keys[side] = MakePlanExpr(PlanExprKind::kSlot, slot);
  }
  const auto part_of = [&](int side) -> int {
    const std::vector<PlanExpr>& key = stream.join[static_cast<size_t>(places[side])].key;
    for (size_t i = 0; i < key.size(); ++i) {
      if (key[i].kind == PlanExprKind::kSlot && key[i].index == keys[side].index) {
        return static_cast<int>(i);
      }
    }
    return -1;
  };
  int part = part_of(0) >= 0 ? part_of(0) : part_of(1);
  for (int side = 0; side < 2; ++side) {
    std::vector<PlanExpr>& key = stream.join[static_cast<size_t>(places[side])].key;
    if (part < 0) {  // behind the longest key so far
      for (const PlanJoinSource& source : stream.join) {
        part = std::max(part, static_cast<int>(source.key.size()));
      }
    }
    if (key.size() <= static_cast<size_t>(part)) key.resize(static_cast<size_t>(part) + 1);
    PlanExpr& at = key[static_cast<size_t>(part)];
    const bool is_same = at.kind == PlanExprKind::kSlot && at.index == keys[side].index;
    if (at.kind != PlanExprKind::kMissing && !is_same) return false;  // two fields, one value
    at = std::move(keys[side]);
  }
  return true;
}

void Planner::ReadJoinCondition(const Expr& condition, PlanStream& stream,
                                std::vector<const Expr*>* residual) {
  if (condition.kind == ExprKind::kBinary && condition.binary == BinaryOp::kAnd) {
    ReadJoinCondition(*condition.children[0], stream, residual);
    ReadJoinCondition(*condition.children[1], stream, residual);
    return;
  }
  if (condition.kind == ExprKind::kBinary && condition.binary == BinaryOp::kEqual &&
      AddJoinPair(*condition.children[0], *condition.children[1], stream)) {
    return;
  }
  residual->push_back(&condition);
}

void Planner::PlanJoin(const StreamDecl& decl, PlanStream& stream,
                       std::vector<const Expr*>* residual) {
  constexpr int64_t kDefaultWindow = 60'000'000'000;
  stream.source = SourcePlanKind::kJoin;
  stream.join_window = kDefaultWindow;
  stream.input_layout = AddLayout(decl.name.text, Layout::Kind::kJoin);
  absl::flat_hash_map<std::string, size_t> ports;
  for (const SourceClause& clause : decl.source.clauses) {
    const std::string& type = clause.type.text;
    const int layout = LayoutOf(type);
    auto [found, added] = ports.emplace(type, stream.ports.size());
    if (added) stream.ports.push_back({type, layout, {}, {}});
    stream.ports[found->second].places.push_back(static_cast<int>(stream.join.size()));
    stream.join.push_back({clause.label.text, {}});
    LayoutAt(stream.input_layout).parts.push_back({layout, clause.label.text, RootType(type)});
  }
  for (const SourceClause& clause : decl.source.clauses) {
    if (clause.condition != nullptr) ReadJoinCondition(*clause.condition, stream, residual);
  }
  for (const StreamOp& op : decl.ops) {
    if (op.kind == OpKind::kOn) ReadJoinCondition(*op.expr, stream, residual);
    if (op.kind == OpKind::kWindow && op.window.size != nullptr &&
        IsTime(constants_.Fold(*op.window.size))) {
      stream.join_window = Constant(*op.window.size, kDefaultWindow);
    }
  }
}

}  // namespace varpulis::engine
