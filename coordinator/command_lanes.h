#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "absl/status/status.h"

#include "base/ids.h"

namespace varpulis::coordinator {

// At most so many commands under way per worker; the rest waits its turn. Lives on the strand.
class CommandLanes {
 public:
  // Called once: OK means send now, then Finish(); an error means it will not be sent.
  using Start = std::function<void(const absl::Status&)>;

  explicit CommandLanes(size_t limit) : limit_(limit) {}

  void Enter(const WorkerId& worker, Start start) {
    Lane& lane = lanes_[worker];
    if (lane.under_way >= limit_) {
      lane.waiting.push_back(std::move(start));
      return;
    }
    ++lane.under_way;
    start(absl::OkStatus());
  }

  // A command was answered, or given up. A worker that is silent will not hear the waiting ones
  // either: they fail at once and are retried later, so that nobody waits for one timeout each.
  void Finish(const WorkerId& worker, const absl::Status& result) {
    Lane& lane = lanes_[worker];
    --lane.under_way;
    std::deque<Start> waiting;
    if (absl::IsDeadlineExceeded(result)) {
      waiting.swap(lane.waiting);
    } else if (!lane.waiting.empty()) {
      Start next = std::move(lane.waiting.front());
      lane.waiting.pop_front();
      ++lane.under_way;
      next(absl::OkStatus());
    }
    for (Start& start : waiting) start(result);
  }

  void DropWaiting() {
    for (auto& [worker, lane] : lanes_) lane.waiting.clear();
  }

 private:
  struct Lane {
    size_t under_way = 0;
    std::deque<Start> waiting;
  };

  const size_t limit_;
  std::map<WorkerId, Lane> lanes_;
};

}  // namespace varpulis::coordinator
