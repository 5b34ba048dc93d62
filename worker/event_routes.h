#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace varpulis::worker {

// Event types that go to one subject. Patterns as in cluster-api.md §4.1: a trailing `*` is a
// wildcard, every other byte is itself.
struct EventRoute {
  std::vector<std::string> event_types;
  std::string subject;
  bool columns = false;  // who listens there takes batches in the columnar form
};

// The outbound routes of one pipeline, compiled: event type → distinct subjects. All matching
// routes count, and a subject that several of them name counts once. Thread-compatible (Match
// remembers).
class EventRoutes {
 public:
  explicit EventRoutes(const std::vector<EventRoute>& routes);

  // Distinct subjects in the order of the routes; Match answers with indices into it.
  const std::vector<std::string>& subjects() const { return subjects_; }
  // Ascending. Valid until the next call.
  const std::vector<size_t>& Match(absl::string_view event_type);

 private:
  std::vector<size_t> Find(absl::string_view event_type) const;

  std::vector<std::string> subjects_;
  absl::flat_hash_map<std::string, std::vector<size_t>> exact_;
  std::vector<std::pair<std::string, size_t>> prefixes_;
  absl::flat_hash_map<std::string, std::vector<size_t>> known_;  // answers given before
};

}  // namespace varpulis::worker
