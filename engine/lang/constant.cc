#include "engine/lang/constant.h"

#include <limits>
#include <utility>

namespace varpulis::engine {
namespace {

Literal Number(LiteralKind kind, int64_t integer) {
  Literal literal;
  literal.kind = kind;
  literal.integer = integer;
  return literal;
}

std::optional<Literal> FoldFloat(BinaryOp op, const Literal& left, const Literal& right) {
  auto real = [](const Literal& literal) {
    return literal.kind == LiteralKind::kFloat ? literal.real
                                               : static_cast<double>(literal.integer);
  };
  const double a = real(left), b = real(right);
  Literal result;
  result.kind = LiteralKind::kFloat;
  switch (op) {
    case BinaryOp::kAdd:
      result.real = a + b;
      return result;
    case BinaryOp::kSubtract:
      result.real = a - b;
      return result;
    case BinaryOp::kMultiply:
      result.real = a * b;
      return result;
    case BinaryOp::kDivide:
      if (b == 0) return std::nullopt;
      result.real = a / b;
      return result;
    default:
      return std::nullopt;
  }
}

std::optional<Literal> FoldInteger(BinaryOp op, LiteralKind kind, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case BinaryOp::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case BinaryOp::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case BinaryOp::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case BinaryOp::kDivide:
      if (b == 0 || (a == std::numeric_limits<int64_t>::min() && b == -1)) return std::nullopt;
      result = a / b;
      break;
    default:
      return std::nullopt;
  }
  if (overflow) return std::nullopt;
  return Number(kind, result);
}

// vpl.md §2.2, for numbers and durations.
std::optional<Literal> FoldBinary(BinaryOp op, const Literal& left, const Literal& right) {
  auto is = [](const Literal& literal, LiteralKind kind) { return literal.kind == kind; };
  const bool left_number = is(left, LiteralKind::kInt) || is(left, LiteralKind::kFloat);
  const bool right_number = is(right, LiteralKind::kInt) || is(right, LiteralKind::kFloat);
  if (left_number && right_number) {
    if (is(left, LiteralKind::kInt) && is(right, LiteralKind::kInt)) {
      return FoldInteger(op, LiteralKind::kInt, left.integer, right.integer);
    }
    return FoldFloat(op, left, right);
  }
  const bool sum = op == BinaryOp::kAdd || op == BinaryOp::kSubtract;
  const bool left_duration = is(left, LiteralKind::kDuration);
  const bool right_duration = is(right, LiteralKind::kDuration);
  const bool fits = (left_duration && right_duration && sum) ||
                    (left_duration && is(right, LiteralKind::kInt) &&
                     (op == BinaryOp::kMultiply || op == BinaryOp::kDivide)) ||
                    (is(left, LiteralKind::kInt) && right_duration && op == BinaryOp::kMultiply);
  if (!fits) return std::nullopt;
  return FoldInteger(op, LiteralKind::kDuration, left.integer, right.integer);
}

}  // namespace

Constants::Constants(const Program& program) {
  for (const Statement& statement : program.statements) {
    const auto* variable = std::get_if<VariableDecl>(&statement);
    if (variable == nullptr || variable->kind != VariableKind::kConst) continue;
    // Only what stands before is known here, so a constant cannot depend on itself.
    std::optional<Literal> value = Fold(*variable->value);
    if (value.has_value()) values_.emplace(variable->name.text, *std::move(value));
  }
}

std::optional<Literal> Constants::Fold(const Expr& expr) const {
  switch (expr.kind) {
    case ExprKind::kLiteral:
      return expr.literal;
    case ExprKind::kName: {
      auto found = values_.find(expr.text);
      if (found == values_.end()) return std::nullopt;
      return found->second;
    }
    case ExprKind::kUnary: {
      std::optional<Literal> operand = Fold(*expr.children[0]);
      if (expr.unary != UnaryOp::kNegate || !operand.has_value()) return std::nullopt;
      if (operand->kind == LiteralKind::kFloat) {
        operand->real = -operand->real;
        return operand;
      }
      if (operand->kind != LiteralKind::kInt) return std::nullopt;  // vpl.md §2.2
      return FoldInteger(BinaryOp::kSubtract, operand->kind, 0, operand->integer);
    }
    case ExprKind::kBinary: {
      const std::optional<Literal> left = Fold(*expr.children[0]);
      if (!left.has_value()) return std::nullopt;
      const std::optional<Literal> right = Fold(*expr.children[1]);
      if (!right.has_value()) return std::nullopt;
      return FoldBinary(expr.binary, *left, *right);
    }
    default:
      return std::nullopt;
  }
}

namespace {

bool IsNumber(const Literal& literal) {
  return literal.kind == LiteralKind::kInt || literal.kind == LiteralKind::kFloat;
}

bool IsZero(const Literal& literal) {
  return (literal.kind == LiteralKind::kInt && literal.integer == 0) ||
         (literal.kind == LiteralKind::kFloat && literal.real == 0);
}

bool IsArithmetic(BinaryOp op) {
  return op == BinaryOp::kAdd || op == BinaryOp::kSubtract || op == BinaryOp::kMultiply ||
         op == BinaryOp::kDivide || op == BinaryOp::kModulo || op == BinaryOp::kPower;
}

// Whether arithmetic on it alone, or with what is no text, never has a value.
bool IsNoNumber(const Literal& literal) {
  return literal.kind == LiteralKind::kNull || literal.kind == LiteralKind::kBool ||
         literal.kind == LiteralKind::kString;
}

Initial Missing() { return {Initial::State::kMissing, {}}; }

}  // namespace

Initial InitialValue(const Expr& expr, const absl::flat_hash_map<std::string, Literal>& names) {
  using State = Initial::State;
  if (expr.kind == ExprKind::kLiteral) return {State::kKnown, expr.literal};
  if (expr.kind == ExprKind::kName) {
    auto found = names.find(expr.text);
    return found == names.end() ? Initial() : Initial{State::kKnown, found->second};
  }
  if (expr.kind == ExprKind::kUnary && expr.unary == UnaryOp::kNegate) {
    Initial operand = InitialValue(*expr.children[0], names);
    if (operand.state != State::kKnown) return operand;
    if (!IsNumber(operand.value)) return Missing();
    const std::optional<Literal> value =
        FoldBinary(BinaryOp::kMultiply, operand.value, Number(LiteralKind::kInt, -1));
    return value.has_value() ? Initial{State::kKnown, *value} : Initial();
  }
  if (expr.kind != ExprKind::kBinary || !IsArithmetic(expr.binary)) return {};
  const Initial left = InitialValue(*expr.children[0], names);
  const Initial right = InitialValue(*expr.children[1], names);
  if (left.state == State::kMissing || right.state == State::kMissing) return Missing();
  const bool divides = expr.binary == BinaryOp::kDivide || expr.binary == BinaryOp::kModulo;
  if (divides && right.state == State::kKnown && IsZero(right.value)) return Missing();
  if (left.state != State::kKnown || right.state != State::kKnown) return {};
  const bool texts = left.value.kind == LiteralKind::kString &&
                     right.value.kind == LiteralKind::kString && expr.binary == BinaryOp::kAdd;
  if (!texts && (IsNoNumber(left.value) || IsNoNumber(right.value))) return Missing();
  const std::optional<Literal> value = FoldBinary(expr.binary, left.value, right.value);
  return value.has_value() ? Initial{State::kKnown, *value} : Initial();
}

std::optional<Literal> FoldConstant(const Expr& expr, const Program& program) {
  return Constants(program).Fold(expr);
}

}  // namespace varpulis::engine
