#include "worker/event_routes.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace varpulis::worker {
namespace {

// Types come from programs and publishers; beyond this many the memory is started afresh.
constexpr size_t kMaxKnownTypes = 4096;

}  // namespace

EventRoutes::EventRoutes(const std::vector<EventRoute>& routes) {
  for (const EventRoute& route : routes) {
    const auto known = std::find(subjects_.begin(), subjects_.end(), route.subject);
    const size_t index = known - subjects_.begin();
    if (known == subjects_.end()) subjects_.push_back(route.subject);
    for (absl::string_view pattern : route.event_types) {
      if (absl::EndsWith(pattern, "*")) {
        pattern.remove_suffix(1);
        prefixes_.emplace_back(pattern, index);
      } else {
        exact_[pattern].push_back(index);
      }
    }
  }
}

const std::vector<size_t>& EventRoutes::Match(absl::string_view event_type) {
  const auto known = known_.find(event_type);
  if (known != known_.end()) return known->second;
  if (known_.size() >= kMaxKnownTypes) known_.clear();
  return known_[event_type] = Find(event_type);
}

std::vector<size_t> EventRoutes::Find(absl::string_view event_type) const {
  std::vector<size_t> found;
  if (const auto exact = exact_.find(event_type); exact != exact_.end()) found = exact->second;
  for (const auto& [prefix, index] : prefixes_) {
    if (absl::StartsWith(event_type, prefix)) found.push_back(index);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace varpulis::worker
