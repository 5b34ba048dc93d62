#include "coordinator/registry.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "coordinator/groups.h"
#include "coordinator/health.h"
#include "coordinator/reconciler.h"
#include "coordinator/records.h"
#include "coordinator/remembered_calls.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

using varpulis::v1::RegisterWorkerRequest;
using varpulis::v1::RegisterWorkerResponse;
using varpulis::v1::RunningPipeline;

std::vector<RunningPipeline> ListOf(
    const google::protobuf::RepeatedPtrField<RunningPipeline>& field) {
  return {field.begin(), field.end()};
}

// A bare count says nothing about whose pipelines they are: all beyond our running ones are
// foreign.
void CountForeign(Step& step, Worker& worker, uint32_t running) {
  const size_t ours = step.state.RunningOn(worker.id);
  worker.foreign_pipelines = running > ours ? static_cast<uint32_t>(running - ours) : 0;
}

// `incarnation`: empty when it is another process's, which is no business of this caller's.
void Welcome(Step& step, const RegisterWorker& command, const std::string& incarnation) {
  RegisterWorkerResponse response;
  response.set_worker_id(command.request.worker_id());
  response.set_status("registered");
  response.set_heartbeat_interval_secs(
      std::max<int64_t>(1, absl::ToInt64Seconds(step.policy.heartbeat_interval)));
  if (!incarnation.empty()) response.set_incarnation(incarnation);
  response.set_leader_epoch(step.state.leader_epoch);
  for (std::string& id : SupersededCopies(step.state, WorkerId(command.request.worker_id()),
                                          command.request.running())) {
    response.add_superseded(std::move(id));
  }
  step.Reply(command.reply, std::move(response));
}

void Admit(Step& step, const RegisterWorker& command) {
  const RegisterWorkerRequest& request = command.request;
  const WorkerId id(request.worker_id());
  const bool known = step.state.FindWorker(id) != nullptr;
  Worker& worker = step.state.workers[id];
  const bool by_hand = request.incarnation().empty();
  const bool keeps_incarnation = by_hand && worker.by_hand && !worker.incarnation.empty();
  const std::string incarnation = keeps_incarnation ? worker.incarnation
                                  : by_hand         ? command.new_incarnation
                                                    : request.incarnation();
  const bool new_process = !known || worker.incarnation != incarnation;
  worker.id = id;
  worker.address = request.address();
  worker.cpu_cores = request.capacity().cpu_cores();
  worker.max_pipelines = request.capacity().max_pipelines();
  worker.incarnation = incarnation;
  worker.by_hand = by_hand;
  worker.version = request.version();
  worker.draining = false;
  worker.unhealthy = false;
  worker.last_seen = step.now;
  worker.unreachable_since = absl::InfiniteFuture();
  worker.ping_in_flight = false;
  worker.reported_unknown.clear();
  if (new_process) {
    worker.metrics.clear();
    worker.events_processed = 0;
  }
  step.Write(StoreWorker(worker));
  if (worker.by_hand) {
    CountForeign(step, worker, request.capacity().pipelines_running());
  } else {
    ApplyReport(step, worker, ListOf(request.running()),
                new_process ? Occasion::kNewProcess : Occasion::kRegistration);
  }
  RetryNow(step, id);
  RunDue(step);
  if (new_process) {
    step.Notify("worker_joined", id.str(),
                absl::StrCat("worker ", id.str(), " at ", worker.address));
  }
  Welcome(step, command, worker.incarnation);
}

}  // namespace

void Register(Step& step, const RegisterWorker& command) {
  const Worker* known = step.state.FindWorker(WorkerId(command.request.worker_id()));
  const bool live = known != nullptr && IsLive(*known, step.now, step.policy);
  const std::string& incarnation = command.request.incarnation();
  if (live && incarnation.empty()) {  // by hand: nothing to add
    return Welcome(step, command, known->by_hand ? known->incarnation : "");
  }
  if (live && !known->by_hand && known->incarnation != incarnation) {
    step.effects.checks.push_back({command, known->incarnation});
    return;
  }
  Admit(step, command);
}

void FinishIncumbentCheck(Step& step, const IncumbentChecked& command) {
  const RegisterWorkerRequest& request = command.registration.request;
  const Worker* known = step.state.FindWorker(WorkerId(request.worker_id()));
  if (known != nullptr && command.answered_by.has_value() &&
      known->incarnation == *command.answered_by && known->incarnation != request.incarnation()) {
    return step.Fail(command.registration.reply,
                     transport::MakeError(
                         "conflict", absl::StrCat("worker id ", request.worker_id(),
                                                  " is held by another process, which is alive")));
  }
  Admit(step, command.registration);
}

