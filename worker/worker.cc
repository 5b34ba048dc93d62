#include "worker/worker.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"

#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strand.h"
#include "proto/cluster.pb.h"
#include "transport/error_reply.h"
#include "transport/rpc.h"
#include "transport/subjects.h"
#include "worker/command_service.h"
#include "worker/liveness_gate.h"
#include "worker/local_service.h"
#include "worker/pipeline_host.h"
#include "worker/session.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::DeleteWorkerResponse;
using varpulis::v1::DrainWorkerRequest;
using varpulis::v1::DrainWorkerResponse;
using varpulis::v1::Heartbeat;
using varpulis::v1::HeartbeatResponse;
using varpulis::v1::RegisterWorkerRequest;
using varpulis::v1::RegisterWorkerResponse;
using varpulis::v1::WorkerRequest;

constexpr absl::Duration kRegisterTimeout = absl::Seconds(5);
constexpr absl::Duration kFlushTimeout = absl::Seconds(1);
constexpr absl::Duration kDeregisterTimeout = absl::Seconds(2);
constexpr absl::Duration kStampInterval = absl::Milliseconds(20);
// Draining: how often to look, and for how long there may be no leader, or no progress.
constexpr absl::Duration kDrainLook = absl::Milliseconds(100);
constexpr absl::Duration kDrainCallTimeout = absl::Seconds(1);
constexpr absl::Duration kDrainUnheard = absl::Seconds(2);
constexpr absl::Duration kDrainStuck = absl::Seconds(5);

WorkerOptions Completed(WorkerOptions options) {
  if (options.worker_id.empty()) options.worker_id = NewUuid();
  if (options.version.empty()) options.version = "0.0.0";
  options.cpu_cores = std::max(options.cpu_cores, 1u);
  return options;
}

WorkerDeps Completed(WorkerDeps deps) {
  if (!deps.wall_clock_ns) deps.wall_clock_ns = [] { return absl::GetCurrentTimeNanos(); };
  if (!deps.boot_clock_ns) {
    deps.boot_clock_ns = [] {
      timespec now;
      clock_gettime(CLOCK_BOOTTIME, &now);
      return absl::ToInt64Nanoseconds(absl::DurationFromTimespec(now));
    };
  }
  if (!deps.random) {
    deps.random = [engine = std::mt19937_64(std::random_device()())]() mutable {
      return std::uniform_real_distribution<double>(0, 1)(engine);
    };
  }
  return deps;
}

}  // namespace

// The session's hands: sends what it wants sent and tells it what happened. The session lives on
// `strand_`, which does nothing else, so that heartbeats never wait for events or deploys.
class Worker::Shell {
 public:
  Shell(WorkerOptions options, WorkerDeps deps)
      : options_(Completed(std::move(options))),
        deps_(Completed(std::move(deps))),
        gate_(options_.freeze_limit),
        host_({.subjects = transport::Subjects(options_.subject_prefix),
               .max_pipelines = options_.max_pipelines,
               .max_in_flight_events = options_.max_in_flight_events,
               .now = deps_.wall_clock_ns,
               .batch_linger = options_.batch_linger,
               .checkpoint_interval = options_.checkpoint_interval,
               .may_process = [this] { return gate_.MayProcess(deps_.boot_clock_ns()); },
               .stored = options_.stored},
              {.cluster = nullptr, .local = deps_.local}),
        session_({.heartbeat_interval = options_.heartbeat_interval}, deps_.random) {}

  ~Shell() { Stop(absl::ZeroDuration()); }

  absl::Status Start() {
    RETURN_IF_ERROR(transport::ValidateWorkerId(options_.worker_id));
    RETURN_IF_ERROR(transport::ValidateSubjectPrefix(options_.subject_prefix));
    ASSIGN_OR_RETURN(local_,
                     LocalService::Start({.version = options_.version,
                                          .not_ready_reason = [this] { return NotReady(); }},
                                         deps_.local, host_));
    if (deps_.cluster == nullptr) return absl::OkStatus();
    return Join(*deps_.cluster, options_.subject_prefix, deps_.broker_id, deps_.stores);
  }

