#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

#include "base/mutex.h"
#include "transport/event_streams.h"
#include "worker/pipeline_runner.h"
#include "worker/replay_plan.h"

namespace varpulis::worker {

// Whose exclusive turn it is, of all copies on a worker. Thread-safe.
class ExclusiveTurn {
 public:
  // False: somebody else's, even after a while.
  bool TryBegin(absl::Duration patience);
  void End();

 private:
  Mutex mutex_;
  CondVar free_;
  bool taken_ ABSL_GUARDED_BY(mutex_) = false;
};

// Carries a ReplayPlan out for one exactly-once copy: leaves the marks, and puts poison aside. Its
// waiting holds the copy's reader up, nothing else. Thread-safe.
class ReplayGuard : public std::enable_shared_from_this<ReplayGuard> {
 public:
  struct Options {
    std::string mark_subject;
    transport::EventStreamOptions dead_letters;
    std::string dead_letter_subject;
    std::string copy;  // for messages
  };
  struct Deps {
    transport::EventStreams& streams;
    std::shared_ptr<ExclusiveTurn> turn;  // of the worker
  };

  ReplayGuard(Options options, Deps deps, ReplayPlan plan);

  // Around the reader's handing over of each input. False: the input is not to be processed, for
  // it is poison, and stored as a dead letter.
  bool Before(const transport::StoredMessage& input, PipelineRunner& runner);
  void After(uint64_t position, PipelineRunner& runner);
  // Ends all waiting.
  void Stop();
  // When the reader has gone: gives the turn back, and takes back the mark, as nobody has died.
  void Close();

 private:
  struct Waiting;  // for one thing to happen

  void Begin(const ReplayPlan::Turn& turn, PipelineRunner& runner);
  void End(PipelineRunner& runner);
  bool WaitUntilUnheld(PipelineRunner& runner);
  // Until the runner has done all that it was given. False: stopped.
  bool WaitUntilDone(PipelineRunner& runner);
  void StoreDeadLetter(const transport::StoredMessage& input);
  // Until the broker has it. False: stopped. `prepare`, which may be empty, comes before every
  // attempt.
  bool Store(const transport::OutgoingMessage& message, const std::function<void()>& prepare = {});
  void Publish(const ReplayPlan::Mark& mark);
  transport::OutgoingMessage MessageOf(const ReplayPlan::Mark& mark) const;
  bool Wait(absl::Duration pause) ABSL_LOCKS_EXCLUDED(mutex_);
  bool stopped() const ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  const Deps deps_;
  // On the reader's thread.
  ReplayPlan plan_;
  bool marked_ = false;           // a turn's mark is with the broker, or may be
  uint64_t exclusive_until_ = 0;  // the last input of the turn that is under way; 0: none
  bool over_ = false;

  mutable Mutex mutex_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace varpulis::worker
