#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace varpulis::transport {

// Nanoseconds since the Unix epoch ⇄ RFC 3339. Printed in UTC with `Z` and 0, 3, 6 or 9 digits of a
// second as needed; read with any offset and any number of digits (below a nanosecond they are
// cut).
std::string FormatTimestamp(int64_t unix_ns);
std::optional<int64_t> ParseTimestamp(
    absl::string_view text);                                  // nullopt: not RFC 3339, out of range
std::optional<int64_t> TimestampFromMillis(int64_t unix_ms);  // nullopt: out of range

}  // namespace varpulis::transport
