#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace varpulis {

// The candidate nearest to a mistyped `name`: smallest case-insensitive Levenshtein distance, at
// most clamp(length / 2, 1, 3); the first one listed among equals. For "did you mean" hints.
std::optional<std::string> NearestName(absl::string_view name,
                                       const std::vector<std::string>& candidates);

}  // namespace varpulis
