#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/cluster_state.h"
#include "coordinator_model.h"
#include "record_store.h"
#include "worker_model.h"

namespace varpulis::simulation {

// The liveness half of the invariants: what must be true some time after the last fault.

// Empty: exactly one coordinator leads and owes nobody an answer, every copy that is wanted runs
// where it is recorded and nothing else does, no drain, move or removal is left over.
std::string WhyNotSettled(const std::vector<std::unique_ptr<CoordinatorModel>>& coordinators,
                          const std::vector<std::unique_ptr<WorkerModel>>& workers);

// Empty: the records say exactly what the leader's state says, and read back they make that state.
std::string WhyNotRebuilt(const coordinator::ClusterState& state, const RecordStore& store);

}  // namespace varpulis::simulation
