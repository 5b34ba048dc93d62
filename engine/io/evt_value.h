#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

#include "engine/runtime/arena.h"
#include "engine/runtime/event.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

inline const char* SkipBlanks(const char* at, const char* end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) ++at;
  return at;
}

// Every form of a value; see ReadEvtValue.
absl::Status ReadAnyEvtValue(const char** at, const char* end, char closer, int depth, Arena& arena,
                             Value* out);

namespace evt_internal {

inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }

inline constexpr double kPowersOfTen[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                          1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

// The plain forms `-12` and `3.5` of at most 15 digits, where dividing two exact doubles rounds
// right. False, with nothing read, for all others.
inline bool ReadSimpleNumber(const char** at, const char* end, char closer, Value* out) {
  constexpr int kExactDigits = 15;
  const char* p = *at;
  const bool negative = *p == '-';
  if (negative) ++p;
  const char* first = p;
  int64_t digits = 0;
  while (p < end && IsDigit(*p) && p - first <= kExactDigits) digits = digits * 10 + (*p++ - '0');
  auto count = p - first;
  if (count == 0 || count > kExactDigits) return false;
  bool is_float = false;
  int64_t decimals = 0;
  if (p < end && *p == '.') {
    is_float = true;
    const char* point = ++p;
    while (p < end && IsDigit(*p) && count <= kExactDigits) {
      digits = digits * 10 + (*p++ - '0');
      ++count;
    }
    decimals = p - point;
    if (decimals == 0 || count > kExactDigits) return false;
  }
  p = SkipBlanks(p, end);
  if (p >= end || (*p != ',' && *p != closer)) return false;
  if (out != nullptr) {
    const double value = is_float ? static_cast<double>(digits) / kPowersOfTen[decimals] : 0;
    *out = is_float ? Value::Float(negative ? -value : value)
                    : Value::Int(negative ? -digits : digits);
  }
  *at = p;
  return true;
}

// A double-quoted string without escapes, of permitted length. False, with nothing read, otherwise.
inline bool ReadSimpleString(const char** at, const char* end, char closer, Value* out) {
  const char* begin = *at + 1;
  const char* p = begin;
  while (p < end && *p != '"' && *p != '\\') ++p;
  const auto size = static_cast<size_t>(p - begin);
  if (p >= end || *p != '"' || size > kMaxStringBytes) return false;
  p = SkipBlanks(p + 1, end);
  if (p >= end || (*p != ',' && *p != closer)) return false;
  if (out != nullptr) *out = Value::String({begin, size});
  *at = p;
  return true;
}

}  // namespace evt_internal

// Reads one value of the .evt form at `*at` and leaves `*at` behind it and the spaces after it.
// `closer` is the bracket that ends the surrounding list. With `out` null the value is checked
// only.
inline absl::Status ReadEvtValue(const char** at, const char* end, char closer, int depth,
                                 Arena& arena, Value* out) {
  if (*at < end) {
    const char first = **at;
    if (first == '"') {
      if (evt_internal::ReadSimpleString(at, end, closer, out)) return absl::OkStatus();
    } else if (first == '-' || evt_internal::IsDigit(first)) {
      if (evt_internal::ReadSimpleNumber(at, end, closer, out)) return absl::OkStatus();
    }
  }
  return ReadAnyEvtValue(at, end, closer, depth, arena, out);
}

}  // namespace varpulis::engine
