#include "test/fuzz/reference/printer.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace varpulis::reference {
namespace {

using engine::BinaryOp;
using engine::Expr;
using engine::ExprKind;

// Lowest to highest.
enum Level {
  kRange,
  kCoalesce,
  kOr,
  kAnd,
  kNot,
  kCompare,
  kBitOr,
  kBitXor,
  kBitAnd,
  kShift,
  kAdd,
  kMultiply,
  kPower,
  kUnary,
  kPostfix,
  kPrimary,
};

Level LevelOf(BinaryOp op) {
  switch (op) {
    case BinaryOp::kRange:
    case BinaryOp::kRangeInclusive:
      return kRange;
    case BinaryOp::kCoalesce:
      return kCoalesce;
    case BinaryOp::kOr:
      return kOr;
    case BinaryOp::kAnd:
      return kAnd;
    case BinaryOp::kBitOr:
      return kBitOr;
    case BinaryOp::kBitXor:
      return kBitXor;
    case BinaryOp::kBitAnd:
      return kBitAnd;
    case BinaryOp::kShiftLeft:
    case BinaryOp::kShiftRight:
      return kShift;
    case BinaryOp::kAdd:
    case BinaryOp::kSubtract:
      return kAdd;
    case BinaryOp::kMultiply:
    case BinaryOp::kDivide:
    case BinaryOp::kModulo:
      return kMultiply;
    case BinaryOp::kPower:
      return kPower;
    default:
      return kCompare;
  }
}

Level LevelOf(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kBinary:
      return LevelOf(expr.binary);
    case ExprKind::kUnary:
      return expr.unary == engine::UnaryOp::kNot ? kNot : kUnary;
    case ExprKind::kMember:
    case ExprKind::kIndex:
    case ExprKind::kSlice:
    case ExprKind::kCall:
      return kPostfix;
    case ExprKind::kIf:
    case ExprKind::kMatch:
      return kRange;  // take all that follows
    default:
      return kPrimary;
  }
}

std::string At(const Expr& expr, Level level) {
  const bool open = expr.kind == ExprKind::kIf || expr.kind == ExprKind::kMatch;
  // `5.f` would be read as a float.
  const bool number = level >= kPostfix && expr.kind == ExprKind::kLiteral &&
                      expr.literal.kind != engine::LiteralKind::kString;
  return LevelOf(expr) < level || open || number ? absl::StrCat("(", Print(expr), ")")
                                                 : Print(expr);
}

std::string Literal(const engine::Literal& literal) {
  switch (literal.kind) {
    case engine::LiteralKind::kNull:
      return "null";
    case engine::LiteralKind::kBool:
      return literal.integer != 0 ? "true" : "false";
    case engine::LiteralKind::kInt:
      return absl::StrCat(literal.integer);
    case engine::LiteralKind::kFloat: {
      std::string text = absl::StrFormat("%.17g", literal.real);
      if (text.find_first_of(".e") == std::string::npos) text += ".0";
      return text;
    }
    case engine::LiteralKind::kString: {
      std::string out = "\"";
      for (const char c : literal.text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
      return out + "\"";
    }
    case engine::LiteralKind::kTimestamp:
      return absl::StrCat(
          "@", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixNanos(literal.integer),
                                absl::UTCTimeZone()));
    case engine::LiteralKind::kDuration:
      return absl::StrCat(literal.integer / 1'000'000, "ms");
  }
  return "";
}

std::string Binary(const Expr& expr) {
  const Level level = LevelOf(expr.binary);
  const bool chains = level != kRange && level != kCompare;
  const auto next = static_cast<Level>(level + 1);
  const Level left = level == kPower ? kUnary : chains ? level : next;
  const Level right = level == kPower ? kPower : next;
  return absl::StrCat(At(*expr.children[0], left), " ", engine::BinaryOpText(expr.binary), " ",
                      At(*expr.children[1], right));
}

std::string List(const std::vector<engine::ExprPtr>& children) {
  std::string out;
  for (size_t i = 0; i < children.size(); ++i) {
    absl::StrAppend(&out, i > 0 ? ", " : "", At(*children[i], kRange));
  }
  return out;
}

std::string Match(const Expr& expr) {
  std::string out = absl::StrCat("match ", At(*expr.children[0], kRange), ":");
  for (size_t i = 0; i < expr.arms.size(); ++i) {
    const engine::MatchArm& arm = expr.arms[i];
    absl::StrAppend(&out, i > 0 ? ", " : " ",
                    arm.kind == engine::MatchArm::Kind::kAny    ? "_"
                    : arm.kind == engine::MatchArm::Kind::kBind ? arm.name
                                                                : Literal(arm.literal),
                    " => ", At(*expr.children[i + 1], kRange));
  }
  return out;
}

