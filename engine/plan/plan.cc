#include "engine/plan/plan.h"

#include <charconv>

#include "engine/lang/concat.h"

namespace varpulis::engine {

std::string RealText(double real) {
  constexpr size_t kLongest = 32;
  char buffer[kLongest];
  return {buffer, std::to_chars(buffer, buffer + kLongest, real).ptr};
}

namespace {

std::string QuotedText(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string DebugLiteral(const Literal& literal) {
  switch (literal.kind) {
    case LiteralKind::kNull:
      return "null";
    case LiteralKind::kBool:
      return literal.integer != 0 ? "true" : "false";
    case LiteralKind::kInt:
      return Concat(literal.integer);
    case LiteralKind::kFloat:
      return Concat(RealText(literal.real), "f");
    case LiteralKind::kString:
      return QuotedText(literal.text);
    case LiteralKind::kTimestamp:
      return Concat("@", literal.integer);
    case LiteralKind::kDuration:
      return Concat(literal.integer, "ns");
  }
  return "?";
}

std::string Arguments(const PlanExpr& expr, size_t from = 0) {
  std::string out;
  for (size_t i = from; i < expr.children.size(); ++i) {
    if (i > from) out += ", ";
    if (i < expr.labels.size() && !expr.labels[i].empty())
      ConcatTo(&out, QuotedText(expr.labels[i]), ": ");
    out += DebugString(expr.children[i]);
  }
  return out;
}

}  // namespace

int Layout::Find(std::string_view field) const {
  auto found = index_.find(absl::string_view(field.data(), field.size()));
  return found == index_.end() ? -1 : found->second;
}

int Layout::AddField(const std::string& field) {
  index_.emplace(field, slot_count);
  fields.push_back(field);
  return slot_count++;
}

int Layout::AddHidden() {
  fields.emplace_back();
  return slot_count++;
}

std::string DebugString(const PlanExpr& expr) {
  switch (expr.kind) {
    case PlanExprKind::kLiteral:
      return DebugLiteral(expr.literal);
    case PlanExprKind::kSlot:
      return Concat("$", expr.index);
    case PlanExprKind::kGlobal:
      return Concat("global", expr.index);
    case PlanExprKind::kLocal:
      return Concat("local", expr.index);
    case PlanExprKind::kTimestamp:
      return "timestamp";
    case PlanExprKind::kMissing:
      return expr.index == 1 ? "absent" : "missing";
    case PlanExprKind::kFirstPresent:
      return Concat("first_present(", Arguments(expr), ")");
    case PlanExprKind::kMember:
      return Concat(DebugString(expr.children[0]), ".", expr.text);
    case PlanExprKind::kIndex:
      return Concat("index(", Arguments(expr), ")");
    case PlanExprKind::kSlice:
      return Concat("slice(", Arguments(expr), ")");
    case PlanExprKind::kUnary:
      return Concat("(", UnaryOpText(expr.unary), " ", DebugString(expr.children[0]), ")");
    case PlanExprKind::kBinary:
      return Concat("(", DebugString(expr.children[0]), " ", BinaryOpText(expr.binary), " ",
                    DebugString(expr.children[1]), ")");
    case PlanExprKind::kIsKind:
      return Concat("(", DebugString(expr.children[0]), expr.index != 0 ? " is not " : " is ",
                    expr.text, ")");
    case PlanExprKind::kIf:
      return Concat("if(", Arguments(expr), ")");
    case PlanExprKind::kList:
      return Concat("[", Arguments(expr), "]");
    case PlanExprKind::kMap:
      return Concat("{", Arguments(expr), "}");
    case PlanExprKind::kCall:
      return Concat(BuiltinById(expr.builtin).name, "(", Arguments(expr), ")");
    case PlanExprKind::kCallFunction:
      return Concat("function", expr.index, "(", Arguments(expr), ")");
    case PlanExprKind::kMatch: {
      std::string out = Concat("match(", DebugString(expr.children[0]));
      for (size_t i = 0; i < expr.arms.size(); ++i) {
        const PlanArm& arm = expr.arms[i];
        ConcatTo(&out, ", ",
                 arm.kind == MatchArm::Kind::kLiteral ? DebugLiteral(arm.literal)
                 : arm.kind == MatchArm::Kind::kBind  ? Concat("local", arm.local)
                                                      : std::string("_"),
                 " => ", DebugString(expr.children[i + 1]));
      }
      return out + ")";
    }
  }
  return "?";
}

const char* AggregateName(AggregateFunction function) {
  static constexpr const char* kNames[] = {
      "count",    "count_distinct", "sum",  "avg", "min",    "max",        "stddev",
      "variance", "first",          "last", "ema", "median", "percentile", "collect"};
  return kNames[static_cast<int>(function)];
}

std::string DebugString(const PlanAggregate& aggregate) {
  std::string out = Concat(AggregateName(aggregate.function), "(");
  for (const PlanExpr& argument : aggregate.argument) out += DebugString(argument);
  if (aggregate.parameter != 0) ConcatTo(&out, ", ", RealText(aggregate.parameter));
  return out + ")";
}

std::string DebugString(const PlanWindow& window) {
  static constexpr const char* kNames[] = {"tumbling", "sliding", "count", "sliding count",
                                           "session"};
  return Concat(kNames[static_cast<int>(window.kind)], " ", window.size, " ", window.slide,
                window.event_time ? " by event time" : "");
}

namespace {

// Whether the expressions make the fields of the output layout, in its order.
bool NamesItsFields(PlanOpKind kind) {
  return kind == PlanOpKind::kSelect || kind == PlanOpKind::kEmit ||
         kind == PlanOpKind::kAggregate || kind == PlanOpKind::kWindow;
}

std::string DebugOp(const PlanOp& op, const std::vector<Layout>& layouts) {
  static constexpr const char* kNames[] = {
      "filter",   "select",  "emit",   "distinct", "limit", "map", "window",    "aggregate",
      "order_by", "process", "output", "print",    "log",   "tap", "watermark", "enrich"};
  std::string out = Concat("  ", kNames[static_cast<int>(op.kind)]);
  if (op.kind == PlanOpKind::kLimit || op.kind == PlanOpKind::kWatermark) {
    ConcatTo(&out, " ", op.count);
  }
  if (op.kind == PlanOpKind::kEmit) ConcatTo(&out, " as ", op.output_type);
  if (op.kind == PlanOpKind::kWindow) ConcatTo(&out, " ", DebugString(op.window));
  for (const PlanExpr& key : op.key) ConcatTo(&out, " by ", DebugString(key));
  for (size_t i = 0; i < op.aggregates.size(); ++i) {
    ConcatTo(&out, " local", i, "=", DebugString(op.aggregates[i]));
  }
  for (size_t i = 0; i < op.exprs.size(); ++i) {
    out += " ";
    if (NamesItsFields(op.kind) && op.output_layout >= 0) {
      ConcatTo(&out, layouts[static_cast<size_t>(op.output_layout)].fields[i], "=");
    }
    out += DebugString(op.exprs[i]);
  }
  return out + "\n";
}

void DebugBlock(const std::vector<PlanStmt>& block, const std::string& indent, std::string* out) {
  static constexpr const char* kNames[] = {"set",   "if",       "for",  "while", "return",
                                           "break", "continue", "emit", "expr"};
  for (const PlanStmt& stmt : block) {
    ConcatTo(out, indent, kNames[static_cast<int>(stmt.kind)]);
    if (stmt.local >= 0) ConcatTo(out, " local", stmt.local);
    if (stmt.global >= 0) ConcatTo(out, " global", stmt.global);
    if (stmt.has_value) ConcatTo(out, " ", DebugString(stmt.expr));
    if (stmt.kind == StmtKind::kEmit) {
      ConcatTo(out, " ", stmt.type);
      for (size_t i = 0; i < stmt.values.size(); ++i) {
        ConcatTo(out, " $", stmt.slots[i], "=", DebugString(stmt.values[i]));
      }
    }
    *out += "\n";
    DebugBlock(stmt.body, indent + "  ", out);
    if (!stmt.otherwise.empty()) ConcatTo(out, indent, "else\n");
    DebugBlock(stmt.otherwise, indent + "  ", out);
  }
}

}  // namespace

std::string DebugString(const PlanFunction& function) {
  std::string out = Concat(function.name, " parameters ", function.parameter_count, " locals ",
                           function.local_count, "\n");
  DebugBlock(function.body, "  ", &out);
  return out;
}

std::string Plan::DebugString() const {
  std::string out;
  for (size_t i = 0; i < layouts.size(); ++i) {
    static constexpr const char* kKinds[] = {" ", " open ", " merge ", " join ", " map "};
    ConcatTo(&out, "layout ", i, kKinds[static_cast<int>(layouts[i].kind)], layouts[i].type_name,
             ":");
    for (size_t slot = 0; slot < layouts[i].fields.size(); ++slot) {
      ConcatTo(&out, " $", slot, "=", layouts[i].fields[slot]);
      if (slot >= layouts[i].origins.size()) continue;
      for (const Layout::Origin& origin : layouts[i].origins[slot]) {
        ConcatTo(&out, " from ", origin.part, ".$", origin.slot);
      }
    }
    out += "\n";
  }
  for (const PlanAssignment& assignment : assignments) {
    ConcatTo(&out, "global", assignment.global, " ",
             globals[static_cast<size_t>(assignment.global)].name, " = ",
             engine::DebugString(assignment.value), "\n");
  }
  for (size_t i = 0; i < functions.size(); ++i) {
    ConcatTo(&out, "function", i, " ", engine::DebugString(functions[i]));
  }
  for (const PlanInput& input : inputs) {
    ConcatTo(&out, "input ", input.type, " layout ", input.layout, " ->");
    for (const PlanStream::Consumer& consumer : input.consumers) {
      ConcatTo(&out, " ", streams[static_cast<size_t>(consumer.stream)].name);
      if (consumer.port > 0) ConcatTo(&out, ":", consumer.port);
    }
    out += "\n";
  }
  for (const PlanStream& stream : streams) {
    static constexpr const char* kSources[] = {"", " merge", " join", " timer"};
    ConcatTo(&out, "stream ", stream.name, kSources[static_cast<int>(stream.source)], " layout ",
             stream.input_layout, " -> ", stream.output_layout, "\n");
    for (const PlanPort& port : stream.ports) {
      for (const PlanExpr& condition : port.conditions) {
        ConcatTo(&out, "  from ", port.type, " where ", engine::DebugString(condition), "\n");
      }
    }
    for (const PlanJoinSource& source : stream.join) {
      ConcatTo(&out, "  join ", source.label, " on");
      for (const PlanExpr& key : source.key) ConcatTo(&out, " ", engine::DebugString(key));
      out += "\n";
    }
    for (const PlanOp& op : stream.ops) out += DebugOp(op, layouts);
  }
  return out;
}

}  // namespace varpulis::engine
