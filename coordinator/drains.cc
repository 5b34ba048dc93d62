#include "coordinator/drains.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "coordinator/groups.h"
#include "coordinator/migrations.h"
#include "coordinator/placement.h"
#include "coordinator/records.h"
#include "coordinator/views.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

constexpr size_t kMovesAtOnce = 16;  // per draining worker

std::vector<PlacementKey> LeftOn(const ClusterState& state, const WorkerId& worker) {
  const auto assigned = state.assigned.find(worker);
  if (assigned == state.assigned.end()) return {};
  return {assigned->second.begin(), assigned->second.end()};
}

// Copies that are on their way off it, or have yet to be removed from it.
bool IsBeingLeft(const ClusterState& state, const WorkerId& worker) {
  return std::any_of(
             state.moving.begin(), state.moving.end(),
             [&](const auto& item) { return state.migrations.at(item.second).source == worker; }) ||
         std::any_of(state.removals.begin(), state.removals.end(),
                     [&](const auto& item) { return item.first.worker == worker; });
}

// A predecessor may have known of a copy to be removed that only the worker can tell of now.
bool HasSaidAll(const Worker& worker) {
  return worker.has_reported || worker.by_hand || worker.unhealthy;
}

varpulis::v1::DrainWorkerResponse ProgressOf(const ClusterState& state, const WorkerId& worker,
                                             const Drain& drain) {
  varpulis::v1::DrainWorkerResponse response;
  response.set_worker_id(worker.str());
  response.set_pipelines_migrated(drain.moved);
  response.set_status("draining");
  for (const PlacementKey& key : LeftOn(state, worker)) {
    const Pipeline& pipeline = *state.FindGroup(key.group)->FindPipeline(key.pipeline);
    response.add_remaining(CopyName(pipeline.spec, key.replica));
  }
  std::sort(response.mutable_remaining()->begin(), response.mutable_remaining()->end());
  return response;
}

void MoveSome(Step& step, const WorkerId& worker) {
  const std::vector<PlacementKey> left = LeftOn(step.state, worker);
  size_t moving = 0;
  for (const auto& [key, id] : step.state.moving) {
    if (step.state.migrations.at(id).source == worker) ++moving;
  }
  for (const PlacementKey& key : left) {
    if (moving >= kMovesAtOnce) return;
    const Placement& placement = *step.state.FindPlacement(key);
    if (step.state.moving.contains(key) || placement.in_flight) continue;
    const std::optional<WorkerId> target = PickTarget(step.state, key);
    if (!target.has_value()) return;  // nobody has room
    if (StartMove(step, key, *target, varpulis::state::v1::MIGRATION_REASON_DRAIN).ok()) ++moving;
  }
}

// Everything is off it, and it knows.
void Leave(Step& step, const WorkerId& worker, Drain drain) {
  step.state.workers.erase(worker);
  step.Write(ForgetWorker(worker));
  step.Notify("worker_drained", worker.str(),
              absl::StrCat("the worker is empty; ", drain.moved, " pipelines moved"));
  varpulis::v1::DrainWorkerResponse response;
  response.set_worker_id(worker.str());
  response.set_pipelines_migrated(drain.moved);
  response.set_status("drained");
  for (const ReplyToken waiting : drain.waiting) step.Reply(waiting, response);
}

}  // namespace

void StartDrain(Step& step, const DrainWorker& command) {
  ClusterState& state = step.state;
  Worker* worker = state.FindWorker(command.worker);
  if (worker == nullptr) {
    return step.Fail(
        command.reply,
        transport::MakeError("worker_not_found", absl::StrCat("no worker ", command.worker.str())));
  }
  Drain& drain = state.drains[command.worker];
  if (!worker->draining) {
    worker->draining = true;
    step.Write(StoreWorker(*worker));
    step.Notify("worker_draining", worker->id.str(), "its pipelines move elsewhere");
  }
  if (command.timeout != absl::InfiniteDuration()) {
    drain.deadline = std::min(drain.deadline, step.now + command.timeout);
  }
  if (!command.wait) {
    step.Reply(command.reply, ProgressOf(state, command.worker, drain));
  } else if (command.reply != kNobody) {
    drain.waiting.push_back(command.reply);
  }
  ContinueDrains(step);
}

void ContinueDrains(Step& step) {
  ClusterState& state = step.state;
  std::vector<WorkerId> draining;
  for (const auto& [id, worker] : state.workers) {
    if (worker.draining) draining.push_back(id);
  }
  for (const WorkerId& id : draining) {
    if (!state.FindWorker(id)->unhealthy) MoveSome(step, id);  // else it is failover's
    const auto found = state.drains.find(id);
    if (found == state.drains.end()) continue;  // it leaves by itself
    if (LeftOn(state, id).empty() && !IsBeingLeft(state, id) && HasSaidAll(*state.FindWorker(id))) {
      Drain drain = std::move(found->second);
      state.drains.erase(found);
      Leave(step, id, std::move(drain));
    } else if (step.now >= found->second.deadline) {
      const auto progress = ProgressOf(state, id, found->second);
      for (const ReplyToken waiting : std::exchange(found->second.waiting, {})) {
        step.Reply(waiting, progress);
      }
    }
  }
  std::erase_if(state.drains, [&](const auto& item) {
    return state.FindWorker(item.first) == nullptr && item.second.waiting.empty();
  });
}

bool AnswerDrainNow(Step& step, ReplyToken reply) {
  for (auto& [id, drain] : step.state.drains) {
    if (std::erase(drain.waiting, reply) == 0) continue;
    step.Reply(reply, ProgressOf(step.state, id, drain));
    return true;
  }
  return false;
}

}  // namespace varpulis::coordinator
