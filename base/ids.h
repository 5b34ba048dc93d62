#pragma once

#include <compare>
#include <ostream>
#include <string>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"

namespace varpulis {

// A string that names one kind of thing, so that a swapped argument does not compile.
// Value type. The text is not checked here: names are validated where they enter the system
// (transport/subjects.h).
//
//   using WorkerId = StrongId<struct WorkerIdTag>;
template <typename Tag>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(std::string text) : text_(std::move(text)) {}
  explicit StrongId(absl::string_view text) : text_(text) {}
  explicit StrongId(const char* text) : text_(text) {}

  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }

  friend auto operator<=>(const StrongId&, const StrongId&) = default;
  friend bool operator==(const StrongId&, const StrongId&) = default;
  friend std::ostream& operator<<(std::ostream& out, const StrongId& id) { return out << id.text_; }
  template <typename H>
  friend H AbslHashValue(H state, const StrongId& id) {
    return H::combine(std::move(state), id.text_);
  }

 private:
  std::string text_;
};

using WorkerId = StrongId<struct WorkerIdTag>;      // chosen by the user or a UUID
using GroupId = StrongId<struct GroupIdTag>;        // UUIDv4
using PipelineId = StrongId<struct PipelineIdTag>;  // UUIDv4 of one deployed copy on one worker

// A random UUIDv4 in its usual text form. Thread-safe.
std::string NewUuid();

}  // namespace varpulis
