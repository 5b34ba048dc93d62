#include "coordinator/runtime.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "base/status_macros.h"
#include "coordinator/control_service.h"
#include "coordinator/inject_service.h"
#include "coordinator/leased.h"
#include "coordinator/query_service.h"
#include "coordinator/state_machine.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

constexpr size_t kCommandsPerWorker = 64;
constexpr absl::Duration kDrainPatience = absl::Milliseconds(100);
constexpr absl::Duration kLongestTick = absl::Milliseconds(500);

Policy PolicyOf(const CoordinatorOptions& options) {
  Policy policy;
  policy.heartbeat_interval = options.heartbeat_interval;
  policy.heartbeat_timeout = options.heartbeat_timeout;
  policy.retry_backoff = options.retry_backoff;
  policy.placement = options.placement;
  policy.strict_routing = options.strict_routing;
  policy.max_pipelines_per_group = options.max_pipelines_per_group;
  policy.stream_replicas = options.stream_replicas;
  policy.subjects = transport::Subjects(options.subject_prefix);
  return policy;
}

absl::Status NotReady(absl::string_view why) { return transport::MakeError("not_ready", why); }

// The caller that a command keeps waiting, if the command changes what is stored.
ReplyToken MutationReply(const Command& command) {
  if (const auto* c = std::get_if<RegisterWorker>(&command)) return c->reply;
  if (const auto* c = std::get_if<IncumbentChecked>(&command)) return c->registration.reply;
  if (const auto* c = std::get_if<DeleteWorker>(&command)) return c->reply;
  if (const auto* c = std::get_if<DeployGroup>(&command)) return c->reply;
  if (const auto* c = std::get_if<DeleteGroup>(&command)) return c->reply;
  if (const auto* c = std::get_if<DrainWorker>(&command)) return c->reply;
  if (const auto* c = std::get_if<MigratePipeline>(&command)) return c->reply;
  if (const auto* c = std::get_if<Rebalance>(&command)) return c->reply;
  return kNobody;
}

bool IsMutation(const Command& command) {
  return !std::holds_alternative<ReceiveHeartbeat>(command) &&
         !std::holds_alternative<DeployAnswered>(command) &&
         !std::holds_alternative<UndeployAnswered>(command) &&
         !std::holds_alternative<PingAnswered>(command) &&
         !std::holds_alternative<PingUnanswered>(command) &&
         !std::holds_alternative<CheckpointAnswered>(command) &&
         !std::holds_alternative<AnswerDue>(command);
}

std::vector<transport::RecordWrite> ToRecordWrites(const std::vector<StateWrite>& writes) {
  std::vector<transport::RecordWrite> records;
  records.reserve(writes.size());
  for (const StateWrite& write : writes) records.push_back({write.key, write.value, write.remove});
  return records;
}

}  // namespace

absl::Time Runtime::Now() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

Runtime::Runtime(CoordinatorOptions options, Coordinator::Deps deps,
                 std::shared_ptr<const Tenure> tenure,
                 std::unique_ptr<transport::RecordLog> followed)
    : options_(std::move(options)),
      tenure_(std::move(tenure)),
      leased_bus_(tenure_ == nullptr ? nullptr : MakeLeasedBus(deps.bus, tenure_)),
      deps_{.bus = leased_bus_ == nullptr ? deps.bus : *leased_bus_,
            .open_log = std::move(deps.open_log),
            .on_stood_down = std::move(deps.on_stood_down),
            .checkpoints = deps.checkpoints},
      policy_(PolicyOf(options_)),
      followed_(std::move(followed)),
      lanes_(kCommandsPerWorker),
      strand_(std::make_shared<Strand>("coordinator")),
      aside_("coord-aside") {}