void Heartbeat(Step& step, const ReceiveHeartbeat& command) {
  const varpulis::v1::Heartbeat& heartbeat = command.heartbeat;
  Worker* worker = step.state.FindWorker(WorkerId(heartbeat.worker_id()));
  // Anyone may send a heartbeat; only the worker itself knows its incarnation. Without it all that
  // is believed is that the worker lives, and its counters.
  const bool proven = !heartbeat.incarnation().empty();
  if (worker == nullptr && heartbeat.draining()) {  // it was drained, and has not stopped yet
    varpulis::v1::HeartbeatResponse response;
    response.set_acknowledged(true);
    return step.Reply(command.reply, std::move(response));
  }
  if (worker == nullptr || (proven && heartbeat.incarnation() != worker->incarnation)) {
    return step.Fail(command.reply,
                     transport::MakeError(
                         "worker_not_found",
                         absl::StrCat("worker ", heartbeat.worker_id(),
                                      worker == nullptr ? " is not registered"
                                                        : " is registered by another process")));
  }
  worker->last_seen = std::max(worker->last_seen, command.received);
  worker->events_processed = heartbeat.events_processed();
  worker->metrics.assign(heartbeat.pipeline_metrics().begin(), heartbeat.pipeline_metrics().end());
  if (proven && heartbeat.draining() && !worker->draining) {
    worker->draining = true;
    step.Write(StoreWorker(*worker));
    step.Notify("worker_draining", worker->id.str(), "the worker is shutting down");
  }
  const bool recovered = std::exchange(worker->unhealthy, false);
  if (proven && !worker->by_hand) {
    ApplyReport(step, *worker, ListOf(heartbeat.pipelines()), Occasion::kHeartbeat);
  } else {
    CountForeign(step, *worker, heartbeat.pipelines_running());
  }
  if (recovered) {
    step.Notify("worker_recovered", worker->id.str(), "heartbeats have resumed");
    RetryNow(step, worker->id);
    RunDue(step);
  }
  varpulis::v1::HeartbeatResponse response;
  response.set_acknowledged(true);
  step.Reply(command.reply, std::move(response));
}

void Pinged(Step& step, const PingAnswered& command) {
  Worker* worker = step.state.FindWorker(WorkerId(command.answer.worker_id()));
  if (worker == nullptr || worker->incarnation != command.answer.incarnation()) return;
  worker->last_seen = step.now;
  worker->ping_in_flight = false;
  worker->unreachable_since = absl::InfiniteFuture();
  if (command.answer.brief()) return;
  ApplyReport(step, *worker, ListOf(command.answer.pipelines()), Occasion::kHeartbeat);
}

void Deregister(Step& step, const DeleteWorker& command) {
  ClusterState& state = step.state;
  const auto earlier = FindCall(state, command.request_id,
                                varpulis::state::v1::CALL_KIND_DELETE_WORKER, command.worker.str());
  if (!earlier.ok()) return step.Fail(command.reply, earlier.status());
  if (*earlier != nullptr) {
    varpulis::v1::DeleteWorkerResponse response;
    response.set_deleted(true);
    response.set_placements_affected((*earlier)->placements_affected);
    return step.Reply(command.reply, std::move(response));
  }
  if (state.FindWorker(command.worker) == nullptr) {
    return step.Fail(
        command.reply,
        transport::MakeError("worker_not_found", absl::StrCat("no worker ", command.worker.str())));
  }
  varpulis::v1::DeleteWorkerResponse response;
  response.set_deleted(true);
  response.set_placements_affected(
      static_cast<uint32_t>(LosePlacements(step, command.worker, "the worker was deleted")));
  state.workers.erase(command.worker);
  if (const auto drain = state.drains.extract(command.worker); !drain.empty()) {
    for (const ReplyToken waiting : drain.mapped().waiting) {
      step.Fail(waiting,
                transport::MakeError("worker_not_found", "the worker was deleted meanwhile"));
    }
  }
  step.Write(ForgetWorker(command.worker));
  RememberCall(step, {.kind = varpulis::state::v1::CALL_KIND_DELETE_WORKER,
                      .request_id = command.request_id,
                      .target = command.worker.str(),
                      .placements_affected = response.placements_affected()});
  // Nobody is left to confirm what it was told to remove.
  std::vector<CopyKey> gone;
  for (auto& [copy, removal] : state.removals) {
    if (copy.worker != command.worker) continue;
    if (removal.tombstone) {
      StartRemoval(step, copy, removal);
    } else {
      gone.push_back(copy);
    }
  }
  for (const CopyKey& copy : gone) ConfirmRemoval(step, copy);
  step.Notify("worker_left", command.worker.str(), "the worker was deleted");
  RunDue(step);
  step.Reply(command.reply, std::move(response));
}

}  // namespace varpulis::coordinator
