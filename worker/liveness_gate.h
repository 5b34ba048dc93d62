#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace varpulis::worker {

// Notices that the process stood still (SIGSTOP, a suspended machine) before it does anything more:
// meanwhile its pipelines may have been given to somebody else. A timer stamps the time every few
// milliseconds; a stamp that is too old closes the gate, whoever looks first: the timer, or a
// pipeline before its next input. It opens when the cluster has been asked. Pure: times come from
// the caller, in nanoseconds of CLOCK_BOOTTIME. Thread-safe.
class LivenessGate {
 public:
  // Infinite: it never closes.
  explicit LivenessGate(absl::Duration limit)
      : limit_ns_(limit == absl::InfiniteDuration() ? INT64_MAX : absl::ToInt64Nanoseconds(limit)) {
  }

  // By the timer, and by nobody else. True when the gate has closed since the last call.
  bool Stamp(int64_t now_ns) {
    if (Stale(now_ns)) ++closings_;
    stamp_ns_ = now_ns;
    const uint64_t closings = closings_;
    const bool news = closings != told_;
    told_ = closings;
    return news;
  }

  // Before each input.
  bool MayProcess(int64_t now_ns) {
    uint64_t closings = closings_;
    if (closings > opened_) return false;
    if (!Stale(now_ns)) return true;
    closings_.compare_exchange_strong(closings, closings + 1);  // once, of many who look
    return false;
  }

  // To be remembered when the cluster is asked, and given to Open with the answer: a gate that
  // closed again meanwhile stays closed.
  uint64_t closings() const { return closings_; }
  void Open(uint64_t closings) { opened_ = closings; }

 private:
  bool Stale(int64_t now_ns) const {
    const int64_t stamp = stamp_ns_;
    return stamp != 0 && now_ns - stamp > limit_ns_;
  }

  const int64_t limit_ns_;
  std::atomic<int64_t> stamp_ns_{0};  // 0: the timer has not started
  std::atomic<uint64_t> closings_{0};
  std::atomic<uint64_t> opened_{0};
  uint64_t told_ = 0;  // the timer's
};

}  // namespace varpulis::worker
