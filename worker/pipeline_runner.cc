#include "worker/pipeline_runner.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"

#include "engine/runtime/batch_codec.h"
#include "transport/error_reply.h"
#include "worker/event_batch.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::Event;
using varpulis::v1::EventBatch;
using varpulis::v1::WorkerInjectBatchResponse;
using varpulis::v1::WorkerInjectResponse;

constexpr size_t kMaxReturnedOutputs = 1000;

absl::Status Gone() {
  return transport::MakeError("worker_unavailable", "pipeline is being removed");
}

void LogText(const std::string& pipeline, engine::TextLevel level, std::string_view text) {
  const absl::string_view shown(text.data(), text.size());
  switch (level) {
    case engine::TextLevel::kTrace:
    case engine::TextLevel::kDebug:
      VLOG(1) << pipeline << ": " << shown;
      break;
    case engine::TextLevel::kWarning:
      LOG(WARNING) << pipeline << ": " << shown;
      break;
    case engine::TextLevel::kError:
      LOG_EVERY_N(ERROR, 1000) << pipeline << ": " << shown;
      break;
    case engine::TextLevel::kInfo:
    case engine::TextLevel::kPrint:
      LOG(INFO) << pipeline << ": " << shown;
      break;
  }
}

}  // namespace

// Takes what the engine emits to the router, and the first of it into the answer to whoever waits.
class PipelineRunner::Sink final : public engine::OutputSink {
 public:
  using Returned = google::protobuf::RepeatedPtrField<Event>;

  explicit Sink(PipelineRunner& runner, Returned* returned = nullptr)
      : runner_(runner), returned_(returned) {}

  void OnOutput(const engine::OutputEvent& event) override {
    ++count_;
    runner_.outputs_->Add(event);
    if (returned_ == nullptr || static_cast<size_t>(returned_->size()) >= kMaxReturnedOutputs) {
      return;
    }
    engine::OutputToProto(event, returned_->Add());
  }
  void OnText(engine::TextLevel level, std::string_view text) override {
    LogText(runner_.options_.name, level, text);
  }
  // Once, when all has been emitted: adds to the counters and returns how many there were.
  uint64_t Settle() {
    runner_.events_out_ += count_;
    runner_.totals_.events_out += count_;
    return count_;
  }

 private:
  PipelineRunner& runner_;
  Returned* const returned_;
  uint64_t count_ = 0;
};

PipelineRunner::PipelineRunner(Options options, EnginePtr engine, std::unique_ptr<Outputs> outputs,
                               WorkerCounters& totals)
    : options_(std::move(options)),
      totals_(totals),
      engine_(std::move(engine)),
      outputs_(std::move(outputs)),
      holds_(options_.paused ? static_cast<uint8_t>(Hold::kPaused) : 0),
      strand_(options_.name) {
  strand_.Post([this] { ArmTimer(); });
}

PipelineRunner::~PipelineRunner() {
  Close([] {});
  Join();
}

// ---------------------------------------------------------------- the queue

bool PipelineRunner::HasRoom(uint64_t events) const {
  return in_flight_ == 0 || in_flight_ + events <= options_.max_in_flight_events;
}

void PipelineRunner::Enqueue(Item item) {
  in_flight_ += item.events;
  max_in_flight_seen_ = std::max(max_in_flight_seen_, in_flight_);
  queue_.push_back(std::move(item));
  strand_.Post([this] { RunNext(); });
}

bool PipelineRunner::WaitAndEnqueue(Item item) {
  MutexLock lock(mutex_);
  while (!closed_ && !refuses_input_ && !HasRoom(item.events)) room_.Wait(mutex_);
  if (closed_ || refuses_input_) return false;
  Enqueue(std::move(item));
  return true;
}

bool PipelineRunner::Push(std::shared_ptr<const EventBatch> batch) {
  const uint64_t events = CountEvents(*batch);
  const bool taken =
      WaitAndEnqueue({.events = events,
                      .run = [this, batch = std::move(batch)] { ProcessBatch(*batch); },
                      .refuse = [this, events](const absl::Status&) { dropped_ += events; }});
  if (!taken) dropped_ += events;
  return taken;
}

