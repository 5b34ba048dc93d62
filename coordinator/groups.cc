#include "coordinator/groups.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "coordinator/drains.h"
#include "coordinator/migrations.h"
#include "coordinator/placement.h"
#include "coordinator/reconciler.h"
#include "coordinator/records.h"
#include "coordinator/remembered_calls.h"
#include "coordinator/views.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

absl::Status NoSuchGroup(const GroupId& group) {
  return transport::MakeError("group_not_found", absl::StrCat("no pipeline group ", group.str()));
}

// Answers those who asked for the group once every placement has run or failed.
void AnswerIfSettled(Step& step, Group& group) {
  if (!group.settled()) return;
  for (const ReplyToken waiting : std::exchange(group.waiting, {})) {
    step.Reply(waiting, MakeGroupInfo(step.state, group));
  }
}

Group MakeGroup(Step& step, const DeployGroup& command, const PlacementPlan& plan) {
  Group group;
  group.id = command.new_id;
  group.name = command.request.name();
  group.request_id = command.request_id;
  group.created = step.state.next_created;
  group.delivery = command.request.delivery();
  group.routes.assign(command.request.routes().begin(), command.request.routes().end());
  for (int i = 0; i < command.request.pipelines_size(); ++i) {
    Pipeline pipeline;
    pipeline.spec = command.request.pipelines(i);
    pipeline.spec.set_replicas(std::max<uint32_t>(1, pipeline.spec.replicas()));
    for (const WorkerId& worker : plan.workers[i]) {
      Placement placement;
      placement.worker = worker;
      placement.changed_at = step.now;
      pipeline.copies.push_back(std::move(placement));
    }
    group.pipelines.push_back(std::move(pipeline));
  }
  return group;
}

// The first attempt to remove this copy is over, whatever came of it.
void MarkTried(Group& group, Removal& removal) {
  if (!std::exchange(removal.tried, true) && group.removals_untried > 0) --group.removals_untried;
}

template <typename Fn>
void ForEachCopy(Group& group, Fn fn) {
  for (Pipeline& pipeline : group.pipelines) {
    for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
      fn(PlacementKey{group.id, pipeline.spec.name(), static_cast<uint32_t>(replica)},
         pipeline.copies[replica]);
    }
  }
}

varpulis::v1::DeleteGroupResponse DeletedSoFar(Step& step, Group& group) {
  varpulis::v1::DeleteGroupResponse response;
  response.set_torn_down(true);
  std::set<std::string> pending;
  if (group.removals > 0) {
    ForEachCopy(group, [&](const PlacementKey& key, const Placement& placement) {
      if (step.state.removals.contains({key, placement.worker}) &&
          step.state.FindWorker(placement.worker) != nullptr) {
        pending.insert(placement.worker.str());
      }
    });
  }
  for (const std::string& worker : pending) response.add_pending(worker);
  return response;
}

void AnswerDelete(Step& step, Group& group) {
  if (group.removals_untried > 0 || group.waiting_delete.empty()) return;
  const varpulis::v1::DeleteGroupResponse response = DeletedSoFar(step, group);
  for (const ReplyToken waiting : std::exchange(group.waiting_delete, {})) {
    step.Reply(waiting, response);
  }
}

// A retry: the tombstone tells how far it has come; without one everything is gone.
void AnswerDeleteAgain(Step& step, const DeleteGroup& command) {
  if (Group* group = step.state.FindGroup(command.group); group != nullptr) {
    if (command.reply != kNobody) group->waiting_delete.push_back(command.reply);
    return AnswerDelete(step, *group);
  }
  varpulis::v1::DeleteGroupResponse response;
  response.set_torn_down(true);
  step.Reply(command.reply, std::move(response));
}

// The worker may never come back; it forgets once more when it does, for it may have stored more.
void ForgetWithoutWorker(Step& step, const PlacementKey& key) {
  const auto [added, is_new] = step.state.removals.try_emplace({key, WorkerId()});
  if (!is_new) return;
  added->second.tombstone = true;
  added->second.tried = true;
  ++step.state.FindGroup(key.group)->removals;
  StartRemoval(step, added->first, added->second);
}

// The tombstone has done its work.
void ForgetIfGone(Step& step, const GroupId& id) {
  Group& group = *step.state.FindGroup(id);
  if (group.removals > 0) return;
  AnswerDelete(step, group);
  for (StateWrite& write : ForgetGroup(group)) step.Write(std::move(write));
  step.state.groups.erase(id);
}

}  // namespace