void AppendBlock(const engine::Block& block, int indent, std::string* out);

void AppendStatement(const engine::Stmt& stmt, int indent, std::string* out) {
  const std::string margin(static_cast<size_t>(indent), ' ');
  const auto line = [&](const auto&... parts) { absl::StrAppend(out, margin, parts..., "\n"); };
  const int inner = indent + 4;
  switch (stmt.kind) {
    case engine::StmtKind::kVariable: {
      const engine::VariableDecl& variable = stmt.variable;
      const std::string value = Print(*variable.value);
      if (variable.kind == engine::VariableKind::kAssign) {
        return line(variable.name.text, " := ", value);
      }
      return line(variable.kind == engine::VariableKind::kLet ? "let " : "var ", variable.name.text,
                  " = ", value);
    }
    case engine::StmtKind::kIf:
      line("if ", At(*stmt.expr, kRange), ":");
      AppendBlock(stmt.body, inner, out);
      for (const engine::ConditionalBlock& branch : stmt.branches) {
        line("elif ", At(*branch.condition, kRange), ":");
        AppendBlock(branch.body, inner, out);
      }
      if (stmt.otherwise.has_value()) {
        line("else:");
        AppendBlock(*stmt.otherwise, inner, out);
      }
      return;
    case engine::StmtKind::kFor:
      line("for ", stmt.name.text, " in ", At(*stmt.expr, kRange), ":");
      return AppendBlock(stmt.body, inner, out);
    case engine::StmtKind::kWhile:
      line("while ", At(*stmt.expr, kRange), ":");
      return AppendBlock(stmt.body, inner, out);
    case engine::StmtKind::kReturn:
      return line("return ", Print(*stmt.expr));
    case engine::StmtKind::kBreak:
      return line("break");
    case engine::StmtKind::kContinue:
      return line("continue");
    case engine::StmtKind::kExpr:
      return line(Print(*stmt.expr));
    case engine::StmtKind::kEmit:
      return;
  }
}

void AppendBlock(const engine::Block& block, int indent, std::string* out) {
  for (const engine::Stmt& stmt : block.statements) AppendStatement(stmt, indent, out);
}

}  // namespace

std::string Print(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kLiteral:
      return Literal(expr.literal);
    case ExprKind::kName:
      return expr.text;
    case ExprKind::kMember:
      return absl::StrCat(At(*expr.children[0], kPostfix), expr.null_safe ? "?." : ".", expr.text);
    case ExprKind::kIndex:
      return absl::StrCat(At(*expr.children[0], kPostfix), "[", At(*expr.children[1], kRange), "]");
    case ExprKind::kSlice: {
      const auto bound = [&](size_t i) {
        return expr.children[i] != nullptr ? At(*expr.children[i], kAdd) : "";
      };
      return absl::StrCat(At(*expr.children[0], kPostfix), "[", bound(1), ":", bound(2), "]");
    }
    case ExprKind::kCall:
      return absl::StrCat(expr.text, "(", List(expr.children), ")");
    case ExprKind::kUnary:
      if (expr.unary == engine::UnaryOp::kNot) {
        return absl::StrCat("not ", At(*expr.children[0], kCompare));
      }
      return absl::StrCat(expr.unary == engine::UnaryOp::kNegate ? "- " : "~",
                          At(*expr.children[0], kUnary));
    case ExprKind::kBinary:
      return Binary(expr);
    case ExprKind::kIf:
      return absl::StrCat("if ", At(*expr.children[0], kRange), " then ",
                          At(*expr.children[1], kRange), " else ", At(*expr.children[2], kRange));
    case ExprKind::kList:
      return absl::StrCat("[", List(expr.children), "]");
    case ExprKind::kMap: {
      std::string out;
      for (size_t i = 0; i < expr.labels.size(); ++i) {
        absl::StrAppend(&out, i > 0 ? ", " : "", expr.labels[i], ": ",
                        At(*expr.children[i], kRange));
      }
      return absl::StrCat("{", out, "}");
    }
    case ExprKind::kMatch:
      return Match(expr);
    case ExprKind::kLambda:
    case ExprKind::kApply:
      break;
  }
  return "";
}

std::string Print(const engine::FunctionDecl& function) {
  std::string out = absl::StrCat("fn ", function.name.text, "(");
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    absl::StrAppend(&out, i > 0 ? ", " : "", function.parameters[i].name.text, ": ",
                    function.parameters[i].type);
  }
  out += "):\n";
  AppendBlock(function.body, 4, &out);
  return out;
}

}  // namespace varpulis::reference
