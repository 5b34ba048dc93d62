#include "worker_model.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "coordinator_model.h"
#include "transport/error_reply.h"

namespace varpulis::simulation {

using coordinator::PlacementKey;
using transport::MakeError;
using varpulis::v1::CheckpointPipelineRequest;
using varpulis::v1::CheckpointPipelineResponse;
using varpulis::v1::DeployPipelineRequest;
using varpulis::v1::DeployPipelineResponse;
using varpulis::v1::OkResponse;
using varpulis::v1::PingResponse;
using varpulis::v1::RegisterWorkerResponse;
using varpulis::v1::UndeployPipelineRequest;
using worker::Session;

namespace {

constexpr uint32_t kMaxPipelines = 64;
constexpr absl::Duration kRegisterTimeout = absl::Seconds(5);
constexpr absl::Duration kDeregisterTimeout = absl::Seconds(2);
constexpr absl::Duration kEndingTakes = absl::Milliseconds(50);

Office* OfficeOf(Process& target) { return static_cast<CoordinatorModel&>(target).serving(); }

template <typename Message>
PlacementKey KeyOf(const Message& request) {
  return {GroupId(request.group_id()), request.name(), request.replica()};
}

}  // namespace

std::string WorkerModel::incarnation() const { return absl::StrCat(name(), ".", life()); }

void WorkerModel::OnStart() {
  session_.emplace(Session::Policy{.heartbeat_interval = site_.policy.heartbeat_interval,
                                   .min_backoff = absl::Milliseconds(250),
                                   .max_backoff = absl::Seconds(4),
                                   .unheard_interval = absl::Milliseconds(500)},
                   [this] { return site_.random.Unit(); });
  stale_answers_ = 0;
  leaving_ = false;
  busy_until_ = site_.scheduler.now();
  leader_epoch_ = 0;
  least_epoch_.clear();
  site_.Note("starts", incarnation());
  Perform(session_->OnStarted(connected()));
}

void WorkerModel::OnCrash() {
  ++timer_;
  while (!copies_.empty()) End(copies_.begin()->first);
}

void WorkerModel::OnConnection(bool connected) {
  Perform(connected ? session_->OnConnected() : session_->OnDisconnected());
}

void WorkerModel::Leave() {
  if (!up() || std::exchange(leaving_, true)) return;
  ++site_.counters.worker_departures;
  site_.Note("leaves", incarnation());
  const bool was_registered = session_->registered();
  Perform(session_->OnLeaving());
  After(kEndingTakes, [this, was_registered] {
    while (!copies_.empty()) End(copies_.begin()->first);
    if (!was_registered) return Crash();
    site_.network.Request(
        *this, Network::kLeader,
        [id = WorkerId(name())](Process& target, const Replier& reply) {
          if (Office* office = OfficeOf(target)) {
            office->Submit(
                [&](coordinator::ReplyToken token) {
                  return coordinator::DeleteWorker{id, token, ""};
                },
                reply);
          }
        },
        kDeregisterTimeout, [this](const Reply&) { Crash(); });
  });
}

void WorkerModel::LoseCopy() {
  if (!up() || copies_.empty()) return;
  ++site_.counters.copies_lost;
  const PlacementKey key =
      std::next(copies_.begin(), static_cast<int64_t>(site_.random.Below(copies_.size())))->first;
  site_.Note("loses", incarnation(), ToString(key));
  least_epoch_[key] = copies_[key].epoch + 1;
  End(key);
}

// ---------------------------------------------------------------- session

void WorkerModel::Perform(const Session::Actions& actions) {
  if (actions.wake_in.has_value()) {
    After(*actions.wake_in, [this, timer = ++timer_] {
      if (timer == timer_) Perform(session_->OnTimer());
    });
  }
  if (actions.send_register.has_value()) SendRegister(*actions.send_register);
  if (actions.send_heartbeat) SendHeartbeat();
}

void WorkerModel::SendRegister(uint64_t attempt) {
  auto request = std::make_shared<varpulis::v1::RegisterWorkerRequest>();
  request->set_worker_id(name());
  request->set_address("http://worker:9000");
  request->mutable_capacity()->set_cpu_cores(2);
  request->mutable_capacity()->set_pipelines_running(static_cast<uint32_t>(copies_.size()));
  request->mutable_capacity()->set_max_pipelines(kMaxPipelines);
  request->set_incarnation(incarnation());
  ListCopies(request->mutable_running());
  site_.network.Request(
      *this, Network::kLeader,
      [request](Process& target, const Replier& reply) {
        if (Office* office = OfficeOf(target)) {
          office->Submit(
              [&](coordinator::ReplyToken token) {
                return coordinator::RegisterWorker{*request, token, ""};
              },
              reply);
        }
      },
      kRegisterTimeout, [this, attempt](const Reply& reply) { OnRegisterReply(attempt, reply); });
}

void WorkerModel::OnRegisterReply(uint64_t attempt, const Reply& reply) {
  site_.Note("registered", incarnation(), reply.status().message());
  if (reply.ok()) {
    const auto& response = static_cast<const RegisterWorkerResponse&>(**reply);
    if (AcceptLeader(response.leader_epoch())) {
      return Perform(
          session_->OnRegistered(attempt, absl::Seconds(response.heartbeat_interval_secs())));
    }
  }
  const bool nobody = !reply.ok() && absl::IsUnavailable(reply.status());
  Perform(session_->OnRegisterFailed(
      attempt, nobody ? worker::Session::Failure::kNoLeader : worker::Session::Failure::kRefused));
}

bool WorkerModel::AcceptLeader(uint64_t leader_epoch) {
  constexpr int kPatience = 3;
  if (AdmitLeader(leader_epoch).ok()) {
    stale_answers_ = 0;
    return true;
  }
  if (++stale_answers_ <= kPatience) return false;
  leader_epoch_ = leader_epoch;  // the state began anew: never, here, which the ledger sees
  stale_answers_ = 0;
  return AdmitLeader(leader_epoch).ok();
}

void WorkerModel::SendHeartbeat() {
  auto heartbeat = std::make_shared<varpulis::v1::Heartbeat>();
  heartbeat->set_worker_id(name());
  heartbeat->set_pipelines_running(static_cast<uint32_t>(copies_.size()));
  heartbeat->set_incarnation(incarnation());
  heartbeat->set_leader_epoch(leader_epoch_);
  heartbeat->set_draining(leaving_);
  ListCopies(heartbeat->mutable_pipelines());
  site_.network.Request(
      *this, Network::kLeader,
      [heartbeat](Process& target, const Replier& reply) {
        if (Office* office = OfficeOf(target)) office->Heartbeat(*heartbeat, reply);
      },
      session_->heartbeat_interval(),
      [this](const Reply& reply) {
        if (reply.ok() || absl::IsDeadlineExceeded(reply.status())) return;
        Perform(absl::IsUnavailable(reply.status()) ? session_->OnHeartbeatUnheard()
                                                    : session_->OnHeartbeatRefused());
      });
}

// ---------------------------------------------------------------- commands

absl::Status WorkerModel::AdmitLeader(uint64_t leader_epoch) {
  if (leader_epoch < leader_epoch_) {
    ++site_.counters.stale_leaders_refused;
    return MakeError("stale_epoch", "the leader has been replaced");
  }
  leader_epoch_ = leader_epoch;
  site_.ledger.OnObeyed(incarnation(), leader_epoch);
  return absl::OkStatus();
}

void WorkerModel::InTurn(std::function<void()> command) {
  const bool slow = site_.random.Chance(site_.misfortune.slow_command);
  busy_until_ = std::max(busy_until_, site_.scheduler.now()) +
                (slow ? site_.random.Between(absl::Seconds(1), absl::Seconds(6))
                      : site_.random.Between(absl::ZeroDuration(), absl::Milliseconds(5)));
  After(busy_until_ - site_.scheduler.now(), std::move(command));
}

void WorkerModel::Deploy(const DeployPipelineRequest& request, const Replier& reply) {
  if (const absl::Status admitted = AdmitLeader(request.leader_epoch()); !admitted.ok()) {
    return reply(admitted);
  }
  InTurn([this, request, reply] { reply(DeployNow(request)); });
}

Reply WorkerModel::DeployNow(const DeployPipelineRequest& request) {
  const PlacementKey key = KeyOf(request);
  const uint64_t epoch = request.placement_epoch();
  const auto seen = least_epoch_.find(key);
  if (seen != least_epoch_.end() && epoch < seen->second) {
    ++site_.counters.stale_placements_refused;
    return MakeError("stale_epoch", "a higher epoch was seen before");
  }
  const auto running = copies_.find(key);
  const bool replaces = running != copies_.end();
  if (replaces && running->second.epoch == epoch) {
    ++site_.counters.repeated_deploys;
  } else {
    if (leaving_) return MakeError("worker_draining", "this worker is draining");
    least_epoch_[key] = epoch;
    if (replaces) End(key);
    if (site_.random.Chance(site_.misfortune.deploy_failure)) {
      ++site_.counters.deploys_failed;
      return MakeError("deploy_failed", "the checkpoint cannot be loaded");
    }
    copies_[key] = {epoch, absl::StrCat(incarnation(), "-", ++copies_made_), false};
    site_.ledger.OnCopyStarted(name(), key, epoch);
  }
  auto response = std::make_shared<DeployPipelineResponse>();
  response->set_id(copies_[key].id);
  return Reply(std::move(response));
}

void WorkerModel::Undeploy(const UndeployPipelineRequest& request, const Replier& reply) {
  if (const absl::Status admitted = AdmitLeader(request.leader_epoch()); !admitted.ok()) {
    return reply(admitted);
  }
  InTurn([this, request, reply] { reply(UndeployNow(request)); });
}

Reply WorkerModel::UndeployNow(const UndeployPipelineRequest& request) {
  const PlacementKey key = KeyOf(request);
  const uint64_t epoch = request.placement_epoch();
  uint64_t& least = least_epoch_[key];
  least = std::max(least, epoch + 1);
  const auto running = copies_.find(key);
  if (running != copies_.end() && running->second.epoch <= epoch) End(key);
  auto response = std::make_shared<OkResponse>();
  response->set_ok(true);
  return Reply(std::move(response));
}

void WorkerModel::Checkpoint(const CheckpointPipelineRequest& request, const Replier& reply) {
  if (const absl::Status admitted = AdmitLeader(request.leader_epoch()); !admitted.ok()) {
    return reply(admitted);
  }
  InTurn([this, request, reply] { reply(CheckpointNow(request)); });
}

Reply WorkerModel::CheckpointNow(const CheckpointPipelineRequest& request) {
  const auto found = std::find_if(copies_.begin(), copies_.end(), [&](const auto& item) {
    return item.second.id == request.pipeline_id();
  });
  if (found == copies_.end()) return MakeError("pipeline_not_found", "no such pipeline");
  if (found->second.epoch != request.placement_epoch()) {
    return MakeError("stale_epoch", "this copy has another epoch");
  }
  if (!found->second.cut && site_.random.Chance(site_.misfortune.checkpoint_failure)) {
    ++site_.counters.checkpoints_failed;
    return MakeError("engine_error", "the state cannot be saved");
  }
  found->second.cut = true;
  return Reply(std::make_shared<CheckpointPipelineResponse>());
}

void WorkerModel::Ping(const varpulis::v1::PingRequest& request, const Replier& reply) {
  if (const absl::Status admitted = AdmitLeader(request.leader_epoch()); !admitted.ok()) {
    return reply(admitted);
  }
  auto response = std::make_shared<PingResponse>();
  response->set_worker_id(name());
  response->set_incarnation(incarnation());
  response->set_draining(leaving_);
  response->set_brief(request.brief());
  if (!request.brief()) ListCopies(response->mutable_pipelines());
  reply(Reply(std::move(response)));
  Perform(session_->OnLeaderHeard());
}

void WorkerModel::End(const PlacementKey& key) {
  site_.ledger.OnCopyEnded(name(), key);
  copies_.erase(key);
}

}  // namespace varpulis::simulation
