#include "engine/runtime/operations.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

// Two's complement wrap-around without undefined behaviour.
int64_t WrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t WrapSubtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t WrapMultiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

bool Is(const Value& value, ValueKind kind) { return value.is(kind); }

Value Add(const Value& a, const Value& b, Arena& arena) {
  if (Is(a, ValueKind::kInt) && Is(b, ValueKind::kInt)) {
    return Value::Int(WrapAdd(a.integer(), b.integer()));
  }
  if (a.is_number() && b.is_number()) return Value::Float(a.number() + b.number());
  if (Is(a, ValueKind::kString) && Is(b, ValueKind::kString)) {
    const size_t size = a.size() + b.size();
    if (size > kMaxResultBytes) return Value();
    if (b.size() == 0) return a;
    constexpr size_t kLong = 256;  // may be a text that a loop makes longer
    const bool grows = a.size() >= kLong;
    if (grows && arena.TakeRoom(a.string().data() + a.size(), b.size())) {
      std::memcpy(const_cast<char*>(a.string().data()) + a.size(), b.string().data(), b.size());
      return Value::String({a.string().data(), size});
    }
    const size_t room = grows ? size / 2 : 0;
    char* text = arena.Allocate<char>(size + room);
    if (room > 0) arena.KeepRoom(text + size, room);
    if (a.size() > 0) std::memcpy(text, a.string().data(), a.size());
    std::memcpy(text + a.size(), b.string().data(), b.size());
    return Value::String({text, size});
  }
  if (Is(a, ValueKind::kTimestamp) && Is(b, ValueKind::kDuration)) {
    return Value::Timestamp(WrapAdd(a.integer(), b.integer()));
  }
  if (Is(a, ValueKind::kDuration) && Is(b, ValueKind::kTimestamp)) {
    return Value::Timestamp(WrapAdd(a.integer(), b.integer()));
  }
  if (Is(a, ValueKind::kDuration) && Is(b, ValueKind::kDuration)) {
    return Value::Duration(WrapAdd(a.integer(), b.integer()));
  }
  return Value();
}

Value Subtract(const Value& a, const Value& b) {
  if (Is(a, ValueKind::kInt) && Is(b, ValueKind::kInt)) {
    return Value::Int(WrapSubtract(a.integer(), b.integer()));
  }
  if (a.is_number() && b.is_number()) return Value::Float(a.number() - b.number());
  const int64_t difference = WrapSubtract(a.integer(), b.integer());
  if (Is(a, ValueKind::kTimestamp) && Is(b, ValueKind::kTimestamp))
    return Value::Duration(difference);
  if (Is(a, ValueKind::kTimestamp) && Is(b, ValueKind::kDuration))
    return Value::Timestamp(difference);
  if (Is(a, ValueKind::kDuration) && Is(b, ValueKind::kDuration))
    return Value::Duration(difference);
  return Value();
}

Value Multiply(const Value& a, const Value& b) {
  if (Is(a, ValueKind::kInt) && Is(b, ValueKind::kInt)) {
    return Value::Int(WrapMultiply(a.integer(), b.integer()));
  }
  if (a.is_number() && b.is_number()) return Value::Float(a.number() * b.number());
  if ((Is(a, ValueKind::kDuration) && Is(b, ValueKind::kInt)) ||
      (Is(a, ValueKind::kInt) && Is(b, ValueKind::kDuration))) {
    return Value::Duration(WrapMultiply(a.integer(), b.integer()));
  }
  return Value();
}

Value Divide(const Value& a, const Value& b) {
  const bool by_int = Is(b, ValueKind::kInt);
  if (by_int && (Is(a, ValueKind::kInt) || Is(a, ValueKind::kDuration))) {
    if (b.integer() == 0) return Value();
    // The one overflow of division: the most negative integer by -1.
    const int64_t quotient =
        b.integer() == -1 ? WrapSubtract(0, a.integer()) : a.integer() / b.integer();
    return Is(a, ValueKind::kInt) ? Value::Int(quotient) : Value::Duration(quotient);
  }
  if (!a.is_number() || !b.is_number() || b.number() == 0) return Value();
  return Value::Float(a.number() / b.number());
}

Value Modulo(const Value& a, const Value& b) {
  if (Is(a, ValueKind::kInt) && Is(b, ValueKind::kInt)) {
    if (b.integer() == 0) return Value();
    return Value::Int(b.integer() == -1 ? 0 : a.integer() % b.integer());
  }
  if (!a.is_number() || !b.is_number() || b.number() == 0) return Value();
  return Value::Float(std::fmod(a.number(), b.number()));
}

