#pragma once

#include "absl/time/time.h"

#include "coordinator/cluster_state.h"
#include "coordinator/command.h"
#include "coordinator/effect.h"
#include "coordinator/step.h"

namespace varpulis::coordinator {

// The coordinator: (state, command, now) → (state', effects). Pure and deterministic: the same
// commands give the same states and effects, whenever and wherever they are applied.
Effects Apply(ClusterState& state, const Command& command, absl::Time now, const Policy& policy);

}  // namespace varpulis::coordinator