bool PipelineRunner::PushStored(StoredInput input) {
  const uint64_t events = input.batch == nullptr ? 0 : CountEvents(*input.batch);
  return WaitAndEnqueue({.events = events,
                         .run = [this, input = std::move(input)] { ProcessStored(input); },
                         .refuse = {}});
}

absl::Status PipelineRunner::Admit(Item item) {
  MutexLock lock(mutex_);
  if (closed_) return Gone();
  if (Held()) return transport::MakeError("worker_unavailable", "pipeline is paused");
  if (!HasRoom(item.events)) {
    return transport::MakeError("rate_limited", "the pipeline's input queue is full");
  }
  Enqueue(std::move(item));
  return absl::OkStatus();
}

void PipelineRunner::Inject(Event event, std::string event_id, const InjectDone& done) {
  auto shared = std::make_shared<Event>(std::move(event));
  const absl::Status admitted = Admit({.events = 1,
                                       .run = [this, shared, event_id = std::move(event_id),
                                               done] { done(ProcessInject(*shared, event_id)); },
                                       .refuse = done});
  if (!admitted.ok()) done(admitted);
}

void PipelineRunner::InjectBatch(EventBatch batch, std::vector<uint32_t> index_of,
                                 const InjectBatchDone& done) {
  auto shared = std::make_shared<EventBatch>(std::move(batch));
  const absl::Status admitted =
      Admit({.events = static_cast<uint64_t>(shared->events_size()),
             .run = [this, shared, index_of = std::move(index_of),
                     done] { done(ProcessInjectBatch(*shared, index_of)); },
             .refuse = done});
  if (!admitted.ok()) done(admitted);
}

bool PipelineRunner::Post(std::function<void(EnginePtr&)> task,
                          std::function<void(const absl::Status&)> refuse) {
  MutexLock lock(mutex_);
  if (closed_) return false;
  auto run = [this, task = std::move(task)] {
    Publish();  // what a task sees has been published
    task(engine_);
    ArmTimer();  // the engine may be a new one
  };
  if (Held()) {
    strand_.Post(std::move(run));
  } else {
    Enqueue({.events = 0, .run = std::move(run), .refuse = std::move(refuse)});
  }
  return true;
}

bool PipelineRunner::MayProcess() {
  if (!options_.may_process || options_.may_process()) return true;
  SetHold(Hold::kCutOff, true);
  return false;
}

void PipelineRunner::RunNext() {
  Item item;
  if (!TakeNext(&item)) return Publish();  // nothing comes that it could wait for
  item.run();
  bool more_waits = false;
  {
    MutexLock lock(mutex_);
    in_flight_ -= item.events;
    room_.NotifyAll();
    more_waits = !queue_.empty();
  }
  PublishWhenDue(more_waits);
}

bool PipelineRunner::TakeNext(Item* item) {
  if (!MayProcess()) return false;
  MutexLock lock(mutex_);
  if (Held() || queue_.empty()) return false;
  *item = std::move(queue_.front());
  queue_.pop_front();
  return true;
}

void PipelineRunner::SetHold(Hold reason, bool on) {
  MutexLock lock(mutex_);
  const bool was_held = Held();
  if (on) {
    holds_ |= static_cast<uint8_t>(reason);
  } else {
    holds_ &= static_cast<uint8_t>(~static_cast<uint8_t>(reason));
  }
  if (!was_held || Held()) return;
  // What came meanwhile has had its turn and was held.
  for (size_t i = 0; i < queue_.size(); ++i) strand_.Post([this] { RunNext(); });
}

bool PipelineRunner::held(Hold reason) const {
  MutexLock lock(mutex_);
  return (holds_ & static_cast<uint8_t>(reason)) != 0;
}

bool PipelineRunner::held() const {
  MutexLock lock(mutex_);
  return Held();
}

