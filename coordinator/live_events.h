#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "proto/event.pb.h"

namespace varpulis::coordinator {

// What is injected into a running cluster, as against read from a file.

inline constexpr size_t kMaxEventTypeBytes = 256;
inline constexpr size_t kMaxEventIdBytes = 256;

// The events of a text in any line form of vpl.md §8.1. Offsets (`BATCH`, `@`) are read and have no
// effect: the time of an event is that of its arrival, unless its own JSON names one. An error
// (invalid_request) names the line or the event; then nothing of the text counts.
absl::StatusOr<std::vector<varpulis::v1::Event>> ParseLiveEvents(absl::string_view text);

absl::Status ValidateEventType(absl::string_view type);
absl::Status ValidateEventId(absl::string_view id);

}  // namespace varpulis::coordinator
