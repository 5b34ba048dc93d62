#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "base/status_macros.h"
#include "coordinator/leased.h"
#include "coordinator/records.h"
#include "coordinator/runtime.h"
#include "transport/error_reply.h"

// The part of Runtime that is about leading: taking office, losing the store, standing down.

namespace varpulis::coordinator {
namespace {

constexpr absl::Duration kOpenTimeout = absl::Seconds(15);
constexpr absl::Duration kReopenPause = absl::Milliseconds(500);

}  // namespace

absl::StatusOr<std::unique_ptr<transport::RecordLog>> Runtime::FindLog() {
  if (followed_ != nullptr) return std::move(followed_);
  return deps_.open_log();
}

// Opens a log and takes over the state in it. `done` runs on the strand.
void Runtime::OpenLog(std::function<void(absl::Status)> done) {
  // Opening may block, and may never be answered: the first of answer and timer counts.
  struct Attempt {
    std::unique_ptr<transport::RecordLog> log;
    std::function<void(absl::Status)> done;  // empty once called
    Strand::TimerId timer = 0;
  };
  auto attempt = std::make_shared<Attempt>();
  opening_since_ = Now();
  attempt->done = std::move(done);
  const auto finish = [this, attempt](absl::Status status) {
    if (!attempt->done) return;
    strand_->Cancel(attempt->timer);
    std::exchange(attempt->done, nullptr)(std::move(status));
  };
  attempt->timer = strand_->After(kOpenTimeout, [finish] {
    finish(absl::DeadlineExceededError("the state could not be read in time"));
  });
  aside_.Post([this, attempt, finish] {
    absl::StatusOr<std::unique_ptr<transport::RecordLog>> log = FindLog();
    strand_->Post([this, attempt, finish, status = log.status(),
                   raw = log.ok() ? log->release() : nullptr] {
      attempt->log.reset(raw);
      if (!status.ok()) return finish(status);
      if (tenure_ != nullptr) attempt->log = MakeLeasedLog(std::move(attempt->log), tenure_);
      const StateWrite barrier = StoreBarrier(options_.id);
      attempt->log->Open(
          {barrier.key, barrier.value}, [this, attempt, finish, strand = strand_](
                                            absl::StatusOr<transport::RecordLog::Opened> opened) {
            strand->Post([this, attempt, finish, opened = std::move(opened)]() mutable {
              if (!attempt->done) return;  // too late
              finish(opened.ok() ? TakeOffice(std::move(attempt->log), *std::move(opened))
                                 : opened.status());
            });
          });
    });
  });
}

absl::Status Runtime::TakeOffice(std::unique_ptr<transport::RecordLog> log,
                                 transport::RecordLog::Opened opened) {
  if (stood_down_) return absl::AbortedError("stood down meanwhile");
  if ((durable_ || tenure_ != nullptr) && !log->durable()) {
    return absl::UnavailableError("the broker's JetStream is not back yet");
  }
  std::vector<StoredRecord> records;
  records.reserve(opened.records.size());
  for (transport::Record& record : opened.records)
    records.push_back({std::move(record.key), std::move(record.value)});
  const absl::Duration reading = Now() - opening_since_;
  ASSIGN_OR_RETURN(Recovered recovered, Recover(records, opened.barrier_sequence, Now()));
  if (log_generation_ == 0 && !log->durable()) {
    LOG(WARNING) << "\n"
                 << "*********************************************************************\n"
                 << "* The broker has no JetStream: the cluster's state is VOLATILE.      *\n"
                 << "* If this coordinator stops, its groups and workers are forgotten.   *\n"
                 << "* Start nats-server with -js to keep them.                           *\n"
                 << "*********************************************************************";
  }
  log_ = std::move(log);
  durable_ = log_->durable();
  ++log_generation_;
  for (const auto& [id, group] : state_.groups) dirty_routing_.insert(id);  // perhaps gone by now
  state_ = std::move(recovered.state);
  leader_epoch_ = opened.barrier_sequence;
  stored_ = opened.barrier_sequence;
  for (const auto& [id, group] : state_.groups) dirty_routing_.insert(id);
  RenewRouting();
  LOG(INFO) << "coordinator " << options_.id << " leads with epoch " << leader_epoch_ << ": "
            << state_.workers.size() << " workers, " << state_.groups.size() << " groups known ("
            << records.size()
            << (opened.followed ? " records, followed, in " : " records, read in ")
            << absl::FormatDuration(absl::Trunc(reading, absl::Microseconds(100)))
            << ", taken over in "
            << absl::FormatDuration(absl::Trunc(Now() - opening_since_, absl::Microseconds(100)))
            << ")";

  Effects first;
  if (recovered.cluster_id.empty()) first.writes.push_back(StoreCluster(NewUuid()));
  std::move(recovered.repairs.begin(), recovered.repairs.end(), std::back_inserter(first.writes));
  varpulis::v1::Notice notice;
  notice.set_kind(kLeaderChangedNotice);
  notice.set_subject_id(options_.id);
  notice.set_leader_epoch(leader_epoch_);
  notice.set_text(
      absl::StrCat("coordinator ", options_.id, " leads with epoch ", opened.barrier_sequence));
  first.notices.push_back(std::move(notice));
  Perform(std::move(first));
  return absl::OkStatus();
}

// Tells every known worker the epoch before anything is asked of it, and learns what it runs.
void Runtime::PingWorkers(const std::function<void()>& done) {
  auto left = std::make_shared<size_t>(state_.workers.size());
  if (*left == 0) return done();
  varpulis::v1::PingRequest request;
  request.set_leader_epoch(leader_epoch_);
  request.set_leader_id(options_.id);
  std::vector<WorkerId> workers;
  for (const auto& [id, worker] : state_.workers) workers.push_back(id);
  for (const WorkerId& worker : workers) {
    transport::Call<varpulis::v1::PingResponse>(
        deps_.bus, policy_.subjects.Command(worker.str(), "ping"), request,
        {.timeout = options_.ping_timeout, .request_id = "", .tells_timeout = false},
        [this, strand = strand_, left, done](absl::StatusOr<varpulis::v1::PingResponse> answer) {
          strand->Post([this, left, done, answer = std::move(answer)] {
            if (answer.ok()) Handle(PingAnswered{*answer});
            if (--*left == 0) done();
          });
        });
  }
}

void Runtime::OnConnection(transport::ConnectionState state) {
  if (state == transport::ConnectionState::kLeaving) return Handle(BrokerInDoubt{});
  const bool connected = state == transport::ConnectionState::kConnected;
  if (connected == connected_) return;
  connected_ = connected;
  LOG(WARNING) << "coordinator " << options_.id << ": "
               << (connected ? "the broker is back" : "the connection to the broker is lost");
  if (connected) Handle(ConnectionRestored{});
}

// Without a lease this is how a coordinator learns of its successor before it writes anything.
absl::Status Runtime::ListenForLeaders() {
  ASSIGN_OR_RETURN(
      leader_notices_,
      deps_.bus.Subscribe(
          {.subject = policy_.subjects.Notice(kLeaderChangedNotice), .queue_group = ""},
          [this, strand = strand_](transport::InboundMessage message) {
            varpulis::v1::Notice notice;
            if (!notice.ParseFromArray(message.payload().data(),
                                       static_cast<int>(message.payload().size()))) {
              return;
            }
            strand->Post([this, notice = std::move(notice)] { OnLeaderNotice(notice); });
          }));
  return absl::OkStatus();
}

void Runtime::OnLeaderNotice(const varpulis::v1::Notice& notice) {
  if (notice.leader_epoch() <= leader_epoch_ || notice.subject_id() == options_.id) return;
  StandDown(
      absl::AbortedError(absl::StrCat("coordinator ", notice.subject_id(), " leads with epoch ",
                                      notice.leader_epoch(), ", ours was ", leader_epoch_.load())));
}

// A write may or may not have been stored: nobody is told that it was, and the state is read again.
void Runtime::LoseLog(const absl::Status& why) {
  LOG(ERROR) << "coordinator " << options_.id << " cannot store its state: " << why
             << "; changes are refused until it can";
  log_ = nullptr;
  pending_.Clear();
  lanes_.DropWaiting();
  replies_.FailAll(transport::MakeError(
      "not_ready", "the broker did not store the change; it may or may not take effect"));
  ReopenLog();
}

void Runtime::ReopenLog() {
  strand_->After(kReopenPause, [this] {
    if (stood_down_ || closing_) return;
    if (!connected_) return ReopenLog();
    OpenLog([this](absl::Status opened) {
      if (stood_down_ || closing_) return;
      if (absl::IsAborted(opened)) return StandDown(std::move(opened));
      if (!opened.ok()) {
        LOG(WARNING) << "coordinator " << options_.id << " cannot read its state yet: " << opened;
        return ReopenLog();
      }
      // What was read knows nothing of the trouble.
      Handle(BrokerInDoubt{});
      PingWorkers([] {});
    });
  });
}

void Runtime::StandDown(absl::Status why) {
  if (std::exchange(stood_down_, true)) return;
  LOG(WARNING) << "coordinator " << options_.id << " stands down: " << why;
  service_.reset();
  leader_notices_.reset();
  pending_.Clear();
  lanes_.DropWaiting();
  routing_.Clear();
  replies_.FailAll(transport::MakeError("not_leader", why.message()));
  FinishStart(why);
  if (deps_.on_stood_down) deps_.on_stood_down(std::move(why));
}

}  // namespace varpulis::coordinator
