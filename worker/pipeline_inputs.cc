#include "worker/pipeline_inputs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "glog/logging.h"

#include "base/status_macros.h"
#include "transport/error_reply.h"
#include "worker/event_batch.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::EventBatch;

constexpr absl::Duration kFlushTimeout = absl::Seconds(2);

// Replicas without a key share the work: the broker gives each message to one of them. The group is
// in the name because several groups may listen to one custom subject, and each wants every event.
std::string QueueGroup(const Placement& placement) {
  if (!placement.replicated() || placement.partition_key.has_value()) return "";
  return absl::StrCat(placement.group.str(), ".", placement.name);
}

}  // namespace

PipelineInputs::PipelineInputs(const Placement& placement, WallClock now, PipelineRunner& runner)
    : placement_(placement), now_(std::move(now)), runner_(runner) {}

absl::StatusOr<std::unique_ptr<PipelineInputs>> PipelineInputs::Start(const Placement& placement,
                                                                      Options options,
                                                                      transport::Bus& bus,
                                                                      PipelineRunner& runner) {
  auto inputs = std::unique_ptr<PipelineInputs>(
      new PipelineInputs(placement, std::move(options.now), runner));
  for (const std::string& subject : options.subjects) {
    ASSIGN_OR_RETURN(auto subscription,
                     bus.Subscribe({.subject = subject, .queue_group = QueueGroup(placement)},
                                   [self = inputs.get()](transport::InboundMessage message) {
                                     self->OnMessage(message);
                                   }),
                     Annotate("subscribing to ", subject));
    inputs->subscriptions_.push_back(std::move(subscription));
  }
  RETURN_IF_ERROR(bus.Flush(kFlushTimeout), Annotate("waiting for the broker to subscribe"));
  return inputs;
}

uint64_t PipelineInputs::dropped() const {
  uint64_t total = 0;
  for (const auto& subscription : subscriptions_) total += subscription->dropped();
  return total;
}

void PipelineInputs::OnMessage(const transport::InboundMessage& message) {
  const auto content_type = message.Header(transport::kContentTypeHeader);
  const std::shared_ptr<EventBatch> batch = NewEventBatch(message.payload().size());
  const absl::Status decoded =
      DecodeEventBatch(message.payload(), content_type == transport::kContentTypeJson, batch.get());
  if (!decoded.ok()) {
    runner_.CountDropped(1);
    LOG_EVERY_N(WARNING, 1000) << "pipeline " << placement_.DisplayName()
                               << ": unreadable message on " << message.subject() << ": "
                               << transport::ErrorCode(decoded) << ": " << decoded.message();
    return;
  }
  KeepOwnShare(placement_, batch.get());
  const uint64_t events = CountEvents(*batch);
  if (events == 0) return;
  if (batch->hops() >= kMaxHops) {
    runner_.CountDropped(events);
    LOG_EVERY_N(WARNING, 1000) << "pipeline " << placement_.DisplayName()
                               << ": events dropped after " << batch->hops()
                               << " pipelines: do the group's routes form a loop?";
    return;
  }
  StampMissing(now_(), batch.get());
  runner_.Push(batch);
}

}  // namespace varpulis::worker
