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

// nats.c 3.4.1 looks a subscription up while it reads a message, and goes on without a reference of
// its own; so our reference is given back only when the loop is not reading.
void Release(EpollLoop& loop, natsSubscription* subscription) {
  natsSubscription_Unsubscribe(subscription);
  loop.RunBetweenEvents([subscription] { natsSubscription_Destroy(subscription); });
}

// Whose turn it is. nats.c does not let a subscription choose its thread, so turns that would fall
// on the wrong one are taken by a subscription that goes again at once. Were the turns to get out
// of step, replies would merely share a thread.
Mutex turn_mutex;
uint64_t turn ABSL_GUARDED_BY(turn_mutex) = 0;

natsStatus SkipTurnsUntil(DeliveryThread thread, const std::string& quiet_subject,
                          natsConnection* connection, EpollLoop& loop)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_mutex) {
  while ((turn % kDeliveryThreads == 0) != (thread == DeliveryThread::kReplies)) {
    natsSubscription* skipped = nullptr;
    const natsStatus status = natsConnection_Subscribe(
        &skipped, connection, quiet_subject.c_str(),
        [](natsConnection*, natsSubscription*, natsMsg* message, void*) {
          natsMsg_Destroy(message);
        },
        nullptr);
    if (status != NATS_OK) return status;
    Release(loop, skipped);
    ++turn;
  }
  return NATS_OK;
}

natsStatus SubscribeOn(DeliveryThread thread, const std::string& quiet_subject,
                       natsConnection* connection, EpollLoop& loop, const SubscribeOptions& options,
                       natsMsgHandler on_message, void* closure, natsSubscription** subscription) {
  MutexLock lock(turn_mutex);
  natsStatus status = SkipTurnsUntil(thread, quiet_subject, connection, loop);
  if (status != NATS_OK) return status;
  const char* const subject = options.subject.c_str();
  const char* const group = options.queue_group.c_str();
  status = options.queue_group.empty()
               ? natsConnection_Subscribe(subscription, connection, subject, on_message, closure)
               : natsConnection_QueueSubscribe(subscription, connection, subject, group, on_message,
                                               closure);
  if (status == NATS_OK) ++turn;
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NatsSubscription>> NatsSubscription::Create(
    natsConnection* connection, std::shared_ptr<EpollLoop> loop, const std::string& quiet_subject,
    const SubscribeOptions& options, Bus::Handler handler, std::shared_ptr<int> user,
    DeliveryThread thread) {
  RETURN_IF_ERROR(CheckSubscribeSubject(options.subject));
  auto gate = std::make_shared<Gate>(std::move(handler));
  // Owned by nats.c until it says that no message will come any more.
  auto closure = std::make_unique<GatePtr>(gate);
  const auto on_message = [](natsConnection*, natsSubscription*, natsMsg* message, void* raw) {
    (*static_cast<GatePtr*>(raw))->Call(WrapMessage(message));
  };
  natsSubscription* subscription = nullptr;
  const natsStatus status = SubscribeOn(thread, quiet_subject, connection, *loop, options,
                                        on_message, closure.get(), &subscription);
  RETURN_IF_ERROR(FromNats(status, absl::StrCat("subscribing to ", options.subject)));

  GatePtr* const owned_by_nats = closure.release();
  const natsStatus on_complete = natsSubscription_SetOnCompleteCB(
      subscription, [](void* raw) { delete static_cast<GatePtr*>(raw); }, owned_by_nats);
  if (on_complete != NATS_OK) {
    // The connection was closed this instant. A delivery may still be under way, so the few bytes
    // of the closure stay; the handler itself goes.
    gate->Close();
    Release(*loop, subscription);
    return FromNats(on_complete, absl::StrCat("subscribing to ", options.subject));
  }
  const auto most =
      static_cast<int>(std::clamp<uint64_t>(options.max_pending_messages, 1, kMostPendingMessages));
  natsSubscription_SetPendingLimits(subscription, most, kMostPendingBytes);
  return absl::WrapUnique(
      new NatsSubscription(subscription, std::move(loop), std::move(gate), std::move(user)));
}

NatsSubscription::~NatsSubscription() {
  Release(*loop_, subscription_);
  gate_->Close();
}

void NatsSubscription::BeginDrain(absl::Duration patience) {
  natsSubscription_DrainTimeout(subscription_, absl::ToInt64Milliseconds(patience));
}

void NatsSubscription::AwaitDrained(absl::Duration patience) {
  natsSubscription_WaitForDrainCompletion(subscription_, absl::ToInt64Milliseconds(patience));
}

uint64_t NatsSubscription::dropped() const {
  int64_t dropped = 0;
  if (natsSubscription_GetDropped(subscription_, &dropped) != NATS_OK) return 0;
  return static_cast<uint64_t>(dropped);
}

}  // namespace varpulis::transport
