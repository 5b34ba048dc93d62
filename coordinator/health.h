#pragma once

#include <cstddef>
#include <string>

#include "base/ids.h"
#include "coordinator/cluster_state.h"
#include "coordinator/step.h"

namespace varpulis::coordinator {

// Last seen × now → alive or not. The shell's clock ticks several times a second; what is due is
// decided here.

// Believed alive: not marked unhealthy and heard within the timeout.
bool IsLive(const Worker& worker, absl::Time now, const Policy& policy);

// Sweeps when an interval has passed since the last sweep, then runs retries that are due. After a
// stall of this process longer than an interval the sweep is skipped: heartbeats may be waiting.
void OnTick(Step& step);

// The broker was away: everyone gets a full timeout from now.
void OnConnectionRestored(Step& step);

// The worker is gone: its placements are Failed with `reason`. How many were assigned to it.
size_t LosePlacements(Step& step, const WorkerId& worker, const std::string& reason);

}  // namespace varpulis::coordinator
