#include "coordinator/reconciler.h"

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "coordinator/groups.h"
#include "coordinator/migrations.h"
#include "coordinator/placement.h"
#include "coordinator/records.h"
#include "coordinator/remembered_calls.h"
#include "coordinator/routing.h"

namespace varpulis::coordinator {
namespace {

using varpulis::v1::RunningPipeline;

PlacementKey KeyOf(const RunningPipeline& copy) {
  return {GroupId(copy.group_id()), copy.name(), copy.replica()};
}

// Moves the placement to a new epoch, which fences whatever still runs under the old one.
void BeginNewEpoch(Step& step, const PlacementKey& key, Placement& placement) {
  ++placement.epoch;
  placement.pipeline_id = PipelineId();
  placement.in_flight = false;
  step.Write(StorePlacement(key, placement));
}

void ReportUnknown(Step& step, Worker& worker, const RunningPipeline& copy) {
  if (!worker.reported_unknown.insert(copy.pipeline_id()).second) return;
  const std::string text =
      absl::StrCat("worker ", worker.id.str(), " runs pipeline ", copy.name(), " (",
                   copy.pipeline_id(), ", group ", copy.group_id(), ", epoch ",
                   copy.placement_epoch(), ") which no known group asks for; left alone");
  step.effects.warnings.push_back(text);
  step.Notify("unknown_pipeline", worker.id.str(), text);
}

void Remove(Step& step, const Worker& worker, const RunningPipeline& copy, bool tombstone) {
  const CopyKey key{KeyOf(copy), worker.id};
  Removal& removal = step.state.removals[key];
  if (tombstone &&
      !removal.tombstone) {  // believed gone, or elsewhere: the tombstone waits for it too
    removal.tombstone = true;
    removal.tried = true;
    ++step.state.FindGroup(key.placement.group)->removals;
  }
  removal.pipeline_id = PipelineId(copy.pipeline_id());
  RemoveCopy(step, key, copy.placement_epoch());
}

// The copy is the one we want at this place.
void AdoptCurrent(Step& step, Group& group, const PlacementKey& key, Placement& placement,
                  const RunningPipeline& copy) {
  if (placement.in_flight) return;  // its answer says more
  if (copy.status() == "paused") {
    // Cut for a move that is no more. The copy that replaces it takes its state over.
    if (step.state.moving.contains(key)) return;
    return Redeploy(step, group, key, placement, "it was stopped for a move that was given up");
  }
  const bool broken = absl::StartsWith(copy.status(), "error");
  const auto status =
      broken ? varpulis::v1::PLACEMENT_STATUS_FAILED : varpulis::v1::PLACEMENT_STATUS_RUNNING;
  if (placement.status != status || placement.pipeline_id.str() != copy.pipeline_id()) {
    placement.pipeline_id = PipelineId(copy.pipeline_id());
    step.state.SetStatus(group, placement, status, broken ? copy.status() : "", step.now);
    if (broken) {
      ++placement.attempts;
      step.state.ScheduleRetry(key, placement, step.now + step.Backoff(placement.attempts));
    } else {
      placement.attempts = 0;
      step.state.CancelRetry(key, placement);
    }
    PlacementChanged(step, group, key, placement);
  }
  // The deploy was answered to a predecessor, if at all: the move has come to its end without.
  if (!broken) FinishMove(step, group, key, placement, absl::OkStatus());
}

// True if the copy belongs to a group of ours.
bool ApplyCopy(Step& step, Worker& worker, const RunningPipeline& copy,
               std::set<PlacementKey>& present) {
  const PlacementKey key = KeyOf(copy);
  Group* group = step.state.FindGroup(key.group);
  Placement* placement = step.state.FindPlacement(key);
  if (group == nullptr && WasDeleted(step.state, key.group)) {
    // Its worker was away when the others confirmed, or a deploy came late.
    Remove(step, worker, copy, /*tombstone=*/false);
    return true;
  }
  if (placement == nullptr) {
    ReportUnknown(step, worker, copy);
    return false;
  }
  if (group->deleted) {
    Remove(step, worker, copy, /*tombstone=*/true);
    return true;
  }
  if (copy.placement_epoch() > placement->epoch) {
    ReportUnknown(step, worker, copy);
    return true;
  }
  if (copy.placement_epoch() < placement->epoch) {
    Remove(step, worker, copy, /*tombstone=*/false);
    return true;
  }
  if (placement->worker != worker.id) {
    ReportUnknown(step, worker, copy);  // our epoch on somebody else's machine: explain it first
    return true;
  }
  present.insert(key);
  AdoptCurrent(step, *group, key, *placement, copy);
  return true;
}

}  // namespace

void ApplyReport(Step& step, Worker& worker, const std::vector<RunningPipeline>& running,
                 Occasion occasion) {
  worker.has_reported = true;
  std::set<PlacementKey> present;
  uint32_t ours = 0;
  for (const RunningPipeline& copy : running) {
    if (ApplyCopy(step, worker, copy, present)) ++ours;
  }
  worker.foreign_pipelines = static_cast<uint32_t>(running.size()) - ours;

  const auto assigned = step.state.assigned.find(worker.id);
  if (assigned == step.state.assigned.end()) return;
  for (const PlacementKey& key : assigned->second) {
    if (present.contains(key)) continue;
    Group& group = *step.state.FindGroup(key.group);
    Placement& placement = *step.state.FindPlacement(key);
    const bool ran = placement.status == varpulis::v1::PLACEMENT_STATUS_RUNNING;
    // A report built before the deploy was done does not list it yet; an older one would.
    const bool lost = ran && (occasion == Occasion::kRegistration ||
                              step.now - placement.changed_at > step.policy.heartbeat_interval);
    if (occasion == Occasion::kNewProcess) {
      Redeploy(step, group, key, placement, "the worker was restarted");
    } else if (lost) {
      Redeploy(step, group, key, placement, "the worker no longer runs it");
    }
  }
}

void Redeploy(Step& step, Group& group, const PlacementKey& key, Placement& placement,
              std::string why) {
  step.state.SetStatus(group, placement, varpulis::v1::PLACEMENT_STATUS_DEPLOYING, std::move(why),
                       step.now);
  placement.attempts = 0;
  BeginNewEpoch(step, key, placement);
  step.effects.rerouted.push_back(group.id);
  StartDeploy(step, group, key, placement);
}

void StartDeploy(Step& step, Group& group, const PlacementKey& key, Placement& placement) {
  const Pipeline& pipeline = *group.FindPipeline(key.pipeline);
  step.state.CancelRetry(key, placement);
  placement.in_flight = true;
  ++placement.attempts;
  varpulis::v1::DeployPipelineRequest request;
  request.set_leader_epoch(step.state.leader_epoch);
  request.set_group_id(group.id.str());
  request.set_name(key.pipeline);
  request.set_source(pipeline.spec.source());
  request.set_replica(key.replica);
  request.set_replicas(pipeline.spec.replicas());
  if (pipeline.spec.has_partition_key()) request.set_partition_key(pipeline.spec.partition_key());
  request.set_placement_epoch(placement.epoch);
  request.set_restore(placement.epoch > 0);
  request.set_delivery(group.delivery);
  request.set_columnar_output(pipeline.spec.columnar_output());
  request.set_stream_replicas(step.policy.stream_replicas);
  AddRoutes(step.policy.subjects, group, pipeline, request);
  step.effects.deploys.push_back({placement.worker, key, std::move(request)});
}

void RemoveCopy(Step& step, const CopyKey& copy, uint64_t epoch) {
  Removal& removal = step.state.removals[copy];
  removal.epoch = std::max(removal.epoch, epoch);
  if (!removal.in_flight) StartRemoval(step, copy, removal);
}

void StartRemoval(Step& step, const CopyKey& copy, Removal& removal) {
  removal.in_flight = true;
  removal.retry_at = absl::InfiniteFuture();
  if (step.state.FindWorker(copy.worker) == nullptr) {
    step.effects.forgets.push_back({copy, removal.epoch});
    return;
  }
  varpulis::v1::UndeployPipelineRequest request;
  request.set_leader_epoch(step.state.leader_epoch);
  request.set_pipeline_id(removal.pipeline_id.str());
  request.set_group_id(copy.placement.group.str());
  request.set_name(copy.placement.pipeline);
  request.set_replica(copy.placement.replica);
  request.set_placement_epoch(removal.epoch);
  request.set_forget(removal.tombstone);
  step.effects.undeploys.push_back({copy, std::move(request)});
}

std::vector<std::string> SupersededCopies(
    const ClusterState& state, const WorkerId& worker,
    const google::protobuf::RepeatedPtrField<RunningPipeline>& running) {
  std::vector<std::string> superseded;
  for (const RunningPipeline& copy : running) {
    const PlacementKey key = KeyOf(copy);
    const Placement* placement = state.FindPlacement(key);
    if (placement == nullptr) continue;  // nobody's that we know of
    if (state.FindGroup(key.group)->deleted || copy.placement_epoch() < placement->epoch ||
        (copy.placement_epoch() == placement->epoch && placement->worker != worker)) {
      superseded.push_back(copy.pipeline_id());
    }
  }
  return superseded;
}

void RunDue(Step& step) {
  ClusterState& state = step.state;
  while (!state.retries.empty() && state.retries.begin()->first <= step.now) {
    const PlacementKey key = state.retries.begin()->second;
    Placement& placement = *state.FindPlacement(key);
    state.CancelRetry(key, placement);
    if (placement.in_flight) continue;
    Group& group = *state.FindGroup(key.group);
    const Worker* worker = state.FindWorker(placement.worker);
    if (worker == nullptr || worker->unhealthy) {
      if (step.now < state.hold_failover_until) {
        state.ScheduleRetry(key, placement, state.hold_failover_until);
        continue;
      }
      AbandonMove(step, key, absl::StrCat("worker ", placement.worker.str(), " is gone"));
      if (const std::optional<WorkerId> target = PickTarget(state, key); target.has_value()) {
        StartMove(step, key, *target, varpulis::state::v1::MIGRATION_REASON_FAILOVER)
            .IgnoreError();  // neither moving nor there
        continue;
      }
      if (placement.status == varpulis::v1::PLACEMENT_STATUS_DEPLOYING) {
        state.SetStatus(group, placement, varpulis::v1::PLACEMENT_STATUS_FAILED,
                        absl::StrCat("worker ", placement.worker.str(), " is not available"),
                        step.now);
        PlacementChanged(step, group, key, placement);
      }
      // RetryNow takes it up when the worker is back; meanwhile another may come.
      ++placement.attempts;
      state.ScheduleRetry(key, placement, step.now + step.Backoff(placement.attempts));
      continue;
    }
    // A copy that once ran may still exist somewhere: fence it. One that never did may be the very
    // copy whose answer was lost: the same epoch makes the repeat harmless.
    if (!placement.pipeline_id.empty()) BeginNewEpoch(step, key, placement);
    StartDeploy(step, group, key, placement);
  }
  std::vector<CopyKey> nobody;
  for (auto& [copy, removal] : state.removals) {
    if (removal.in_flight || removal.retry_at > step.now) continue;
    if (state.FindWorker(copy.worker) == nullptr && !removal.tombstone) {
      nobody.push_back(copy);
    } else {
      StartRemoval(step, copy, removal);
    }
  }
  for (const CopyKey& copy : nobody) ConfirmRemoval(step, copy);
}

void RetryNow(Step& step, const WorkerId& worker) {
  ClusterState& state = step.state;
  if (const auto assigned = state.assigned.find(worker); assigned != state.assigned.end()) {
    for (const PlacementKey& key : assigned->second) {
      Placement& placement = *state.FindPlacement(key);
      if (placement.status == varpulis::v1::PLACEMENT_STATUS_RUNNING || placement.in_flight)
        continue;
      state.ScheduleRetry(key, placement, step.now);
    }
  }
  for (auto& [copy, removal] : state.removals) {
    if (copy.worker == worker && !removal.in_flight) removal.retry_at = step.now;
  }
}

}  // namespace varpulis::coordinator
