#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace varpulis::transport {

// A value that another thread will bring: set once, taken once. For tests of callbacks.
template <typename T>
class WaitFor {
 public:
  void Set(T value) { state_->Set(std::move(value)); }
  // A callback that may outlive this object.
  std::function<void(T)> Setter() {
    return [state = state_](T value) { state->Set(std::move(value)); };
  }
  T Get() { return state_->Get(); }

 private:
  struct State {
    void Set(T value) {
      MutexLock lock(mutex);
      result.emplace(std::move(value));
      changed.NotifyAll();
    }
    T Get() {
      MutexLock lock(mutex);
      while (!result.has_value()) changed.Wait(mutex);
      return std::move(*result);
    }
    Mutex mutex;
    CondVar changed;
    std::optional<T> result ABSL_GUARDED_BY(mutex);
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace varpulis::transport