Value Bits(BinaryOp op, const Value& a, const Value& b) {
  if (!Is(a, ValueKind::kInt) || !Is(b, ValueKind::kInt)) return Value();
  const int64_t x = a.integer(), y = b.integer();
  const bool valid_shift = y >= 0 && y <= 63;
  switch (op) {
    case BinaryOp::kBitAnd:
      return Value::Int(x & y);
    case BinaryOp::kBitOr:
      return Value::Int(x | y);
    case BinaryOp::kBitXor:
      return Value::Int(x ^ y);
    case BinaryOp::kShiftLeft:
      if (!valid_shift) return Value();
      return Value::Int(static_cast<int64_t>(static_cast<uint64_t>(x) << y));
    case BinaryOp::kShiftRight:
      return valid_shift ? Value::Int(x >> y) : Value();
    default:
      return Value();
  }
}

Value Contains(const Value& item, const Value& container) {
  if (item.missing()) return Value();
  switch (container.kind()) {
    case ValueKind::kList:
      return Value::Bool(std::any_of(container.items(), container.items() + container.size(),
                                     [&](const Value& each) { return Equal(each, item); }));
    case ValueKind::kMap:
      if (!Is(item, ValueKind::kString)) return Value();
      return Value::Bool(!container.Find(item.string()).missing());
    case ValueKind::kString:
      if (!Is(item, ValueKind::kString)) return Value();
      return Value::Bool(container.string().find(item.string()) != std::string_view::npos);
    default:
      return Value();
  }
}

Value Not(const Value& a) { return Is(a, ValueKind::kBool) ? Value::Bool(!a.boolean()) : Value(); }

Value EqualOp(const Value& a, const Value& b) {
  if (a.missing() || b.missing()) {
    // A missing operand has a value only against null, where it counts as null.
    const Value& other = a.missing() ? b : a;
    return Is(other, ValueKind::kNull) ? Value::Bool(true) : Value();
  }
  return Value::Bool(Equal(a, b));
}

// Three-valued: the deciding value wins over ⊥.
Value Logic(const Value& a, const Value& b, bool deciding) {
  const auto decides = [&](const Value& v) {
    return Is(v, ValueKind::kBool) && v.boolean() == deciding;
  };
  if (decides(a) || decides(b)) return Value::Bool(deciding);
  if (Is(a, ValueKind::kBool) && Is(b, ValueKind::kBool)) return Value::Bool(!deciding);
  return Value();
}

Value Comparison(BinaryOp op, const Value& a, const Value& b) {
  const Ordering order = Compare(a, b);
  if (order == Ordering::kNone) {
    // NaN compares to no number, which is an answer; other kinds have none.
    return a.is_number() && b.is_number() ? Value::Bool(false) : Value();
  }
  switch (op) {
    case BinaryOp::kLess:
      return Value::Bool(order == Ordering::kLess);
    case BinaryOp::kLessEqual:
      return Value::Bool(order != Ordering::kGreater);
    case BinaryOp::kGreater:
      return Value::Bool(order == Ordering::kGreater);
    default:
      return Value::Bool(order != Ordering::kLess);
  }
}

// A possibly negative position among `size` as an offset, clipped to [0, size].
size_t Position(int64_t index, size_t size) {
  const auto signed_size = static_cast<int64_t>(size);
  if (index < 0) index = index < -signed_size ? 0 : index + signed_size;
  return static_cast<size_t>(std::min(index, signed_size));
}

}  // namespace

Value Power(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) return Value();
  if (!Is(a, ValueKind::kInt) || !Is(b, ValueKind::kInt) || b.integer() < 0) {
    return Value::Float(std::pow(a.number(), b.number()));
  }
  int64_t result = 1, base = a.integer();
  for (uint64_t exponent = static_cast<uint64_t>(b.integer()); exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = WrapMultiply(result, base);
    base = WrapMultiply(base, base);
  }
  return Value::Int(result);
}

