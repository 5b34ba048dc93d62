#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"

#include "base/mutex.h"
#include "transport/bus.h"
#include "transport/local_bus.h"

namespace varpulis::worker {

// A bus whose connection the test cuts and heals: while cut, nothing goes out. What others publish
// is lost as well, because a broker that cannot be reached delivers nothing.
class SwitchedBus : public transport::Bus {
 public:
  explicit SwitchedBus(transport::Bus& bus, bool connected = true)
      : bus_(bus), shared_(std::make_shared<Shared>()) {
    MutexLock lock(shared_->mutex);
    shared_->connected = connected;
  }

  void Set(bool connected) {
    std::vector<ConnectionListener> listeners;
    {
      MutexLock lock(shared_->mutex);
      shared_->connected = connected;
      for (const auto& [id, listener] : shared_->listeners) listeners.push_back(listener);
    }
    for (const ConnectionListener& listener : listeners) {
      listener(connected ? transport::ConnectionState::kConnected
                         : transport::ConnectionState::kDisconnected);
    }
  }
  void set_max_payload(int64_t bytes) { max_payload_ = bytes; }

  absl::Status Publish(const transport::OutgoingMessage& message) override {
    if (!connected()) return absl::UnavailableError("cut");
    return bus_.Publish(message);
  }
  absl::StatusOr<std::unique_ptr<transport::Subscription>> Subscribe(
      transport::SubscribeOptions options, Handler handler) override {
    return bus_.Subscribe(std::move(options), [shared = shared_, handler = std::move(handler)](
                                                  transport::InboundMessage message) {
      if (shared->IsConnected()) handler(std::move(message));
    });
  }
  void Request(transport::OutgoingMessage message, absl::Duration timeout,
               ReplyCallback done) override {
    if (!connected()) return done(absl::UnavailableError("cut"));
    bus_.Request(std::move(message), timeout, std::move(done));
  }
  absl::Status Reply(const std::string& reply_to, std::string payload,
                     transport::Headers headers) override {
    if (!connected()) return absl::UnavailableError("cut");
    return bus_.Reply(reply_to, std::move(payload), std::move(headers));
  }
  int64_t max_payload() const override {
    return max_payload_ > 0 ? max_payload_ : bus_.max_payload();
  }
  transport::ConnectionState state() const override {
    return connected() ? transport::ConnectionState::kConnected
                       : transport::ConnectionState::kDisconnected;
  }
  absl::Status Flush(absl::Duration timeout) override {
    if (!connected()) return absl::UnavailableError("cut");
    return bus_.Flush(timeout);
  }
  std::unique_ptr<transport::Subscription> AddConnectionListener(
      ConnectionListener listener) override {
    MutexLock lock(shared_->mutex);
    const int id = shared_->next_id++;
    shared_->listeners.emplace_back(id, std::move(listener));
    return std::make_unique<Handle>(shared_, id);
  }

 private:
  struct Shared {
    bool IsConnected() {
      MutexLock lock(mutex);
      return connected;
    }
    Mutex mutex;
    bool connected ABSL_GUARDED_BY(mutex) = true;
    int next_id ABSL_GUARDED_BY(mutex) = 0;
    std::vector<std::pair<int, ConnectionListener>> listeners ABSL_GUARDED_BY(mutex);
  };
  class Handle : public transport::Subscription {
   public:
    Handle(std::shared_ptr<Shared> shared, int id) : shared_(std::move(shared)), id_(id) {}
    ~Handle() override {
      MutexLock lock(shared_->mutex);
      std::erase_if(shared_->listeners, [this](const auto& entry) { return entry.first == id_; });
    }
    uint64_t dropped() const override { return 0; }

   private:
    std::shared_ptr<Shared> shared_;
    int id_;
  };

  bool connected() const { return shared_->IsConnected(); }

  transport::Bus& bus_;
  int64_t max_payload_ = 0;
  std::shared_ptr<Shared> shared_;
};

}  // namespace varpulis::worker
