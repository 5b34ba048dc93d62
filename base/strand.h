#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

#include "base/mutex.h"

namespace varpulis {

// One thread, a queue of tasks run in the order of posting, and timers. An object that "lives on a
// strand" is touched by tasks of that strand only, and so needs no lock of its own.
//
// Post, After and Cancel are thread-safe. A task must not wait for anything: what it needs from
// outside comes back as another task. The destructor runs what was posted before it, drops timers
// that are not due, and joins; after Stop() has begun, Post drops the task and returns false.
class Strand {
 public:
  using Task = std::function<void()>;
  using TimerId = uint64_t;

  // `name` appears in ps and in a debugger; the kernel keeps 15 characters.
  explicit Strand(const std::string& name);
  ~Strand();
  Strand(const Strand&) = delete;
  Strand& operator=(const Strand&) = delete;

  bool Post(Task task);
  // Runs `task` on the strand once `delay` (steady clock) has passed.
  TimerId After(absl::Duration delay, Task task);
  // Drops a timer that has not started. Unknown and past ids are ignored.
  void Cancel(TimerId id);

  bool OnThisThread() const { return std::this_thread::get_id() == thread_.get_id(); }
  // Tasks waiting now, without timers. For metrics and back-pressure.
  size_t queued() const;

  // Runs what was posted so far, then joins the thread. Idempotent; not from the strand itself.
  void Stop();

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  void Run(const std::string& name);

  mutable Mutex mutex_;
  CondVar wake_;
  std::vector<Task> queue_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<SteadyTime, TimerId>, Task> timers_ ABSL_GUARDED_BY(mutex_);
  std::map<TimerId, SteadyTime> timer_due_ ABSL_GUARDED_BY(mutex_);
  TimerId next_timer_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool idle_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when all of the above exists
};

}  // namespace varpulis
