#pragma once

#include "coordinator/cluster_state.h"
#include "coordinator/command.h"
#include "coordinator/step.h"

namespace varpulis::coordinator {

// The life of a pipeline group: asked for, placed and stored, deployed, settled; deleted, a
// tombstone until every worker has confirmed, gone.
void Deploy(Step& step, const DeployGroup& command);
void FinishDeploy(Step& step, const DeployAnswered& command);
void Delete(Step& step, const DeleteGroup& command);
// The caller of one of these will not wait any longer.
void AnswerNow(Step& step, const AnswerDue& command);
void FinishUndeploy(Step& step, const UndeployAnswered& command);

// Status or copy of a placement changed: stores it, renews the routing, answers whoever waits for
// the group to settle.
void PlacementChanged(Step& step, Group& group, const PlacementKey& key,
                      const Placement& placement);

// The copy is gone from its worker, or the worker is.
void ConfirmRemoval(Step& step, const CopyKey& copy);

}  // namespace varpulis::coordinator
