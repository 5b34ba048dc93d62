#include "worker/stored_outputs.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"

#include "base/mutex.h"
#include "engine/runtime/batch_codec.h"
#include "engine/runtime/columns.h"
#include "engine/runtime/columns_writer.h"
#include "proto/event.pb.h"
#include "transport/message.h"
#include "worker/event_batch.h"
#include "worker/source_mark.h"

namespace varpulis::worker {
namespace {

using transport::EventStreams;
using varpulis::v1::EventBatch;

constexpr size_t kMostUnstoredBytes = 8 << 20;
// From here on a larger batch is no faster.
constexpr size_t kGoodBatchBytes = 256 << 10;
// Outputs that the broker has acknowledged are kept so long, for the case that it loses them.
constexpr size_t kMostKeptBytes = 4 << 20;
constexpr absl::Duration kKeptFor = absl::Seconds(30);
constexpr size_t kBytesOfSource = 12;  // a position and a count for every event, at worst
constexpr absl::Duration kFirstRetry = absl::Milliseconds(20);
constexpr absl::Duration kLongestRetry = absl::Seconds(1);

absl::Status GivenUp() { return absl::CancelledError("the pipeline is being removed"); }

}  // namespace

class StoredOutputs::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Options options, Deps deps);

  void Open(std::function<void(absl::Status)> done) ABSL_LOCKS_EXCLUDED(mutex_);
  void BeginInput(uint32_t hops, uint64_t position) ABSL_LOCKS_EXCLUDED(mutex_);
  void Add(const engine::OutputEvent& output) ABSL_LOCKS_EXCLUDED(mutex_);
  void Flush() ABSL_LOCKS_EXCLUDED(mutex_);
  bool empty() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t TakeLost() ABSL_LOCKS_EXCLUDED(mutex_);
  void WhenStored(std::function<void(absl::Status)> done) ABSL_LOCKS_EXCLUDED(mutex_);
  void GiveUp(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Message {
    EventBatch batch;  // its rows and its account; with `columns`, these are not in it yet
    std::unique_ptr<engine::ColumnsWriter> columns;
    size_t bytes = 0;
    uint64_t first_input = 0;  // the number of the oldest input that it has outputs of
  };
  struct Kept {
    std::string payload;
    SourceMark end;
    std::chrono::steady_clock::time_point stored_at;
  };
  struct Target {
    Subject subject;
    bool columns = false;        // wanted
    uint64_t last_sequence = 0;  // of the subject's last message; 0: it has none
    SourceMark made;
    SourceMark stored;
    std::deque<Message> waiting;  // the first is on its way, while `busy`
    std::string payload;          // of the first, once it has been sent
    bool busy = false;            // sent, being looked for, or to be tried again
    int attempts = 0;
    std::deque<Kept> kept;
    size_t kept_bytes = 0;
  };
  struct Waiter {
    uint64_t input = 0;
    std::function<void(absl::Status)> done;
  };
  using Last = absl::StatusOr<EventStreams::LastMessage>;
  // To be called in order once the lock is released: what is called may answer at once.
  using Calls = std::vector<std::function<void()>>;

  void AddTo(Target& target, const engine::OutputEvent& output)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddRow(Target& target, uint32_t index, varpulis::v1::Event* row)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The message that takes the next output: the last one unless it has more than `limit` bytes.
  Message& Open(Target& target, size_t limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutLast(Target& target, uint32_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void TakeRows(Message& message);
  static std::string Encode(Message& message);
  void Send(size_t index, Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Sent(size_t index, const absl::StatusOr<EventStreams::Stored>& stored)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Advance(size_t index, Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Later(absl::Duration pause, size_t index, void (Core::*step)(size_t, Calls*));
  void LookAtLast(size_t index, Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Looked(size_t index, const Last& last) ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes over how far the subject is, never back; `*there`, if wanted, is as the broker says.
  // False: somebody of a higher epoch has written.
  bool Learn(Target& target, const Last& last, SourceMark* there = nullptr)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropStored(Target& target) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Keep(Target& target);
  static void ForgetOld(Target& target);
  // The broker has lost what is beyond `there`.
  void TakeBack(Target& target, const SourceMark& there) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
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

  mutable Mutex mutex_;
  CondVar room_;
  std::deque<Target> targets_ ABSL_GUARDED_BY(mutex_);  // by index of routes_, then the fallback
  size_t unstored_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t inputs_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t position_ ABSL_GUARDED_BY(mutex_) = 0;  // of the input that has come last
  uint32_t hops_ ABSL_GUARDED_BY(mutex_) = 0;      // likewise
  bool collected_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t lost_ ABSL_GUARDED_BY(mutex_) = 0;
  varpulis::v1::Event row_ ABSL_GUARDED_BY(mutex_);
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  absl::Status given_up_ ABSL_GUARDED_BY(mutex_);
};

StoredOutputs::Core::Core(Options options, Deps deps)
    : options_(std::move(options)), deps_(std::move(deps)), routes_(options_.routes) {
  MutexLock lock(mutex_);
  for (const std::string& subject : routes_.subjects()) {
    Target target;
    target.subject = {subject, options_.stream_of_route(subject)};
    target.columns = std::any_of(
        options_.routes.begin(), options_.routes.end(),
        [&](const EventRoute& route) { return route.columns && route.subject == subject; });
    targets_.push_back(std::move(target));
  }
  Target fallback;
  fallback.subject = options_.fallback;
  fallback.columns = options_.fallback_columns;
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

bool StoredOutputs::Core::Learn(Target& target, const Last& last, SourceMark* there) {
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
  if (there != nullptr) *there = EndOf(batch);
  target.stored = std::max(target.stored, EndOf(batch));
  return true;
}

// ---------------------------------------------------------------- publish

void StoredOutputs::Core::BeginInput(uint32_t hops, uint64_t position) {
  MutexLock lock(mutex_);
  while (given_up_.ok() && unstored_bytes_ > kMostUnstoredBytes) room_.Wait(mutex_);
  ++inputs_;
  hops_ = hops;
  position_ = position;
}

void StoredOutputs::Core::Add(const engine::OutputEvent& output) {
  const std::vector<size_t>& matches =
      routes_.Match({output.event_type.data(), output.event_type.size()});
  MutexLock lock(mutex_);
  if (!given_up_.ok()) return;
  collected_ = true;
  for (const size_t match : matches) AddTo(targets_[match], output);
  if (matches.empty()) AddTo(targets_.back(), output);
}

void StoredOutputs::Core::AddTo(Target& target, const engine::OutputEvent& output) {
  if (target.made.position != position_) target.made = {position_, 0};
  const uint32_t index = target.made.count++;
  if (target.made <= target.stored) return;  // made again
  const size_t limit = MaxBatchBytes(deps_.bus);
  if (!target.columns) {
    engine::OutputToProto(output, &row_);
    return AddRow(target, index, &row_);
  }
  Message& message = Open(target, std::min(kGoodBatchBytes, limit / 2));
  if (message.columns == nullptr) message.columns = std::make_unique<engine::ColumnsWriter>();
  message.columns->Add(output);
  AddSource(position_, index, &message.batch);
  const size_t bytes = message.columns->bytes() + kBytesOfSource * message.columns->events();
  unstored_bytes_ += bytes - message.bytes;
  message.bytes = bytes;
  if (bytes > limit || message.columns->text_bytes() > engine::kMaxColumnText) {
    CutLast(target, index);
  }
}

// Empties `*row`.
void StoredOutputs::Core::AddRow(Target& target, uint32_t index, varpulis::v1::Event* row) {
  const size_t limit = MaxBatchBytes(deps_.bus);
  const size_t bytes = row->ByteSizeLong() + kBytesBesideEvent + kBytesOfSource;
  if (bytes > limit) {  // the broker would never take it
    ++lost_;
    LOG_EVERY_N(ERROR, 100) << options_.writer << ": an output of " << bytes
                            << " bytes is larger than the broker's max_payload, and lost";
    row->Clear();
    return;
  }
  Message& message = Open(target, limit - bytes);
  message.batch.add_events()->Swap(row);  // which leaves `*row` empty
  AddSource(position_, index, &message.batch);
  message.bytes += bytes;
  unstored_bytes_ += bytes;
}

StoredOutputs::Core::Message& StoredOutputs::Core::Open(Target& target, size_t limit) {
  if (target.waiting.size() > (target.busy ? 1 : 0)) {
    Message& last = target.waiting.back();
    const bool alike = (last.columns != nullptr) == target.columns;
    if (alike && last.bytes <= limit && last.batch.hops() == hops_) return last;
  }
  Message& message = target.waiting.emplace_back();
  message.first_input = inputs_;
  message.batch.set_placement_epoch(options_.placement_epoch);
  message.batch.set_source_replica(options_.replica);
  message.batch.set_source(options_.writer);
  message.batch.set_hops(hops_);
  return message;
}

// The last output, a large one, leaves the columns, which go as rows, and has a message of its own.
void StoredOutputs::Core::CutLast(Target& target, uint32_t index) {
  Message& message = target.waiting.back();
  TakeRows(message);
  auto& rows = *message.batch.mutable_events();
  varpulis::v1::Event last;
  last.Swap(rows.Mutable(rows.size() - 1));
  rows.RemoveLast();
  RemoveLastSource(&message.batch);
  unstored_bytes_ -= message.bytes;
  message.bytes = MaxBatchBytes(deps_.bus);  // takes no more
  unstored_bytes_ += message.bytes;
  if (rows.empty()) {
    unstored_bytes_ -= message.bytes;
    target.waiting.pop_back();
  }
  AddRow(target, index, &last);
}

void StoredOutputs::Core::TakeRows(Message& message) {
  if (message.columns == nullptr) return;
  engine::ColumnsToRows(message.columns->Finish(), message.batch.mutable_events());
  message.columns.reset();
}

std::string StoredOutputs::Core::Encode(Message& message) {
  if (message.columns != nullptr && message.columns->events() == 1) TakeRows(message);
  if (message.columns == nullptr) return message.batch.SerializeAsString();
  // Lent: neither copied nor freed.
  message.batch.unsafe_arena_set_allocated_columns(&message.columns->Finish());
  std::string payload = message.batch.SerializeAsString();
  message.batch.unsafe_arena_release_columns();
  return payload;
}

void StoredOutputs::Core::Flush() {
  Locked([this](Calls* calls) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    collected_ = false;
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (!targets_[i].busy && !targets_[i].waiting.empty()) Send(i, calls);
    }
  });
}

bool StoredOutputs::Core::empty() const {
  MutexLock lock(mutex_);
  return !collected_;
}

uint64_t StoredOutputs::Core::TakeLost() {
  MutexLock lock(mutex_);
  return std::exchange(lost_, 0);
}

void StoredOutputs::Core::Send(size_t index, Calls* calls) {
  Target& target = targets_[index];
  target.busy = true;
  if (target.payload.empty()) target.payload = Encode(target.waiting.front());
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
      Keep(target);
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
      if (BeginsBefore(target.stored, message.batch)) {
        TakeRows(message);
        (void)DropBefore(target.stored, &message.batch);
      }
      return;
    }
    unstored_bytes_ -= message.bytes;
    target.waiting.pop_front();
  }
}

void StoredOutputs::Core::Keep(Target& target) {
  target.kept_bytes += target.payload.size();
  target.kept.push_back(
      {std::move(target.payload), target.stored, std::chrono::steady_clock::now()});
  ForgetOld(target);
}

void StoredOutputs::Core::ForgetOld(Target& target) {
  const auto old = std::chrono::steady_clock::now() - absl::ToChronoNanoseconds(kKeptFor);
  while (!target.kept.empty() &&
         (target.kept_bytes > kMostKeptBytes || target.kept.front().stored_at < old)) {
    target.kept_bytes -= target.kept.front().payload.size();
    target.kept.pop_front();
  }
}

void StoredOutputs::Core::TakeBack(Target& target, const SourceMark& there) {
  size_t again = 0;
  while (!target.kept.empty() && target.kept.back().end > there) {
    Kept& kept = target.kept.back();
    Message& message = target.waiting.emplace_front();
    (void)message.batch.ParseFromString(kept.payload);  // ours
    message.bytes = kept.payload.size();
    unstored_bytes_ += message.bytes;
    target.kept_bytes -= kept.payload.size();
    target.kept.pop_back();
    ++again;
  }
  target.stored = there;
  LOG(ERROR) << options_.writer << ": the broker has lost outputs on " << target.subject.subject
             << " that it had acknowledged; " << again << " messages are stored again"
             << (target.kept.empty() ? ", older ones may be missing" : "");
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
    Target& target = targets_[index];
    SourceMark there = target.stored;
    superseded = !Learn(target, last, &there);
    if (superseded) return;
    // Where there is none any more, they may have been trimmed; but never before older ones.
    if (last.ok() && there < target.stored) TakeBack(target, there);
    Advance(index, calls);
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
    if (!target.waiting.empty()) oldest = std::min(oldest, target.waiting.front().first_input);
  }
  std::erase_if(waiters_, [&](Waiter& waiter) {
    if (waiter.input >= oldest) return false;
    calls->emplace_back([done = std::move(waiter.done)] { done(absl::OkStatus()); });
    return true;
  });
}

void StoredOutputs::Core::WhenStored(std::function<void(absl::Status)> done) {
  absl::Status given_up;
  {
    MutexLock lock(mutex_);
    given_up = given_up_;
    for (Target& target : targets_) ForgetOld(target);
    if (given_up.ok()) waiters_.push_back({inputs_, std::move(done)});
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

void StoredOutputs::BeginInput(uint32_t hops, uint64_t position) {
  core_->BeginInput(hops, position);
}
void StoredOutputs::Add(const engine::OutputEvent& output) { core_->Add(output); }
void StoredOutputs::Flush() { core_->Flush(); }
bool StoredOutputs::empty() const { return core_->empty(); }
uint64_t StoredOutputs::TakeLost() { return core_->TakeLost(); }

void StoredOutputs::WhenStored(std::function<void(absl::Status)> done) {
  core_->WhenStored(std::move(done));
}

void StoredOutputs::Abandon() { core_->GiveUp(GivenUp()); }

}  // namespace varpulis::worker
