#include <algorithm>
#include <utility>

#include "engine/lang/checker.h"
#include "engine/lang/concat.h"

namespace varpulis::engine {

// A stream has one source, so following sources from any stream either ends or runs into a ring.
// Returns the streams with sources first; those on or behind a ring are left out.
std::vector<size_t> Checker::StreamOrder() {
  enum class Mark : uint8_t { kNew, kOnPath, kDone, kBad };
  std::vector<Mark> marks(streams_.size(), Mark::kNew);
  std::vector<size_t> order;
  for (size_t start = 0; start < streams_.size(); ++start) {
    std::vector<size_t> path;
    size_t at = start;
    bool bad = false;
    while (true) {
      if (marks[at] == Mark::kOnPath) {
        ReportCycle(at);
        bad = true;
        break;
      }
      if (marks[at] != Mark::kNew) {
        bad = marks[at] == Mark::kBad;
        break;
      }
      marks[at] = Mark::kOnPath;
      path.push_back(at);
      auto source = stream_index_.find(streams_[at]->source.type.text);
      if (source == stream_index_.end()) break;
      at = source->second;
    }
    for (auto step = path.rbegin(); step != path.rend(); ++step) {
      marks[*step] = bad ? Mark::kBad : Mark::kDone;
      if (!bad) order.push_back(*step);
    }
  }
  return order;
}

void Checker::ReportCycle(size_t start) {
  constexpr int kShown = 8;
  std::string ring = streams_[start]->name.text;
  int shown = 0;
  size_t at = start;
  do {
    at = stream_index_.at(streams_[at]->source.type.text);
    if (++shown <= kShown) ConcatTo(&ring, " ← ", streams_[at]->name.text);
  } while (at != start);
  if (shown > kShown) ConcatTo(&ring, " ← …");
  diagnostics_.Error(streams_[start]->source.type.span, "E103",
                     Concat("stream `", streams_[start]->name.text, "` feeds itself: ", ring),
                     streams_[start]->source.type.text == streams_[start]->name.text
                         ? "give the stream another name than its event type"
                         : "");
}

void Checker::CheckStreams(CheckResult& result) {
  stream_shapes_.resize(streams_.size());
  absl::flat_hash_set<std::string> inputs;
  std::vector<std::string> names;
  for (const auto& [name, span] : event_names_) names.push_back(name);
  for (const auto& [name, span] : stream_names_) names.push_back(name);
  std::sort(names.begin(), names.end());
  for (const StreamDecl* stream : streams_) {
    result.streams.push_back(stream->name.text);
    const Name& type = stream->source.type;
    if (type.text.empty() || stream_index_.contains(type.text) || patterns_.contains(type.text)) {
      continue;
    }
    if (inputs.insert(type.text).second) result.input_event_types.push_back(type.text);
    if (events_.contains(type.text) || diagnostics_.enough_warnings()) continue;
    const std::string nearest = DidYouMean(type.text, names);
    diagnostics_.Warn(type.span, "W030", Concat("there is no event or stream `", type.text, "`"),
                      nearest.empty() ? "it is taken for an event type from outside" : nearest);
  }
  for (size_t index : StreamOrder()) CheckStream(index);
}

void Checker::CheckStream(size_t index) {
  const StreamDecl& stream = *streams_[index];
  const std::string& source = stream.source.type.text;
  auto producer = stream_index_.find(source);
  Shape shape =
      producer != stream_index_.end() ? stream_shapes_[producer->second] : ShapeOfEvent(source);
  if (producer == stream_index_.end() && source.empty()) shape = Shape();
  Scope scope;
  scope.type = source;
  if (stream.source.alias.has_value()) scope.alias = stream.source.alias->text;
  bool aggregated = false;
  for (const StreamOp& op : stream.ops) {
    if (op.kind == OpKind::kHaving && !aggregated) {
      diagnostics_.Error(op.name.span, "E010", "`.having` without an `.aggregate` before it",
                         "use `.where(…)`, or add `.aggregate(…)` before it");
    }
    aggregated = aggregated || op.name.text == "aggregate";
    CheckOp(stream, op, scope, shape);
  }
  stream_shapes_[index] = std::move(shape);
}

void Checker::CheckOp(const StreamDecl& stream, const StreamOp& op, Scope& scope, Shape& shape) {
  scope.shape = &shape;
  switch (op.kind) {
    case OpKind::kWhere:
    case OpKind::kHaving:
      return CheckCondition(op, scope);
    case OpKind::kDistinct:
      if (op.expr != nullptr) CheckExpr(*op.expr, scope);
      return;
    case OpKind::kLimit:
      return;
    case OpKind::kUnsupported:
      shape = Shape();
      return;
    case OpKind::kSelect:
    case OpKind::kEmit:
      break;
  }
  Shape next;
  next.known = true;
  next.owner = Concat("stream `", stream.name.text, "` at this point");
  for (const NamedExpr& named : op.named) {
    CheckExpr(*named.expr, scope);
    if (next.set.contains(named.label.text)) {
      diagnostics_.Warn(named.label.span, "W101",
                        Concat("field `", named.label.text, "` is given twice"),
                        "the last one counts");
    }
    next.Add(named.label.text);
  }
  if (op.emit_as.has_value() && !events_.contains(op.emit_as->text)) {
    diagnostics_.Warn(op.emit_as->span, "W031",
                      Concat("event type `", op.emit_as->text, "` is not declared"));
  }
  if (op.kind == OpKind::kEmit) {
    scope.alias = {};
    scope.type = stream.name.text;
  }
  shape = std::move(next);
}

void Checker::CheckCondition(const StreamOp& op, Scope& scope) {
  CheckExpr(*op.expr, scope);
  const Expr& expr = *op.expr;
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

}  // namespace varpulis::engine