Runtime::~Runtime() {
  // No more input; what was taken in is finished, as far as that goes.
  std::unique_ptr<transport::Service> service;
  RunAndWait([&] { service = std::move(service_); });
  if (service != nullptr) service->Drain(kDrainPatience);
  service.reset();
  RunAndWait([this] {
    closing_ = true;
    service_.reset();
    leader_notices_.reset();
    connection_.reset();
  });
  const absl::Time deadline = Now() + options_.command_timeout;
  for (bool busy = true; busy && Now() < deadline;) {
    RunAndWait([&] {
      busy = !stood_down_ && ((log_ != nullptr && !pending_.empty()) ||
                              (inject_ != nullptr && inject_->under_way() > 0));
    });
    if (busy) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  aside_.Stop();
  strand_->Stop();
  replies_.FailAll(NotReady("the coordinator is shutting down"));
}

void Runtime::RunAndWait(std::function<void()> task) {
  std::promise<void> done;
  const bool posted = strand_->Post([&] {
    task();
    done.set_value();
  });
  if (posted) done.get_future().wait();
}

// ---------------------------------------------------------------- taking office

void Runtime::Start(std::function<void(absl::Status)> done) {
  strand_->Post([this, done = std::move(done)]() mutable {
    on_started_ = std::move(done);
    if (stood_down_) return FinishStart(absl::AbortedError("deposed before it began"));
    connection_ =
        deps_.bus.AddConnectionListener([this, strand = strand_](transport::ConnectionState state) {
          strand->Post([this, state] { OnConnection(state); });
        });
    OpenLog([this](absl::Status opened) {
      if (!opened.ok()) return FinishStart(std::move(opened));
      PingWorkers([this] {
        absl::Status serving = Serve();
        if (serving.ok()) {
          ScheduleTick();
          Handle(Tick{});  // what the predecessor has left half done goes on at once
        }
        FinishStart(std::move(serving));
      });
    });
  });
}

void Runtime::FinishStart(absl::Status status) {
  if (on_started_) std::exchange(on_started_, nullptr)(std::move(status));
}

void Runtime::Depose(absl::Status why) {
  strand_->Post([this, why = std::move(why)] { StandDown(why); });
}

absl::Status Runtime::Serve() {
  if (stood_down_) return absl::AbortedError("another coordinator leads");
  if (tenure_ == nullptr) RETURN_IF_ERROR(ListenForLeaders());
  ASSIGN_OR_RETURN(service_, transport::Service::Start(
                                 deps_.bus, {.name = "varpulis-coordinator",
                                             .id = NewUuid(),
                                             .version = options_.version,
                                             .description = "Varpulis cluster coordinator",
                                             .metadata = {{"coordinator_id", options_.id}}}));
  control_ = std::make_unique<ControlService>(*this);
  query_ = std::make_unique<QueryService>(*this);
  inject_ = std::make_unique<InjectService>(*this);
  RETURN_IF_ERROR(control_->Serve(*service_));
  RETURN_IF_ERROR(query_->Serve(*service_));
  return inject_->Serve(*service_);
}

// ---------------------------------------------------------------- commands and effects

void Runtime::Submit(Command command) {
  strand_->Post([this, command = std::move(command)] { Handle(command); });
}

void Runtime::RemindAt(absl::Time answer_by, ReplyToken reply) {
  strand_->After(answer_by - Now(), [this, reply] {
    if (replies_.Waits(reply)) Handle(AnswerDue{reply});
  });
}

void Runtime::Read(std::function<void(const Reading&)> read) {
  strand_->Post([this, read = std::move(read)] {
    read({state_, ServesMutations(), durable_, tenure_ != nullptr, stored_});
  });
}

void Runtime::Handle(const Command& command) {
  if (stood_down_) return;
  if (!ServesMutations() && IsMutation(command)) {
    Reply({MutationReply(command), NotReady("the broker does not store the state at present"), {}});
    return;
  }
  Perform(Apply(state_, command, Now(), policy_));
}

void Runtime::Perform(Effects effects) {
  if (effects.empty()) return;
  for (const std::string& warning : effects.warnings) LOG(WARNING) << warning;
  if (!ServesMutations()) {
    // The state is read again once the log is back; until then only those who ask are answered.
    for (const Answer& answer : effects.answers) Reply(answer);
    return;
  }
  std::vector<transport::RecordWrite> writes = ToRecordWrites(effects.writes);
  const uint64_t number = pending_.Add(std::move(effects));
  if (!writes.empty()) {
    log_->Append(std::move(writes), [this, strand = strand_, generation = log_generation_,
                                     number](const absl::StatusOr<uint64_t>& stored) {
      strand->Post([this, generation, number, stored] { OnStored(generation, number, stored); });
    });
  }
  Flush();
}

void Runtime::OnStored(uint64_t generation, uint64_t number,
                       const absl::StatusOr<uint64_t>& stored) {
  if (generation != log_generation_ || !ServesMutations()) return;
  if (absl::IsAborted(stored.status())) {
    return StandDown(WithContext(stored.status(), "another coordinator has taken over the state"));
  }
  if (!stored.ok()) return LoseLog(stored.status());
  stored_ = *stored;
  pending_.Stored(number);
  Flush();
}

void Runtime::Flush() {
  while (std::optional<Effects> effects = pending_.TakeReady()) CarryOut(*std::move(effects));
}

void Runtime::CarryOut(Effects effects) {
  for (SendDeploy& deploy : effects.deploys) Send(std::move(deploy));
  for (SendUndeploy& undeploy : effects.undeploys) Send(std::move(undeploy));
  for (const ForgetCheckpoints& forget : effects.forgets) Send(forget);
  for (SendCheckpoint& checkpoint : effects.checkpoints) Send(std::move(checkpoint));
  for (const SendPing& ping : effects.pings) Send(ping);
  for (CheckIncumbent& check : effects.checks) AskIncumbent(std::move(check), 1);
  for (const varpulis::v1::Notice& notice : effects.notices) Publish(notice);
  dirty_routing_.insert(effects.rerouted.begin(), effects.rerouted.end());
  if (!effects.answers.empty()) {
    RenewRouting();  // who is told that it runs may inject at once
  } else if (!dirty_routing_.empty() && !std::exchange(routing_scheduled_, true)) {
    strand_->Post([this] {  // once for a burst of answers
      routing_scheduled_ = false;
      RenewRouting();
    });
  }
  for (const Answer& answer : effects.answers) Reply(answer);
}

void Runtime::RenewRouting() {
  for (const GroupId& id : std::exchange(dirty_routing_, {})) {
    if (const Group* group = state_.FindVisibleGroup(id); group != nullptr && !stood_down_) {
      routing_.Set(id, std::make_shared<GroupRouting>(*group, routing_.Find(id).get()));
    } else {
      routing_.Erase(id);
    }
  }
}

void Runtime::Reply(const Answer& answer) {
  if (answer.to == kNobody) return;
  std::optional<transport::RawReplier> replier = replies_.Take(answer.to);
  if (!replier.has_value()) return;
  if (answer.status.ok()) {
    replier->Reply(*answer.body);
  } else {
    replier->Fail(answer.status);
  }
}

void Runtime::Publish(const varpulis::v1::Notice& notice) {
  transport::OutgoingMessage message;
  message.subject = policy_.subjects.Notice(notice.kind());
  message.payload = notice.SerializeAsString();
  deps_.bus.Publish(message).IgnoreError();  // for whoever listens; the state tells the same
}

// ---------------------------------------------------------------- commands to workers

void Runtime::Send(SendDeploy deploy) {
  auto shared = std::make_shared<SendDeploy>(std::move(deploy));
  const auto answer = [this, shared](absl::StatusOr<PipelineId> result) {
    Handle(DeployAnswered{shared->placement, shared->worker, shared->request.placement_epoch(),
                          std::move(result)});
  };
  lanes_.Enter(shared->worker, [this, shared, answer](const absl::Status& go) {
    if (!go.ok()) return answer(go);
    transport::Call<varpulis::v1::DeployPipelineResponse>(
        deps_.bus, policy_.subjects.Command(shared->worker.str(), "deploy"), shared->request,
        {.timeout = options_.command_timeout, .request_id = "", .tells_timeout = false},
        [this, strand = strand_, shared,
         answer](absl::StatusOr<varpulis::v1::DeployPipelineResponse> response) {
          strand->Post([this, shared, answer, response = std::move(response)] {
            answer(response.ok() ? absl::StatusOr<PipelineId>(PipelineId(response->id()))
                                 : response.status());
            lanes_.Finish(shared->worker, response.status());
          });
        });
  });
}

void Runtime::Send(SendUndeploy undeploy) {
  auto shared = std::make_shared<SendUndeploy>(std::move(undeploy));
  const auto answer = [this, shared](const absl::Status& result) {
    Handle(UndeployAnswered{shared->copy, shared->request.placement_epoch(), result});
  };
  lanes_.Enter(shared->copy.worker, [this, shared, answer](const absl::Status& go) {
    if (!go.ok()) return answer(go);
    transport::Call<varpulis::v1::OkResponse>(
        deps_.bus, policy_.subjects.Command(shared->copy.worker.str(), "undeploy"), shared->request,
        {.timeout = options_.command_timeout / 2, .request_id = "", .tells_timeout = false},
        [this, strand = strand_, shared,
         answer](const absl::StatusOr<varpulis::v1::OkResponse>& response) {
          strand->Post([this, shared, answer, status = response.status()] {
            answer(status);
            lanes_.Finish(shared->copy.worker, status);
          });
        });
  });
}

void Runtime::Send(const ForgetCheckpoints& forget) {
  const auto answer = [this, strand = strand_, forget](const absl::Status& forgotten) {
    strand->Post([this, forget, forgotten] {
      // Without JetStream there is nothing to forget.
      Handle(UndeployAnswered{forget.copy, forget.epoch,
                              absl::IsFailedPrecondition(forgotten) ? absl::OkStatus() : forgotten,
                              true});
    });
  };
  const PlacementKey& key = forget.copy.placement;
  if (deps_.streams != nullptr) {  // of exactly-once groups; a leftover one costs room, no more
    const transport::Subjects& s = policy_.subjects;
    for (const std::string& stream :
         {s.OutboxStream(key.group.str(), key.pipeline, key.replica).name,
          s.InputStream(key.group.str(), key.pipeline).name}) {
      deps_.streams->Delete(stream, [stream](const absl::Status& deleted) {
        if (!deleted.ok() && !absl::IsFailedPrecondition(deleted)) {
          LOG(WARNING) << "stream " << stream << " remains: " << deleted.message();
        }
      });
    }
  }
  if (deps_.checkpoints == nullptr) return answer(absl::OkStatus());
  deps_.checkpoints->Forget(policy_.subjects.Checkpoint(key.group.str(), key.pipeline, key.replica),
                            answer);
}

void Runtime::Send(const SendPing& ping) {
  // One that was under way when the worker died is answered by nobody, and holds the next one up.
  const absl::Duration patience = std::min(options_.ping_timeout, policy_.ping_death);
  varpulis::v1::PingRequest request;
  request.set_leader_epoch(leader_epoch_);
  request.set_leader_id(options_.id);
  request.set_brief(true);
  transport::Call<varpulis::v1::PingResponse>(
      deps_.bus, policy_.subjects.Command(ping.worker.str(), "ping"), request,
      {.timeout = patience, .request_id = "", .tells_timeout = false},
      [this, strand = strand_, ping](absl::StatusOr<varpulis::v1::PingResponse> answer) {
        strand->Post([this, ping, answer = std::move(answer)] {
          // Another process under the same id has yet to register.
          if (answer.ok() && answer->incarnation() == ping.incarnation) {
            return Handle(PingAnswered{*answer});
          }
          Handle(PingUnanswered{ping.worker, ping.incarnation,
                                answer.ok() || absl::IsUnavailable(answer.status())});
        });
      });
}

void Runtime::Send(SendCheckpoint checkpoint) {
  auto shared = std::make_shared<SendCheckpoint>(std::move(checkpoint));
  transport::Call<varpulis::v1::CheckpointPipelineResponse>(
      deps_.bus, policy_.subjects.Command(shared->worker.str(), "checkpoint"), shared->request,
      {.timeout = options_.command_timeout, .request_id = "", .tells_timeout = false},
      [this, strand = strand_,
       shared](const absl::StatusOr<varpulis::v1::CheckpointPipelineResponse>& answer) {
        strand->Post([this, shared, status = answer.status()] {
          Handle(CheckpointAnswered{shared->migration, status});
        });
      });
}

// Both processes serve the subject. The first answer counts; if it comes from the one that
// registers, the other may merely have been slower, and is given two more chances.
void Runtime::AskIncumbent(CheckIncumbent check, int attempt) {
  varpulis::v1::PingRequest request;
  request.set_leader_epoch(leader_epoch_);
  request.set_leader_id(options_.id);
  const std::string subject =
      policy_.subjects.Command(check.registration.request.worker_id(), "ping");
  transport::Call<varpulis::v1::PingResponse>(
      deps_.bus, subject, request,
      {.timeout = options_.ping_timeout, .request_id = "", .tells_timeout = false},
      [this, strand = strand_, check = std::move(check),
       attempt](absl::StatusOr<varpulis::v1::PingResponse> answer) {
        strand->Post([this, check, attempt, answer = std::move(answer)] {
          const bool from_new =
              answer.ok() && answer->incarnation() == check.registration.request.incarnation();
          if (from_new && attempt < 3) return AskIncumbent(check, attempt + 1);
          IncumbentChecked checked{check.registration, std::nullopt};
          if (answer.ok() && !from_new) checked.answered_by = answer->incarnation();
          Handle(std::move(checked));
        });
      });
}

// ---------------------------------------------------------------- time

void Runtime::ScheduleTick() {
  strand_->After(std::clamp(std::min(options_.heartbeat_interval / 4, policy_.ping_interval),
                            absl::Milliseconds(5), kLongestTick),
                 [this] {
                   if (stood_down_ || closing_) return;
                   if (connected_ && log_ != nullptr) Handle(Tick{});
                   ScheduleTick();
                 });
}

}  // namespace varpulis::coordinator