  absl::Status Join(transport::Bus& cluster, const std::string& subject_prefix,
                    std::function<std::string()> broker_id, Stores stores) {
    RETURN_IF_ERROR(transport::ValidateSubjectPrefix(subject_prefix));
    cluster_ = &cluster;
    subjects_ = transport::Subjects(subject_prefix);
    broker_id_ = std::move(broker_id);
    host_.Join(cluster, subjects_, stores);
    ASSIGN_OR_RETURN(commands_, CommandService::Start({.worker_id = options_.worker_id,
                                                       .incarnation = incarnation_,
                                                       .version = options_.version,
                                                       .on_ping = [this] { OnLeaderHeard(); }},
                                                      cluster, host_));
    // Who sends a command over another connection once we have returned is heard. Without a broker
    // there is nothing to wait for: the transport subscribes when it connects.
    if (const absl::Status flushed = cluster.Flush(kFlushTimeout); !flushed.ok()) {
      LOG(WARNING) << "worker " << options_.worker_id
                   << " starts without a broker: " << flushed.message();
    }
    connection_ = cluster.AddConnectionListener([this](transport::ConnectionState state) {
      if (state == transport::ConnectionState::kLeaving) return;
      const bool connected = state == transport::ConnectionState::kConnected;
      // At once: whoever cannot be reached is replaced.
      if (!connected) host_.Suspend();
      strand_->Post([this, connected] {
        Perform(connected ? session_.OnConnected() : session_.OnDisconnected());
      });
    });
    if (options_.freeze_limit < absl::InfiniteDuration()) {
      // Not first when its thread comes to run: from here on a pause is noticed.
      gate_.Stamp(deps_.boot_clock_ns());
      watchdog_ = std::make_unique<Strand>("watchdog");
      watchdog_->Post([this] { Watch(); });
    }
    strand_->Post([this] {
      Perform(session_.OnStarted(cluster_->state() == transport::ConnectionState::kConnected));
    });
    return absl::OkStatus();
  }

  void Stop(absl::Duration grace) {
    if (stopped_.exchange(true)) return;
    const bool was_registered = (registered_ || left_registered_) && !drained_;
    host_.RefuseDeploys();
    strand_->Post([this] { Perform(session_.OnLeaving()); });  // a heartbeat says that we drain
    host_.StopAll(grace);
    if (watchdog_ != nullptr) watchdog_->Stop();  // it posts to itself through the pointer
    if (was_registered) Deregister();
    connection_.reset();
    commands_.reset();
    local_.reset();
    strand_->Stop();
  }

