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

bool Planner::AddJoinPair(const Expr& condition, const PlanStream& stream,
                          std::vector<JoinPair>* pairs) {
  JoinPair pair;
  pair.condition = &condition;
  for (size_t side = 0; side < 2; ++side) {
    const Expr& member = *condition.children[side];
    const int place = JoinPlace(stream, member);
    if (place < 0) return false;
    const int layout = LayoutAt(stream.input_layout).parts[static_cast<size_t>(place)].layout;
    pair.sides[side] = {place, Demand(layout, member.text)};
    if (pair.sides[side].second < 0) return false;
  }
  if (pair.sides[0].first == pair.sides[1].first) return false;
  pairs->push_back(pair);
  return true;
}

void Planner::ReadJoinCondition(const Expr& condition, const PlanStream& stream,
                                std::vector<JoinPair>* pairs, std::vector<const Expr*>* residual) {
  if (condition.kind == ExprKind::kBinary && condition.binary == BinaryOp::kAnd) {
    ReadJoinCondition(*condition.children[0], stream, pairs, residual);
    ReadJoinCondition(*condition.children[1], stream, pairs, residual);
    return;
  }
  if (condition.kind == ExprKind::kBinary && condition.binary == BinaryOp::kEqual &&
      AddJoinPair(condition, stream, pairs)) {
    return;
  }
  residual->push_back(&condition);
}

// Fields that pairs make equal, directly or through others, are one part of the key if every source
// has one of them. What pairs say beyond that is left to a filter.
void Planner::MakeJoinKey(const std::vector<JoinPair>& pairs, PlanStream& stream,
                          std::vector<const Expr*>* residual) {
  using Field = std::pair<int, int>;
  std::vector<std::vector<Field>> groups;  // in order of the pairs
  const auto group_of = [&](const Field& field) {
    for (size_t i = 0; i < groups.size(); ++i) {
      if (std::find(groups[i].begin(), groups[i].end(), field) != groups[i].end()) return i;
    }
    groups.push_back({field});
    return groups.size() - 1;
  };
  for (const JoinPair& pair : pairs) {
    const size_t a = group_of(pair.sides[0]);
    const size_t b = group_of(pair.sides[1]);
    if (a == b) continue;
    std::vector<Field> moved = std::move(groups[std::max(a, b)]);
    groups.erase(groups.begin() + static_cast<ptrdiff_t>(std::max(a, b)));
    groups[std::min(a, b)].insert(groups[std::min(a, b)].end(), moved.begin(), moved.end());
  }
  std::vector<bool> is_key(groups.size());
  for (size_t i = 0; i < groups.size(); ++i) {
    std::vector<int> slots(stream.join.size(), -1);
    for (const auto& [place, slot] : groups[i]) {
      int& at = slots[static_cast<size_t>(place)];
      if (at < 0) at = slot;
    }
    is_key[i] = std::find(slots.begin(), slots.end(), -1) == slots.end();
    if (!is_key[i]) continue;
    for (size_t place = 0; place < slots.size(); ++place) {
      stream.join[place].key.push_back(MakePlanExpr(PlanExprKind::kSlot, slots[place]));
    }
  }
  for (const JoinPair& pair : pairs) {
    const std::vector<Field>& group = groups[group_of(pair.sides[0])];
    const auto is_first = [&](const Field& field) {  // of its source: the one in the key
      return *std::find_if(group.begin(), group.end(),
                           [&](const Field& other) { return other.first == field.first; }) == field;
    };
    const bool in_key =
        is_key[group_of(pair.sides[0])] && is_first(pair.sides[0]) && is_first(pair.sides[1]);
    if (!in_key) residual->push_back(pair.condition);
  }
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
  std::vector<JoinPair> pairs;
  for (const SourceClause& clause : decl.source.clauses) {
    if (clause.condition != nullptr) {
      ReadJoinCondition(*clause.condition, stream, &pairs, residual);
    }
  }
  for (const StreamOp& op : decl.ops) {
    if (op.kind == OpKind::kOn) ReadJoinCondition(*op.expr, stream, &pairs, residual);
    if (op.kind == OpKind::kWindow && op.window.size != nullptr &&
        IsTime(constants_.Fold(*op.window.size))) {
      stream.join_window = Constant(*op.window.size, kDefaultWindow);
    }
  }
  MakeJoinKey(pairs, stream, residual);
}

}  // namespace varpulis::engine
