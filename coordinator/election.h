#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "base/strand.h"
#include "coordinator/lease.h"
#include "coordinator/tenure.h"
#include "transport/key_value.h"

namespace varpulis::coordinator {

// Competes for the lease in a bucket whose entries live for Lease::Policy::ttl, and holds it while
// it can. The lease's state machine and the bucket meet on a strand of their own, so that nothing
// the coordinator computes can delay a renewal.
// The constructor, Leave and the destructor belong to the owner's thread; Resign is thread-safe.
class Election {
 public:
  struct Deps {
    std::unique_ptr<transport::KeyValue> bucket;
    std::string coordinator_id;
    std::function<absl::Time()> clock;  // goes on while the machine sleeps

    // All on the election's strand; they hand over and return.
    std::function<void(std::shared_ptr<const Tenure>)> on_elected;
    std::function<void(absl::Status why)> on_lost;         // the tenure is over already
    std::function<void(std::string holder)> on_following;  // another is seen to renew the lease
  };

  explicit Election(Deps deps, Lease::Policy policy = {});
  ~Election();
  Election(const Election&) = delete;
  Election& operator=(const Election&) = delete;

  // Gives `tenure` up, if it is not over, and competes again after `pause`. on_lost is not called.
  void Resign(std::shared_ptr<const Tenure> tenure, absl::Duration pause);
  // Gives the lease back and competes no more. Returns when the others can have it.
  void Leave();

 private:
  void Carry(const Lease::Actions& actions);
  void Watch();
  void EndTenure();

  const Deps deps_;
  const std::string nonce_;
  Lease lease_;  // on the strand
  std::shared_ptr<Tenure> tenure_;
  bool told_following_ = false;
  Strand::TimerId timer_ = 0;
  std::function<void()> on_left_;
  std::unique_ptr<transport::Subscription> watch_;
  // Shared with callbacks of the bucket, which may outlive us: after Stop they post into nothing.
  const std::shared_ptr<Strand> strand_;
};

// CLOCK_BOOTTIME; only differences mean anything.
absl::Time BootTime();

}  // namespace varpulis::coordinator
