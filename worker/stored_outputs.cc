#include "worker/stored_outputs.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"

#include "base/mutex.h"
#include "proto/event.pb.h"
#include "transport/message.h"
#include "worker/event_batch.h"
#include "worker/source_mark.h"

namespace varpulis::worker {
namespace {

using transport::EventStreams;
using varpulis::v1::EventBatch;

constexpr size_t kMostUnstoredBytes = 8 << 20;
constexpr size_t kBytesOfSource = 12;  // a position and a count for every event, at worst
constexpr absl::Duration kFirstRetry = absl::Milliseconds(20);
constexpr absl::Duration kLongestRetry = absl::Seconds(1);

absl::Status GivenUp() { return absl::CancelledError("the pipeline is being removed"); }

}  // namespace

class StoredOutputs::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Options options, Deps deps);

  void Open(std::function<void(absl::Status)> done) ABSL_LOCKS_EXCLUDED(mutex_);
  void Publish(std::vector<engine::EmittedEvent>* outputs, uint32_t hops, uint64_t position)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void WhenStored(std::function<void(absl::Status)> done) ABSL_LOCKS_EXCLUDED(mutex_);
  void GiveUp(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Message {
    EventBatch batch;
    size_t bytes = 0;
    uint64_t first_publish = 0;  // the number of the call that its oldest event comes from
  };
  struct Target {
    Subject subject;
    uint64_t last_sequence = 0;  // of the subject's last message; 0: it has none
    SourceMark made;             // by Publish
    SourceMark stored;
    std::deque<Message> waiting;  // the first is on its way, while `busy`
    std::string payload;          // of the first, once it has been sent
    bool busy = false;            // sent, being looked for, or to be tried again
    int attempts = 0;
  };
  struct Waiter {
    uint64_t publish = 0;
    std::function<void(absl::Status)> done;
  };
  using Last = absl::StatusOr<EventStreams::LastMessage>;
  // To be called in order once the lock is released: what is called may answer at once.
  using Calls = std::vector<std::function<void()>>;

  void AddAll(std::vector<engine::EmittedEvent>* outputs, uint32_t hops, uint64_t position,
              Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Add(Target& target, varpulis::v1::Event event, uint32_t hops, uint64_t position)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Send(size_t index, Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Sent(size_t index, const absl::StatusOr<EventStreams::Stored>& stored)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Advance(size_t index, Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Later(absl::Duration pause, size_t index, void (Core::*step)(size_t, Calls*));
  void LookAtLast(size_t index, Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Looked(size_t index, const Last& last) ABSL_LOCKS_EXCLUDED(mutex_);
  // False: somebody of a higher epoch has written.
  bool Learn(Target& target, const Last& last) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropStored(Target& target) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Runs `step` with the lock, and then what it wants called.
  template <typename Step>
  void Locked(Step step) ABSL_LOCKS_EXCLUDED(mutex_) {
    Calls calls;
    {
      MutexLock lock(mutex_);
      if (given_up_.ok()) step(&calls);
    }
    for (const auto& call : calls) call();
  }

  template <typename Method>
  auto Callback(size_t index, Method method) {
    return [weak = weak_from_this(), index, method](const auto& result) {
      if (const auto core = weak.lock(); core != nullptr) ((*core).*method)(index, result);
    };
  }

  const Options options_;
  const Deps deps_;
  EventRoutes routes_;  // on the runner's strand

  Mutex mutex_;
  CondVar room_;
  std::vector<Target> targets_ ABSL_GUARDED_BY(mutex_);  // by index of routes_, then the fallback
  size_t unstored_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t publishes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  absl::Status given_up_ ABSL_GUARDED_BY(mutex_);
};

StoredOutputs::Core::Core(Options options, Deps deps)
    : options_(std::move(options)), deps_(std::move(deps)), routes_(options_.routes) {
  MutexLock lock(mutex_);
  for (const std::string& subject : routes_.subjects()) {
    Target target;
    target.subject = {subject, options_.stream_of_route(subject)};
    targets_.push_back(std::move(target));
  }
  Target fallback;
  fallback.subject = options_.fallback;
  targets_.push_back(std::move(fallback));
}

// ---------------------------------------------------------------- what is there

void StoredOutputs::Core::Open(std::function<void(absl::Status)> done) {
  struct Opening {
    Mutex mutex;
    size_t left ABSL_GUARDED_BY(mutex) = 0;
    absl::Status failed ABSL_GUARDED_BY(mutex);
  };
  auto opening = std::make_shared<Opening>();
  std::vector<Subject> subjects;
  {
    MutexLock lock(mutex_);
    for (const Target& target : targets_) subjects.push_back(target.subject);
  }
  {
    MutexLock lock(opening->mutex);
    opening->left = subjects.size();
  }
  for (size_t i = 0; i < subjects.size(); ++i) {
    deps_.streams.Last(subjects[i].stream, subjects[i].subject,
                       [self = shared_from_this(), opening, i, done](const Last& last) {
                         absl::Status status = last.status();
                         // The stream of a pipeline that was never deployed holds nothing.
                         if (last.ok() || absl::IsNotFound(status)) {
                           MutexLock lock(self->mutex_);
                           status =
                               self->Learn(self->targets_[i], last)
                                   ? absl::OkStatus()
                                   : absl::AbortedError("a higher placement epoch has written");
                         }
                         {
                           MutexLock lock(opening->mutex);
                           opening->failed.Update(status);
                           if (--opening->left > 0) return;
                           status = opening->failed;
                         }
                         done(status);
                       });
  }
}

bool StoredOutputs::Core::Learn(Target& target, const Last& last) {
  target.last_sequence = 0;
  if (!last.ok()) return true;  // not even one, or none any more
  target.last_sequence = last->sequence;
  EventBatch batch;
  if (!batch.ParseFromString(last->payload) || !CheckSources(batch).ok() ||
      batch.source_positions().empty()) {
    LOG(ERROR) << "the last message on " << target.subject.subject
               << " is none of ours: who else publishes there?";
    return true;
  }
  if (batch.placement_epoch() > options_.placement_epoch) return false;
  target.stored = std::max(target.stored, EndOf(batch));
  return true;
}

// ---------------------------------------------------------------- publish

void StoredOutputs::Core::Publish(std::vector<engine::EmittedEvent>* outputs, uint32_t hops,
                                  uint64_t position) {
  Locked([&](Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (given_up_.ok() && unstored_bytes_ > kMostUnstoredBytes) room_.Wait(mutex_);
    if (given_up_.ok()) AddAll(outputs, hops, position, calls);
  });
}

void StoredOutputs::Core::AddAll(std::vector<engine::EmittedEvent>* outputs, uint32_t hops,
                                 uint64_t position, Calls* calls) {
  ++publishes_;
  for (engine::EmittedEvent& output : *outputs) {
    const std::vector<size_t>& matches = routes_.Match(output.event.event_type());
    if (matches.empty()) {
      Add(targets_.back(), std::move(output.event), hops, position);
      continue;
    }
    for (size_t i = 0; i + 1 < matches.size(); ++i) {
      Add(targets_[matches[i]], output.event, hops, position);
    }
    Add(targets_[matches.back()], std::move(output.event), hops, position);
  }
  for (size_t i = 0; i < targets_.size(); ++i) {
    if (!targets_[i].busy && !targets_[i].waiting.empty()) Send(i, calls);
  }
}

void StoredOutputs::Core::Add(Target& target, varpulis::v1::Event event, uint32_t hops,
                              uint64_t position) {
  if (target.made.position != position) target.made = {position, 0};
  const uint32_t index = target.made.count++;
  if (target.made <= target.stored) return;  // made again
  const size_t bytes = event.ByteSizeLong() + kBytesBesideEvent + kBytesOfSource;
  const bool fits = target.waiting.size() > (target.busy ? 1 : 0) &&
                    target.waiting.back().bytes + bytes <= MaxBatchBytes(deps_.bus) &&
                    target.waiting.back().batch.hops() == hops;
  if (!fits) {
    Message& message = target.waiting.emplace_back();
    message.first_publish = publishes_;
    message.batch.set_placement_epoch(options_.placement_epoch);
    message.batch.set_source_replica(options_.replica);
    message.batch.set_source(options_.writer);
    message.batch.set_hops(hops);
  }
  Message& message = target.waiting.back();
  *message.batch.add_events() = std::move(event);
  AddSource(position, index, &message.batch);
  message.bytes += bytes;
  unstored_bytes_ += bytes;
}

void StoredOutputs::Core::Send(size_t index, Calls* calls) {
  Target& target = targets_[index];
  target.busy = true;
  const EventBatch& batch = target.waiting.front().batch;
  if (target.payload.empty()) target.payload = batch.SerializeAsString();
  // Without a message id: of three nats-servers (2.9), one that refuses a message remembers its id
  // all the same, and calls the next attempt a duplicate of what is not there. The expected
  // sequence alone does not let anything in twice.
  transport::OutgoingMessage message{
      .subject = target.subject.subject, .payload = target.payload, .headers = {}, .reply_to = ""};
  message.headers.emplace_back(transport::kExpectedLastSubjectSequenceHeader,
                               absl::StrCat(target.last_sequence));
  calls->emplace_back([self = shared_from_this(), index, message = std::move(message)]() mutable {
    self->deps_.streams.Publish(std::move(message), self->Callback(index, &Core::Sent));
  });
}

void StoredOutputs::Core::Sent(size_t index, const absl::StatusOr<EventStreams::Stored>& stored) {
  Locked([&](Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Target& target = targets_[index];
    if (stored.ok()) {
      target.stored = EndOf(target.waiting.front().batch);
      target.last_sequence = stored->sequence;
      return Advance(index, calls);
    }
    // Our own earlier attempt, whose answer was lost, or another writer.
    if (absl::IsAborted(stored.status())) return LookAtLast(index, calls);
    LOG_EVERY_N(WARNING, 50) << options_.writer << ": outputs wait: " << stored.status().message();
    const int doublings = std::min(target.attempts++, 6);
    Later(std::min(kFirstRetry * (1 << doublings), kLongestRetry), index, &Core::Send);
  });
}

void StoredOutputs::Core::Later(absl::Duration pause, size_t index,
                                void (Core::*step)(size_t, Calls*)) {
  deps_.timers->After(pause, [weak = weak_from_this(), index, step] {
    const auto core = weak.lock();
    if (core == nullptr) return;
    core->Locked([&](Calls* calls) { ((*core).*step)(index, calls); });
  });
}

void StoredOutputs::Core::Advance(size_t index, Calls* calls) {
  Target& target = targets_[index];
  target.busy = false;
  target.attempts = 0;
  target.payload.clear();
  DropStored(target);
  if (!target.waiting.empty()) Send(index, calls);
  Settle(calls);
  room_.NotifyAll();
}

void StoredOutputs::Core::DropStored(Target& target) {
  while (!target.waiting.empty()) {
    Message& message = target.waiting.front();
    if (EndOf(message.batch) > target.stored) {
      (void)DropBefore(target.stored, &message.batch);
      return;
    }
    unstored_bytes_ -= message.bytes;
    target.waiting.pop_front();
  }
}

void StoredOutputs::Core::LookAtLast(size_t index, Calls* calls) {
  calls->emplace_back([self = shared_from_this(), index, subject = targets_[index].subject] {
    self->deps_.streams.Last(subject.stream, subject.subject, self->Callback(index, &Core::Looked));
  });
}

void StoredOutputs::Core::Looked(size_t index, const Last& last) {
  bool superseded = false;
  Locked([&](Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!last.ok() && !absl::IsNotFound(last.status())) {
      return Later(kFirstRetry, index, &Core::LookAtLast);
    }
    superseded = !Learn(targets_[index], last);
    if (!superseded) Advance(index, calls);
  });
  if (!superseded) return;
  LOG(WARNING) << options_.writer << ": another copy has taken over; this one, of epoch "
               << options_.placement_epoch << ", ends";
  GiveUp(absl::AbortedError("a copy of a higher placement epoch has taken over"));
  if (options_.on_superseded) options_.on_superseded();
}

// ---------------------------------------------------------------- who waits

void StoredOutputs::Core::Settle(Calls* calls) {
  uint64_t oldest = UINT64_MAX;
  for (const Target& target : targets_) {
    if (!target.waiting.empty()) oldest = std::min(oldest, target.waiting.front().first_publish);
  }
  std::erase_if(waiters_, [&](Waiter& waiter) {
    if (waiter.publish >= oldest) return false;
    calls->emplace_back([done = std::move(waiter.done)] { done(absl::OkStatus()); });
    return true;
  });
}

void StoredOutputs::Core::WhenStored(std::function<void(absl::Status)> done) {
  absl::Status given_up;
  {
    MutexLock lock(mutex_);
    given_up = given_up_;
    if (given_up.ok()) waiters_.push_back({publishes_, std::move(done)});
  }
  if (!given_up.ok()) return done(given_up);
  Locked([this](Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { Settle(calls); });
}

void StoredOutputs::Core::GiveUp(const absl::Status& why) {
  std::vector<Waiter> waiters;
  {
    MutexLock lock(mutex_);
    given_up_.Update(why);
    waiters.swap(waiters_);
    for (Target& target : targets_) target.waiting.clear();
    room_.NotifyAll();
  }
  for (const Waiter& waiter : waiters) waiter.done(why);
}

// ---------------------------------------------------------------- the front

void StoredOutputs::Open(Options options, Deps deps,
                         std::function<void(absl::StatusOr<std::unique_ptr<Outputs>>)> done) {
  auto core = std::make_shared<Core>(std::move(options), std::move(deps));
  core->Open([core, done = std::move(done)](const absl::Status& opened) {
    if (!opened.ok()) return done(opened);
    done(std::unique_ptr<Outputs>(new StoredOutputs(core)));
  });
}

StoredOutputs::~StoredOutputs() { core_->GiveUp(GivenUp()); }

uint64_t StoredOutputs::Publish(std::vector<engine::EmittedEvent>* outputs, uint32_t hops,
                                uint64_t position) {
  core_->Publish(outputs, hops, position);
  return 0;
}

void StoredOutputs::WhenStored(std::function<void(absl::Status)> done) {
  core_->WhenStored(std::move(done));
}

void StoredOutputs::Abandon() { core_->GiveUp(GivenUp()); }

}  // namespace varpulis::worker