int64_t Saturate(double x) {
  if (std::isnan(x)) return 0;
  if (x >= 9223372036854775808.0) return std::numeric_limits<int64_t>::max();
  if (x < -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(x);
}

bool RangeBound(const Value& value, int64_t* bound) {
  if (Is(value, ValueKind::kInt)) {
    *bound = value.integer();
    return true;
  }
  if (!Is(value, ValueKind::kFloat) || std::isnan(value.real())) return false;
  *bound = Saturate(value.real());
  return true;
}

Value MakeIntRange(int64_t from, int64_t to, bool inclusive, Arena& arena) {
  if (from > to || (from == to && !inclusive)) return Value::List(nullptr, 0);
  const uint64_t distance = static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
  if (distance > kMaxResultItems) return Value();
  const size_t size = distance + (inclusive ? 1 : 0);
  if (size > kMaxResultItems) return Value();
  auto* items = arena.Allocate<Value>(size);
  for (uint64_t i = 0; i < size; ++i) items[i] = Value::Int(from + static_cast<int64_t>(i));
  return Value::List(items, size, {.levels = 1, .units = 1 + size});
}

Value ApplyBinary(BinaryOp op, const Value& a, const Value& b, Arena& arena) {
  switch (op) {
    case BinaryOp::kAdd:
      return Add(a, b, arena);
    case BinaryOp::kSubtract:
      return Subtract(a, b);
    case BinaryOp::kMultiply:
      return Multiply(a, b);
    case BinaryOp::kDivide:
      return Divide(a, b);
    case BinaryOp::kModulo:
      return Modulo(a, b);
    case BinaryOp::kPower:
      return Power(a, b);
    case BinaryOp::kEqual:
      return EqualOp(a, b);
    case BinaryOp::kNotEqual:
      return Not(EqualOp(a, b));
    case BinaryOp::kLess:
    case BinaryOp::kLessEqual:
    case BinaryOp::kGreater:
    case BinaryOp::kGreaterEqual:
      return Comparison(op, a, b);
    case BinaryOp::kIn:
      return Contains(a, b);
    case BinaryOp::kNotIn:
      return Not(Contains(a, b));
    case BinaryOp::kAnd:
      return Logic(a, b, false);
    case BinaryOp::kOr:
      return Logic(a, b, true);
    case BinaryOp::kCoalesce:
      return a.null_or_missing() ? b : a;
    case BinaryOp::kBitAnd:
    case BinaryOp::kBitOr:
    case BinaryOp::kBitXor:
    case BinaryOp::kShiftLeft:
    case BinaryOp::kShiftRight:
      return Bits(op, a, b);
    case BinaryOp::kRange:
    case BinaryOp::kRangeInclusive: {
      int64_t from = 0, to = 0;
      if (!RangeBound(a, &from) || !RangeBound(b, &to)) return Value();
      return MakeIntRange(from, to, op == BinaryOp::kRangeInclusive, arena);
    }
    case BinaryOp::kIs:
    case BinaryOp::kIsNot:
      return Value();  // planned as PlanExprKind::kIsKind
  }
  return Value();
}

Value ApplyUnary(UnaryOp op, const Value& a) {
  switch (op) {
    case UnaryOp::kNot:
      return Not(a);
    case UnaryOp::kBitNot:
      return Is(a, ValueKind::kInt) ? Value::Int(~a.integer()) : Value();
    case UnaryOp::kNegate:
      if (Is(a, ValueKind::kInt)) return Value::Int(WrapSubtract(0, a.integer()));
      return Is(a, ValueKind::kFloat) ? Value::Float(-a.real()) : Value();
  }
  return Value();
}

Value IndexValue(const Value& target, const Value& index) {
  if (Is(target, ValueKind::kMap)) {
    return Is(index, ValueKind::kString) ? target.Find(index.string()) : Value();
  }
  if (!Is(index, ValueKind::kInt)) return Value();
  const bool list = Is(target, ValueKind::kList);
  if (!list && !Is(target, ValueKind::kString)) return Value();
  const auto size = static_cast<int64_t>(list ? target.size() : CountCharacters(target.string()));
  const int64_t i = index.integer();
  if (i >= size || i < -size) return Value();
  const size_t at = Position(i, static_cast<size_t>(size));
  if (list) return target.items()[at];
  const size_t offset = OffsetOfCharacter(target.string(), at);
  return Value::String(target.string().substr(offset, CharacterLength(target.string(), offset)));
}

Value SliceValue(const Value& target, const Value* from, const Value* to, Arena& arena) {
  const bool list = Is(target, ValueKind::kList);
  if (!list && !Is(target, ValueKind::kString)) return Value();
  if ((from != nullptr && !Is(*from, ValueKind::kInt)) ||
      (to != nullptr && !Is(*to, ValueKind::kInt))) {
    return Value();
  }
  const size_t size = list ? target.size() : CountCharacters(target.string());
  const size_t begin = from == nullptr ? 0 : Position(from->integer(), size);
  const size_t end = std::max(begin, to == nullptr ? size : Position(to->integer(), size));
  if (list) {
    return Value::List(target.items() + begin, end - begin,
                       begin == end ? Extent::OfEmpty() : target.extent());
  }
  const std::string_view text = target.string();
  const size_t first = OffsetOfCharacter(text, begin);
  const size_t length = OffsetOfCharacter(text.substr(first), end - begin);
  return Value::String(text.substr(first, length));
}

bool IsKind(const Value& value, std::string_view name) {
  if (name == "null") return value.null_or_missing();
  if (value.missing()) return false;
  return KindName(value.kind()) == (name == "str" ? "string" : name);
}

Value LiteralValue(const Literal& literal, Arena& arena) {
  switch (literal.kind) {
    case LiteralKind::kNull:
      return Value::Null();
    case LiteralKind::kBool:
      return Value::Bool(literal.integer != 0);
    case LiteralKind::kInt:
      return Value::Int(literal.integer);
    case LiteralKind::kFloat:
      return Value::Float(literal.real);
    case LiteralKind::kString:
      return Value::String(arena.CopyString(literal.text));
    case LiteralKind::kTimestamp:
      return Value::Timestamp(literal.integer);
    case LiteralKind::kDuration:
      return Value::Duration(literal.integer);
  }
  return Value();
}

}  // namespace varpulis::engine
