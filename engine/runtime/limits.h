#pragma once

#include <cstddef>
#include <cstdint>

namespace varpulis::engine {

// What loading a program and one input event may cost, and what they may leave behind (vpl.md
// §1.7). Tests set smaller ones.
struct RunLimits {
  // Of one call of a function from a stream, with everything it calls: loop turns and calls.
  int64_t call_steps = 1'000'000'000;
  // Of text, lists and maps that such a call makes.
  size_t call_bytes = size_t{256} << 20;
  // Of all that one event of the input makes, in all streams.
  // Also of what it emits.
  size_t event_bytes = size_t{1} << 30;
  // Of one list or map that an expression makes, with nothing shared, and its levels: as many as an
  // event may have, so that every pipeline can read what another emits.
  size_t value_bytes = size_t{256} << 20;
  uint32_t value_levels = 32;
  // Of all initialisers of variables together: as call_steps.
  int64_t load_steps = 100'000'000;
  // Of all variables together.
  size_t variables_bytes = size_t{1} << 30;
};
inline constexpr RunLimits kDefaultLimits;

}  // namespace varpulis::engine
