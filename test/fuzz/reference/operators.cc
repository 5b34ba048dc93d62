// vpl.md §2.2.
#include <algorithm>
#include <cmath>
#include <limits>

#include "test/fuzz/reference/evaluator.h"

namespace varpulis::reference {
namespace {

using engine::BinaryOp;
using engine::UnaryOp;

int64_t Wrapped(uint64_t bits) { return static_cast<int64_t>(bits); }
uint64_t Bits(int64_t value) { return static_cast<uint64_t>(value); }

Value Power(const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) return Value::Missing();
  if (a.is(Kind::kFloat) || b.is(Kind::kFloat) || b.integer < 0) {
    return Value::Float(std::pow(a.number(), b.number()));
  }
  // The exact power modulo 2^64.
  uint64_t result = 1, base = Bits(a.integer);
  for (uint64_t rest = Bits(b.integer); rest > 0; rest /= 2) {
    if (rest % 2 == 1) result *= base;
    base *= base;
  }
  return Value::Int(Wrapped(result));
}

Value Arithmetic(BinaryOp op, const Value& a, const Value& b) {
  if (op == BinaryOp::kPower) return Power(a, b);
  if (a.is(Kind::kInt) && b.is(Kind::kInt)) {
    const int64_t x = a.integer, y = b.integer;
    switch (op) {
      case BinaryOp::kAdd:
        return Value::Int(Wrapped(Bits(x) + Bits(y)));
      case BinaryOp::kSubtract:
        return Value::Int(Wrapped(Bits(x) - Bits(y)));
      case BinaryOp::kMultiply:
        return Value::Int(Wrapped(Bits(x) * Bits(y)));
      case BinaryOp::kDivide:
        if (y == 0) return Value::Missing();
        return Value::Int(y == -1 ? Wrapped(0 - Bits(x)) : x / y);
      default:
        if (y == 0) return Value::Missing();
        return Value::Int(y == -1 ? 0 : x % y);
    }
  }
  if (a.is_number() && b.is_number()) {
    const double x = a.number(), y = b.number();
    switch (op) {
      case BinaryOp::kAdd:
        return Value::Float(x + y);
      case BinaryOp::kSubtract:
        return Value::Float(x - y);
      case BinaryOp::kMultiply:
        return Value::Float(x * y);
      case BinaryOp::kDivide:
        return y == 0 ? Value::Missing() : Value::Float(x / y);
      default:
        return y == 0 ? Value::Missing() : Value::Float(std::fmod(x, y));
    }
  }
  const auto are = [&](Kind left, Kind right) { return a.is(left) && b.is(right); };
  switch (op) {
    case BinaryOp::kAdd:
      if (are(Kind::kString, Kind::kString)) return Value::String(a.text + b.text);
      if (are(Kind::kDuration, Kind::kDuration)) {
        return Value::Duration(Wrapped(Bits(a.integer) + Bits(b.integer)));
      }
      if (are(Kind::kTimestamp, Kind::kDuration) || are(Kind::kDuration, Kind::kTimestamp)) {
        return Value::Timestamp(Wrapped(Bits(a.integer) + Bits(b.integer)));
      }
      break;
    case BinaryOp::kSubtract:
      if (are(Kind::kDuration, Kind::kDuration) || are(Kind::kTimestamp, Kind::kTimestamp)) {
        return Value::Duration(Wrapped(Bits(a.integer) - Bits(b.integer)));
      }
      if (are(Kind::kTimestamp, Kind::kDuration)) {
        return Value::Timestamp(Wrapped(Bits(a.integer) - Bits(b.integer)));
      }
      break;
    case BinaryOp::kMultiply:
      if (are(Kind::kDuration, Kind::kInt) || are(Kind::kInt, Kind::kDuration)) {
        return Value::Duration(Wrapped(Bits(a.integer) * Bits(b.integer)));
      }
      break;
    case BinaryOp::kDivide:
      if (are(Kind::kDuration, Kind::kInt) && b.integer != 0) {
        return Value::Duration(b.integer == -1 ? Wrapped(0 - Bits(a.integer))
                                               : a.integer / b.integer);
      }
      break;
    default:
      break;
  }
  return Value::Missing();
}

Value BitOperation(BinaryOp op, const Value& a, const Value& b) {
  if (!a.is(Kind::kInt) || !b.is(Kind::kInt)) return Value::Missing();
  switch (op) {
    case BinaryOp::kBitAnd:
      return Value::Int(a.integer & b.integer);
    case BinaryOp::kBitOr:
      return Value::Int(a.integer | b.integer);
    case BinaryOp::kBitXor:
      return Value::Int(a.integer ^ b.integer);
    default:
      break;
  }
  if (b.integer < 0 || b.integer > 63) return Value::Missing();
  return Value::Int(op == BinaryOp::kShiftLeft ? Wrapped(Bits(a.integer) << b.integer)
                                               : a.integer >> b.integer);
}

// Three-valued: what is no bool is as good as no value.
Value Logic(BinaryOp op, const Value& a, const Value& b) {
  const bool deciding = op == BinaryOp::kOr;
  const auto decides = [&](const Value& v) {
    return v.is(Kind::kBool) && (v.integer != 0) == deciding;
  };
  if (decides(a) || decides(b)) return Value::Bool(deciding);
  if (a.is(Kind::kBool) && b.is(Kind::kBool)) return Value::Bool(!deciding);
  return Value::Missing();
}

Value In(const Value& a, const Value& b) {
  if (a.missing()) return Value::Missing();
  if (b.is(Kind::kList)) {
    for (const Value& item : b.items) {
      if (Equal(a, item)) return Value::Bool(true);
    }
    return Value::Bool(false);
  }
  if (!a.is(Kind::kString)) return Value::Missing();
  if (b.is(Kind::kMap)) return Value::Bool(b.Find(a.text) != nullptr);
  if (b.is(Kind::kString)) return Value::Bool(b.text.find(a.text) != std::string::npos);
  return Value::Missing();
}

bool Truncated(const Value& value, int64_t* out) {
  if (value.is(Kind::kInt)) {
    *out = value.integer;
    return true;
  }
  if (!value.is(Kind::kFloat) || std::isnan(value.real)) return false;
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (value.real >= kTwoTo63) {
    *out = std::numeric_limits<int64_t>::max();
  } else if (value.real < -kTwoTo63) {
    *out = std::numeric_limits<int64_t>::min();
  } else {
    *out = static_cast<int64_t>(value.real);
  }
  return true;
}

Value Range(const Value& a, const Value& b, bool inclusive) {
  int64_t from = 0, to = 0;
  if (!Truncated(a, &from) || !Truncated(b, &to)) return Value::Missing();
  Value list = Value::List({});
  if (from > to || (from == to && !inclusive)) return list;
  const uint64_t distance = Bits(to) - Bits(from);
  if (distance > Bits(kMostItems) || distance + (inclusive ? 1 : 0) > Bits(kMostItems)) {
    return Value::Missing();
  }
  for (uint64_t i = 0; i < distance + (inclusive ? 1 : 0); ++i) {
    list.items.push_back(Value::Int(Wrapped(Bits(from) + i)));
  }
  return list;
}

}  // namespace

