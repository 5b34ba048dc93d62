#include "coordinator/lease.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace varpulis::coordinator {

Lease::Lease(Policy policy, std::string nonce, std::function<double()> random)
    : policy_(policy), nonce_(std::move(nonce)), random_(std::move(random)) {}

absl::Duration Lease::Poll() const {
  return policy_.min_poll + random_() * (policy_.max_poll - policy_.min_poll);
}

// What is to be done next, and when.
Lease::Actions Lease::Waiting(absl::Time now) const {
  absl::Time wake = absl::InfiniteFuture();
  const auto by = [&wake](absl::Time time) { wake = std::min(wake, time); };
  switch (state_) {
    case State::kFollowing:
      by(under_way_.has_value() ? last_sent_ + policy_.answer_within : next_try_);
      break;
    case State::kLeading:
      by(valid_until_);
      if (reading_) {
        by(read_at_);
      } else {
        by(last_sent_ + (under_way_.has_value() ? policy_.answer_within : policy_.renew_every));
      }
      break;
    case State::kReleasing:
      by(give_up_);
      break;
    case State::kLeft:
      return {};
  }
  Actions actions;
  actions.wake_in = std::max(wake - now, absl::ZeroDuration());
  return actions;
}

// ---------------------------------------------------------------- following

Lease::Actions Lease::Start(absl::Time now) { return Create(now); }

Lease::Actions Lease::Create(absl::Time now) {
  std::erase_if(sent_, [&](const auto& sent) { return ValidFrom(sent.second) <= now; });
  const uint64_t sending = ++last_sending_;
  sent_[sending] = now;
  under_way_ = sending;
  last_sent_ = now;
  next_try_ = now;
  Actions actions = Waiting(now);
  actions.write = Write{sending, 0};
  return actions;
}

Lease::Actions Lease::TryAt(absl::Time when, absl::Time now) {
  next_try_ = std::max(when, not_before_);
  return Waiting(now);
}

Lease::Actions Lease::Elected(uint64_t sending, uint64_t revision, absl::Time now) {
  state_ = State::kLeading;
  revision_ = revision;
  valid_until_ = ValidFrom(sent_.at(sending));
  last_sent_ = sent_.at(sending);
  sent_.clear();
  under_way_.reset();
  reading_ = false;
  heard_renewal_ = false;
  Actions actions = Waiting(now);
  actions.elected = true;
  return actions;
}

// ---------------------------------------------------------------- leading

Lease::Actions Lease::Renew(absl::Time now) {
  const uint64_t sending = ++last_sending_;
  sent_[sending] = now;
  under_way_ = sending;
  last_sent_ = now;
  Actions actions = Waiting(now);
  actions.write = Write{sending, revision_};
  return actions;
}

Lease::Actions Lease::Read(absl::Time now) {
  reading_ = true;
  read_at_ = now + policy_.answer_within;
  Actions actions = Waiting(now);
  actions.read = ++last_read_;
  return actions;
}

// A write of ours is the key's last.
Lease::Actions Lease::Stored(uint64_t sending, uint64_t revision, absl::Time now) {
  revision_ = revision;
  if (const auto sent = sent_.find(sending); sent != sent_.end()) {
    valid_until_ = std::max(valid_until_, ValidFrom(sent->second));
    sent_.erase(sent_.begin(), std::next(sent));
  }
  reading_ = false;
  // A later one may still be on its way: its answer is awaited, or it is overtaken.
  if (under_way_ == sending) under_way_.reset();
  return Waiting(now);
}

Lease::Actions Lease::Lose(std::string why, absl::Time now) {
  state_ = State::kFollowing;
  sent_.clear();
  under_way_.reset();
  reading_ = false;
  heard_renewal_ = false;
  heard_nonce_.clear();
  Actions actions = TryAt(now + Poll(), now);
  actions.lost = std::move(why);
  return actions;
}

// ---------------------------------------------------------------- what happens

Lease::Actions Lease::OnTimer(absl::Time now) {
  switch (state_) {
    case State::kFollowing:
      if (under_way_.has_value()) {
        if (now < last_sent_ + policy_.answer_within) return Waiting(now);
        under_way_.reset();  // its answer is still welcome
        return TryAt(now + Poll(), now);
      }
      return now >= next_try_ ? Create(now) : Waiting(now);
    case State::kLeading:
      if (now >= valid_until_) return Lose("the lease has run out", now);
      if (reading_) return now >= read_at_ ? Read(now) : Waiting(now);
      if (under_way_.has_value()) {
        return now >= last_sent_ + policy_.answer_within ? Read(now) : Waiting(now);
      }
      return now >= last_sent_ + policy_.renew_every ? Renew(now) : Waiting(now);
    case State::kReleasing:
      return now >= give_up_ ? Released(now) : Waiting(now);
    case State::kLeft:
      return {};
  }
  return {};
}

