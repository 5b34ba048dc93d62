#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "absl/container/flat_hash_map.h"

#include "proto/cluster.pb.h"

namespace varpulis::worker {

// The answers to the last injects that carried an event id, so that a retry is answered and not
// done again. Bounded by number and by size; the oldest goes first. Thread-compatible.
class InjectWindow {
 public:
  static constexpr size_t kMaxAnswers = 10'000;
  static constexpr size_t kMaxBytes = size_t{32} << 20;

  // Null when the id is not in the window. Valid until the next Remember.
  const varpulis::v1::WorkerInjectResponse* Find(const std::string& event_id) const;
  // REQUIRES: Find(event_id) == nullptr.
  void Remember(const std::string& event_id, const varpulis::v1::WorkerInjectResponse& answer);
  size_t size() const { return order_.size(); }

 private:
  struct Answer {
    varpulis::v1::WorkerInjectResponse response;
    size_t bytes;
  };

  absl::flat_hash_map<std::string, Answer> answers_;
  std::deque<std::string> order_;  // oldest first
  size_t bytes_ = 0;
};

}  // namespace varpulis::worker
