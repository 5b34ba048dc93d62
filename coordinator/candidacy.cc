#include "coordinator/candidacy.h"

#include <future>
#include <utility>

#include "absl/time/clock.h"
#include "glog/logging.h"

#include "coordinator/runtime.h"

namespace varpulis::coordinator {
namespace {

constexpr absl::Duration kSettleTimeout = absl::Seconds(20);
// Before it competes again: others get their chance, and an error that lasts is not repeated
// without end.
constexpr absl::Duration kPauseAfterResigning = absl::Milliseconds(500);
// Between attempts to open a log to follow.
constexpr absl::Duration kFollowAgain = absl::Seconds(1);

}  // namespace

Candidacy::Candidacy(CoordinatorOptions options, Coordinator::Deps deps,
                     std::unique_ptr<transport::KeyValue> bucket)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      retired_("coord-retired"),
      opener_("coord-opener"),
      strand_(std::make_shared<Strand>("candidacy")) {
  election_ = std::make_unique<Election>(Election::Deps{
      .bucket = std::move(bucket),
      .coordinator_id = options_.id,
      .clock = deps_.clock ? deps_.clock : BootTime,
      .on_elected =
          [this](std::shared_ptr<const Tenure> tenure) {
            strand_->Post(
                [this, tenure = std::move(tenure)]() mutable { BeginOffice(std::move(tenure)); });
          },
      .on_lost =
          [this](absl::Status why) {
            strand_->Post([this, why = std::move(why)] { EndOffice(why); });
          },
      .on_following =
          [this](std::string holder) {
            strand_->Post([this, holder = std::move(holder)] {
              LOG(INFO) << "coordinator " << options_.id << " follows coordinator " << holder;
              Follow();
              Settled(absl::OkStatus());
            });
          }});
}

Candidacy::~Candidacy() {
  // The last office ends under the lease, so that what is under way can be finished.
  std::promise<std::shared_ptr<Runtime>> last;
  strand_->Post([this, &last] {
    closing_ = true;
    ++office_;
    last.set_value(TakeRuntime());
  });
  last.get_future().get().reset();
  election_->Leave();
  election_.reset();
  opener_.Stop();
  strand_->Stop();
  retired_.Stop();
}

absl::Status Candidacy::Settle() {
  const absl::Time deadline = absl::Now() + kSettleTimeout;
  MutexLock lock(mutex_);
  while (!settled_.has_value()) {
    if (absl::Now() >= deadline) {
      return absl::UnavailableError("the broker lets no coordinator take the lead");
    }
    changed_.WaitFor(mutex_, deadline - absl::Now());
  }
  return *settled_;
}

void Candidacy::Settled(absl::Status status) {
  MutexLock lock(mutex_);
  if (!settled_.has_value()) settled_ = std::move(status);
  changed_.NotifyAll();
}

uint64_t Candidacy::leader_epoch() const {
  MutexLock lock(mutex_);
  return runtime_ == nullptr ? 0 : runtime_->leader_epoch();
}

std::shared_ptr<Runtime> Candidacy::TakeRuntime() {
  MutexLock lock(mutex_);
  return std::exchange(runtime_, nullptr);
}

void Candidacy::BeginOffice(std::shared_ptr<const Tenure> tenure) {
  if (closing_) return;
  const uint64_t office = ++office_;
  in_office_ = true;
  tenure_ = std::move(tenure);
  auto runtime = std::make_shared<Runtime>(
      options_,
      Coordinator::Deps{.bus = deps_.bus,
                        .open_log = deps_.open_log,
                        .on_stood_down =
                            [this, strand = strand_, office](absl::Status why) {
                              strand->Post([this, office, why = std::move(why)] {
                                OnStoodDown(office, why);
                              });
                            },
                        .checkpoints = deps_.checkpoints,
                        .streams = deps_.streams},
      tenure_, std::move(followed_));
  runtime->Start([this, strand = strand_, office](absl::Status status) {
    strand->Post([this, office, status = std::move(status)] { OnStarted(office, status); });
  });
  MutexLock lock(mutex_);
  runtime_ = std::move(runtime);
}

void Candidacy::EndOffice(const absl::Status& why) {
  ++office_;
  in_office_ = false;
  std::shared_ptr<Runtime> runtime = TakeRuntime();
  if (runtime == nullptr) return;
  runtime->Depose(why);
  retired_.Post([runtime = std::move(runtime)]() mutable { runtime.reset(); });
}

void Candidacy::Follow() {
  if (closing_ || in_office_ || opening_followed_ || followed_ != nullptr) return;
  opening_followed_ = true;
  opener_.Post([this] {
    auto log =
        std::make_shared<absl::StatusOr<std::unique_ptr<transport::RecordLog>>>(deps_.open_log());
    strand_->Post([this, log] { OnLogOpened(std::move(*log)); });
  });
}

void Candidacy::OnLogOpened(absl::StatusOr<std::unique_ptr<transport::RecordLog>> log) {
  opening_followed_ = false;
  if (closing_ || in_office_) return;
  if (!log.ok() || !(*log)->durable()) {  // the broker is on its way back
    strand_->After(kFollowAgain, [this] { Follow(); });
    return;
  }
  followed_ = *std::move(log);
  followed_->Follow();
}

void Candidacy::OnStarted(uint64_t office, const absl::Status& status) {
  if (office != office_) return;
  if (status.ok()) return Settled(status);
  LOG(WARNING) << "coordinator " << options_.id << " was elected and cannot lead: " << status;
  EndOffice(status);
  election_->Resign(tenure_, kPauseAfterResigning);
  // Another one may have been faster; everything else will not pass by itself.
  if (!absl::IsAborted(status)) Settled(status);
}

void Candidacy::OnStoodDown(uint64_t office, const absl::Status& why) {
  if (office != office_) return;
  EndOffice(why);
  election_->Resign(tenure_, kPauseAfterResigning);
}

}  // namespace varpulis::coordinator
