#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

#include "absl/time/time.h"

namespace varpulis::coordinator {

// One time of holding the lease. A later one of the same process is another object, so that nothing
// begun under this one can go on under the next.
// valid() and may_answer() are thread-safe and cost one look at the clock; the rest is the
// election's.
class Tenure {
 public:
  explicit Tenure(std::function<absl::Time()> clock) : clock_(std::move(clock)) {}

  bool valid() const { return !ended_ && may_answer(); }
  // A lease that was given up or lost before its time ends all that is begun by it; who has asked
  // before still hears what became of it, until the lease would have run out.
  bool may_answer() const { return absl::ToUnixNanos(clock_()) < valid_until_ns_; }

  void ExtendTo(absl::Time valid_until) { valid_until_ns_ = absl::ToUnixNanos(valid_until); }
  void End() { ended_ = true; }

 private:
  const std::function<absl::Time()> clock_;
  std::atomic<bool> ended_{false};
  std::atomic<int64_t> valid_until_ns_{std::numeric_limits<int64_t>::min()};
};

}  // namespace varpulis::coordinator
