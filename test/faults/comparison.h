#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "test/faults/outputs.h"

namespace varpulis::faults {

struct Comparison {
  int64_t lost = 0;        // numbers that no output is about
  int64_t doubled = 0;     // outputs about a number that another is about
  std::string difference;  // the first one to what is expected; empty: there is none
};

// Counts the numbers 1 to `events`.
Comparison Count(const std::vector<Output>& outputs, int64_t events);
// The same, and line by line.
Comparison Compare(const std::vector<Output>& outputs, const std::vector<std::string>& expected,
                   int64_t events);

// What `varpulis simulate` makes of this input. Files are made in `folder`.
absl::StatusOr<std::vector<std::string>> Simulate(const std::string& program,
                                                  const std::vector<std::string>& input,
                                                  const std::string& folder);

}  // namespace varpulis::faults
