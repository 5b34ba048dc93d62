#pragma once

#include <cstddef>
#include <cstdint>

namespace varpulis::engine {

// What loading a program and one input event may cost (vpl.md §1.7). Tests set smaller ones.
struct RunLimits {
  // Of one call of a function from a stream, with everything it calls: loop turns and calls.
  int64_t call_steps = 1'000'000'000;
  // Of text, lists and maps that such a call makes.
  size_t call_bytes = size_t{256} << 20;
  // Of all that one event of the input makes, in all streams; and of what all initialisers of
  // variables make.
  size_t event_bytes = size_t{1} << 30;
  // Of all initialisers of variables together: as call_steps.
  int64_t load_steps = 100'000'000;
};

}  // namespace varpulis::engine