void PipelineRunner::RefuseInput() {
  {
    MutexLock lock(mutex_);
    refuses_input_ = true;
    room_.NotifyAll();
  }
  Abandon();
}

void PipelineRunner::Close(std::function<void()> drained) {
  bool refuse_held = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    refuse_held = Held();
    room_.NotifyAll();
  }
  if (refuse_held) Abandon();
  strand_.Post(std::move(drained));
}

void PipelineRunner::Abandon() {
  if (options_.stored.has_value()) outputs_->Abandon();
  std::deque<Item> refused;
  {
    MutexLock lock(mutex_);
    refused.swap(queue_);
    for (const Item& item : refused) in_flight_ -= item.events;
    room_.NotifyAll();
  }
  for (const Item& item : refused) {
    if (item.refuse) item.refuse(Gone());
  }
}

void PipelineRunner::Join() { strand_.Stop(); }

// ---------------------------------------------------------------- on the strand

void PipelineRunner::ArmTimer() {
  if (timer_ != 0) strand_.Cancel(timer_);
  timer_ = 0;
  if (engine_ == nullptr) return;
  const int64_t due = engine_->next_timer_ns();
  if (due == INT64_MAX) return;
  const int64_t now = absl::GetCurrentTimeNanos();
  timer_ = strand_.After(absl::Nanoseconds(due > now ? due - now : 0), [this] { OnTimer(); });
}

void PipelineRunner::OnTimer() {
  timer_ = 0;
  if (!MayProcess() || held()) {  // what is due then comes after the pause
    constexpr absl::Duration kLookAgain = absl::Milliseconds(100);
    timer_ = strand_.After(kLookAgain, [this] { OnTimer(); });
    return;
  }
  if (options_.stored.has_value()) {  // time is input there, and comes back as such
    options_.stored->publish_tick();
    constexpr absl::Duration kLost = absl::Seconds(1);
    timer_ = strand_.After(kLost, [this] { OnTimer(); });
    return;
  }
  AdvanceTo(absl::GetCurrentTimeNanos());
}

void PipelineRunner::AdvanceTo(int64_t now_ns) {
  BeginInput(1);
  Sink sink(*this);
  engine_->AdvanceTo(now_ns, sink);
  sink.Settle();
  Publish();
  ArmTimer();
}

void PipelineRunner::CountIn(uint64_t events) {
  events_in_ += events;
  totals_.events_in += events;
}

void PipelineRunner::Publish() {
  outputs_->Flush();
  dropped_ += outputs_->TakeLost();
  collecting_ = false;
}

void PipelineRunner::PublishWhenDue(bool more_waits) {
  if (!more_waits || options_.batch_linger == absl::ZeroDuration()) return Publish();
  if (outputs_->empty()) return;
  const auto now = std::chrono::steady_clock::now();
  if (!std::exchange(collecting_, true)) collecting_since_ = now;
  if (now - collecting_since_ >= absl::ToChronoNanoseconds(options_.batch_linger)) Publish();
}

absl::Status PipelineRunner::Process(const Event& event, Sink& sink) {
  absl::Status pushed = engine_->Push(event, sink);
  if (pushed.ok()) {
    CountIn(1);
  } else {
    ++dropped_;
  }
  return pushed;
}

void PipelineRunner::ProcessBatch(const EventBatch& batch) {
  BeginInput(batch.hops() + 1);
  Sink sink(*this);
  uint64_t refused = 0;
  absl::Status why;
  for (const Event& event : batch.events()) {
    absl::Status pushed = Process(event, sink);
    if (!pushed.ok() && refused++ == 0) why = std::move(pushed);
  }
  if (batch.has_columns()) {
    const engine::Pipeline::Refused of_columns = engine_->PushColumns(batch.columns(), sink);
    refused = of_columns.events;
    why = of_columns.why;
    CountIn(CountEvents(batch) - refused);
    dropped_ += refused;
  }
  sink.Settle();
  if (refused > 0) {
    LOG_EVERY_N(WARNING, 1000) << options_.name << " refused " << refused << " events: " << why;
  }
}

