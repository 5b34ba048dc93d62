#pragma once

#include <cstddef>
#include <cstdint>

namespace varpulis::engine {

// What one input event may cost (vpl.md §1.7). Tests set smaller ones.
struct RunLimits {
  // Of one call of a function from a stream, with everything it calls: loop turns and calls.
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  int64_t call_steps = 100'000;  // an endless loop is no finding
#else
  int64_t call_steps = 1'000'000'000;
#endif
  // Of text, lists and maps that such a call makes.
  size_t call_bytes = size_t{256} << 20;
  // Of all that one event of the input makes, in all streams.
  size_t event_bytes = size_t{1} << 30;
};

}  // namespace varpulis::engine
