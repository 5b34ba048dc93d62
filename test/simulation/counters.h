#pragma once

#include <cstdint>

namespace varpulis::simulation {

// What a run has met: faults injected, and what the coordinator did about them. Each of them must
// have happened in a simulation as a whole, else it proves nothing.
#define VARPULIS_SIMULATION_COUNTERS(X) \
  X(lost)                               \
  X(late)                               \
  X(duplicated)                         \
  X(no_responders)                      \
  X(worker_crashes)                     \
  X(worker_departures)                  \
  X(coordinator_crashes)                \
  X(crashes_amid_writes)                \
  X(worker_freezes)                     \
  X(coordinator_freezes)                \
  X(clock_jumps)                        \
  X(disconnections)                     \
  X(broker_outages)                     \
  X(broker_restarts)                    \
  X(foreign_writes)                     \
  X(store_failures)                     \
  X(torn_batches)                       \
  X(deploys_failed)                     \
  X(checkpoints_failed)                 \
  X(elections)                          \
  X(leases_lost)                        \
  X(offices_begun)                      \
  X(stood_down)                         \
  X(logs_reopened)                      \
  X(writes)                             \
  X(refused_writes)                     \
  X(unsent_after_lease)                 \
  X(stale_leaders_refused)              \
  X(stale_placements_refused)           \
  X(repeated_deploys)                   \
  X(copies_started)                     \
  X(copies_removed)                     \
  X(copies_lost)                        \
  X(groups_acknowledged)                \
  X(deletes_acknowledged)               \
  X(calls_retried)                      \
  X(drains_finished)                    \
  X(failovers)                          \
  X(drain_moves)                        \
  X(rebalance_moves)                    \
  X(manual_moves)                       \
  X(failed_moves)

struct Counters {
#define VARPULIS_SIMULATION_FIELD(name) uint64_t name = 0;
  VARPULIS_SIMULATION_COUNTERS(VARPULIS_SIMULATION_FIELD)
#undef VARPULIS_SIMULATION_FIELD

  void Add(const Counters& other) {
#define VARPULIS_SIMULATION_ADD(name) name += other.name;
    VARPULIS_SIMULATION_COUNTERS(VARPULIS_SIMULATION_ADD)
#undef VARPULIS_SIMULATION_ADD
  }

  template <typename Fn>
  void ForEach(Fn fn) const {
#define VARPULIS_SIMULATION_VISIT(name) fn(#name, name);
    VARPULIS_SIMULATION_COUNTERS(VARPULIS_SIMULATION_VISIT)
#undef VARPULIS_SIMULATION_VISIT
  }
};

}  // namespace varpulis::simulation
