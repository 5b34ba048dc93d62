#include "engine/plan/plan.h"

#include "engine/lang/concat.h"

namespace varpulis::engine {
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
      return absl::StrCat(absl::SixDigits(literal.real), "f");
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

void Layout::AddField(const std::string& field) {
  index_.emplace(field, slot_count);
  fields.push_back(field);
  ++slot_count;
}

int Layout::Demand(const std::string& field) {
  const int slot = Find(field);
  if (slot >= 0) return slot;
  AddField(field);
  return slot_count - 1;
}

int Layout::DemandAllFields() {
  if (all_fields_slot < 0) {
    all_fields_slot = slot_count++;
    fields.emplace_back();  // the slot has no name
  }
  return all_fields_slot;
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
      return "missing";
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

std::string Plan::DebugString() const {
  std::string out;
  for (size_t i = 0; i < layouts.size(); ++i) {
    ConcatTo(&out, "layout ", i, layouts[i].open ? " open " : " ", layouts[i].type_name, ":");
    for (size_t slot = 0; slot < layouts[i].fields.size(); ++slot) {
      ConcatTo(&out, " $", slot, "=", layouts[i].fields[slot]);
    }
    out += "\n";
  }
  for (const PlanAssignment& assignment : assignments) {
    ConcatTo(&out, "global", assignment.global, " ",
             globals[static_cast<size_t>(assignment.global)].name, " = ",
             engine::DebugString(assignment.value), "\n");
  }
  for (const PlanInput& input : inputs) {
    ConcatTo(&out, "input ", input.type, " layout ", input.layout, " ->");
    for (int stream : input.streams) ConcatTo(&out, " ", streams[static_cast<size_t>(stream)].name);
    out += "\n";
  }
  for (const PlanStream& stream : streams) {
    ConcatTo(&out, "stream ", stream.name, " layout ", stream.input_layout, " -> ",
             stream.output_layout, "\n");
    for (const PlanOp& op : stream.ops) {
      static constexpr const char* kNames[] = {"filter", "select", "emit", "distinct", "limit"};
      ConcatTo(&out, "  ", kNames[static_cast<int>(op.kind)]);
      if (op.kind == PlanOpKind::kLimit) ConcatTo(&out, " ", op.count);
      if (op.kind == PlanOpKind::kEmit) ConcatTo(&out, " as ", op.output_type);
      for (size_t i = 0; i < op.exprs.size(); ++i) {
        out += " ";
        if (op.output_layout >= 0) {
          ConcatTo(&out, layouts[static_cast<size_t>(op.output_layout)].fields[i], "=");
        }
        out += engine::DebugString(op.exprs[i]);
      }
      out += "\n";
    }
  }
  return out;
}

}  // namespace varpulis::engine
