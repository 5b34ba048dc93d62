#pragma once

#include <nats/nats.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "base/mutex.h"
#include "transport/bus.h"
#include "transport/epoll_loop.h"

namespace varpulis::transport {

// Lets a handler run one call at a time until it is closed, and Close waits for the call that is
// running. Close from another handler of the same delivery thread does not wait for that thread's
// queue, which is why nats.c's own "subscription complete" is not what the destructor waits for.
// Thread-safe; Close must not be called from inside the handler.
template <typename... Args>
class HandlerGate {
 public:
  explicit HandlerGate(std::function<void(Args...)> handler) : handler_(std::move(handler)) {}

  void Call(Args... args) {
    if (closing_) return;
    MutexLock lock(mutex_);
    if (handler_) handler_(std::move(args)...);
  }

  void Close() {
    closing_ = true;  // a long queue gives way
    std::function<void(Args...)> dropped;
    {
      MutexLock lock(mutex_);
      dropped.swap(handler_);
    }
  }

 private:
  std::atomic<bool> closing_{false};
  Mutex mutex_;  // held while the handler runs
  std::function<void(Args...)> handler_ ABSL_GUARDED_BY(mutex_);
};

// nats.c delivers on a pool of threads that it deals out to subscriptions in turn. One of them is
// kept for replies to requests, so that these arrive while every handler is busy. (A synchronous
// subscription with a thread of ours would not do: in 3.4.1 it swallows the "no responders"
// answer.)
enum class DeliveryThread { kShared, kReplies };
inline constexpr int kDeliveryThreads = 1 + 4;

// A subscription on nats.c with a handler on its delivery threads. Survives its connection,
// which counts the owners of `user` to know whether any is left. `quiet_subject` is one that we may
// subscribe to and nobody publishes to: it takes the turns of the pool that are not ours.
class NatsSubscription : public Subscription {
 public:
  static absl::StatusOr<std::unique_ptr<NatsSubscription>> Create(
      natsConnection* connection, std::shared_ptr<EpollLoop> loop, const std::string& quiet_subject,
      const SubscribeOptions& options, Bus::Handler handler, std::shared_ptr<int> user,
      DeliveryThread thread = DeliveryThread::kShared);
  ~NatsSubscription() override;

  uint64_t dropped() const override;
  void BeginDrain(absl::Duration patience) override;
  void AwaitDrained(absl::Duration patience) override;

 private:
  using Gate = HandlerGate<InboundMessage>;

  NatsSubscription(natsSubscription* subscription, std::shared_ptr<EpollLoop> loop,
                   std::shared_ptr<Gate> gate, std::shared_ptr<int> user)
      : subscription_(subscription),
        loop_(std::move(loop)),
        gate_(std::move(gate)),
        user_(std::move(user)) {}

  natsSubscription* const subscription_;
  const std::shared_ptr<EpollLoop> loop_;
  const std::shared_ptr<Gate> gate_;
  const std::shared_ptr<int> user_;
};

}  // namespace varpulis::transport
