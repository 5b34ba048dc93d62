#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "coordinator/cluster_state.h"
#include "coordinator/command.h"
#include "coordinator/command_lanes.h"
#include "coordinator/effect_queue.h"
#include "coordinator/tenure.h"
#include "site.h"

namespace varpulis::simulation {

// One time in office of a coordinator: does in virtual time what coordinator/runtime.cc does on its
// strand, with the same state machine, queue of effects, lanes, tenure and leased log.
class Office : public std::enable_shared_from_this<Office> {
 public:
  struct Deps {
    std::string nonce;  // of the lease
    std::shared_ptr<const coordinator::Tenure> tenure;
    std::function<void(const absl::Status&)> on_started;
    std::function<void()> on_stood_down;
  };

  Office(Site& site, Process& process, Deps deps);

  void Start();
  void StandDown(const absl::Status& why);
  void OnConnection(bool connected);

  bool serving() const { return serving_; }
  bool ready() const { return log_ != nullptr && !stood_down_; }
  const coordinator::ClusterState& state() const { return state_; }
  size_t owed() const { return replies_.size() + queue_size(); }

  // A request that changes the state: `make` gets the token of the answer. The caller waits for
  // `answer_by` at most and is told how far it has come by then.
  void Submit(const std::function<coordinator::Command(coordinator::ReplyToken)>& make,
              Replier reply, absl::Duration answer_by = absl::InfiniteDuration());
  void Heartbeat(const varpulis::v1::Heartbeat& heartbeat, Replier reply);

 private:
  void OpenLog(std::function<void(const absl::Status&)> done);
  absl::Status TakeOffice(const transport::RecordLog::Opened& opened);
  void PingAll(const std::function<void()>& done);
  void Serve();
  void ScheduleTick();
  void LoseLog();
  void ReopenLog();

  void Handle(const coordinator::Command& command);
  void Perform(coordinator::Effects effects);
  void OnStored(uint64_t generation, uint64_t number, const absl::Status& status);
  void Flush();
  void CarryOut(coordinator::Effects effects);
  void Send(coordinator::SendDeploy deploy);
  void Send(coordinator::SendUndeploy undeploy);
  void Send(const coordinator::ForgetCheckpoints& forget);
  void Send(const coordinator::SendCheckpoint& checkpoint);
  void Send(const coordinator::SendPing& ping);
  void AskIncumbent(const coordinator::CheckIncumbent& check, int attempt);
  void SendReply(const coordinator::Answer& answer);
  void FailAll(const absl::Status& status);
  coordinator::ReplyToken Expect(Replier reply);
  size_t queue_size() const { return queue_.empty() ? 0 : 1; }

  // A command to a worker, unless the lease has run out.
  void Request(const std::string& worker, Handler handler, absl::Duration timeout, Replier done);
  varpulis::v1::PingRequest MakePing(bool brief) const;
  // `fn` as long as this office exists.
  template <typename Fn>
  auto WhileHere(Fn fn) {
    return [weak = weak_from_this(), fn = std::move(fn)](auto&&... args) mutable {
      if (const auto self = weak.lock()) fn(std::forward<decltype(args)>(args)...);
    };
  }

  Site& site_;
  Process& process_;
  const Deps deps_;

  coordinator::ClusterState state_;
  std::unique_ptr<transport::RecordLog> log_;  // null: nothing can be stored
  uint64_t log_generation_ = 0;
  coordinator::EffectQueue queue_;
  coordinator::CommandLanes lanes_;
  bool connected_;
  bool started_ = false;
  bool serving_ = false;
  bool stood_down_ = false;
  coordinator::ReplyToken last_token_ = coordinator::kNobody;
  std::map<coordinator::ReplyToken, Replier> replies_;
  std::set<coordinator::ReplyToken> answered_;  // by the state machine
};

}  // namespace varpulis::simulation