void Deploy(Step& step, const DeployGroup& command) {
  if (const auto first = step.state.by_request_id.find(command.request_id);
      !command.request_id.empty() && first != step.state.by_request_id.end()) {
    Group& group = *step.state.FindGroup(first->second);
    if (command.reply != kNobody) group.waiting.push_back(command.reply);
    return AnswerIfSettled(step, group);
  }
  if (const auto earlier =
          FindCall(step.state, command.request_id, varpulis::state::v1::CALL_KIND_DEPLOY_GROUP, "");
      !earlier.ok()) {
    return step.Fail(command.reply, earlier.status());
  }
  const auto& pipelines = command.request.pipelines();
  absl::StatusOr<PlacementPlan> plan =
      PlanPlacements(step.state, {pipelines.begin(), pipelines.end()}, step.policy.placement);
  if (!plan.ok()) return step.Fail(command.reply, plan.status());
  step.state.round_robin = plan->round_robin;
  step.effects.warnings.insert(step.effects.warnings.end(), plan->warnings.begin(),
                               plan->warnings.end());

  step.state.AddGroup(MakeGroup(step, command, *plan));
  Group& group = *step.state.FindGroup(command.new_id);
  if (command.reply != kNobody) group.waiting.push_back(command.reply);
  for (StateWrite& write : StoreNewGroup(group)) step.Write(std::move(write));
  ForEachCopy(group, [&](const PlacementKey& key, Placement& placement) {
    StartDeploy(step, group, key, placement);
  });
  step.effects.rerouted.push_back(group.id);
}

void FinishDeploy(Step& step, const DeployAnswered& command) {
  ClusterState& state = step.state;
  Placement* placement = state.FindPlacement(command.placement);
  if (placement == nullptr || placement->epoch != command.epoch ||
      placement->worker != command.worker || !placement->in_flight) {
    return;  // about a copy that has been replaced since: heartbeats tell if it must go
  }
  Group& group = *state.FindGroup(command.placement.group);
  placement->in_flight = false;
  if (command.result.ok()) placement->pipeline_id = *command.result;
  if (group.deleted) {
    const CopyKey copy{command.placement, command.worker};
    if (const auto doomed = state.removals.find(copy); doomed != state.removals.end()) {
      doomed->second.pipeline_id = placement->pipeline_id;
      StartRemoval(step, copy, doomed->second);
    }
    return;
  }
  absl::Status deployed = command.result.status();
  // It was given up while this was on its way, and nobody watches over a copy there.
  if (const Worker* worker = state.FindWorker(command.worker);
      deployed.ok() && (worker == nullptr || worker->unhealthy)) {
    deployed = absl::UnavailableError(absl::StrCat("worker ", command.worker.str(), " is gone"));
  }
  if (deployed.ok()) {
    placement->attempts = 0;
    state.SetStatus(group, *placement, varpulis::v1::PLACEMENT_STATUS_RUNNING, "", step.now);
    state.CancelRetry(command.placement, *placement);
  } else {
    state.SetStatus(group, *placement, varpulis::v1::PLACEMENT_STATUS_FAILED,
                    std::string(deployed.message()), step.now);
    // The worker has seen a higher epoch of this copy than we know of: go above it.
    if (const std::string code = transport::ErrorCode(deployed);
        code == "conflict" || code == "stale_epoch") {
      ++placement->epoch;
    }
    state.ScheduleRetry(command.placement, *placement,
                        step.now + step.Backoff(placement->attempts));
  }
  if (group.settled() && !group.waiting.empty()) {
    step.Notify("group_deployed", group.id.str(),
                absl::StrCat("group ", group.name, ": ",
                             group.count(varpulis::v1::PLACEMENT_STATUS_RUNNING), " of ",
                             group.total(), " placements running"));
  }
  PlacementChanged(step, group, command.placement, *placement);
  FinishMove(step, group, command.placement, *placement, deployed);
  ContinueDrains(step);
}

void PlacementChanged(Step& step, Group& group, const PlacementKey& key,
                      const Placement& placement) {
  step.Write(StorePlacement(key, placement));
  step.effects.rerouted.push_back(group.id);
  AnswerIfSettled(step, group);
}

