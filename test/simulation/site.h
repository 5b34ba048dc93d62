#pragma once

#include "coordinator/step.h"
#include "counters.h"
#include "lease_bucket.h"
#include "ledger.h"
#include "network.h"
#include "random.h"
#include "record_store.h"
#include "scheduler.h"
#include "trace.h"

namespace varpulis::simulation {

// How often what fails that is not the network, per mille of the occasions.
struct Misfortune {
  uint32_t store_failure = 0;     // a write is answered with an error
  uint32_t torn_batch = 0;        // of an append only the first writes arrive
  uint32_t crash_amid_write = 0;  // the writer dies when its write has been stored
  uint32_t deploy_failure = 0;
  uint32_t checkpoint_failure = 0;
  uint32_t slow_command = 0;  // a worker takes seconds for it
};

// What the processes of one run share.
struct Site {
  explicit Site(uint64_t seed, Trace::Text text, Network::Listeners listeners)
      : trace(text),
        random(seed),
        ledger(scheduler, trace, counters),
        network(scheduler, random, counters, std::move(listeners)),
        store(ledger),
        lease(scheduler) {
    policy.heartbeat_interval = absl::Seconds(2);
    policy.heartbeat_timeout = absl::Seconds(6);
    policy.ping_interval = absl::Milliseconds(250);
    policy.ping_death = absl::Milliseconds(500);
    policy.failover_hold = absl::Seconds(2);
    policy.retry_backoff = absl::Milliseconds(500);
    policy.retry_backoff_max = absl::Seconds(4);
  }

  template <typename... Args>
  void Note(absl::string_view what, const Args&... args) {
    trace.Note(scheduler.now(), what, args...);
  }

  coordinator::Policy policy;
  absl::Duration command_timeout = absl::Seconds(4);
  absl::Duration ping_timeout = absl::Milliseconds(500);
  Misfortune misfortune;
  Counters counters;
  Scheduler scheduler;
  Trace trace;
  Random random;
  Ledger ledger;
  Network network;
  RecordStore store;
  LeaseBucket lease;
};

}  // namespace varpulis::simulation
