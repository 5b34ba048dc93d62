#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

#include "base/mutex.h"
#include "transport/broker_process.h"
#include "transport/nats_connection.h"

namespace varpulis::testing {

// Looks every millisecond until `condition` holds; false when `timeout` passes first.
bool WaitUntil(const std::function<bool()>& condition, absl::Duration timeout = absl::Seconds(20));

// The one result of an asynchronous call. `Callback()` may be called once; `Get` waits for it.
template <typename T>
class Result {
 public:
  std::function<void(T)> Callback() {
    return [state = state_](T value) {
      MutexLock lock(state->mutex);
      ++state->calls;
      state->value = std::make_unique<T>(std::move(value));
      state->changed.NotifyAll();
    };
  }
  T& Get() {
    MutexLock lock(state_->mutex);
    while (state_->value == nullptr) {
      if (!state_->changed.WaitFor(state_->mutex, absl::Seconds(60)) && state_->value == nullptr) {
        ADD_FAILURE() << "no result after a minute";
        std::abort();
      }
    }
    return *state_->value;
  }
  int calls() const {
    MutexLock lock(state_->mutex);
    return state_->calls;
  }

 private:
  struct State {
    mutable Mutex mutex;
    CondVar changed;
    std::unique_ptr<T> value;
    int calls = 0;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

// A broker of its own for each test, and connections to it.
class NatsServerTest : public ::testing::Test {
 protected:
  // Replaces the broker by one with these options.
  void StartBroker(transport::BrokerOptions options = {});
  std::unique_ptr<transport::NatsConnection> Connect(std::string name = "test");
  std::unique_ptr<transport::NatsConnection> Connect(transport::NatsOptions options);

  // Request and wait.
  static absl::StatusOr<std::string> Ask(transport::Bus& bus, const std::string& subject,
                                         std::string payload,
                                         absl::Duration timeout = absl::Seconds(10));
  // Serves `subject` by sending back what came.
  static std::unique_ptr<transport::Subscription> Echo(transport::Bus& bus,
                                                       const std::string& subject);

  std::unique_ptr<transport::BrokerProcess> broker_;
};

}  // namespace varpulis::testing
