#include "coordinator/migrations.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "coordinator/groups.h"
#include "coordinator/reconciler.h"
#include "coordinator/records.h"
#include "coordinator/views.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

using namespace varpulis::state::v1;  // NOLINT(google-build-using-namespace): enum values only

constexpr absl::Duration kRememberFor = absl::Hours(1);
constexpr uint32_t kMostRebalanced = 64;

uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// In the form of a UUID. A state machine draws no random numbers: unique by epoch and count.
std::string NewMigrationId(ClusterState& state) {
  const uint64_t high = Mix(state.leader_epoch * 2 + 1);
  const uint64_t low = Mix(high ^ Mix(++state.migrations_made));
  return absl::StrFormat("%08x-%04x-4%03x-a%03x-%012x", high >> 32, (high >> 16) & 0xffff,
                         high & 0xfff, low >> 52, low & 0xffffffffffff);
}

bool Lives(const ClusterState& state, const WorkerId& id) {
  const Worker* worker = state.FindWorker(id);
  return worker != nullptr && !worker->unhealthy;
}

void End(Step& step, Migration& migration, MigrationPhase phase, std::string error) {
  migration.phase = phase;
  migration.error = std::move(error);
  migration.ended = step.now;
  migration.elapsed = step.now - migration.began;
  step.state.moving.erase(migration.placement);
  step.Write(StoreMigration(migration));
  const bool moved = phase == MIGRATION_PHASE_COMPLETED;
  const std::string text = absl::StrCat(
      ToString(migration.placement), moved ? " moved from " : " did not move from ",
      migration.source.str(), " to ", migration.target.str(), moved ? "" : ": ", migration.error);
  if (!moved) step.effects.warnings.push_back(text);
  step.Notify(moved ? "pipeline_moved" : "pipeline_not_moved", migration.placement.group.str(),
              text);
}

// The placement is the target's from here on. (A copy that was cut, or whose fate is unknown, is
// redeployed on its own worker instead, which hands its state over.)
void SwitchOver(Step& step, Migration& migration, Group& group, Placement& placement) {
  step.state.CancelRetry(migration.placement, placement);
  step.state.Assign(migration.placement, placement, migration.target);
  migration.phase = MIGRATION_PHASE_DEPLOYING;
  migration.epoch = placement.epoch + 1;
  step.Write(StoreMigration(migration));
  Redeploy(step, group, migration.placement, placement,
           absl::StrCat("moving from worker ", migration.source.str()));
}

// The copy on the source goes once nobody needs it. Should a dead source come back, its report
// shows a copy of a replaced epoch, which is removed then.
void RemoveFromSource(Step& step, const Migration& migration) {
  if (!Lives(step.state, migration.source)) return;
  RemoveCopy(step, {migration.placement, migration.source}, migration.epoch - 1);
}

}  // namespace

absl::StatusOr<std::string> StartMove(Step& step, const PlacementKey& key, const WorkerId& target,
                                      MoveReason reason) {
  ClusterState& state = step.state;
  Group& group = *state.FindGroup(key.group);
  Placement& placement = *state.FindPlacement(key);
  if (state.moving.contains(key)) {
    return transport::MakeError("conflict", absl::StrCat(ToString(key), " is on its way already"));
  }
  if (placement.worker == target) {
    return transport::MakeError(
        "conflict", absl::StrCat(ToString(key), " is on worker ", target.str(), " already"));
  }
  Migration made;
  made.id = NewMigrationId(state);
  made.placement = key;
  made.source = placement.worker;
  made.target = target;
  made.reason = reason;
  made.epoch = placement.epoch;
  made.began = step.now;
  Migration& migration = state.migrations[made.id] = std::move(made);
  state.moving[key] = migration.id;
  const bool runs = placement.status == varpulis::v1::PLACEMENT_STATUS_RUNNING;
  if (runs && Lives(state, migration.source)) {
    migration.phase = MIGRATION_PHASE_CHECKPOINTING;
    step.Write(StoreMigration(migration));
    varpulis::v1::CheckpointPipelineRequest request;
    request.set_leader_epoch(state.leader_epoch);
    request.set_pipeline_id(placement.pipeline_id.str());
    request.set_placement_epoch(placement.epoch);
    request.set_cut(true);
    step.effects.checkpoints.push_back({migration.id, migration.source, std::move(request)});
  } else {
    SwitchOver(step, migration, group, placement);
  }
  return migration.id;
}

