#pragma once

#include <cstddef>
#include <string>

#include "base/ids.h"
#include "coordinator/cluster_state.h"
#include "coordinator/command.h"
#include "coordinator/step.h"

namespace varpulis::coordinator {

// Last seen × now → alive or not. The shell's clock ticks several times a second; what is due is
// decided here.

// Believed alive: not marked unhealthy and heard within the timeout.
bool IsLive(const Worker& worker, absl::Time now, const Policy& policy);

// Sweeps when an interval has passed since the last sweep, then runs retries that are due. After a
// stall of this process longer than an interval the sweep is skipped: heartbeats may be waiting.
// While failover is held it is put off.
void OnTick(Step& step);

// The broker was away: everyone gets a full timeout from now.
void OnConnectionRestored(Step& step);

// It may be the broker that is in trouble: nobody is declared dead and nothing is moved for
// `failover_hold`.
void HoldFailover(Step& step);

// Nobody listened for the worker's commands, or it was silent. A process that is gone shows within
// one ping: when nobody has listened for `ping_death` the worker is dead. Silence is not death (the
// process may be paused) and is left to the heartbeats. Several workers gone at once mean the
// broker: then nothing is moved for `failover_hold`.
void PingFailed(Step& step, const PingUnanswered& command);

// The worker is gone: its placements are Failed with `reason`. How many were assigned to it.
size_t LosePlacements(Step& step, const WorkerId& worker, const std::string& reason);

}  // namespace varpulis::coordinator
