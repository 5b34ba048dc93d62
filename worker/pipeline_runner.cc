#include "worker/pipeline_runner.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"

#include "transport/error_reply.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::Event;
using varpulis::v1::EventBatch;
using varpulis::v1::WorkerInjectBatchResponse;
using varpulis::v1::WorkerInjectResponse;

constexpr size_t kMaxReturnedOutputs = 1000;
// A batch that fans out this far is published in pieces, to bound memory.
constexpr size_t kMaxPendingOutputs = 65'536;

absl::Status Gone() {
  return transport::MakeError("worker_unavailable", "pipeline is being removed");
}

}  // namespace

PipelineRunner::PipelineRunner(Options options, EnginePtr engine, std::unique_ptr<Outputs> outputs,
                               WorkerCounters& totals)
    : options_(std::move(options)),
      totals_(totals),
      engine_(std::move(engine)),
      outputs_(std::move(outputs)),
      holds_(options_.paused ? static_cast<uint8_t>(Hold::kPaused) : 0),
      strand_(options_.name) {
  strand_.Post([this] { AdoptEngine(); });
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

bool PipelineRunner::Push(EventBatch batch) {
  const uint64_t events = batch.events_size();
  // A shared_ptr because std::function wants a copyable task; the batch itself is not copied.
  auto shared = std::make_shared<EventBatch>(std::move(batch));
  const bool taken =
      WaitAndEnqueue({.events = events,
                      .run = [this, shared] { ProcessBatch(*shared); },
                      .refuse = [this, events](const absl::Status&) { dropped_ += events; }});
  if (!taken) dropped_ += events;
  return taken;
}

bool PipelineRunner::PushStored(EventBatch batch, StoredInput input) {
  const uint64_t events = batch.events_size();
  auto shared = std::make_shared<EventBatch>(std::move(batch));
  return WaitAndEnqueue({.events = events,
                         .run = [this, shared, input] { ProcessStored(*shared, input); },
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
    task(engine_);
    AdoptEngine();
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
  if (!MayProcess()) return;
  Item item;
  {
    MutexLock lock(mutex_);
    if (Held() || queue_.empty()) return;
    item = std::move(queue_.front());
    queue_.pop_front();
  }
  item.run();
  MutexLock lock(mutex_);
  in_flight_ -= item.events;
  room_.NotifyAll();
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

// The engine may be a new one.
void PipelineRunner::AdoptEngine() {
  if (engine_ == nullptr) return;
  engine_->SetTextListener([this](engine::TextLevel level, std::string_view text) {
    const absl::string_view shown(text.data(), text.size());
    switch (level) {
      case engine::TextLevel::kTrace:
      case engine::TextLevel::kDebug:
        VLOG(1) << options_.name << ": " << shown;
        break;
      case engine::TextLevel::kWarning:
        LOG(WARNING) << options_.name << ": " << shown;
        break;
      case engine::TextLevel::kError:
        LOG_EVERY_N(ERROR, 1000) << options_.name << ": " << shown;
        break;
      case engine::TextLevel::kInfo:
      case engine::TextLevel::kPrint:
        LOG(INFO) << options_.name << ": " << shown;
        break;
    }
  });
  ArmTimer();
}

void PipelineRunner::ArmTimer() {
  if (timer_ != 0) strand_.Cancel(timer_);
  timer_ = 0;
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
  engine_->AdvanceTo(now_ns, &pending_outputs_);
  events_out_ += pending_outputs_.size();
  totals_.events_out += pending_outputs_.size();
  Publish(1);
  ArmTimer();
}

absl::Status PipelineRunner::Process(const Event& event) {
  const size_t before = pending_outputs_.size();
  absl::Status pushed = engine_->Push(event, &pending_outputs_);
  if (!pushed.ok()) {
    ++dropped_;
    return pushed;
  }
  const uint64_t emitted = pending_outputs_.size() - before;
  ++events_in_;
  ++totals_.events_in;
  events_out_ += emitted;
  totals_.events_out += emitted;
  return absl::OkStatus();
}

void PipelineRunner::Publish(uint32_t hops) {
  if (pending_outputs_.empty()) return;
  dropped_ += outputs_->Publish(&pending_outputs_, hops, progress_.position());
  pending_outputs_.clear();
}

void PipelineRunner::ProcessBatch(EventBatch& batch) {
  for (const Event& event : batch.events()) {
    if (const absl::Status pushed = Process(event); !pushed.ok()) {
      LOG_EVERY_N(WARNING, 1000) << options_.name << " refused an event: " << pushed;
    }
    if (pending_outputs_.size() >= kMaxPendingOutputs) Publish(batch.hops() + 1);
  }
  Publish(batch.hops() + 1);
}

void PipelineRunner::ProcessStored(EventBatch& batch, const StoredInput& input) {
  const Stored& stored = *options_.stored;
  if (input.position <= progress_.position()) {
    LOG_EVERY_N(ERROR, 1000) << options_.name << ": input " << input.position << " comes after "
                             << progress_.position() << ": its stream has been made again";
    return;
  }
  dropped_ += progress_.Take(stored.placement, input.position, input.stored_at_ns, &batch);
  if (input.tick) {
    AdvanceTo(input.stored_at_ns);
  } else if (stored.waiters->Knows(input.inject_id)) {
    std::vector<uint32_t> indices(batch.events_size());
    std::iota(indices.begin(), indices.end(), 0);
    stored.waiters->Processed(input.inject_id, ProcessInjectBatch(batch, indices));
  } else {
    ProcessBatch(batch);
  }
  position_ = input.position;
}

absl::StatusOr<WorkerInjectResponse> PipelineRunner::ProcessInject(const Event& event,
                                                                   const std::string& event_id) {
  if (!event_id.empty()) {
    if (const WorkerInjectResponse* answer = answered_.Find(event_id)) return *answer;
  }
  if (const absl::Status pushed = Process(event); !pushed.ok()) {
    return transport::MakeError("invalid_request", pushed.message());
  }
  WorkerInjectResponse response;
  response.set_accepted(true);
  const size_t returned = std::min(pending_outputs_.size(), kMaxReturnedOutputs);
  for (size_t i = 0; i < returned; ++i) {
    *response.add_output_events() = pending_outputs_[i].event;
  }
  if (returned < pending_outputs_.size()) {
    response.set_output_count(pending_outputs_.size());
    response.set_truncated(true);
  }
  Publish(1);
  if (!event_id.empty()) answered_.Remember(event_id, response);
  return response;
}

WorkerInjectBatchResponse PipelineRunner::ProcessInjectBatch(
    EventBatch& batch, const std::vector<uint32_t>& index_of) {
  const auto start = std::chrono::steady_clock::now();
  WorkerInjectBatchResponse response;
  uint64_t outputs = 0;
  for (int i = 0; i < batch.events_size(); ++i) {
    const size_t before = pending_outputs_.size();
    if (const absl::Status pushed = Process(batch.events(i)); !pushed.ok()) {
      auto* rejected = response.add_rejected();
      rejected->set_index(index_of[i]);
      rejected->set_code(transport::ErrorCode(pushed));
      rejected->set_message(std::string(pushed.message()));
      continue;
    }
    response.set_accepted(response.accepted() + 1);
    outputs += pending_outputs_.size() - before;
    for (size_t k = before; k < pending_outputs_.size(); ++k) {
      if (static_cast<size_t>(response.output_events_size()) >= kMaxReturnedOutputs) break;
      *response.add_output_events() = pending_outputs_[k].event;
    }
    if (pending_outputs_.size() >= kMaxPendingOutputs) Publish(1);
  }
  Publish(1);
  response.set_output_count(outputs);
  response.set_truncated(outputs > static_cast<uint64_t>(response.output_events_size()));
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

absl::StatusOr<varpulis::checkpoint::v1::PipelineCheckpoint> PipelineRunner::Save() const {
  auto state = engine_->Save();
  if (state.ok() && options_.stored.has_value()) progress_.Save(&*state);
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
