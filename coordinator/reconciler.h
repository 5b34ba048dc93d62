#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "coordinator/cluster_state.h"
#include "coordinator/step.h"
#include "proto/cluster.pb.h"

namespace varpulis::coordinator {

// Moves what runs towards what is desired. Level-triggered: it acts on the difference, so losing
// any message costs time and nothing else. It removes a copy only if its group has a tombstone or
// its epoch was replaced; copies it cannot explain are reported and left alone.

enum class Occasion { kRegistration, kNewProcess, kHeartbeat };

// The full list of what `worker` runs, as it says itself.
void ApplyReport(Step& step, Worker& worker,
                 const std::vector<varpulis::v1::RunningPipeline>& running, Occasion occasion);

// Starts what is due: deploys of failed or unfinished placements, on another worker when theirs is
// gone; removals not yet confirmed.
void RunDue(Step& step);

// Retries of this worker's placements and removals are due now: it is back.
void RetryNow(Step& step, const WorkerId& worker);

// Sends the deploy of the placement's present epoch.
void StartDeploy(Step& step, Group& group, const PlacementKey& key, Placement& placement);

// Deploys the placement anew, under a new epoch, which fences whatever still runs under the old
// one.
void Redeploy(Step& step, Group& group, const PlacementKey& key, Placement& placement,
              std::string why);

// This copy must go, if its epoch is not above `epoch`.
void RemoveCopy(Step& step, const CopyKey& copy, uint64_t epoch);

// Sends (or repeats) the order to remove a copy; of a tombstone the checkpoints go too, if need be
// by the leader's own hand.
// REQUIRES: the worker is known, or it is a tombstone's.
void StartRemoval(Step& step, const CopyKey& copy, Removal& removal);

// The ids of the copies in `running`, which `worker` reports, that are not wanted there any more.
std::vector<std::string> SupersededCopies(
    const ClusterState& state, const WorkerId& worker,
    const google::protobuf::RepeatedPtrField<varpulis::v1::RunningPipeline>& running);

}  // namespace varpulis::coordinator
