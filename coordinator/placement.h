#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "base/ids.h"
#include "coordinator/cluster_state.h"
#include "coordinator/step.h"
#include "proto/cluster.pb.h"

namespace varpulis::coordinator {

// Who runs what. Pure: reads the state, returns a plan, changes nothing.

struct PlacementPlan {
  std::vector<std::vector<WorkerId>> workers;  // [pipeline][replica]
  uint64_t round_robin = 0;                    // the counter after the plan
  std::vector<std::string> warnings;           // affinities that could not be kept
};

// A worker for every copy, among the available ones. A plan counts its own earlier picks; replicas
// of one pipeline prefer workers that have none yet, except that all follow an affinity.
// UNAVAILABLE (no_workers_available) when the available workers cannot take all of them.
absl::StatusOr<PlacementPlan> PlanPlacements(
    const ClusterState& state, const std::vector<varpulis::v1::PipelineSpec>& pipelines,
    PlacementStrategy strategy);

// Where one copy should go that cannot stay where it is: its pipeline's preferred worker, else the
// least loaded one, without another replica of it if possible. None: nobody has room.
std::optional<WorkerId> PickTarget(const ClusterState& state, const PlacementKey& key);

}  // namespace varpulis::coordinator