void PipelineRunner::ProcessStored(const StoredInput& input) {
  const Stored& stored = *options_.stored;
  if (input.position <= progress_.position()) {
    LOG_EVERY_N(ERROR, 1000) << options_.name << ": input " << input.position << " comes after "
                             << progress_.position() << ": its stream has been made again";
    return;
  }
  if (input.batch == nullptr) {
    progress_.Tick(input.position);
    AdvanceTo(input.stored_at_ns);
  } else {
    dropped_ +=
        progress_.Take(stored.placement, input.position, input.stored_at_ns, input.batch.get());
    if (stored.waiters->Knows(input.inject_id)) {
      std::vector<uint32_t> indices(input.batch->events_size());
      std::iota(indices.begin(), indices.end(), 0);
      stored.waiters->Processed(input.inject_id, ProcessInjectBatch(*input.batch, indices));
    } else {
      ProcessBatch(*input.batch);
    }
  }
  position_ = input.position;
}

absl::StatusOr<WorkerInjectResponse> PipelineRunner::ProcessInject(const Event& event,
                                                                   const std::string& event_id) {
  if (!event_id.empty()) {
    if (const WorkerInjectResponse* answer = answered_.Find(event_id)) return *answer;
  }
  WorkerInjectResponse response;
  BeginInput(1);
  Sink sink(*this, response.mutable_output_events());
  if (const absl::Status pushed = Process(event, sink); !pushed.ok()) {
    return transport::MakeError("invalid_request", pushed.message());
  }
  response.set_accepted(true);
  const uint64_t count = sink.Settle();
  if (count > static_cast<uint64_t>(response.output_events_size())) {
    response.set_output_count(count);
    response.set_truncated(true);
  }
  Publish();
  if (!event_id.empty()) answered_.Remember(event_id, response);
  return response;
}

WorkerInjectBatchResponse PipelineRunner::ProcessInjectBatch(
    const EventBatch& batch, const std::vector<uint32_t>& index_of) {
  const auto start = std::chrono::steady_clock::now();
  WorkerInjectBatchResponse response;
  BeginInput(1);
  Sink sink(*this, response.mutable_output_events());
  for (int i = 0; i < batch.events_size(); ++i) {
    if (const absl::Status pushed = Process(batch.events(i), sink); !pushed.ok()) {
      auto* rejected = response.add_rejected();
      rejected->set_index(index_of[i]);
      rejected->set_code(transport::ErrorCode(pushed));
      rejected->set_message(std::string(pushed.message()));
      continue;
    }
    response.set_accepted(response.accepted() + 1);
  }
  const uint64_t count = sink.Settle();
  Publish();
  response.set_output_count(count);
  response.set_truncated(count > static_cast<uint64_t>(response.output_events_size()));
  response.set_processing_time_us(std::chrono::duration_cast<std::chrono::microseconds>(
                                      std::chrono::steady_clock::now() - start)
                                      .count());
  return response;
}

// ---------------------------------------------------------------- counters

void PipelineRunner::SetCounters(uint64_t events_in, uint64_t events_out) {
  events_in_ = events_in;
  events_out_ = events_out;
}

void PipelineRunner::Remember(Memory memory) {
  SetCounters(memory.events_in, memory.events_out);
  position_ = memory.progress.position();
  strand_.Post([this, memory = std::move(memory)]() mutable {
    answered_ = std::move(memory.answered);
    progress_ = std::move(memory.progress);
  });
}

PipelineRunner::CheckpointPtr PipelineRunner::Save() const {
  CheckpointPtr state = engine_->Save();
  if (options_.stored.has_value()) progress_.Save(state.get());
  return state;
}

PipelineRunner::Stats PipelineRunner::stats() const {
  Stats stats{.events_in = events_in_, .events_out = events_out_, .events_dropped = dropped_};
  stats.position = position_;
  MutexLock lock(mutex_);
  stats.in_flight = in_flight_;
  stats.max_in_flight_seen = max_in_flight_seen_;
  return stats;
}

}  // namespace varpulis::worker