Lease::Actions Lease::OnWritten(uint64_t sending, const absl::StatusOr<uint64_t>& revision,
                                absl::Time now) {
  const bool awaited = under_way_ == sending;
  const bool known = sent_.contains(sending);
  switch (state_) {
    case State::kFollowing:
      if (revision.ok() && known && now < ValidFrom(sent_.at(sending))) {
        return Elected(sending, *revision, now);
      }
      // ALREADY_EXISTS says that it was not stored; of other errors nobody knows.
      if (absl::IsAlreadyExists(revision.status())) sent_.erase(sending);
      if (!awaited) return {};
      under_way_.reset();
      return TryAt(std::max(next_try_, now + Poll()), now);
    case State::kLeading:
      if (now >= valid_until_) return Lose("the lease has run out", now);
      if (!known) return {};  // settled by a read
      if (revision.ok()) return Stored(sending, *revision, now);
      return awaited && !reading_ ? Read(now) : Actions{};
    case State::kReleasing:
      if (!awaited) return {};
      under_way_.reset();
      if (revision.ok()) {
        revision_ = *revision;
        held_ = true;
      }
      return Release(now);
    case State::kLeft:
      return {};
  }
  return {};
}

Lease::Actions Lease::OnRead(uint64_t read, const absl::StatusOr<LeaseEntry>& entry,
                             absl::Time now) {
  if (state_ != State::kLeading) return {};
  if (now >= valid_until_) return Lose("the lease has run out", now);
  if (!reading_ || read != last_read_) return {};
  if (absl::IsNotFound(entry.status())) {
    // The broker, which keeps it in memory, has begun again. Nobody has it, and ours is valid yet.
    revision_ = 0;
    reading_ = false;
    return Renew(now);
  }
  if (!entry.ok()) {
    read_at_ = now + policy_.read_again;
    return Waiting(now);
  }
  if (entry->nonce != nonce_) {
    return Lose(absl::StrCat("coordinator ", entry->holder, " holds the lease"), now);
  }
  Stored(entry->sending, entry->revision, now);
  // What was sent after that is late or lost; should it be stored yet, the next renewal is refused
  // and read back again.
  under_way_.reset();
  return now >= last_sent_ + std::min(policy_.renew_every, policy_.answer_within) ? Renew(now)
                                                                                  : Waiting(now);
}

Lease::Actions Lease::OnHeard(const std::optional<LeaseEntry>& entry, absl::Time now) {
  const bool own = entry.has_value() && entry->nonce == nonce_;
  if (!own) holder_ = entry.has_value() ? entry->holder : "";
  switch (state_) {
    case State::kFollowing: {
      if (!entry.has_value()) {
        heard_renewal_ = false;
        heard_nonce_.clear();
        if (under_way_.has_value()) return {};  // its answer is awaited
        return now >= not_before_ ? Create(now) : TryAt(not_before_, now);
      }
      if (own) {
        // The answer to a write of ours was lost, or is about to come.
        const auto sent = sent_.find(entry->sending);
        if (sent == sent_.end() || now >= ValidFrom(sent->second)) return {};
        return Elected(entry->sending, entry->revision, now);
      }
      // The first may have been stored long ago, by one who is dead.
      heard_renewal_ = std::exchange(heard_nonce_, entry->nonce) == entry->nonce;
      if (!heard_renewal_) return {};
      return TryAt(now + policy_.ttl + policy_.broker_lateness + random_() * policy_.min_poll / 5,
                   now);
    }
    case State::kLeading:
      // News from before our time, or of a broker that has forgotten us.
      if (own || reading_) return {};
      if (now >= valid_until_) return Lose("the lease has run out", now);
      return Read(now);
    case State::kReleasing:
    case State::kLeft:
      return {};
  }
  return {};
}

// ---------------------------------------------------------------- giving it back

Lease::Actions Lease::Resign(absl::Duration pause, absl::Time now) {
  if (state_ != State::kLeading) return {};
  not_before_ = now + pause;
  leaving_ = false;
  held_ = now < valid_until_;  // else it is nobody's, or another's
  state_ = State::kReleasing;
  give_up_ = now + 2 * policy_.answer_within;
  return Release(now);
}

Lease::Actions Lease::Leave(absl::Time now) {
  leaving_ = true;
  if (state_ == State::kReleasing || state_ == State::kLeft) return {};
  held_ = state_ == State::kLeading && now < valid_until_;
  state_ = State::kReleasing;
  give_up_ = now + 2 * policy_.answer_within;
  return Release(now);
}

// The revision to remove is not known while a write is under way.
Lease::Actions Lease::Release(absl::Time now) {
  if (under_way_.has_value()) return Waiting(now);
  if (!std::exchange(held_, false)) return Released(now);
  Actions actions = Waiting(now);
  actions.remove = revision_;
  return actions;
}

Lease::Actions Lease::OnRemoved(absl::Time now) {
  return state_ == State::kReleasing ? Released(now) : Actions{};
}

Lease::Actions Lease::Released(absl::Time now) {
  sent_.clear();
  under_way_.reset();
  reading_ = false;
  if (leaving_) {
    state_ = State::kLeft;
    return {};
  }
  state_ = State::kFollowing;
  return TryAt(now + Poll(), now);
}

}  // namespace varpulis::coordinator
