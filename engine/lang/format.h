#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace varpulis::engine {

// `source` in the canonical layout: one space where one belongs, four per level of indentation,
// operators of a stream one level below it. Line breaks, comments and the text of tokens stay, and
// so does the meaning: the result is parsed again and compared. Idempotent. InvalidArgument for a
// program with syntax errors, FailedPrecondition when the indentation is too irregular.
absl::StatusOr<std::string> FormatSource(std::string_view source);

}  // namespace varpulis::engine