bool Equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::kInt) && b.is(Kind::kInt)) return a.integer == b.integer;
    if (a.is(Kind::kFloat) && b.is(Kind::kFloat)) {
      return a.real == b.real || (std::isnan(a.real) && std::isnan(b.real));
    }
    // By value, not rounded.
    return static_cast<long double>(a.is(Kind::kInt) ? a.integer : b.integer) ==
           static_cast<long double>(a.is(Kind::kInt) ? b.real : a.real);
  }
  if (a.kind != b.kind) return false;
  if (a.is(Kind::kMap)) {
    if (a.keys.size() != b.keys.size()) return false;
    for (size_t i = 0; i < a.keys.size(); ++i) {
      const Value* other = b.Find(a.keys[i]);
      if (other == nullptr || !Equal(a.items[i], *other)) return false;
    }
    return true;
  }
  if (a.is(Kind::kList)) {
    if (a.items.size() != b.items.size()) return false;
    for (size_t i = 0; i < a.items.size(); ++i) {
      if (!Equal(a.items[i], b.items[i])) return false;
    }
    return true;
  }
  return a.integer == b.integer && a.text == b.text;
}

Order Compare(const Value& a, const Value& b) {
  const auto order = [](const auto& x, const auto& y) {
    return x < y ? Order::kLess : x > y ? Order::kGreater : Order::kEqual;
  };
  if (a.is_number() && b.is_number()) {
    // long double holds every int64 and every double.
    const auto wide = [](const Value& v) {
      return v.is(Kind::kInt) ? static_cast<long double>(v.integer)
                              : static_cast<long double>(v.real);
    };
    return order(wide(a), wide(b));
  }
  if (a.kind != b.kind) return Order::kNone;
  if (a.is(Kind::kString)) return order(a.text, b.text);
  if (a.is(Kind::kTimestamp) || a.is(Kind::kDuration)) return order(a.integer, b.integer);
  return Order::kNone;
}

