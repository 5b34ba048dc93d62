#include "engine/plan/planner.h"

#include <algorithm>
#include <utility>

#include "engine/lang/concat.h"
#include "engine/plan/planner_impl.h"

namespace varpulis::engine {

PlanExpr MakePlanExpr(PlanExprKind kind, int index) {
  PlanExpr expr;
  expr.kind = kind;
  expr.index = index;
  return expr;
}

Plan Planner::Run() {
  for (const Statement& statement : program_.statements) {
    if (const auto* function = std::get_if<FunctionDecl>(&statement)) {
      functions_.emplace(function->name.text, function);
    }
  }
  for (const Statement& statement : program_.statements) {
    if (const auto* stream = std::get_if<StreamDecl>(&statement)) {
      stream_index_.emplace(stream->name.text, decls_.size());
      decls_.push_back(stream);
    } else if (const auto* variable = std::get_if<VariableDecl>(&statement)) {
      PlanVariable(*variable);
    } else if (const auto* connector = std::get_if<ConnectorDecl>(&statement)) {
      PlanConnectorDecl(*connector);
    }
  }
  plan_.streams.resize(decls_.size());
  for (size_t index : ProducersFirst()) PlanStreamAt(index);
  Wire();
  return std::move(plan_);
}

namespace {

std::string ParamText(const Expr& expr) {
  if (expr.kind == ExprKind::kName) return expr.text;
  if (expr.kind == ExprKind::kList) {
    std::string out;
    for (const ExprPtr& item : expr.children) {
      ConcatTo(&out, out.empty() ? "" : ",", ParamText(*item));
    }
    return out;
  }
  switch (expr.literal.kind) {
    case LiteralKind::kString:
      return expr.literal.text;
    case LiteralKind::kBool:
      return expr.literal.integer != 0 ? "true" : "false";
    case LiteralKind::kFloat:
      return Concat(std::to_string(expr.literal.real));
    case LiteralKind::kNull:
      return "";
    default:
      return Concat(expr.literal.integer);
  }
}

}  // namespace

void Planner::PlanConnectorDecl(const ConnectorDecl& connector) {
  PlanConnector planned{connector.name.text, connector.type.text, {}};
  for (const NamedExpr& param : connector.params) {
    planned.params.emplace_back(param.label.text, ParamText(*param.expr));
  }
  plan_.connectors.push_back(std::move(planned));
}

void Planner::PlanVariable(const VariableDecl& variable) {
  Scope scope;
  PlanAssignment assignment;
  assignment.value = Resolve(*variable.value, scope);
  PlanPendingFunctions();
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

std::vector<const Name*> Planner::SourcesOf(const StreamDecl& decl) const {
  std::vector<const Name*> sources;
  switch (decl.source.kind) {
    case SourceKind::kMerge:
    case SourceKind::kJoin:
      for (const SourceClause& clause : decl.source.clauses) sources.push_back(&clause.type);
      break;
    case SourceKind::kTimer:
    case SourceKind::kSequence:
      break;
    default:
      sources.push_back(&decl.source.type);
  }
  return sources;
}

// The checks have refused cycles.
std::vector<size_t> Planner::ProducersFirst() const {
  struct Visit {
    size_t stream;
    std::vector<size_t> producers;
    size_t next = 0;
  };
  const auto visit = [this](size_t stream) {
    Visit made{stream, {}};
    for (const Name* source : SourcesOf(*decls_[stream])) {
      auto producer = stream_index_.find(source->text);
      if (producer != stream_index_.end()) made.producers.push_back(producer->second);
    }
    return made;
  };
  std::vector<bool> seen(decls_.size(), false);
  std::vector<size_t> order;
  for (size_t start = 0; start < decls_.size(); ++start) {
    if (seen[start]) continue;
    seen[start] = true;
    std::vector<Visit> path{visit(start)};
    while (!path.empty()) {
      Visit& top = path.back();
      if (top.next == top.producers.size()) {
        order.push_back(top.stream);
        path.pop_back();
      } else if (const size_t producer = top.producers[top.next++]; !seen[producer]) {
        seen[producer] = true;
        path.push_back(visit(producer));
      }
    }
  }
  return order;
}

int Planner::AddLayout(std::string type_name, Layout::Kind kind) {
  Layout layout;
  layout.type_name = std::move(type_name);
  layout.kind = kind;
  plan_.layouts.push_back(std::move(layout));
  return static_cast<int>(plan_.layouts.size()) - 1;
}

int Planner::LayoutOf(const std::string& type_or_stream) {
  auto producer = stream_index_.find(type_or_stream);
  if (producer != stream_index_.end()) return plan_.streams[producer->second].output_layout;
  auto [found, added] = input_layouts_.emplace(type_or_stream, 0);
  if (added) found->second = AddLayout(type_or_stream, Layout::Kind::kEvent);
  return found->second;
}

// The event type behind a stream that changes nothing, else its own name.
std::string Planner::RootType(const std::string& type_or_stream) const {
  std::string at = type_or_stream;
  while (true) {
    auto found = stream_index_.find(at);
    if (found == stream_index_.end()) return at;
    const StreamDecl& decl = *decls_[found->second];
    if (!decl.ops.empty() || decl.source.kind != SourceKind::kType) return at;
    at = decl.source.type.text;
  }
}

// The slot of `field` in rows of `layout`, added if rows can have it; -1 if they cannot.
int Planner::Demand(int layout, const std::string& field) {
  if (const int slot = LayoutAt(layout).Find(field); slot >= 0) return slot;
  std::vector<Layout::Origin> origins;
  const std::vector<Layout::Part> parts = LayoutAt(layout).parts;  // Demand may move the layouts
  switch (LayoutAt(layout).kind) {
    case Layout::Kind::kClosed:
      return -1;
    case Layout::Kind::kEvent:
    case Layout::Kind::kMap:
      return LayoutAt(layout).AddField(field);
    case Layout::Kind::kMerge:
    case Layout::Kind::kJoin: {
      const size_t dot = field.find('.');
      const std::string label = dot == std::string::npos ? "" : field.substr(0, dot);
      const std::string name = dot == std::string::npos ? field : field.substr(dot + 1);
      for (size_t part = 0; part < parts.size(); ++part) {
        if (!label.empty() && label != parts[part].label && label != parts[part].type) continue;
        const int slot = Demand(parts[part].layout, name);
        if (slot >= 0) origins.push_back({static_cast<int>(part), slot});
      }
      break;
    }
  }
  if (origins.empty()) return -1;
  LayoutAt(layout).origins.resize(static_cast<size_t>(LayoutAt(layout).slot_count));
  LayoutAt(layout).origins.push_back(std::move(origins));
  return LayoutAt(layout).AddField(field);
}

// The slot of a map of every field. REQUIRES: an open layout.
int Planner::DemandAllFields(int layout) {
  if (LayoutAt(layout).all_fields_slot >= 0) return LayoutAt(layout).all_fields_slot;
  std::vector<Layout::Origin> origins;
  const std::vector<Layout::Part> parts = LayoutAt(layout).parts;
  for (size_t part = 0; part < parts.size(); ++part) {
    const bool open = LayoutAt(parts[part].layout).open();
    origins.push_back(
        {static_cast<int>(part), open ? DemandAllFields(parts[part].layout) : Layout::kAllSlots});
  }
  Layout& at = LayoutAt(layout);
  if (!parts.empty()) {
    at.origins.resize(static_cast<size_t>(at.slot_count));
    at.origins.push_back(std::move(origins));
  }
  at.all_fields_slot = at.AddHidden();
  return at.all_fields_slot;
}

void Planner::Wire() {
  absl::flat_hash_map<std::string, size_t> inputs;
  for (bool streams : {false, true}) {
    for (size_t i = 0; i < plan_.streams.size(); ++i) {
      const PlanStream& stream = plan_.streams[i];
      for (size_t port = 0; port < stream.ports.size(); ++port) {
        const std::string& source = stream.ports[port].type;
        auto producer = stream_index_.find(source);
        if ((producer != stream_index_.end()) != streams) continue;
        auto [found, added] = inputs.emplace(source, plan_.inputs.size());
        if (added) plan_.inputs.push_back({source, stream.ports[port].layout, {}, streams});
        const PlanStream::Consumer consumer{static_cast<int>(i), static_cast<int>(port)};
        plan_.inputs[found->second].consumers.push_back(consumer);
        if (streams) plan_.streams[producer->second].consumers.push_back(consumer);
      }
    }
  }
}

Plan MakePlan(const Program& program) { return Planner(program).Run(); }

}  // namespace varpulis::engine