void FinishCheckpoint(Step& step, const CheckpointAnswered& command) {
  ClusterState& state = step.state;
  const auto found = state.migrations.find(command.migration);
  if (found == state.migrations.end()) return;
  Migration& migration = found->second;
  if (migration.phase != MIGRATION_PHASE_CHECKPOINTING) return;
  Group& group = *state.FindGroup(migration.placement.group);
  Placement& placement = *state.FindPlacement(migration.placement);
  if (placement.epoch != migration.epoch || placement.worker != migration.source) {
    return End(step, migration, MIGRATION_PHASE_FAILED, "the copy was replaced meanwhile");
  }
  // A dead source has no better state than what it stored before.
  const bool source_died = absl::IsUnavailable(command.result) || !Lives(state, migration.source);
  if (!Lives(state, migration.target)) {
    End(step, migration, MIGRATION_PHASE_FAILED,
        absl::StrCat("worker ", migration.target.str(), " is gone"));
    if (!source_died) {
      Redeploy(step, group, migration.placement, placement, "the move was given up");
    }
    return;
  }
  if (command.result.ok() || source_died) return SwitchOver(step, migration, group, placement);
  End(step, migration, MIGRATION_PHASE_FAILED,
      absl::StrCat("no checkpoint: ", command.result.message()));
  // It goes on by itself when it could not store; when it did not answer, it may have stopped.
  if (absl::IsDeadlineExceeded(command.result)) {
    Redeploy(step, group, migration.placement, placement, "its checkpoint was not answered");
  }
}

void FinishMove(Step& step, Group& group, const PlacementKey& key, Placement& placement,
                const absl::Status& deployed) {
  Migration* migration = step.state.MigrationOf(key);
  if (migration == nullptr || migration->phase != MIGRATION_PHASE_DEPLOYING ||
      migration->target != placement.worker) {
    return;
  }
  if (deployed.ok()) {
    End(step, *migration, MIGRATION_PHASE_COMPLETED, "");
    if (const auto drain = step.state.drains.find(migration->source);
        drain != step.state.drains.end()) {
      ++drain->second.moved;
    }
    return RemoveFromSource(step, *migration);
  }
  End(step, *migration, MIGRATION_PHASE_FAILED, std::string(deployed.message()));
  if (!Lives(step.state, migration->source)) return;  // a retry finds another target
  // The target may hold a copy whose answer was lost: it must not stay.
  if (step.state.FindWorker(migration->target) != nullptr) {
    RemoveCopy(step, {key, migration->target}, migration->epoch);
  }
  step.state.CancelRetry(key, placement);
  step.state.Assign(key, placement, migration->source);
  Redeploy(step, group, key, placement, absl::StrCat("back from ", migration->target.str()));
}

void AbandonMove(Step& step, const PlacementKey& key, const std::string& why) {
  Migration* migration = step.state.MigrationOf(key);
  if (migration != nullptr) End(step, *migration, MIGRATION_PHASE_FAILED, why);
}

