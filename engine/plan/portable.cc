#include "engine/plan/portable.h"

#include <cstring>

#include "engine/lang/concat.h"
#include "engine/plan/fingerprint.h"

namespace varpulis::engine {
namespace {

// Every bit of it.
std::string LiteralText(const Literal& literal) {
  uint64_t bits = 0;
  std::memcpy(&bits, &literal.real, sizeof(bits));
  return Concat("literal ", static_cast<int>(literal.kind), " ", literal.integer, " ",
                std::to_string(bits), " ", literal.text.size(), " ", literal.text);
}

}  // namespace

std::string PortableText::Of(const PlanExpr& expr) {
  std::string out = Text(expr);
  if (functions_.empty()) return out;
  for (size_t i = 0; i < functions_.size(); ++i) {
    const PlanFunction& function = plan_.functions[static_cast<size_t>(functions_[i])];
    ConcatTo(&out, " fn ", function.parameter_count, " ", function.local_count);
    AddBlock(function.body, &out);
    out = Fingerprint(out);  // chained, so that many functions stay linear
  }
  return out;
}

std::string PortableText::Text(const PlanExpr& expr) {
  if (expr.kind == PlanExprKind::kSlot && layout_ >= 0) {
    const Layout& at = plan_.layouts[static_cast<size_t>(layout_)];
    return expr.index == at.all_fields_slot
               ? "all"
               : Concat("$", at.fields[static_cast<size_t>(expr.index)]);
  }
  if (expr.kind == PlanExprKind::kGlobal) {
    return Concat("global ", plan_.globals[static_cast<size_t>(expr.index)].name);
  }
  if (expr.kind == PlanExprKind::kLiteral) return LiteralText(expr.literal);
  if (expr.children.empty() && expr.kind != PlanExprKind::kCallFunction) return DebugString(expr);
  std::string out = Concat(static_cast<int>(expr.kind), ":", static_cast<int>(expr.unary), ":",
                           static_cast<int>(expr.binary), ":", static_cast<int>(expr.builtin), ":",
                           expr.text, "(");
  if (expr.kind == PlanExprKind::kIsKind || expr.kind == PlanExprKind::kMissing) {
    ConcatTo(&out, expr.index, ",");
  }
  if (expr.kind == PlanExprKind::kCallFunction) {
    auto [found, added] = numbers_.emplace(expr.index, functions_.size());
    if (added) functions_.push_back(expr.index);
    ConcatTo(&out, "fn ", found->second, ",");
  }
  for (const PlanExpr& child : expr.children) ConcatTo(&out, Text(child), ",");
  for (const std::string& label : expr.labels) ConcatTo(&out, label, ",");
  for (const PlanArm& arm : expr.arms) {
    ConcatTo(&out, static_cast<int>(arm.kind), " ", LiteralText(arm.literal), ",");
  }
  return out + ")";
}

void PortableText::AddBlock(const std::vector<PlanStmt>& block, std::string* out) {
  for (const PlanStmt& stmt : block) {
    ConcatTo(out, "(", static_cast<int>(stmt.kind), " ", stmt.local, " ",
             stmt.global < 0 ? "" : plan_.globals[static_cast<size_t>(stmt.global)].name, " ");
    if (stmt.has_value) *out += Text(stmt.expr);
    if (stmt.kind == StmtKind::kEmit) *out += stmt.type;
    for (size_t i = 0; i < stmt.values.size(); ++i) {
      const Layout& emitted = plan_.layouts[static_cast<size_t>(stmt.layout)];
      ConcatTo(out, " ", emitted.fields[static_cast<size_t>(stmt.slots[i])], "=",
               Text(stmt.values[i]));
    }
    AddBlock(stmt.body, out);
    *out += "|";
    AddBlock(stmt.otherwise, out);
    *out += ")";
  }
}

}  // namespace varpulis::engine
