#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/mutex.h"
#include "base/strand.h"
#include "engine/pipeline.h"
#include "proto/cluster.pb.h"
#include "proto/event.pb.h"
#include "worker/inject_waiters.h"
#include "worker/inject_window.h"
#include "worker/outputs.h"
#include "worker/placement.h"
#include "worker/stored_progress.h"

namespace varpulis::worker {

// Sums over all pipelines that a worker ever ran. Thread-safe.
struct WorkerCounters {
  std::atomic<uint64_t> events_in{0};
  std::atomic<uint64_t> events_out{0};
};

// One deployed pipeline on a thread of its own: input queue → engine → outputs → answer.
//
// All methods are thread-safe; the callbacks and tasks given to it run on its thread, in the order
// in which they were accepted. The queue is bounded by the number of events in flight (queued or
// being processed): Push waits for room, Inject is refused. One batch larger than the bound is
// taken when nothing else is in flight. A pipeline that is held accepts input up to the bound and
// processes nothing, not even timers, until every reason for it is gone.
class PipelineRunner {
 public:
  // Of an exactly-once pipeline, whose input is a stream.
  struct Stored {
    Placement placement;
    std::function<void()> publish_tick;  // the passing of time, as the next input
    std::shared_ptr<InjectWaiters> waiters;
  };
  struct Options {
    std::string name;  // of the thread
    uint64_t max_in_flight_events = 65'536;
    bool paused = false;
    // How long outputs may wait for those of further input, while there is such input. Zero: the
    // outputs of each input are published by themselves, so that the same input gives the same
    // messages whenever it comes.
    absl::Duration batch_linger = absl::ZeroDuration();
    // Asked before each input; false holds the pipeline, kCutOff. Empty: always.
    std::function<bool()> may_process = {};
    std::optional<Stored> stored = {};
  };
  // Why a pipeline is held.
  enum class Hold : uint8_t {
    kPaused = 1,  // it was deployed so
    kCut = 2,     // its state has been taken for a move
    kCutOff = 4,  // this worker does not know whether the copy is still wanted
  };
  struct Stats {
    uint64_t events_in = 0;
    uint64_t events_out = 0;
    uint64_t events_dropped = 0;  // refused by the engine, unreadable, lost on output
    uint64_t in_flight = 0;
    uint64_t max_in_flight_seen = 0;
    uint64_t position = 0;  // in the stored input
  };
  using EnginePtr = std::unique_ptr<engine::Pipeline>;
  using InjectDone = std::function<void(absl::StatusOr<varpulis::v1::WorkerInjectResponse>)>;
  using InjectBatchDone =
      std::function<void(absl::StatusOr<varpulis::v1::WorkerInjectBatchResponse>)>;

  // `totals` must outlive it.
  PipelineRunner(Options options, EnginePtr engine, std::unique_ptr<Outputs> outputs,
                 WorkerCounters& totals);
  ~PipelineRunner();

  // From the data plane: waits while full. False when closed; the batch is counted as dropped.
  // REQUIRES: timestamps set.
  bool Push(std::shared_ptr<const varpulis::v1::EventBatch> batch);

  // One message of the stored input; waits while full. False when it was not taken: it will be read
  // again.
  struct StoredInput {
    std::shared_ptr<varpulis::v1::EventBatch> batch;  // null: no events, but time has come here
    uint64_t position = 0;
    int64_t stored_at_ns = 0;
    std::string inject_id;  // who may be waiting for its outputs; empty: nobody
  };
  bool PushStored(StoredInput input);

  // Synchronous input: `done` is called exactly once, with the outputs of this very event, or with
  // rate_limited (full), worker_unavailable (closed, held), invalid_request (refused by the
  // engine). An `event_id` (may be empty) seen before is answered as it was then.
  void Inject(varpulis::v1::Event event, std::string event_id, const InjectDone& done);
  // `index_of[i]` is the caller's index of `batch.events(i)`, for `rejected`.
  void InjectBatch(varpulis::v1::EventBatch batch, std::vector<uint32_t> index_of,
                   const InjectBatchDone& done);

  // Runs `task` between two inputs, after all that was accepted before (at once when held). The
  // task may replace the engine. False when closed: the task is dropped. `refuse` (may be empty) is
  // called instead when the pipeline is abandoned first.
  bool Post(std::function<void(EnginePtr&)> task,
            std::function<void(const absl::Status&)> refuse = {});

