#include <algorithm>
#include <utility>

#include "engine/lang/checker.h"
#include "engine/lang/concat.h"
#include "engine/lang/supported.h"

namespace varpulis::engine {

Checker::ShapePtr Checker::ShapeOf(const std::string& type) {
  auto stream = stream_index_.find(type);
  if (stream != stream_index_.end()) return stream_shapes_[stream->second];
  if (patterns_.contains(type)) return nullptr;
  return ShapeOfEvent(type);
}

void Checker::CheckStream(size_t index) {
  const StreamDecl& stream = *streams_[index];
  Chain chain{stream};
  Scope& scope = chain.scope;
  scope.has_event = true;
  CheckSource(stream);
  chain.has_steps = CheckSteps(stream, &chain.steps);
  CheckStructure(stream, chain.has_steps);
  if (chain.has_steps) {
    scope.shape = MatchShape(stream, chain.steps);
    scope.captures = chain.steps;
    scope.type = stream.name.text;
    auto pattern = patterns_.find(stream.source.type.text);
    if (pattern != patterns_.end() && pattern->second->decl->partition_by.has_value()) {
      chain.partition = pattern->second->decl->partition_by->text;
    }
  } else {
    scope.shape = SourceShape(stream);
    scope.type = stream.source.type.text;
    if (stream.source.alias.has_value()) scope.alias = stream.source.alias->text;
    if (!stream.source.clauses.empty()) scope.parts = &stream.source;
  }
  for (const StreamOp& op : stream.ops) CheckOp(op, chain);
  stream_shapes_[index] = std::move(scope.shape);
}

Checker::ShapePtr Checker::SourceShape(const StreamDecl& stream) {
  switch (stream.source.kind) {
    case SourceKind::kType:
    case SourceKind::kConnector:
      return ShapeOf(stream.source.type.text);
    case SourceKind::kMerge:
      return MergeShape(stream);
    case SourceKind::kJoin:
      return JoinShape(stream);
    case SourceKind::kTimer: {
      auto shape = std::make_shared<Shape>();
      shape->owner = Concat("timer `", stream.name.text, "`");
      shape->Add("timestamp");
      return shape;
    }
    case SourceKind::kSequence:
      break;
  }
  return nullptr;
}

Checker::ShapePtr Checker::MergeShape(const StreamDecl& stream) {
  auto shape = std::make_shared<Shape>();
  shape->owner = Concat("merge `", stream.name.text, "`");
  for (const SourceClause& clause : stream.source.clauses) {
    const ShapePtr part = ShapeOf(clause.type.text);
    if (part == nullptr) return nullptr;
    for (const std::string& name : part->names) shape->Add(name);
    shape->open.insert(shape->open.end(), part->open.begin(), part->open.end());
    if (shape->names.size() > kMaxKnownFields || shape->open.size() > kMaxKnownFields) {
      return nullptr;
    }
  }
  return shape;
}

// `Source.f`, `EventType.f` and plain `f` (vpl.md §6.1).
Checker::ShapePtr Checker::JoinShape(const StreamDecl& stream) {
  auto shape = std::make_shared<Shape>();
  shape->owner = Concat("join `", stream.name.text, "`");
  for (const SourceClause& clause : stream.source.clauses) {
    const ShapePtr part = ShapeOf(clause.type.text);
    if (part == nullptr || !part->open.empty()) return nullptr;
    std::vector<std::string> prefixes = {Concat(clause.label.text, "."),
                                         Concat(clause.type.text, ".")};
    // A stream without operators stands for its event type.
    auto source = stream_index_.find(clause.type.text);
    if (source != stream_index_.end()) {
      prefixes.push_back(Concat(streams_[source->second]->source.type.text, "."));
    }
    for (const std::string& name : part->names) {
      shape->Add(name);
      for (const std::string& prefix : prefixes) shape->Add(Concat(prefix, name));
    }
    if (shape->names.size() > 4 * kMaxKnownFields) return nullptr;
  }
  return shape;
}

void Checker::CheckSource(const StreamDecl& stream) {
  const StreamSource& source = stream.source;
  if (source.kind == SourceKind::kConnector) {
    const ConnectorDecl* connector = FindConnector(source.connector);
    if (connector != nullptr) CheckConnectorParams(*connector, /*from=*/true, source.params);
    CheckParams(source.params);
  }
  if (source.interval != nullptr) CheckDuration(*source.interval, "the interval of `timer`");
  if (source.initial_delay != nullptr) CheckDuration(*source.initial_delay, "`initial_delay`");
  absl::flat_hash_set<std::string_view> labels;
  for (const SourceClause& clause : source.clauses) {
    // Names of a merge are labels only.
    if (!labels.insert(clause.label.text).second && source.kind == SourceKind::kJoin) {
      diagnostics_.Error(clause.label.span, "E122",
                         Concat("`", clause.label.text, "` is joined twice under one name"),
                         Concat("give one a name: stream Other = ", clause.type.text));
    }
    if (source.kind != SourceKind::kMerge || clause.condition == nullptr) continue;
    Scope scope;
    scope.has_event = true;
    scope.shape = ShapeOf(clause.type.text);
    scope.type = clause.type.text;
    CheckExpr(*clause.condition, scope);
  }
  if (source.kind == SourceKind::kJoin) CheckJoin(stream);
}

void Checker::CheckJoin(const StreamDecl& stream) {
  Scope scope;
  scope.has_event = true;
  scope.shape = JoinShape(stream);
  size_t conditions = 0;
  for (const SourceClause& clause : stream.source.clauses) {
    if (clause.condition == nullptr) continue;
    ++conditions;
    CheckExpr(*clause.condition, scope);
  }
  for (const StreamOp& op : stream.ops) {
    if (op.kind == OpKind::kWindow) CheckJoinWindow(op);
    if (op.kind != OpKind::kOn) continue;
    ++conditions;
    CheckExpr(*op.expr, scope);
  }
  const std::vector<SourceClause>& clauses = stream.source.clauses;
  if (clauses.size() < 2) {
    diagnostics_.Error(stream.source.span, "E124", "a join needs two sources",
                       "such as join(A, B).on(A.id == B.id)");
  } else if (conditions == 0) {
    diagnostics_.Error(
        stream.source.span, "E124", "a join needs a condition",
        Concat("add .on(", clauses[0].label.text, ".id == ", clauses[1].label.text, ".id)"));
  }
}

// It says how old the parts of a join may be, and collects nothing (vpl.md §6.1). What is no
// constant, or not positive, is reported by CheckWindow.
void Checker::CheckJoinWindow(const StreamOp& op) {
  const WindowSpec& window = op.window;
  const Expr* wrong = window.session != nullptr ? window.session.get() : window.sliding.get();
  if (wrong == nullptr && window.size != nullptr) {
    const std::optional<Literal> size = constants_.Fold(*window.size);
    if (size.has_value() && size->kind == LiteralKind::kInt) wrong = window.size.get();
  }
  if (wrong == nullptr) return;
  diagnostics_.Error(wrong->span, "E129",
                     "the window of a join is one duration: how old its parts may be",
                     "such as .window(10s); a second stream over this one may have any window");
}

// What depends on the order of operators and on the kind of the source.
void Checker::CheckStructure(const StreamDecl& stream, bool has_steps) {
  bool aggregated = false, windowed = false;
  for (const StreamOp& op : stream.ops) {
    switch (op.kind) {
      case OpKind::kHaving:
        if (aggregated) break;
        diagnostics_.Error(op.name.span, "E010", "`.having` without an `.aggregate` before it",
                           "use `.where(…)`, or add `.aggregate(…)` before it");
        break;
      case OpKind::kAggregate:
        if (aggregated) {
          diagnostics_.Error(op.name.span, "E011", "a stream can have one `.aggregate` only",
                             "declare a second stream over this one");
        } else if (!windowed) {
          diagnostics_.Warn(op.name.span, "W001",
                            "without a `.window` before it, each event is aggregated alone",
                            "add .window(…) before it");
        }
        aggregated = true;
        break;
      case OpKind::kTrendAggregate:
        aggregated = true;
        break;
      case OpKind::kWindow:
        if (windowed) {
          diagnostics_.Error(op.name.span, "E012", "a stream can have one `.window` only",
                             "declare a second stream over this one");
        }
        windowed = true;
        break;
      case OpKind::kPartitionBy:
        if (!windowed || has_steps) break;
        diagnostics_.Warn(op.name.span, "W002", "the window before it is not partitioned",
                          "move `.partition_by` before `.window`");
        break;
      default:
        break;
    }
  }
  CheckSourceOps(stream, has_steps);
}

void Checker::CheckSourceOps(const StreamDecl& stream, bool has_steps) {
  const StreamSource& source = stream.source;
  auto has = [&](OpKind kind) {
    return std::any_of(stream.ops.begin(), stream.ops.end(),
                       [&](const StreamOp& op) { return op.kind == kind; });
  };
  PatternInfo* pattern = nullptr;
  if (auto found = patterns_.find(source.type.text);
      found != patterns_.end() && !stream_index_.contains(source.type.text)) {
    pattern = found->second.get();
  }
  const bool within = has(OpKind::kWithin);
  if (pattern != nullptr && within) pattern->used_within = true;
  if (source.where != nullptr && !has_steps) {
    diagnostics_.Error(source.where->span, "E125", "only a step of a pattern has a `where`",
                       "write .where(…)");
  }
  for (const StreamOp& op : stream.ops) {
    if (runnable_ && !RunsInThisBuild(op.kind)) continue;  // E110 says it
    const bool needs_steps = op.kind == OpKind::kWithin || op.kind == OpKind::kNot;
    if (needs_steps && !has_steps) {
      diagnostics_.Error(op.name.span, "E020", Concat("`.", op.name.text, "` without a pattern"),
                         "add steps: stream S = A as a -> B as b");
    }
    if (op.kind == OpKind::kOn && source.kind != SourceKind::kJoin) {
      diagnostics_.Error(op.name.span, "E124", "`.on` belongs to a join",
                         "use `.where(…)`, or join(A, B).on(…)");
    }
    const bool trend = op.kind == OpKind::kTrendAggregate;
    if ((trend || op.kind == OpKind::kForecast) && !has_steps) {
      diagnostics_.Error(op.name.span, "E123", Concat("`.", op.name.text, "` needs a pattern"),
                         "add steps: stream S = A as a -> all B as b");
    } else if (trend && !within && (pattern == nullptr || pattern->decl->within == nullptr)) {
      diagnostics_.Error(op.name.span, "E121", "`.trend_aggregate` needs the size of its window",
                         "add .within(1m)");
    }
  }
}

}  // namespace varpulis::engine
