#include "worker/session.h"

#include <algorithm>
#include <utility>

namespace varpulis::worker {

Session::Session(Policy policy, std::function<double()> random)
    : policy_(policy), random_(std::move(random)) {}

Session::Actions Session::OnStarted(bool connected) {
  connected_ = connected;
  eager_left_ = policy_.eager_attempts;
  return connected ? Register() : Actions{};
}

Session::Actions Session::OnConnected() {
  if (connected_) return {};
  connected_ = true;
  failures_ = 0;
  eager_left_ = policy_.eager_attempts;
  if (state_ == State::kDraining) return OnTimer();
  // Also when registered before: the broker may have come back with another coordinator behind it,
  // and one that knows this incarnation answers at once.
  return Register();
}

Session::Actions Session::OnDisconnected() {
  connected_ = false;
  pending_ = false;
  if (state_ == State::kRegistered) state_ = State::kLost;
  return {};
}

Session::Actions Session::OnRegistered(uint64_t attempt, absl::Duration interval) {
  if (!IsCurrent(attempt)) return {};
  pending_ = false;
  state_ = State::kRegistered;
  if (interval > absl::ZeroDuration()) policy_.heartbeat_interval = interval;
  return {.send_register = {}, .send_heartbeat = true, .wake_in = policy_.heartbeat_interval};
}

Session::Actions Session::OnRegisterFailed(uint64_t attempt, Failure failure) {
  if (!IsCurrent(attempt)) return {};
  pending_ = false;
  awaits_leader_ = failure == Failure::kNoLeader;
  if (!awaits_leader_ || eager_left_ == 0) return Backoff();
  --eager_left_;
  return {
      .send_register = {}, .send_heartbeat = false, .wake_in = policy_.eager_backoff * random_()};
}

Session::Actions Session::OnLeaderHeard() {
  if (!awaits_leader_ || !connected_ || pending_ || state_ == State::kDraining) return {};
  return Register();
}

Session::Actions Session::OnHeartbeatRefused() {
  if (state_ != State::kRegistered) return {};
  state_ = State::kLost;
  // At once, unless the coordinator has just taken the registration and still refuses: then slowly.
  if (failures_ > 0) return Backoff();
  failures_ = 1;
  return Register();
}

Session::Actions Session::OnHeartbeatUnheard() {
  if (state_ != State::kRegistered && state_ != State::kDraining) return {};
  return {.send_register = {},
          .send_heartbeat = false,
          .wake_in = std::min(policy_.unheard_interval, policy_.heartbeat_interval)};
}

Session::Actions Session::OnTimer() {
  if (!connected_ || pending_) return {};
  switch (state_) {
    case State::kRegistered:
      failures_ = 0;
      [[fallthrough]];
    case State::kDraining:
      return {.send_register = {}, .send_heartbeat = true, .wake_in = policy_.heartbeat_interval};
    case State::kConnecting:
    case State::kLost:
      return Register();
  }
  return {};
}

Session::Actions Session::OnLeaving() {
  state_ = State::kDraining;
  pending_ = false;
  return OnTimer();
}

Session::Actions Session::Register() {
  pending_ = true;
  awaits_leader_ = false;
  return {.send_register = ++attempt_, .send_heartbeat = false, .wake_in = {}};
}

Session::Actions Session::Backoff() {
  const int doublings = std::min(failures_++, 16);
  const absl::Duration cap = std::min(policy_.max_backoff, policy_.min_backoff * (1 << doublings));
  return {.send_register = {}, .send_heartbeat = false, .wake_in = cap * random_()};
}

}  // namespace varpulis::worker
