#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "base/ids.h"
#include "coordinator/cluster_state.h"
#include "coordinator/command.h"
#include "coordinator/step.h"

namespace varpulis::coordinator {

// One copy of a pipeline moves from a worker to another. Failover, drain, rebalance and a move by
// hand are this:
//
//   checkpointing   the source stores its state and takes no more input      (left out: it is dead)
//        │          it cannot, though it lives: failed, nothing has changed
//   deploying       the placement is the target's, one epoch higher; the target restores
//        │          it cannot: failed, and back to the source if that lives, else tried again
//   completed       the target runs; the source's copy becomes a removal
//
// The placement's epoch fences the source: should it come back, its copy is removed.

using MoveReason = varpulis::state::v1::MigrationReason;

// Begins a move. `conflict`: the copy is on its way already, or the target is the source.
absl::StatusOr<std::string> StartMove(Step& step, const PlacementKey& key, const WorkerId& target,
                                      MoveReason reason);
void FinishCheckpoint(Step& step, const CheckpointAnswered& command);
// The deploy of a moving copy was answered. `deployed` false: the copy may have been put back.
void FinishMove(Step& step, Group& group, const PlacementKey& key, Placement& placement,
                const absl::Status& deployed);
// Ends the active move of this copy, if there is one: its group is being deleted.
void AbandonMove(Step& step, const PlacementKey& key, const std::string& why);

void Migrate(Step& step, const MigratePipeline& command);
void DoRebalance(Step& step, const Rebalance& command);

void ForgetOldMigrations(Step& step);

}  // namespace varpulis::coordinator
