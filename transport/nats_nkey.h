#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace varpulis::transport {

// The public user key "U…" that belongs to an nkey seed "SU…", which nats.c wants beside the seed.
// Errors never show the seed.
absl::StatusOr<std::string> PublicKeyOfSeed(absl::string_view seed);
// Likewise of the first line in `path` that is a seed; other lines are decoration.
absl::StatusOr<std::string> PublicKeyOfSeedFile(const std::string& path);

}  // namespace varpulis::transport
