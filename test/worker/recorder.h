#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

#include "base/mutex.h"

namespace varpulis::worker {

// Long enough for a machine under sanitizers; a passing test never waits for it.
inline constexpr absl::Duration kPatience = absl::Seconds(30);

// What arrived, from any thread, and a way to wait for it. Thread-safe.
template <typename T>
class Recorder {
 public:
  void Add(T item) {
    MutexLock lock(mutex_);
    items_.push_back(std::move(item));
    changed_.NotifyAll();
  }
  std::vector<T> items() const {
    MutexLock lock(mutex_);
    return items_;
  }
  size_t size() const {
    MutexLock lock(mutex_);
    return items_.size();
  }
  // False when it does not become true in time.
  bool WaitUntil(const std::function<bool(const std::vector<T>&)>& condition) const {
    const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(kPatience);
    MutexLock lock(mutex_);
    while (!condition(items_)) {
      if (!changed_.WaitUntil(mutex_, deadline)) return condition(items_);
    }
    return true;
  }
  bool WaitForSize(size_t size) const {
    return WaitUntil([size](const std::vector<T>& items) { return items.size() >= size; });
  }

 private:
  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::vector<T> items_ ABSL_GUARDED_BY(mutex_);
};

// A gate that a task waits at until the test opens it. Copies are the same gate: a task holds its
// own, which outlives the test's.
class Gate {
 public:
  void Open() {
    MutexLock lock(state_->mutex);
    state_->open = true;
    state_->changed.NotifyAll();
  }
  void Wait() {
    MutexLock lock(state_->mutex);
    while (!state_->open) state_->changed.Wait(state_->mutex);
  }
  bool WaitFor(absl::Duration timeout) {
    const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
    MutexLock lock(state_->mutex);
    while (!state_->open) {
      if (!state_->changed.WaitUntil(state_->mutex, deadline)) return state_->open;
    }
    return true;
  }

 private:
  struct State {
    Mutex mutex;
    CondVar changed;
    bool open ABSL_GUARDED_BY(mutex) = false;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace varpulis::worker
