#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

#include "base/mutex.h"

// The two ways in which tests wait for other threads and processes. There is no third: no sleeps.
namespace varpulis::testing {

// Looks every millisecond until `condition` holds; false when `timeout` passes first. For what
// cannot call back: another process, or an object's state.
inline bool WaitUntil(const std::function<bool()>& condition,
                      absl::Duration timeout = absl::Seconds(20)) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

// The value that another thread brings: set once, `Get` waits for it.
template <typename T>
class Result {
 public:
  void Set(T value) { state_->Set(std::move(value)); }
  // A callback that may outlive this object.
  std::function<void(T)> Callback() {
    return [state = state_](T value) { state->Set(std::move(value)); };
  }
  // The same value each time. Ends the program when it does not come within a minute, with a
  // failure that says so: the caller has nothing to go on with.
  T& Get() {
    MutexLock lock(state_->mutex);
    while (!state_->value.has_value()) {
      if (!state_->changed.WaitFor(state_->mutex, absl::Minutes(1)) && !state_->value.has_value()) {
        ADD_FAILURE() << "no result after a minute";
        std::abort();
      }
    }
    return *state_->value;
  }
  // How often it was set, to find what answers twice.
  int calls() const {
    MutexLock lock(state_->mutex);
    return state_->calls;
  }

 private:
  struct State {
    void Set(T given) {
      MutexLock lock(mutex);
      if (++calls == 1) value.emplace(std::move(given));  // a reference to it may be out already
      changed.NotifyAll();
    }
    mutable Mutex mutex;
    CondVar changed;
    std::optional<T> value ABSL_GUARDED_BY(mutex);
    int calls ABSL_GUARDED_BY(mutex) = 0;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace varpulis::testing
