#include "transport/nats_subscription.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/nats_status.h"

namespace varpulis::transport {
namespace {

constexpr uint64_t kMostPendingMessages = 2'097'151;  // nats.c multiplies by 1,024 in an int
constexpr int kMostPendingBytes = 512 << 20;

using GatePtr = std::shared_ptr<HandlerGate<InboundMessage>>;

}  // namespace

absl::StatusOr<std::unique_ptr<NatsSubscription>> NatsSubscription::Create(
    natsConnection* connection, const SubscribeOptions& options, Bus::Handler handler,
    std::shared_ptr<int> user) {
  RETURN_IF_ERROR(CheckSubscribeSubject(options.subject));
  auto gate = std::make_shared<Gate>(std::move(handler));
  // Owned by nats.c until it says that no message will come any more.
  auto closure = std::make_unique<GatePtr>(gate);
  const auto on_message = [](natsConnection*, natsSubscription*, natsMsg* message, void* raw) {
    (*static_cast<GatePtr*>(raw))->Call(WrapMessage(message));
  };
  natsSubscription* subscription = nullptr;
  const natsStatus status =
      options.queue_group.empty()
          ? natsConnection_Subscribe(&subscription, connection, options.subject.c_str(), on_message,
                                     closure.get())
          : natsConnection_QueueSubscribe(&subscription, connection, options.subject.c_str(),
                                          options.queue_group.c_str(), on_message, closure.get());
  RETURN_IF_ERROR(FromNats(status, absl::StrCat("subscribing to ", options.subject)));

  GatePtr* const owned_by_nats = closure.release();
  const natsStatus on_complete = natsSubscription_SetOnCompleteCB(
      subscription, [](void* raw) { delete static_cast<GatePtr*>(raw); }, owned_by_nats);
  if (on_complete != NATS_OK) {
    // The connection was closed this instant. A delivery may still be under way, so the few bytes
    // of the closure stay; the handler itself goes.
    gate->Close();
    natsSubscription_Destroy(subscription);
    return FromNats(on_complete, absl::StrCat("subscribing to ", options.subject));
  }
  const auto most =
      static_cast<int>(std::clamp<uint64_t>(options.max_pending_messages, 1, kMostPendingMessages));
  natsSubscription_SetPendingLimits(subscription, most, kMostPendingBytes);
  return absl::WrapUnique(new NatsSubscription(subscription, std::move(gate), std::move(user)));
}

NatsSubscription::~NatsSubscription() {
  natsSubscription_Unsubscribe(subscription_);
  gate_->Close();
  natsSubscription_Destroy(subscription_);
}

uint64_t NatsSubscription::dropped() const {
  int64_t dropped = 0;
  if (natsSubscription_GetDropped(subscription_, &dropped) != NATS_OK) return 0;
  return static_cast<uint64_t>(dropped);
}

}  // namespace varpulis::transport