Value Binary(BinaryOp op, const Value& a, const Value& b) {
  switch (op) {
    case BinaryOp::kAdd:
    case BinaryOp::kSubtract:
    case BinaryOp::kMultiply:
    case BinaryOp::kDivide:
    case BinaryOp::kModulo:
    case BinaryOp::kPower:
      return Arithmetic(op, a, b);
    case BinaryOp::kEqual:
    case BinaryOp::kNotEqual: {
      // §2.3: `== null` treats ⊥ as null.
      bool equal = false;
      if (a.is(Kind::kNull) || b.is(Kind::kNull)) {
        equal = a.null_or_missing() && b.null_or_missing();
      } else if (a.missing() || b.missing()) {
        return Value::Missing();
      } else {
        equal = Equal(a, b);
      }
      return Value::Bool(equal == (op == BinaryOp::kEqual));
    }
    case BinaryOp::kLess:
    case BinaryOp::kLessEqual:
    case BinaryOp::kGreater:
    case BinaryOp::kGreaterEqual: {
      if ((a.is(Kind::kFloat) && std::isnan(a.real) && b.is_number()) ||
          (b.is(Kind::kFloat) && std::isnan(b.real) && a.is_number())) {
        return Value::Bool(false);
      }
      const Order order = Compare(a, b);
      if (order == Order::kNone) return Value::Missing();
      if (op == BinaryOp::kLess) return Value::Bool(order == Order::kLess);
      if (op == BinaryOp::kLessEqual) return Value::Bool(order != Order::kGreater);
      if (op == BinaryOp::kGreater) return Value::Bool(order == Order::kGreater);
      return Value::Bool(order != Order::kLess);
    }
    case BinaryOp::kIn:
      return In(a, b);
    case BinaryOp::kNotIn:
      return Unary(UnaryOp::kNot, In(a, b));
    case BinaryOp::kAnd:
    case BinaryOp::kOr:
      return Logic(op, a, b);
    case BinaryOp::kCoalesce:
      return a.null_or_missing() ? b : a;
    case BinaryOp::kBitAnd:
    case BinaryOp::kBitOr:
    case BinaryOp::kBitXor:
    case BinaryOp::kShiftLeft:
    case BinaryOp::kShiftRight:
      return BitOperation(op, a, b);
    case BinaryOp::kRange:
    case BinaryOp::kRangeInclusive:
      return Range(a, b, op == BinaryOp::kRangeInclusive);
    case BinaryOp::kIs:
    case BinaryOp::kIsNot:
      break;  // the right side is no value
  }
  return Value::Missing();
}

Value Unary(UnaryOp op, const Value& a) {
  switch (op) {
    case UnaryOp::kNegate:
      if (a.is(Kind::kInt)) return Value::Int(Wrapped(0 - Bits(a.integer)));
      if (a.is(Kind::kFloat)) return Value::Float(-a.real);
      return Value::Missing();
    case UnaryOp::kBitNot:
      return a.is(Kind::kInt) ? Value::Int(~a.integer) : Value::Missing();
    case UnaryOp::kNot:
      return a.is(Kind::kBool) ? Value::Bool(a.integer == 0) : Value::Missing();
  }
  return Value::Missing();
}

std::vector<std::string> Characters(const std::string& text) {
  std::vector<std::string> characters;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80 && !characters.empty()) {
      characters.back() += c;
    } else {
      characters.emplace_back(1, c);
    }
  }
  return characters;
}

Value Index(const Value& target, const Value& index) {
  if (target.is(Kind::kMap)) {
    if (!index.is(Kind::kString)) return Value::Missing();
    const Value* found = target.Find(index.text);
    return found != nullptr ? *found : Value::Missing();
  }
  if (!index.is(Kind::kInt)) return Value::Missing();
  std::vector<Value> items = target.items;
  if (target.is(Kind::kString)) {
    for (std::string& c : Characters(target.text)) items.push_back(Value::String(std::move(c)));
  } else if (!target.is(Kind::kList)) {
    return Value::Missing();
  }
  const auto size = static_cast<int64_t>(items.size());
  const int64_t at = index.integer < 0 ? index.integer + size : index.integer;
  return at < 0 || at >= size ? Value::Missing() : items[static_cast<size_t>(at)];
}

Value Slice(const Value& target, const Value* from, const Value* to) {
  if ((from != nullptr && !from->is(Kind::kInt)) || (to != nullptr && !to->is(Kind::kInt))) {
    return Value::Missing();
  }
  const std::vector<std::string> characters = Characters(target.text);
  if (!target.is(Kind::kString) && !target.is(Kind::kList)) return Value::Missing();
  const auto size =
      static_cast<int64_t>(target.is(Kind::kList) ? target.items.size() : characters.size());
  const auto place = [&](int64_t bound) {
    return std::clamp<int64_t>(bound < 0 ? bound + size : bound, 0, size);
  };
  const int64_t begin = from != nullptr ? place(from->integer) : 0;
  const int64_t end = to != nullptr ? place(to->integer) : size;
  Value result = target.is(Kind::kList) ? Value::List({}) : Value::String("");
  for (int64_t i = begin; i < end; ++i) {
    if (target.is(Kind::kList)) {
      result.items.push_back(target.items[static_cast<size_t>(i)]);
    } else {
      result.text += characters[static_cast<size_t>(i)];
    }
  }
  return result;
}

}  // namespace varpulis::reference
