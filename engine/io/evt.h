#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "proto/event.pb.h"

namespace varpulis::engine {

// Events of a text in the .evt or JSON-lines form, every line form of vpl.md §8.1 (they may mix).
// Timestamps are the offset of `BATCH` or `@` since the epoch; an event without any offset has no
// timestamp_ns, so that the caller can stamp it. An error names its line.
absl::StatusOr<std::vector<varpulis::v1::Event>> ParseEventText(std::string_view text);

}  // namespace varpulis::engine
