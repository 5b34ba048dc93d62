#include "coordinator/health.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "coordinator/drains.h"
#include "coordinator/groups.h"
#include "coordinator/migrations.h"
#include "coordinator/reconciler.h"
#include "coordinator/remembered_calls.h"

namespace varpulis::coordinator {
namespace {

// So many pings a second at most, however many workers there are.
constexpr int kPingsPerSecond = 2000;

void MarkDead(Step& step, Worker& worker, const std::string& reason, const std::string& text) {
  worker.unhealthy = true;
  const size_t affected = LosePlacements(step, worker.id, reason);
  const std::string full = absl::StrCat(text, "; ", affected, " placements affected");
  step.effects.warnings.push_back(full);
  step.Notify("worker_unhealthy", worker.id.str(), full);
}

void PingAll(Step& step) {
  const auto workers = static_cast<int64_t>(step.state.workers.size());
  const absl::Duration interval =
      std::max(step.policy.ping_interval, absl::Seconds(1) * workers / kPingsPerSecond);
  for (auto& [id, worker] : step.state.workers) {
    // One that was registered by hand has no process that would answer.
    if (worker.by_hand || worker.unhealthy || worker.ping_in_flight) continue;
    if (step.now - worker.pinged < interval) continue;
    worker.pinged = step.now;
    worker.ping_in_flight = true;
    step.effects.pings.push_back({id, worker.incarnation});
  }
}

bool OthersVanishedWith(const ClusterState& state, const Worker& worker, absl::Duration window) {
  return std::any_of(state.workers.begin(), state.workers.end(), [&](const auto& item) {
    const Worker& other = item.second;
    if (other.id == worker.id || other.unhealthy ||
        other.unreachable_since == absl::InfiniteFuture()) {
      return false;
    }
    const absl::Duration apart = other.unreachable_since - worker.unreachable_since;
    return apart <= window && apart >= -window;
  });
}

void Sweep(Step& step) {
  varpulis::v1::HealthSweep result;
  for (auto& [id, worker] : step.state.workers) {
    if (worker.unhealthy) continue;
    result.set_workers_checked(result.workers_checked() + 1);
    if (step.now - worker.last_seen <= step.policy.heartbeat_timeout) continue;
    result.set_workers_marked_unhealthy(result.workers_marked_unhealthy() + 1);
    MarkDead(step, worker, "worker unhealthy",
             absl::StrCat("no heartbeat from worker ", id.str(), " for ",
                          absl::FormatDuration(step.now - worker.last_seen)));
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
  } else if (step.now - state.last_sweep >= step.policy.heartbeat_interval &&
             step.now >= state.hold_failover_until) {
    state.last_sweep = step.now;
    Sweep(step);
  }
  PingAll(step);
  RunDue(step);
  ContinueDrains(step);
  ForgetOldCalls(step);
  ForgetOldMigrations(step);
}

void PingFailed(Step& step, const PingUnanswered& command) {
  ClusterState& state = step.state;
  Worker* worker = state.FindWorker(command.worker);
  if (worker == nullptr || worker->incarnation != command.incarnation) return;
  worker->ping_in_flight = false;
  if (!command.nobody_listens) {
    worker->unreachable_since = absl::InfiniteFuture();
    return;
  }
  if (worker->unreachable_since == absl::InfiniteFuture()) worker->unreachable_since = step.now;
  if (worker->unhealthy || step.now - worker->unreachable_since < step.policy.ping_death) return;
  if (step.now < state.hold_failover_until) return;
  // Once per disappearance: who is still gone after the hold is dead.
  if (worker->unreachable_since > state.hold_began &&
      OthersVanishedWith(state, *worker, step.policy.ping_death)) {
    HoldFailover(step);
    step.effects.warnings.push_back(
        absl::StrCat("several workers are gone at once, ", worker->id.str(),
                     " among them: perhaps the broker is; failover waits for ",
                     absl::FormatDuration(step.policy.failover_hold)));
    return;
  }
  MarkDead(step, *worker, "the worker's process is gone",
           absl::StrCat("nobody listens for worker ", worker->id.str(), " any more"));
  RunDue(step);
}

void OnConnectionRestored(Step& step) {
  for (auto& [id, worker] : step.state.workers) {
    worker.last_seen = step.now;
    worker.unreachable_since = absl::InfiniteFuture();
    worker.ping_in_flight = false;
  }
  HoldFailover(step);
}

void HoldFailover(Step& step) {
  step.state.hold_began = step.now;
  step.state.hold_failover_until = step.now + step.policy.failover_hold;
}

size_t LosePlacements(Step& step, const WorkerId& worker, const std::string& reason) {
  const auto assigned = step.state.assigned.find(worker);
  if (assigned == step.state.assigned.end()) return 0;
  for (const PlacementKey& key : assigned->second) {
    Group& group = *step.state.FindGroup(key.group);
    Placement& placement = *step.state.FindPlacement(key);
    step.state.CancelRetry(key, placement);
    if (placement.in_flight) continue;  // learns it from its answer, or the lack of it
    if (placement.status != varpulis::v1::PLACEMENT_STATUS_FAILED) {
      step.state.SetStatus(group, placement, varpulis::v1::PLACEMENT_STATUS_FAILED, reason,
                           step.now);
      PlacementChanged(step, group, key, placement);
    }
    step.state.ScheduleRetry(key, placement, step.now);  // elsewhere
  }
  return assigned->second.size();
}

}  // namespace varpulis::coordinator