  void SetHold(Hold reason, bool on);
  bool held(Hold reason) const;
  bool held() const;  // for any reason
  // Drops all input from now on, and refuses what is held. For a copy whose state has moved.
  void RefuseInput();
  void CountDropped(uint64_t events) { dropped_ += events; }
  // After a restore.
  void SetCounters(uint64_t events_in, uint64_t events_out);
  // What a copy leaves to the one that replaces it: the answers it gave, and its counters.
  struct Memory {
    InjectWindow answered;
    uint64_t events_in = 0;
    uint64_t events_out = 0;
    StoredProgress progress = {};
  };
  // Before the first input.
  void Remember(Memory memory);
  // On the runner's strand: the engine's state as a checkpoint, with what the input has come to.
  using CheckpointPtr = std::shared_ptr<varpulis::checkpoint::v1::PipelineCheckpoint>;
  CheckpointPtr Save() const;
  // `done` once the outputs of all that was processed are where they belong, or the reason why not.
  void WhenOutputsStored(std::function<void(absl::Status)> done) {
    outputs_->WhenStored(std::move(done));
  }
  // After Join.
  engine::Pipeline* engine() const { return engine_.get(); }
  EnginePtr TakeEngine() { return std::move(engine_); }
  Memory TakeMemory() { return {std::move(answered_), events_in_, events_out_, progress_}; }
  Stats stats() const;

  // Takes no more input and lets go of waiting pushers. What was accepted is still processed (when
  // held: refused), then `drained` runs as the last task. Once only.
  void Close(std::function<void()> drained);
  // Refuses what is still queued. For a stop whose time is up.
  void Abandon();
  // Joins the thread after Close. Idempotent; not from the runner's thread.
  void Join();

 private:
  class Sink;  // of the engine
  struct Item {
    uint64_t events = 0;
    std::function<void()> run;
    std::function<void(const absl::Status&)> refuse;  // may be empty
  };

  bool WaitAndEnqueue(Item item) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Admit(Item item) ABSL_LOCKS_EXCLUDED(mutex_);
  void Enqueue(Item item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom(uint64_t events) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunNext();
  bool TakeNext(Item* item);
  bool Held() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return holds_ != 0; }
  bool MayProcess();

  // On the strand.
  void ArmTimer();
  void OnTimer();
  void AdvanceTo(int64_t now_ns);
  void BeginInput(uint32_t hops) { outputs_->BeginInput(hops, progress_.position()); }
  absl::Status Process(const varpulis::v1::Event& event, Sink& sink);
  void CountIn(uint64_t events);
  void Publish();
  // After an input: publishes unless the outputs may wait for more.
  void PublishWhenDue(bool more_waits);
  void ProcessBatch(const varpulis::v1::EventBatch& batch);
  void ProcessStored(const StoredInput& input);
  absl::StatusOr<varpulis::v1::WorkerInjectResponse> ProcessInject(const varpulis::v1::Event& event,
                                                                   const std::string& event_id);
  varpulis::v1::WorkerInjectBatchResponse ProcessInjectBatch(const varpulis::v1::EventBatch& batch,
                                                             const std::vector<uint32_t>& index_of);

  const Options options_;
  WorkerCounters& totals_;
  std::atomic<uint64_t> events_in_{0};
  std::atomic<uint64_t> events_out_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<uint64_t> position_{0};

  // Touched on the strand only.
  EnginePtr engine_;
  const std::unique_ptr<Outputs> outputs_;
  std::chrono::steady_clock::time_point collecting_since_;  // outputs that wait for more
  bool collecting_ = false;
  InjectWindow answered_;
  StoredProgress progress_;
  Strand::TimerId timer_ = 0;  // for the program's `timer(…)` streams; 0: none runs

  mutable Mutex mutex_;
  CondVar room_;
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t max_in_flight_seen_ ABSL_GUARDED_BY(mutex_) = 0;
  uint8_t holds_ ABSL_GUARDED_BY(mutex_) = 0;  // of Hold
  bool refuses_input_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;

  Strand strand_;  // last: its thread uses all of the above
};

}  // namespace varpulis::worker
