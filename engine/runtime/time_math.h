#pragma once

#include <cstdint>

namespace varpulis::engine {

// Sums and differences of nanoseconds that stop at the ends of representable time.
inline int64_t TimePlus(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}
inline int64_t TimeMinus(int64_t a, int64_t b) {
  int64_t difference = 0;
  return __builtin_sub_overflow(a, b, &difference) ? (b < 0 ? INT64_MAX : INT64_MIN) : difference;
}

}  // namespace varpulis::engine
