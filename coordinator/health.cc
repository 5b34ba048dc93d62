#include "coordinator/health.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "coordinator/groups.h"
#include "coordinator/reconciler.h"
#include "coordinator/remembered_calls.h"

namespace varpulis::coordinator {
namespace {

void Sweep(Step& step) {
  varpulis::v1::HealthSweep result;
  for (auto& [id, worker] : step.state.workers) {
    if (worker.unhealthy) continue;
    result.set_workers_checked(result.workers_checked() + 1);
    if (step.now - worker.last_seen <= step.policy.heartbeat_timeout) continue;
    worker.unhealthy = true;
    result.set_workers_marked_unhealthy(result.workers_marked_unhealthy() + 1);
    const size_t affected = LosePlacements(step, id, "worker unhealthy");
    const std::string text = absl::StrCat("no heartbeat from worker ", id.str(), " for ",
                                          absl::FormatDuration(step.now - worker.last_seen), "; ",
                                          affected, " placements affected");
    step.effects.warnings.push_back(text);
    step.Notify("worker_unhealthy", id.str(), text);
  }
  step.state.last_health_sweep = result;
}

}  // namespace

bool IsLive(const Worker& worker, absl::Time now, const Policy& policy) {
  return !worker.unhealthy && now - worker.last_seen <= policy.heartbeat_timeout;
}

void OnTick(Step& step) {
  ClusterState& state = step.state;
  const bool stalled = step.now - state.last_tick > step.policy.heartbeat_interval;
  state.last_tick = step.now;
  if (stalled) {
    state.last_sweep = step.now;
  } else if (step.now - state.last_sweep >= step.policy.heartbeat_interval) {
    state.last_sweep = step.now;
    Sweep(step);
  }
  RunDue(step);
  ForgetOldCalls(step);
}

void OnConnectionRestored(Step& step) {
  for (auto& [id, worker] : step.state.workers) worker.last_seen = step.now;
}

size_t LosePlacements(Step& step, const WorkerId& worker, const std::string& reason) {
  const auto assigned = step.state.assigned.find(worker);
  if (assigned == step.state.assigned.end()) return 0;
  for (const PlacementKey& key : assigned->second) {
    Group& group = *step.state.FindGroup(key.group);
    Placement& placement = *step.state.FindPlacement(key);
    step.state.CancelRetry(key, placement);
    // One that is being deployed learns it from its answer, or the lack of it.
    if (placement.status == varpulis::v1::PLACEMENT_STATUS_FAILED || placement.in_flight) continue;
    step.state.SetStatus(group, placement, varpulis::v1::PLACEMENT_STATUS_FAILED, reason, step.now);
    PlacementChanged(step, group, key, placement);
  }
  return assigned->second.size();
}

}  // namespace varpulis::coordinator
