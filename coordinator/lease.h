#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace varpulis::coordinator {

// What is stored under the lease's key, and the revision under which it is.
struct LeaseEntry {
  std::string holder;    // the coordinator's id, for people
  std::string nonce;     // of its process: two with one id are still two
  uint64_t sending = 0;  // which of the holder's writes this is
  uint64_t revision = 0;
};

// The lease that makes one of several coordinators the leader: a key that expires unless it is
// renewed. Pure: no clock, no I/O; times are given, and only their differences mean anything.
// Every method returns what the caller has to do. Thread-compatible; lives on the election's
// strand.
//
//                 created                       resign, leave
//   following ──────────────▶ leading ───────────────────────────▶ releasing ─▶ left
//      ▲  │ taken: again later  │ │ renewed, every 300 ms               │
//      │  └─▶ following         │ └─▶ leading                           │
//      └────────────────────────┘                                       │
//      ▲   ran out, taken by another                                    │
//      └────────────────────────────────────────────────────────────────┘ resigned
//
// The lease is valid from the *sending* of the last write that was stored: the broker counts from
// later. A write whose outcome is not known is read back before it counts as lost, and one that was
// stored after all counts from its own sending. A key that is gone before its time was in the
// memory of a broker that has begun again: it is created anew.
//
// A watcher of the key hears writes and removals, not expiry. So a follower that hears renewals
// tries when the last one must have expired, and one that hears none tries every 100 to 150 ms.
class Lease {
 public:
  struct Policy {
    absl::Duration ttl = absl::Seconds(1);  // of the key: kLeaseTtl
    absl::Duration renew_every = absl::Milliseconds(300);
    // How long before the key may expire the holder stops: what it has sent then still arrives.
    absl::Duration margin = absl::Milliseconds(100);
    absl::Duration answer_within = absl::Milliseconds(150);  // otherwise it is read back
    absl::Duration read_again = absl::Milliseconds(50);      // after a read that failed
    absl::Duration min_poll = absl::Milliseconds(100);
    absl::Duration max_poll = absl::Milliseconds(150);
    absl::Duration broker_lateness = absl::Milliseconds(10);  // from expiry to removal
  };
  enum class State { kFollowing, kLeading, kReleasing, kLeft };

  struct Write {
    uint64_t sending = 0;
    uint64_t expected = 0;  // the revision to replace; 0: the key must not exist
  };
  struct Actions {
    std::optional<Write> write;
    std::optional<uint64_t> read;           // the read's number, to be given back
    std::optional<uint64_t> remove;         // this revision
    std::optional<absl::Duration> wake_in;  // replaces the timer that runs; absent: it stays
    bool elected = false;
    std::optional<std::string> lost;  // why this coordinator no longer leads
  };

  // `random` gives a number in [0, 1).
  Lease(Policy policy, std::string nonce, std::function<double()> random);

  Actions Start(absl::Time now);
  Actions OnTimer(absl::Time now);
  Actions OnWritten(uint64_t sending, const absl::StatusOr<uint64_t>& revision, absl::Time now);
  // NOT_FOUND: there is no such key.
  Actions OnRead(uint64_t read, const absl::StatusOr<LeaseEntry>& entry, absl::Time now);
  Actions OnRemoved(absl::Time now);  // or not: it expires
  // What a watcher of the key heard, perhaps late; nothing: a removal.
  Actions OnHeard(const std::optional<LeaseEntry>& entry, absl::Time now);
  // Gives the lease back and competes again after `pause`.
  Actions Resign(absl::Duration pause, absl::Time now);
  // Gives the lease back, or what may become one, and competes no more.
  Actions Leave(absl::Time now);

  State state() const { return state_; }
  bool leads() const { return state_ == State::kLeading; }
  absl::Time valid_until() const { return valid_until_; }  // REQUIRES: leads()
  // Another process is seen to renew the lease.
  bool follows() const { return state_ == State::kFollowing && heard_renewal_; }
  const std::string& holder() const { return holder_; }  // last heard of; empty: of none

 private:
  Actions Create(absl::Time now);
  Actions Renew(absl::Time now);
  Actions Read(absl::Time now);
  Actions Elected(uint64_t sending, uint64_t revision, absl::Time now);
  Actions Stored(uint64_t sending, uint64_t revision, absl::Time now);
  Actions Lose(std::string why, absl::Time now);
  Actions TryAt(absl::Time when, absl::Time now);
  Actions Release(absl::Time now);
  Actions Released(absl::Time now);
  Actions Waiting(absl::Time now) const;
  absl::Duration Poll() const;
  absl::Time ValidFrom(absl::Time sent) const { return sent + policy_.ttl - policy_.margin; }

  const Policy policy_;
  const std::string nonce_;
  const std::function<double()> random_;

  State state_ = State::kFollowing;
  uint64_t last_sending_ = 0;
  std::map<uint64_t, absl::Time> sent_;  // writes that may have been stored, by sending
  std::optional<uint64_t> under_way_;    // the write whose answer is awaited

  // Following.
  absl::Time next_try_ = absl::InfinitePast();
  absl::Time not_before_ = absl::InfinitePast();  // after a resignation
  std::string holder_, heard_nonce_;
  bool heard_renewal_ = false;

  // Leading.
  uint64_t revision_ = 0;
  absl::Time valid_until_;
  absl::Time last_sent_;
  uint64_t last_read_ = 0;
  bool reading_ = false;  // in doubt: nothing is written until the key has been read
  absl::Time read_at_;    // when it is read again

  // Releasing.
  bool leaving_ = false;
  bool held_ = false;  // revision_ is ours to remove
  absl::Time give_up_;
};

}  // namespace varpulis::coordinator
