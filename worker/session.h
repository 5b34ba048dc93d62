#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/time/time.h"

namespace varpulis::worker {

// When a worker registers and when it sends heartbeats. Pure: no clock, no I/O. Every method
// returns what the caller has to do. Thread-compatible; lives on the worker's strand.
//
//                  connected           register ok
//   connecting ───────────────▶ (send) ───────────▶ registered ──timer──▶ heartbeat, every interval
//       ▲                        │  ▲                 │    │
//       └── disconnected ────────┘  │   heartbeat     │    │ disconnected
//                                   │   refused       ▼    ▼
//     error: back-off 0.1 s, 1–30 s └──────────────── lost
//
// Draining (the process is leaving) only heartbeats. It never gives up: a coordinator may be an
// hour late. "No leader" does not make a worker lost: it runs on, and asks more often.
class Session {
 public:
  enum class State { kConnecting, kRegistered, kLost, kDraining };
  // Why a registration failed: there is no leader that could take it, which passes soon after a
  // broker's restart or in an election, or there is one that does not want us.
  enum class Failure { kNoLeader, kRefused };

  struct Policy {
    absl::Duration heartbeat_interval = absl::Seconds(5);
    // While no leader is there: the first attempts after a connection, for about a second.
    // Pipelines that wait for the registration would wait for the back-off as well.
    absl::Duration eager_backoff = absl::Milliseconds(100);
    int eager_attempts = 20;
    absl::Duration min_backoff = absl::Seconds(1);
    absl::Duration max_backoff = absl::Seconds(30);
    // Pause between heartbeats that nobody heard: soon noticed by the next leader.
    absl::Duration unheard_interval = absl::Seconds(1);
  };

  // What to do now. `wake_in` replaces the timer that runs; absent: it stays as it is.
  struct Actions {
    std::optional<uint64_t>
        send_register;  // the attempt's number, to be given back with its outcome
    bool send_heartbeat = false;
    std::optional<absl::Duration> wake_in;
  };

  // `random` gives a number in [0, 1): back-off is full jitter, so that a thousand workers do not
  // come back together.
  Session(Policy policy, std::function<double()> random);

  Actions OnStarted(bool connected);
  Actions OnConnected();
  Actions OnDisconnected();
  // `interval` is the coordinator's wish; zero: keep ours.
  Actions OnRegistered(uint64_t attempt, absl::Duration interval);
  Actions OnRegisterFailed(uint64_t attempt, Failure failure);
  // A leader has spoken to us: whoever waits for one need not wait longer.
  Actions OnLeaderHeard();
  // The coordinator does not know this worker, or wants it to say again what it runs.
  Actions OnHeartbeatRefused();
  // Nobody serves heartbeats at the moment.
  Actions OnHeartbeatUnheard();
  Actions OnTimer();
  Actions OnLeaving();

  State state() const { return state_; }
  bool registered() const { return state_ == State::kRegistered; }
  absl::Duration heartbeat_interval() const { return policy_.heartbeat_interval; }

 private:
  Actions Register();
  Actions Backoff();
  bool IsCurrent(uint64_t attempt) const { return connected_ && pending_ && attempt == attempt_; }

  Policy policy_;
  std::function<double()> random_;

  State state_ = State::kConnecting;
  bool connected_ = false;
  bool pending_ = false;  // attempt_ is under way
  uint64_t attempt_ = 0;
  int failures_ = 0;  // in a row; forgotten once a heartbeat interval has passed in peace
  int eager_left_ = 0;
  bool awaits_leader_ = false;  // the last attempt found none
};

}  // namespace varpulis::worker
