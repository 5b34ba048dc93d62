#include "office.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "coordinator/leased.h"
#include "coordinator/records.h"
#include "coordinator/state_machine.h"
#include "transport/error_reply.h"
#include "worker_model.h"

// Office's side of the store and of its callers; office_commands.cc has that of the workers.

namespace varpulis::simulation {

using coordinator::Answer;
using coordinator::Command;
using coordinator::Effects;
using coordinator::ReplyToken;
using coordinator::StateWrite;
using transport::MakeError;
using transport::RecordLog;
using varpulis::v1::PingResponse;

namespace {

constexpr size_t kCommandsPerWorker = 64;
constexpr absl::Duration kOpenTimeout = absl::Seconds(15);
constexpr absl::Duration kReopenPause = absl::Milliseconds(500);

}  // namespace

Office::Office(Site& site, Process& process, Deps deps)
    : site_(site),
      process_(process),
      deps_(std::move(deps)),
      lanes_(kCommandsPerWorker),
      connected_(process.connected()) {}

// ---------------------------------------------------------------- taking office

void Office::Start() {
  OpenLog([this](const absl::Status& opened) {
    if (!opened.ok()) return deps_.on_started(opened);
    PingAll([this] {
      if (stood_down_) return;
      serving_ = true;
      ScheduleTick();
      Handle(coordinator::Tick{});
      deps_.on_started(absl::OkStatus());
    });
  });
}

void Office::OpenLog(std::function<void(const absl::Status&)> done) {
  struct Attempt {
    std::unique_ptr<RecordLog> log;
    std::function<void(const absl::Status&)> done;  // empty once called
  };
  auto attempt = std::make_shared<Attempt>();
  attempt->done = std::move(done);
  const auto finish = [attempt](const absl::Status& status) {
    if (attempt->done) std::exchange(attempt->done, nullptr)(status);
  };
  process_.After(kOpenTimeout, WhileHere([finish] {
                   finish(absl::DeadlineExceededError("the state could not be read in time"));
                 }));
  attempt->log =
      coordinator::MakeLeasedLog(NewRecordLog(site_, process_, deps_.nonce), deps_.tenure);
  const StateWrite barrier = coordinator::StoreBarrier(process_.name());
  attempt->log->Open({barrier.key, barrier.value},
                     WhileHere([this, attempt, finish](absl::StatusOr<RecordLog::Opened> opened) {
                       if (!attempt->done) return;  // too late
                       if (!opened.ok()) return finish(opened.status());
                       if (stood_down_) return finish(absl::AbortedError("stood down meanwhile"));
                       log_ = std::move(attempt->log);
                       finish(TakeOffice(*opened));
                     }));
}

absl::Status Office::TakeOffice(const RecordLog::Opened& opened) {
  std::vector<coordinator::StoredRecord> records;
  for (const transport::Record& record : opened.records) {
    records.push_back({record.key, record.value});
  }
  absl::StatusOr<coordinator::Recovered> recovered =
      coordinator::Recover(records, opened.barrier_sequence, process_.Steady());
  if (!recovered.ok()) {
    site_.ledger.Violated(absl::StrCat("the state cannot be read: ", recovered.status().message()));
    return recovered.status();
  }
  ++log_generation_;
  ++site_.counters.offices_begun;
  state_ = std::move(recovered->state);
  site_.Note("leads", process_.name(), opened.barrier_sequence);
  Effects first;
  if (recovered->cluster_id.empty()) first.writes.push_back(coordinator::StoreCluster("cluster"));
  for (StateWrite& write : recovered->repairs) first.writes.push_back(std::move(write));
  Perform(std::move(first));
  return absl::OkStatus();
}

void Office::PingAll(const std::function<void()>& done) {
  auto left = std::make_shared<size_t>(state_.workers.size());
  if (*left == 0) return done();
  std::vector<WorkerId> workers;
  for (const auto& [id, worker] : state_.workers) workers.push_back(id);
  for (const WorkerId& worker : workers) {
    Request(
        worker.str(),
        [ping = MakePing(/*brief=*/false)](Process& target, const Replier& reply) {
          static_cast<WorkerModel&>(target).Ping(ping, reply);
        },
        site_.ping_timeout,
        [this, left, done](const Reply& answer) {
          if (answer.ok()) {
            Handle(coordinator::PingAnswered{static_cast<const PingResponse&>(**answer)});
          }
          if (--*left == 0) done();
        });
  }
}

void Office::ScheduleTick() {
  process_.After(std::min(site_.policy.heartbeat_interval / 4, site_.policy.ping_interval),
                 WhileHere([this] {
                   if (stood_down_) return;
                   if (connected_ && log_ != nullptr) Handle(coordinator::Tick{});
                   ScheduleTick();
                 }));
}

void Office::OnConnection(bool connected) {
  if (connected == std::exchange(connected_, connected)) return;
  if (connected && ready()) Handle(coordinator::ConnectionRestored{});
}

// ---------------------------------------------------------------- losing it

void Office::LoseLog() {
  ++site_.counters.logs_reopened;
  site_.Note("cannot store", process_.name());
  log_ = nullptr;
  queue_.Clear();
  lanes_.DropWaiting();
  FailAll(MakeError("not_ready", "it may or may not take effect"));
  ReopenLog();
}

void Office::ReopenLog() {
  process_.After(kReopenPause, WhileHere([this] {
                   if (stood_down_) return;
                   if (!connected_) return ReopenLog();
                   OpenLog([this](const absl::Status& opened) {
                     if (stood_down_) return;
                     if (absl::IsAborted(opened)) return StandDown(opened);
                     if (!opened.ok()) return ReopenLog();
                     PingAll([] {});
                   });
                 }));
}

void Office::StandDown(const absl::Status& why) {
  if (std::exchange(stood_down_, true)) return;
  ++site_.counters.stood_down;
  site_.Note("stands down", process_.name(), why.message());
  serving_ = false;
  queue_.Clear();
  lanes_.DropWaiting();
  FailAll(MakeError("not_leader", why.message()));
  deps_.on_stood_down();
}

// ---------------------------------------------------------------- commands and effects

ReplyToken Office::Expect(Replier reply) {
  const ReplyToken token = ++last_token_;
  replies_.emplace(token, std::move(reply));
  return token;
}

void Office::Submit(const std::function<Command(ReplyToken)>& make, Replier reply,
                    absl::Duration answer_by) {
  if (stood_down_) return;
  if (!ready()) return reply(MakeError("not_ready", "the state is not stored at present"));
  const ReplyToken token = Expect(std::move(reply));
  if (answer_by != absl::InfiniteDuration()) {
    process_.After(answer_by, WhileHere([this, token] {
                     if (replies_.contains(token)) Handle(coordinator::AnswerDue{token});
                   }));
  }
  Handle(make(token));
}

void Office::Heartbeat(const varpulis::v1::Heartbeat& heartbeat, Replier reply) {
  if (stood_down_) return;
  Handle(coordinator::ReceiveHeartbeat{heartbeat, process_.Steady(), Expect(std::move(reply))});
}

void Office::Handle(const Command& command) {
  if (stood_down_) return;
  Perform(coordinator::Apply(state_, command, process_.Steady(), site_.policy));
}

void Office::Perform(Effects effects) {
  if (effects.empty()) return;
  if (!ready()) {
    for (const Answer& answer : effects.answers) SendReply(answer);
    return;
  }
  std::vector<transport::RecordWrite> writes;
  for (const StateWrite& write : effects.writes) {
    writes.push_back({write.key, write.value, write.remove});
  }
  const uint64_t number = queue_.Add(std::move(effects));
  if (!writes.empty()) {
    log_->Append(std::move(writes), WhileHere([this, generation = log_generation_,
                                               number](const absl::StatusOr<uint64_t>& stored) {
                   OnStored(generation, number, stored.status());
                 }));
  }
  Flush();
}

void Office::OnStored(uint64_t generation, uint64_t number, const absl::Status& status) {
  if (generation != log_generation_ || !ready()) return;
  if (absl::IsAborted(status)) return StandDown(status);
  if (!status.ok()) return LoseLog();
  queue_.Stored(number);
  Flush();
}

void Office::Flush() {
  while (std::optional<Effects> effects = queue_.TakeReady()) CarryOut(*std::move(effects));
}

void Office::CarryOut(Effects effects) {
  for (coordinator::SendDeploy& deploy : effects.deploys) Send(std::move(deploy));
  for (coordinator::SendUndeploy& undeploy : effects.undeploys) Send(std::move(undeploy));
  for (const coordinator::ForgetCheckpoints& forget : effects.forgets) Send(forget);
  for (const coordinator::SendCheckpoint& checkpoint : effects.checkpoints) Send(checkpoint);
  for (const coordinator::SendPing& ping : effects.pings) Send(ping);
  for (const coordinator::CheckIncumbent& check : effects.checks) AskIncumbent(check, 1);
  for (const Answer& answer : effects.answers) SendReply(answer);
}

void Office::SendReply(const Answer& answer) {
  if (answer.to == coordinator::kNobody) return;
  if (!answered_.insert(answer.to).second) site_.ledger.OnSecondAnswer(answer.to);
  const auto waiting = replies_.find(answer.to);
  if (waiting == replies_.end()) return;
  const Replier reply = std::move(waiting->second);
  replies_.erase(waiting);
  if (!deps_.tenure->may_answer()) {
    ++site_.counters.unsent_after_lease;
    return;
  }
  if (answer.status.ok()) {
    reply(answer.body);
  } else {
    reply(answer.status);
  }
}

void Office::FailAll(const absl::Status& status) {
  for (const auto& [token, reply] : std::exchange(replies_, {})) {
    if (deps_.tenure->may_answer()) reply(status);
  }
}

}  // namespace varpulis::simulation