void Delete(Step& step, const DeleteGroup& command) {
  ClusterState& state = step.state;
  const auto earlier = FindCall(state, command.request_id,
                                varpulis::state::v1::CALL_KIND_DELETE_GROUP, command.group.str());
  if (!earlier.ok()) return step.Fail(command.reply, earlier.status());
  // Of the call and the tombstone the call is stored first: it counts once both are.
  const bool visible = state.FindVisibleGroup(command.group) != nullptr;
  if (*earlier != nullptr && !visible) return AnswerDeleteAgain(step, command);
  if (!visible) {
    return step.Fail(command.reply, NoSuchGroup(command.group));
  }
  Group& group = *state.FindGroup(command.group);
  group.deleted = true;
  state.by_request_id.erase(group.request_id);
  RememberCall(step, {.kind = varpulis::state::v1::CALL_KIND_DEPLOY_GROUP,
                      .request_id = group.request_id,
                      .target = group.id.str()});
  step.effects.rerouted.push_back(group.id);
  for (const ReplyToken waiting : std::exchange(group.waiting, {})) {
    step.Fail(waiting, transport::MakeError("group_not_found", "the group was deleted meanwhile"));
  }
  if (command.reply != kNobody) group.waiting_delete.push_back(command.reply);
  RememberCall(step, {.kind = varpulis::state::v1::CALL_KIND_DELETE_GROUP,
                      .request_id = command.request_id,
                      .target = group.id.str()});
  step.Write(StoreGroup(group));
  ForEachCopy(group, [&](const PlacementKey& key, Placement& placement) {
    state.CancelRetry(key, placement);
    if (const auto held = state.assigned.find(placement.worker); held != state.assigned.end()) {
      held->second.erase(key);
    }
    if (const Migration* move = state.MigrationOf(key); move != nullptr &&
                                                        move->source != placement.worker &&
                                                        state.FindWorker(move->source) != nullptr) {
      RemoveCopy(step, {key, move->source}, placement.epoch);  // the copy that was cut
    }
    AbandonMove(step, key, "its group was deleted");
    ++group.removals;
    ++group.removals_untried;
    Removal& removal = state.removals[{key, placement.worker}];
    removal.pipeline_id = placement.pipeline_id;
    removal.epoch = placement.epoch;
    removal.tombstone = true;
    removal.tried = false;
    // An undeploy that overtakes its deploy would leave the copy: wait for the answer.
    if (!placement.in_flight) StartRemoval(step, {key, placement.worker}, removal);
  });
  ForgetIfGone(step, command.group);
}

void FinishUndeploy(Step& step, const UndeployAnswered& command) {
  const auto found = step.state.removals.find(command.copy);
  if (found == step.state.removals.end() || !found->second.in_flight) return;
  Removal& removal = found->second;
  removal.in_flight = false;
  ++removal.attempts;
  const Worker* worker = step.state.FindWorker(command.copy.worker);
  const bool gone = command.result.ok() || absl::IsNotFound(command.result);
  const bool came_back = command.by_leader && worker != nullptr;  // perhaps with the copy
  if (gone && removal.epoch <= command.epoch && !came_back) {
    ConfirmRemoval(step, command.copy);
    return ContinueDrains(step);
  }
  removal.retry_at = step.now + step.Backoff(removal.attempts);
  if (worker != nullptr && worker->unhealthy) {
    removal.retry_at = absl::InfiniteFuture();  // RetryNow: when it is back
    if (removal.tombstone) ForgetWithoutWorker(step, command.copy.placement);
  }
  if (removal.tombstone) {
    Group& group = *step.state.FindGroup(command.copy.placement.group);
    MarkTried(group, removal);
    AnswerDelete(step, group);
  }
}

void AnswerNow(Step& step, const AnswerDue& command) {
  if (AnswerDrainNow(step, command.reply)) return;
  for (auto& [id, group] : step.state.groups) {
    if (std::erase(group.waiting, command.reply) > 0) {
      ForEachCopy(group, [](const PlacementKey&, Placement& placement) {
        if (!placement.in_flight) return;
        placement.error = absl::StrCat("worker ", placement.worker.str(), " has not answered yet");
      });
      return step.Reply(command.reply, MakeGroupInfo(step.state, group));
    }
    if (std::erase(group.waiting_delete, command.reply) > 0) {
      return step.Reply(command.reply, DeletedSoFar(step, group));
    }
  }
}

void ConfirmRemoval(Step& step, const CopyKey& copy) {
  const auto found = step.state.removals.find(copy);
  if (found == step.state.removals.end()) return;
  Removal removal = found->second;
  step.state.removals.erase(found);
  if (!removal.tombstone) return;
  Group& group = *step.state.FindGroup(copy.placement.group);
  --group.removals;
  MarkTried(group, removal);
  if (Placement* placement = step.state.FindPlacement(copy.placement);
      placement != nullptr && placement->worker == copy.worker) {
    step.Write(ForgetPlacement(copy.placement));
  }
  AnswerDelete(step, group);
  ForgetIfGone(step, copy.placement.group);
}

}  // namespace varpulis::coordinator
