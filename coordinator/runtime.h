#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/strand.h"
#include "coordinator/cluster_state.h"
#include "coordinator/command.h"
#include "coordinator/command_lanes.h"
#include "coordinator/coordinator.h"
#include "coordinator/effect.h"
#include "coordinator/effect_queue.h"
#include "coordinator/reply_book.h"
#include "coordinator/routing.h"
#include "coordinator/step.h"
#include "coordinator/tenure.h"
#include "transport/bus.h"
#include "transport/record_log.h"
#include "transport/rpc.h"

namespace varpulis::coordinator {

class ControlService;
class InjectService;
class QueryService;

inline constexpr char kLeaderChangedNotice[] = "leader_changed";

// The shell around the state machine, for one time in office: takes it on Start and leads until it
// is destroyed or stands down. Owns the ClusterState, which lives on its strand: commands
// come in, Apply says what should happen, and the effects of each are performed in order: stored,
// then sent, then answered. Nothing waits on the strand; answers come back as commands.
//
//   transport threads ─ Submit ─▶ strand: Apply ─▶ log.Append ┄▶ strand: send, notify, answer
//   transport threads ─ Find ───▶ routing table (injects never touch the strand)
class Runtime {
 public:
  // With a tenure, nothing is sent, answered or stored once it is over, and the state must be
  // durable. Without, it leads as soon as it starts, and until a notice names a later leader.
  // `followed`: a log that has been told to follow, opened first. Null: one like any other.
  Runtime(CoordinatorOptions options, Coordinator::Deps deps,
          std::shared_ptr<const Tenure> tenure = nullptr,
          std::unique_ptr<transport::RecordLog> followed = nullptr);
  ~Runtime();

  // `done` runs once on the strand, unless this is destroyed first: when the state is recovered,
  // the workers know the new epoch and requests are served, or when that is not to be.
  void Start(std::function<void(absl::Status)> done);
  // Stands down, if it has not yet. Thread-safe.
  void Depose(absl::Status why);
  uint64_t leader_epoch() const { return leader_epoch_; }

  // ---- for the services, thread-safe

  const CoordinatorOptions& options() const { return options_; }
  const Policy& policy() const { return policy_; }
  transport::Bus& bus() const { return deps_.bus; }  // obeys the lease
  RoutingTable& routing() { return routing_; }

  ReplyToken Expect(transport::RawReplier replier) { return replies_.Add(std::move(replier)); }
  void Submit(Command command);
  // When the caller of `context`, which has just arrived, is to be answered at the latest: well
  // before it gives up, so that it hears our answer and not nothing.
  static absl::Time AnswerBy(const transport::RequestContext& context) {
    return Now() + std::min(context.timeout, absl::Minutes(10)) * 4 / 5;
  }
  // If `reply` is still owed then, an AnswerDue is submitted.
  void RemindAt(absl::Time answer_by, ReplyToken reply);
  // How long a worker may take for a command whose caller is to be answered by then.
  absl::Duration TimeoutBy(absl::Time answer_by) const {
    return std::clamp(answer_by - Now(), absl::ZeroDuration(), options_.command_timeout);
  }
  // Runs `read` on the strand. `ready`: the state is recovered and can be stored.
  struct Reading {
    const ClusterState& state;
    bool ready;
    bool durable;
    bool leased;
    uint64_t stored;  // sequence of the last record known to be stored
  };
  void Read(std::function<void(const Reading&)> read);
  // Runs `work`, which may take a while, on a thread of its own kind.
  void RunAside(std::function<void()> work) { aside_.Post(std::move(work)); }

  // Monotonic; only differences mean anything.
  static absl::Time Now();

 private:
  // ---- on the strand
  void OpenLog(std::function<void(absl::Status)> done);
  absl::StatusOr<std::unique_ptr<transport::RecordLog>> FindLog();  // on aside_; may block
  absl::Status TakeOffice(std::unique_ptr<transport::RecordLog> log,
                          transport::RecordLog::Opened opened);
  void PingWorkers(const std::function<void()>& done);
  absl::Status Serve();
  void Handle(const Command& command);
  void Perform(Effects effects);
  void OnStored(uint64_t generation, uint64_t number, const absl::StatusOr<uint64_t>& stored);
  void CarryOut(Effects effects);
  void Flush();
  void RenewRouting();
  void Send(SendDeploy deploy);
  void Send(SendUndeploy undeploy);
  void Send(const ForgetCheckpoints& forget);
  void Send(const SendPing& ping);
  void Send(SendCheckpoint checkpoint);
  void AskIncumbent(CheckIncumbent check, int attempt);
  void Publish(const varpulis::v1::Notice& notice);
  void Reply(const Answer& answer);
  void OnConnection(transport::ConnectionState state);
  absl::Status ListenForLeaders();
  void OnLeaderNotice(const varpulis::v1::Notice& notice);
  void LoseLog(const absl::Status& why);
  void ReopenLog();
  void StandDown(absl::Status why);
  void ScheduleTick();
  bool ServesMutations() const { return log_ != nullptr && !stood_down_; }

  // Runs `task` on the strand and waits for it. Not from the strand.
  void RunAndWait(std::function<void()> task);

  void FinishStart(absl::Status status);

  const CoordinatorOptions options_;
  const std::shared_ptr<const Tenure> tenure_;  // null: no lease
  const std::shared_ptr<transport::Bus> leased_bus_;
  const Coordinator::Deps deps_;  // its bus is the leased one
  const Policy policy_;
  std::atomic<uint64_t> leader_epoch_{0};
  RoutingTable routing_;  // thread-safe
  ReplyBook replies_;     // thread-safe

  std::unique_ptr<transport::RecordLog> followed_;  // on aside_ only

  // On the strand only.
  ClusterState state_;
  absl::Time opening_since_ = absl::InfinitePast();
  std::unique_ptr<transport::RecordLog> log_;  // null: the broker is away, nothing can be stored
  bool durable_ = false;
  uint64_t log_generation_ = 0;
  uint64_t stored_ = 0;  // sequence
  EffectQueue pending_;
  std::set<GroupId> dirty_routing_;
  bool routing_scheduled_ = false;
  CommandLanes lanes_;
  bool connected_ = true;
  std::function<void(absl::Status)> on_started_;  // empty once called
  bool stood_down_ = false;
  bool closing_ = false;
  std::unique_ptr<ControlService> control_;
  std::unique_ptr<QueryService> query_;
  std::unique_ptr<InjectService> inject_;
  std::unique_ptr<transport::Service> service_;
  std::unique_ptr<transport::Subscription> leader_notices_;
  std::unique_ptr<transport::Subscription> connection_;

  // Shared with callbacks of the transport, which may outlive us: after Stop they post into
  // nothing.
  const std::shared_ptr<Strand> strand_;
  Strand aside_;  // compiles sources, opens logs: may block
};

}  // namespace varpulis::coordinator
