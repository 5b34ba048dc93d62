#pragma once

#include "engine/lang/ast.h"
#include "engine/runtime/arena.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

// Results larger than these are ⊥, so that no expression can fill memory.
inline constexpr size_t kMaxResultBytes = 16 << 20;
inline constexpr size_t kMaxResultItems = 1'000'000;

// The operators of vpl.md §2.2 on values. `and`, `or` and `??` here have both operands at hand; the
// compiled form skips the right one when the left decides.
Value ApplyBinary(BinaryOp op, const Value& a, const Value& b, Arena& arena);
Value ApplyUnary(UnaryOp op, const Value& a);
Value Power(const Value& a, const Value& b);

// `a op b` of two of one kind. REQUIRES: a comparison.
template <typename T>
bool Holds(BinaryOp op, const T& a, const T& b) {
  switch (op) {
    case BinaryOp::kEqual:
      return a == b;
    case BinaryOp::kNotEqual:
      return a != b;
    case BinaryOp::kLess:
      return a < b;
    case BinaryOp::kLessEqual:
      return a <= b;
    case BinaryOp::kGreater:
      return a > b;
    default:
      return a >= b;
  }
}

Value IndexValue(const Value& target, const Value& index);
// An absent bound is given as null pointer.
Value SliceValue(const Value& target, const Value* from, const Value* to, Arena& arena);
Value MakeIntRange(int64_t from, int64_t to, bool inclusive, Arena& arena);
// A bound of a range, truncated to int as `to_int` does; false for NaN and what is no number.
bool RangeBound(const Value& value, int64_t* bound);
// NaN gives 0; what does not fit gives the nearest int.
int64_t Saturate(double x);
// `is name`.
bool IsKind(const Value& value, std::string_view name);

Value LiteralValue(const Literal& literal, Arena& arena);

}  // namespace varpulis::engine