  absl::Status Drain(absl::Duration timeout, const std::function<bool(absl::Duration)>& pause) {
    if (!registered_) return absl::FailedPreconditionError("not registered with a coordinator");
    left_registered_ = true;
    host_.RefuseDeploys();
    strand_->Post([this] { Perform(session_.OnLeaving()); });
    DrainWorkerRequest request;
    request.set_worker_id(options_.worker_id);
    request.set_timeout_secs(
        static_cast<uint64_t>(std::max(absl::ToInt64Seconds(timeout), int64_t{1})));
    request.set_wait(false);
    const absl::Time deadline = absl::Now() + timeout;
    absl::Time heard = absl::Now();
    absl::Time moved = absl::Now();
    int remaining = -1;
    while (true) {
      const auto answer = transport::CallAndWait<DrainWorkerResponse>(
          *cluster_, subjects_.Api("workers", "drain"), request,
          {.timeout = kDrainCallTimeout, .request_id = ""});
      const absl::Time now = absl::Now();
      // One that is empty is forgotten.
      if (transport::ErrorCode(answer.status()) == "worker_not_found" ||
          (answer.ok() && answer->status() == "drained")) {
        drained_ = true;
        return absl::OkStatus();
      }
      if (answer.ok()) {
        heard = now;
        if (remaining < 0 || answer->remaining_size() < remaining) moved = now;
        remaining = answer->remaining_size();
      } else if (now - heard > kDrainUnheard) {
        return answer.status();
      }
      if (now - moved > kDrainStuck || now > deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat(std::max(remaining, 0), " pipelines are still here"));
      }
      if (pause(kDrainLook)) return absl::CancelledError("asked to go at once");
    }
  }

  bool registered() const { return registered_; }
  const std::string& worker_id() const { return options_.worker_id; }

 private:
  std::string NotReady() const {
    if (host_.draining()) return "draining";
    const bool clustered = deps_.cluster != nullptr || options_.joins_later;
    if (clustered && !registered_) return "not registered with a coordinator";
    return "";
  }

  // ---- on any thread

  void OnLeaderHeard() {
    if (registered_) return;  // pings are many
    strand_->Post([this] { Perform(session_.OnLeaderHeard()); });
  }

  // ---- on the watchdog

  void Watch() {
    if (gate_.Stamp(deps_.boot_clock_ns())) {
      LOG(WARNING) << "worker " << options_.worker_id
                   << " stood still; its pipelines wait until it has registered again";
      host_.Suspend();
      strand_->Post([this] {  // as after a lost connection
        Perform(session_.OnDisconnected());
        if (cluster_->state() == transport::ConnectionState::kConnected) {
          Perform(session_.OnConnected());
        }
      });
    }
    watchdog_->After(kStampInterval, [this] { Watch(); });
  }

  // ---- on the strand

  void Perform(const Session::Actions& actions) {
    if (registered_.exchange(session_.registered()) != session_.registered()) {
      LOG(INFO) << "worker " << options_.worker_id
                << (session_.registered() ? " is registered" : " is not registered any more");
    }
    if (actions.wake_in.has_value()) {
      if (timer_.has_value()) strand_->Cancel(*timer_);
      timer_ = strand_->After(*actions.wake_in, [this] {
        timer_.reset();
        Perform(session_.OnTimer());
      });
    }
    if (actions.send_register.has_value()) SendRegister(*actions.send_register);
    if (actions.send_heartbeat) SendHeartbeat();
  }

  void SendRegister(uint64_t attempt) {
    RegisterWorkerRequest request;
    request.set_worker_id(options_.worker_id);
    request.set_address(options_.address);
    request.mutable_capacity()->set_cpu_cores(options_.cpu_cores);
    request.mutable_capacity()->set_pipelines_running(host_.size());
    request.mutable_capacity()->set_max_pipelines(options_.max_pipelines);
    request.set_incarnation(incarnation_);
    request.set_version(options_.version);
    for (auto& placement : host_.Placements()) *request.add_running() = std::move(placement);
    // What the answer can let go on: nothing that is held later than now.
    const Asked asked{attempt, host_.suspensions(), gate_.closings()};
    // The callback may come after this object has gone; the strand, shared, then drops the task.
    transport::Call<RegisterWorkerResponse>(
        *cluster_, subjects_.Register(), request, {.timeout = kRegisterTimeout, .request_id = ""},
        [this, strand = strand_, asked](absl::StatusOr<RegisterWorkerResponse> response) {
          strand->Post(
              [this, asked, response = std::move(response)] { OnRegisterReply(asked, response); });
        });
  }

  struct Asked {
    uint64_t attempt, suspension, closings;
  };

  void OnRegisterReply(const Asked& asked, const absl::StatusOr<RegisterWorkerResponse>& response) {
    Session::Failure failure = Session::Failure::kRefused;
    if (response.ok()) {
      if (AcceptLeader(response->leader_epoch())) {
        Perform(session_.OnRegistered(asked.attempt,
                                      absl::Seconds(response->heartbeat_interval_secs())));
        if (session_.registered()) {
          host_.Resume(asked.suspension,
                       {response->superseded().begin(), response->superseded().end()},
                       [this, closings = asked.closings] { gate_.Open(closings); });
        }
        return;
      }
    } else if (transport::ErrorCode(response.status()) == "conflict") {
      LOG(ERROR) << "worker id " << options_.worker_id
                 << " is in use by another live process; retrying until it is gone: "
                 << response.status().message();
    } else {
      if (absl::IsUnavailable(response.status())) failure = Session::Failure::kNoLeader;
      LOG_EVERY_N(WARNING, 10) << "registration of worker " << options_.worker_id
                               << " failed, retrying: " << response.status().message();
    }
    Perform(session_.OnRegisterFailed(asked.attempt, failure));
  }

  // A registration answered by a leader below the highest seen: most likely one that has just been
  // deposed and does not know yet. When it keeps answering, the state behind the epochs was lost
  // (a volatile coordinator restarted, a store wiped), and refusing it would lock us out for ever.
  bool AcceptLeader(uint64_t leader_epoch) {
    constexpr int kPatience = 3;
    if (host_.AdmitLeader(leader_epoch).ok()) {
      stale_answers_ = 0;
      return true;
    }
    if (++stale_answers_ <= kPatience) {
      LOG(WARNING) << "registration answered by a leader of the past, epoch " << leader_epoch;
      return false;
    }
    LOG(WARNING) << "the leader's epoch went back from " << host_.highest_leader_epoch() << " to "
                 << leader_epoch << ": its state began anew";
    host_.AdoptLeader(leader_epoch);
    stale_answers_ = 0;
    return true;
  }

  void SendHeartbeat() {
    Heartbeat heartbeat;
    heartbeat.set_worker_id(options_.worker_id);
    heartbeat.set_events_processed(host_.totals().events_in);
    heartbeat.set_pipelines_running(host_.size());
    for (auto& metrics : host_.Metrics()) *heartbeat.add_pipeline_metrics() = std::move(metrics);
    heartbeat.set_incarnation(incarnation_);
    for (auto& placement : host_.Placements()) *heartbeat.add_pipelines() = std::move(placement);
    heartbeat.set_leader_epoch(host_.highest_leader_epoch());
    if (broker_id_) heartbeat.set_broker(broker_id_());
    heartbeat.set_draining(host_.draining());
    transport::Call<HeartbeatResponse>(
        *cluster_, subjects_.Heartbeat(options_.worker_id), heartbeat,
        {.timeout = session_.heartbeat_interval(), .request_id = ""},
        [this, strand = strand_](const absl::StatusOr<HeartbeatResponse>& response) {
          if (response.ok() || absl::IsDeadlineExceeded(response.status())) return;  // content
          strand->Post([this, status = response.status()] { OnHeartbeatError(status); });
        });
  }

  void OnHeartbeatError(const absl::Status& status) {
    if (absl::IsUnavailable(status) || absl::IsCancelled(status)) {
      return Perform(session_.OnHeartbeatUnheard());
    }
    if (session_.registered()) {
      LOG(INFO) << "worker " << options_.worker_id << " registers again: " << status.message();
    }
    Perform(session_.OnHeartbeatRefused());
  }

  // ---- on the caller of Stop

  void Deregister() {
    WorkerRequest request;
    request.set_worker_id(options_.worker_id);
    const auto deleted = transport::CallAndWait<DeleteWorkerResponse>(
        *cluster_, subjects_.Api("workers", "delete"), request,
        {.timeout = kDeregisterTimeout, .request_id = ""});
    // Best effort: a coordinator that does not hear it will miss the heartbeats.
    if (!deleted.ok()) LOG(WARNING) << "deregistration failed: " << deleted.status().message();
  }

  const WorkerOptions options_;
  const WorkerDeps deps_;
  const std::string incarnation_ = NewUuid();
  std::atomic<bool> registered_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<bool> left_registered_{false};  // draining, the coordinator knows us
  std::atomic<bool> drained_{false};          // it has forgotten us
  LivenessGate gate_;
  PipelineHost host_;

  // Set by Join, before the first task on the strand and the first command.
  transport::Bus* cluster_ = nullptr;
  transport::Subjects subjects_;
  std::function<std::string()> broker_id_;

  // On the strand.
  Session session_;
  std::optional<Strand::TimerId> timer_;
  int stale_answers_ = 0;  // registrations in a row

  std::shared_ptr<Strand> strand_ = std::make_shared<Strand>("worker");
  std::unique_ptr<Strand> watchdog_;
  std::unique_ptr<LocalService> local_;
  std::unique_ptr<CommandService> commands_;
  std::unique_ptr<transport::Subscription> connection_;
};

Worker::Worker(std::unique_ptr<Shell> shell) : shell_(std::move(shell)) {}
Worker::~Worker() = default;

absl::StatusOr<std::unique_ptr<Worker>> Worker::Start(WorkerOptions options, WorkerDeps deps) {
  auto shell = std::make_unique<Shell>(std::move(options), std::move(deps));
  RETURN_IF_ERROR(shell->Start());
  return std::unique_ptr<Worker>(new Worker(std::move(shell)));
}

absl::Status Worker::Join(transport::Bus& cluster, const std::string& subject_prefix,
                          std::function<std::string()> broker_id, Stores stores) {
  return shell_->Join(cluster, subject_prefix, std::move(broker_id), stores);
}

absl::Status Worker::Drain(absl::Duration timeout,
                           const std::function<bool(absl::Duration)>& pause) {
  return shell_->Drain(timeout, pause);
}

void Worker::Stop(absl::Duration grace) { shell_->Stop(grace); }
bool Worker::registered() const { return shell_->registered(); }
const std::string& Worker::worker_id() const { return shell_->worker_id(); }

}  // namespace varpulis::worker
