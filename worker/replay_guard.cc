#include "worker/replay_guard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "transport/message.h"

namespace varpulis::worker {
namespace {

using transport::EventStreams;
using transport::OutgoingMessage;
using transport::StoredMessage;

constexpr absl::Duration kPause = absl::Milliseconds(50);
constexpr char kPositionHeader[] = "Varpulis-Input";
constexpr char kSubjectHeader[] = "Varpulis-Subject";

}  // namespace

bool ExclusiveTurn::TryBegin(absl::Duration patience) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(patience);
  MutexLock lock(mutex_);
  while (taken_ && free_.WaitUntil(mutex_, deadline)) {
  }
  if (taken_) return false;
  taken_ = true;
  return true;
}

void ExclusiveTurn::End() {
  MutexLock lock(mutex_);
  taken_ = false;
  free_.NotifyOne();
}

struct ReplayGuard::Waiting {
  bool over = false;  // guarded by the guard's mutex_
  absl::Status status;
};

ReplayGuard::ReplayGuard(Options options, Deps deps, ReplayPlan plan)
    : options_(std::move(options)), deps_(std::move(deps)), plan_(std::move(plan)) {}

bool ReplayGuard::stopped() const {
  MutexLock lock(mutex_);
  return stopped_;
}

void ReplayGuard::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  changed_.NotifyAll();
}

// False: stopped meanwhile.
bool ReplayGuard::Wait(absl::Duration pause) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(pause);
  MutexLock lock(mutex_);
  while (!stopped_ && changed_.WaitUntil(mutex_, deadline)) {
  }
  return !stopped_;
}

// ---------------------------------------------------------------- turns

bool ReplayGuard::Before(const StoredMessage& input, PipelineRunner& runner) {
  if (over_ || input.sequence > plan_.end()) return true;
  if (plan_.IsPoison(input.sequence)) {
    StoreDeadLetter(input);
    return false;
  }
  if (const auto turn = plan_.Enter(input.sequence); turn.has_value()) Begin(*turn, runner);
  return true;
}

void ReplayGuard::After(uint64_t position, PipelineRunner& runner) {
  if (over_) return;
  if (exclusive_until_ != 0 && position >= exclusive_until_) End(runner);
  if (position < plan_.end()) return;
  over_ = true;
  if (!std::exchange(marked_, false)) return;
  // Once it has all been done; should the copy die before that, the mark stays as it is.
  const auto over = [self = shared_from_this(), mark = plan_.Over()] { self->Publish(mark); };
  runner.Post([over](auto&) { over(); }, [over](const auto&) { over(); });
}

void ReplayGuard::Begin(const ReplayPlan::Turn& turn, PipelineRunner& runner) {
  // What came before is not to be found under this turn's mark.
  if (!WaitUntilUnheld(runner) || !WaitUntilDone(runner)) return;
  if (turn.exclusive) {
    while (!deps_.turn->TryBegin(kPause)) {
      if (stopped()) return;
    }
    exclusive_until_ = turn.last;
  }
  marked_ = true;
  (void)Store(MessageOf(plan_.Begun(turn)));
}

void ReplayGuard::End(PipelineRunner& runner) {
  (void)WaitUntilDone(runner);
  Close();
}

void ReplayGuard::Close() {
  // On its way before any other copy's mark, to the same stream over the same connection.
  if (std::exchange(marked_, false)) Publish(plan_.Over());
  if (std::exchange(exclusive_until_, 0) != 0) deps_.turn->End();
}

bool ReplayGuard::WaitUntilUnheld(PipelineRunner& runner) {
  while (runner.held()) {
    if (!Wait(kPause)) return false;
  }
  return !stopped();
}

bool ReplayGuard::WaitUntilDone(PipelineRunner& runner) {
  auto waiting = std::make_shared<Waiting>();
  const auto signal = [self = shared_from_this(), waiting] {
    MutexLock lock(self->mutex_);
    waiting->over = true;
    self->changed_.NotifyAll();
  };
  if (!runner.Post([signal](auto&) { signal(); }, [signal](const auto&) { signal(); })) {
    return false;
  }
  MutexLock lock(mutex_);
  while (!waiting->over && !stopped_) changed_.Wait(mutex_);
  return !stopped_;
}

// ---------------------------------------------------------------- the broker

OutgoingMessage ReplayGuard::MessageOf(const ReplayPlan::Mark& mark) const {
  return {.subject = options_.mark_subject,
          .payload = mark.SerializeAsString(),
          .headers = {},
          .reply_to = ""};
}

void ReplayGuard::Publish(const ReplayPlan::Mark& mark) {
  deps_.streams.Publish(MessageOf(mark), [copy = options_.copy](const auto& stored) {
    LOG_IF(WARNING, !stored.ok()) << copy << ": how far it has recovered is not stored: "
                                  << stored.status().message();
  });
}

bool ReplayGuard::Store(const OutgoingMessage& message, const std::function<void()>& prepare) {
  while (!stopped()) {
    if (prepare) prepare();
    auto waiting = std::make_shared<Waiting>();
    deps_.streams.Publish(message, [self = shared_from_this(), waiting](const auto& stored) {
      MutexLock lock(self->mutex_);
      waiting->over = true;
      waiting->status = stored.status();
      self->changed_.NotifyAll();
    });
    {
      MutexLock lock(mutex_);
      while (!waiting->over && !stopped_) changed_.Wait(mutex_);
      if (waiting->over && waiting->status.ok()) return true;
      if (stopped_) return false;
      LOG_EVERY_N(WARNING, 50) << options_.copy
                               << ": recovery waits: " << waiting->status.message();
    }
    if (!Wait(kPause)) return false;
  }
  return false;
}

void ReplayGuard::StoreDeadLetter(const StoredMessage& input) {
  LOG(ERROR) << options_.copy << ": input " << input.sequence << " from " << input.message.subject()
             << " crashed its workers; it goes to the stream " << options_.dead_letters.name
             << ", and the pipeline on without it";
  OutgoingMessage letter{
      .subject = options_.dead_letter_subject,
      .payload = std::string(input.message.payload()),
      .headers = {{kPositionHeader, absl::StrCat(input.sequence)},
                  {kSubjectHeader, std::string(input.message.subject())},
                  {transport::kMessageIdHeader, absl::StrCat(options_.copy, ":", input.sequence)}},
      .reply_to = ""};
  if (auto type = input.message.Header(transport::kContentTypeHeader); type.has_value()) {
    letter.headers.emplace_back(transport::kContentTypeHeader, *std::move(type));
  }
  // The attempt waits in vain while the stream is being made, and the next one does not.
  (void)Store(letter, [this] {
    deps_.streams.Ensure(options_.dead_letters, [](const auto& range) {
      LOG_IF(WARNING, !range.ok()) << "no stream of dead letters: " << range.status().message();
    });
  });
}

}  // namespace varpulis::worker
