#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "coordinator/lease.h"
#include "scheduler.h"

namespace varpulis::simulation {

// The broker's bucket with the lease's key, in memory, whose entry expires.
class LeaseBucket {
 public:
  using Entry = coordinator::LeaseEntry;

  explicit LeaseBucket(Scheduler& scheduler) : scheduler_(scheduler) {}

  // Of a write or removal, as a watcher of the key hears them; expiry is not heard.
  std::function<void(const std::optional<Entry>&)> on_change;

  // `expected` as in coordinator::Lease::Write.
  absl::StatusOr<uint64_t> Write(Entry entry, uint64_t expected) {
    if (expected == 0 && live()) return absl::AlreadyExistsError("the key exists");
    if (expected != 0 && (!live() || entry_->revision != expected)) {
      return absl::AbortedError("wrong last sequence");
    }
    entry.revision = ++last_revision_;
    entry_ = std::move(entry);
    expires_ = scheduler_.now() + coordinator::Lease::Policy().ttl;
    on_change(entry_);
    return last_revision_;
  }
  absl::StatusOr<Entry> Get() const {
    if (!live()) return absl::NotFoundError("no such key");
    return *entry_;
  }
  void Remove(uint64_t revision) {
    if (!live() || entry_->revision != revision) return;
    entry_.reset();
    ++last_revision_;
    on_change(std::nullopt);
  }
  // The broker begins again: what it kept in memory is gone, and nobody hears of it.
  void Wipe() {
    entry_.reset();
    wiped_ = scheduler_.now();
  }

  bool HeldBy(const std::string& nonce) const { return live() && entry_->nonce == nonce; }
  // For so long after that a holder may go on though another one is elected.
  bool WipedOfLate() const { return scheduler_.now() - wiped_ < coordinator::Lease::Policy().ttl; }

 private:
  bool live() const { return entry_.has_value() && scheduler_.now() < expires_; }

  Scheduler& scheduler_;
  std::optional<Entry> entry_;
  absl::Time expires_;
  absl::Time wiped_ = absl::InfinitePast();
  uint64_t last_revision_ = 0;
};

}  // namespace varpulis::simulation
