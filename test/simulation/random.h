#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace varpulis::simulation {

// The only source of chance in a run (SplitMix64): the same seed, the same run.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t n) { return Next() % n; }
  bool Chance(uint32_t per_mille) { return per_mille > 0 && Below(1000) < per_mille; }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    const auto span = static_cast<uint64_t>(absl::ToInt64Microseconds(high - low)) + 1;
    return low + absl::Microseconds(static_cast<int64_t>(Below(span)));
  }

 private:
  uint64_t state_;
};

}  // namespace varpulis::simulation
