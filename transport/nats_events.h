#pragma once

#include <nats/nats.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

#include "base/mutex.h"
#include "transport/bus.h"
#include "transport/nats_subscription.h"

namespace varpulis::transport {

// What nats.c's callback thread tells about one connection: counts it and passes it to listeners.
// nats.c does not say when the last callback of a connection has run, so it knows this object by a
// number only. Thread-safe.
class ConnectionEvents : public std::enable_shared_from_this<ConnectionEvents> {
 public:
  static std::shared_ptr<ConnectionEvents> Create();
  ~ConnectionEvents();

  absl::Status Install(natsOptions* options);
  // Called before the listeners, on the callback thread. Before connecting.
  void OnDisconnected(std::function<void()> callback) { on_disconnected_ = std::move(callback); }
  std::unique_ptr<Subscription> AddListener(Bus::ConnectionListener listener);
  void WaitUntilClosed(absl::Duration timeout);

  uint64_t reconnects() const { return reconnects_; }
  uint64_t slow_consumers() const { return slow_consumers_; }

 private:
  using Gate = HandlerGate<ConnectionState>;

  ConnectionEvents();

  void Notify(ConnectionState state);
  void Error(natsStatus error, const char* subject);
  static std::shared_ptr<ConnectionEvents> Find(void* closure);

  const uint64_t id_;
  std::function<void()> on_disconnected_;
  std::atomic<uint64_t> reconnects_{0};
  std::atomic<uint64_t> slow_consumers_{0};

  Mutex mutex_;
  CondVar closed_changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::weak_ptr<Gate>> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace varpulis::transport
