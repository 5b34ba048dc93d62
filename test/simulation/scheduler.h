#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace varpulis::simulation {

// Virtual time and what is due in it. What is due at one instant happens in the order of asking.
class Scheduler {
 public:
  absl::Time now() const { return now_; }

  void After(absl::Duration delay, std::function<void()> task) {
    heap_.push_back({now_ + std::max(delay, absl::ZeroDuration()), next_++, std::move(task)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }

  // Does the next thing that is due by `until`; false: there is none, and time has come to `until`.
  bool RunNext(absl::Time until) {
    if (heap_.empty() || heap_.front().at > until) {
      now_ = until;
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Due due = std::move(heap_.back());
    heap_.pop_back();
    now_ = due.at;
    due.task();
    return true;
  }

 private:
  struct Due {
    absl::Time at;
    uint64_t order;
    std::function<void()> task;
  };
  static bool Later(const Due& a, const Due& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  absl::Time now_ = absl::UnixEpoch();
  uint64_t next_ = 0;
  std::vector<Due> heap_;
};

}  // namespace varpulis::simulation
