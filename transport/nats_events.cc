#include "transport/nats_events.h"

#include <algorithm>
#include <map>
#include <utility>

#include "glog/logging.h"
#include "transport/nats_status.h"

namespace varpulis::transport {
namespace {

struct Registry {
  Mutex mutex;
  uint64_t last_id ABSL_GUARDED_BY(mutex) = 0;
  std::map<uint64_t, std::weak_ptr<ConnectionEvents>> events ABSL_GUARDED_BY(mutex);
};

Registry& TheRegistry() {
  static Registry& registry = *new Registry;  // nats.c's threads outlive main
  return registry;
}

uint64_t NewId() {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  return ++registry.last_id;
}

std::string UrlOf(natsConnection* connection) {
  char url[512] = "";
  natsConnection_GetConnectedUrl(connection, url, sizeof(url));
  return WithoutCredentials(url);
}

class ListenerHandle : public Subscription {
 public:
  explicit ListenerHandle(std::shared_ptr<HandlerGate<ConnectionState>> gate)
      : gate_(std::move(gate)) {}
  ~ListenerHandle() override { gate_->Close(); }
  uint64_t dropped() const override { return 0; }

 private:
  const std::shared_ptr<HandlerGate<ConnectionState>> gate_;
};

}  // namespace

std::shared_ptr<ConnectionEvents> ConnectionEvents::Create() {
  std::shared_ptr<ConnectionEvents> events(new ConnectionEvents);
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  registry.events[events->id_] = events;
  return events;
}

ConnectionEvents::ConnectionEvents() : id_(NewId()) {}

ConnectionEvents::~ConnectionEvents() {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  registry.events.erase(id_);
}

std::shared_ptr<ConnectionEvents> ConnectionEvents::Find(void* closure) {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  const auto it = registry.events.find(reinterpret_cast<uintptr_t>(closure));
  return it == registry.events.end() ? nullptr : it->second.lock();
}

absl::Status ConnectionEvents::Install(natsOptions* options) {
  // A number that Find looks up; nobody dereferences it.
  // NOLINTNEXTLINE(performance-no-int-to-ptr): nats.c hands callbacks a pointer and nothing else
  void* const closure = reinterpret_cast<void*>(static_cast<uintptr_t>(id_));
  natsStatus status = natsOptions_SetDisconnectedCB(
      options,
      [](natsConnection*, void* raw) {
        const auto events = Find(raw);
        if (events == nullptr) return;
        if (events->on_disconnected_) events->on_disconnected_();
        events->Notify(ConnectionState::kDisconnected);
      },
      closure);
  if (status == NATS_OK) {
    status = natsOptions_SetReconnectedCB(
        options,
        [](natsConnection* connection, void* raw) {
          const auto events = Find(raw);
          if (events == nullptr) return;
          ++events->reconnects_;
          LOG(INFO) << "connected again to the broker at " << UrlOf(connection);
          events->Notify(ConnectionState::kConnected);
        },
        closure);
  }
  if (status == NATS_OK) {
    status = natsOptions_SetClosedCB(
        options,
        [](natsConnection*, void* raw) {
          const auto events = Find(raw);
          if (events != nullptr) events->Notify(ConnectionState::kClosed);
        },
        closure);
  }
  if (status == NATS_OK) {
    status = natsOptions_SetErrorHandler(
        options,
        [](natsConnection*, natsSubscription* subscription, natsStatus error, void* raw) {
          const auto events = Find(raw);
          if (events == nullptr) return;
          const char* subject =
              subscription == nullptr ? nullptr : natsSubscription_GetSubject(subscription);
          events->Error(error, subject);
        },
        closure);
  }
  if (status == NATS_OK) {
    status = natsOptions_SetLameDuckModeCB(
        options,
        [](natsConnection* connection, void* raw) {
          const auto events = Find(raw);
          if (events == nullptr) return;
          LOG(WARNING) << "the broker at " << UrlOf(connection)
                       << " is shutting down; it will hand its clients over to others";
          events->Notify(ConnectionState::kLeaving);
        },
        closure);
  }
  return FromNats(status, "installing connection callbacks");
}

std::unique_ptr<Subscription> ConnectionEvents::AddListener(Bus::ConnectionListener listener) {
  auto gate = std::make_shared<Gate>(std::move(listener));
  {
    MutexLock lock(mutex_);
    listeners_.erase(std::remove_if(listeners_.begin(), listeners_.end(),
                                    [](const std::weak_ptr<Gate>& old) { return old.expired(); }),
                     listeners_.end());
    listeners_.push_back(gate);
  }
  return std::make_unique<ListenerHandle>(std::move(gate));
}

void ConnectionEvents::WaitUntilClosed(absl::Duration timeout) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  MutexLock lock(mutex_);
  while (!closed_) {
    if (!closed_changed_.WaitUntil(mutex_, deadline)) return;
  }
}

void ConnectionEvents::Notify(ConnectionState state) {
  std::vector<std::weak_ptr<Gate>> listeners;
  {
    MutexLock lock(mutex_);
    listeners = listeners_;
  }
  for (const std::weak_ptr<Gate>& listener : listeners) {
    if (const std::shared_ptr<Gate> gate = listener.lock()) gate->Call(state);
  }
  if (state != ConnectionState::kClosed) return;
  MutexLock lock(mutex_);
  closed_ = true;
  closed_changed_.NotifyAll();
}

void ConnectionEvents::Error(natsStatus error, const char* subject) {
  if (error == NATS_SLOW_CONSUMER) ++slow_consumers_;
  LOG_EVERY_N(WARNING, 20) << "nats: " << natsStatus_GetText(error)
                           << (subject == nullptr ? "" : " on ")
                           << (subject == nullptr ? "" : subject);
}

}  // namespace varpulis::transport
