#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace varpulis::transport {

// Bytes of the character that `text` begins with; 0 when that is not valid UTF-8 (or is empty).
size_t Utf8CharLength(absl::string_view text);
bool IsValidUtf8(absl::string_view text);

// One line of valid UTF-8 of at most `max_bytes`, for messages and header values: control
// characters become blanks, invalid bytes '?', and what is cut off ends in "...".
std::string OneLine(absl::string_view text, size_t max_bytes);

}  // namespace varpulis::transport
