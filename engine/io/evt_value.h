#pragma once

#include "absl/status/status.h"

#include "engine/runtime/arena.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

// Reads one value of the .evt form at `*at` and leaves `*at` behind it and the spaces after it.
// `closer` is the bracket that ends the surrounding list. With `out` null the value is checked only.
absl::Status ReadEvtValue(const char** at, const char* end, char closer, int depth, Arena& arena,
                          Value* out);

inline const char* SkipBlanks(const char* at, const char* end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) ++at;
  return at;
}

}  // namespace varpulis::engine