void Migrate(Step& step, const MigratePipeline& command) {
  ClusterState& state = step.state;
  const auto fail = [&](absl::string_view code, std::string text) {
    step.Fail(command.reply, transport::MakeError(code, std::move(text)));
  };
  if (state.FindVisibleGroup(command.group) == nullptr) {
    return fail("group_not_found", absl::StrCat("no pipeline group ", command.group.str()));
  }
  PlacementKey key{command.group, command.pipeline, 0};
  if (const size_t hash = command.pipeline.rfind('#'); hash != std::string::npos) {
    key.pipeline = command.pipeline.substr(0, hash);
    if (!absl::SimpleAtoi(command.pipeline.substr(hash + 1), &key.replica)) key.pipeline.clear();
  }
  const Placement* placement = state.FindPlacement(key);
  if (placement == nullptr) {
    return fail("pipeline_not_found",
                absl::StrCat("group ", command.group.str(), " has no pipeline ", command.pipeline));
  }
  const Worker* target = state.FindWorker(command.target);
  if (target == nullptr) {
    return fail("worker_not_found", absl::StrCat("no worker ", command.target.str()));
  }
  if (target->draining) {
    return fail("worker_draining", absl::StrCat("worker ", command.target.str(), " is draining"));
  }
  if (placement->worker != command.target && !state.Available(*target)) {
    return fail("conflict", absl::StrCat("worker ", command.target.str(), " is ",
                                         target->unhealthy ? "unhealthy" : "full"));
  }
  const absl::StatusOr<std::string> started =
      StartMove(step, key, command.target, MIGRATION_REASON_MANUAL);
  if (!started.ok()) return step.Fail(command.reply, started.status());
  varpulis::v1::MigratePipelineResponse response;
  response.set_migration_id(*started);
  response.set_pipeline(command.pipeline);
  response.set_group_id(command.group.str());
  response.set_status("started");
  step.Reply(command.reply, std::move(response));
}

// From the fullest to the emptiest, until no worker has two more than another.
void DoRebalance(Step& step, const Rebalance& command) {
  ClusterState& state = step.state;
  varpulis::v1::RebalanceResponse response;
  std::map<WorkerId, std::vector<PlacementKey>> movable;
  std::map<WorkerId, size_t> load;
  for (const auto& [id, worker] : state.workers) {
    if (worker.unhealthy || worker.draining) continue;
    load[id] = state.Load(worker);
    const auto assigned = state.assigned.find(id);
    if (assigned == state.assigned.end()) continue;
    for (const PlacementKey& key : assigned->second) {
      const Group& group = *state.FindGroup(key.group);
      const varpulis::v1::PipelineSpec& wanted = group.FindPipeline(key.pipeline)->spec;
      const bool at_home = wanted.has_worker_affinity() && wanted.worker_affinity() == id.str();
      if (!at_home && !state.moving.contains(key)) movable[id].push_back(key);
    }
  }
  const auto emptier = [](const auto& a, const auto& b) { return a.second < b.second; };
  while (load.size() > 1 && response.migrations_started() < kMostRebalanced) {
    auto fullest = load.end();
    for (auto it = load.begin(); it != load.end(); ++it) {
      if (movable[it->first].empty()) continue;
      if (fullest == load.end() || it->second > fullest->second) fullest = it;
    }
    const auto emptiest = std::min_element(load.begin(), load.end(), emptier);
    if (fullest == load.end() || fullest->second < emptiest->second + 2 ||
        emptiest->second >= state.FindWorker(emptiest->first)->max_pipelines) {
      break;
    }
    const PlacementKey key = movable[fullest->first].back();
    movable[fullest->first].pop_back();
    const auto started = StartMove(step, key, emptiest->first, MIGRATION_REASON_REBALANCE);
    if (!started.ok()) continue;
    --fullest->second;
    ++emptiest->second;
    response.set_migrations_started(response.migrations_started() + 1);
    response.add_migration_ids(*started);
  }
  step.Reply(command.reply, std::move(response));
}

void ForgetOldMigrations(Step& step) {
  std::erase_if(step.state.migrations, [&](const auto& item) {
    if (item.second.active() || step.now - item.second.ended < kRememberFor) return false;
    step.Write(ForgetMigration(item.first));
    return true;
  });
}

}  // namespace varpulis::coordinator
