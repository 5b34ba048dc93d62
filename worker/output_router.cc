#include "worker/output_router.h"

#include <utility>

#include "glog/logging.h"

#include "worker/event_batch.h"

namespace varpulis::worker {
OutputRouter::OutputRouter(Options options, transport::Bus& bus)
    : routes_(options.routes),
      placement_epoch_(options.placement_epoch),
      replica_(options.replica),
      bus_(bus) {
  for (const std::string& subject : routes_.subjects()) targets_.emplace_back(subject);
  targets_.emplace_back(std::move(options.fallback_subject));
}

uint64_t OutputRouter::Publish(std::vector<engine::EmittedEvent>* outputs, uint32_t hops,
                               uint64_t /*position*/) {
  uint64_t lost = 0;
  for (engine::EmittedEvent& output : *outputs) {
    const std::vector<size_t>& matches = routes_.Match(output.event.event_type());
    if (matches.empty()) {
      lost += Add(targets_.back(), std::move(output.event), hops);
      continue;
    }
    for (size_t i = 0; i + 1 < matches.size(); ++i) {
      lost += Add(targets_[matches[i]], output.event, hops);
    }
    lost += Add(targets_[matches.back()], std::move(output.event), hops);
  }
  for (Target& target : targets_) lost += Flush(target, hops);
  return lost;
}

uint64_t OutputRouter::Add(Target& target, varpulis::v1::Event event, uint32_t hops) {
  const size_t bytes = event.ByteSizeLong() + kBytesBesideEvent;
  uint64_t lost = 0;
  if (target.pending_bytes + bytes > MaxBatchBytes(bus_)) lost = Flush(target, hops);
  *target.pending.add_events() = std::move(event);
  target.pending_bytes += bytes;
  return lost;
}

uint64_t OutputRouter::Flush(Target& target, uint32_t hops) {
  if (target.pending.events().empty()) return 0;
  target.pending.set_placement_epoch(placement_epoch_);
  target.pending.set_source_replica(replica_);
  target.pending.set_sequence(++target.sequence);
  target.pending.set_hops(hops);
  const uint64_t count = target.pending.events_size();
  const absl::Status published = bus_.Publish({.subject = target.subject,
                                               .payload = target.pending.SerializeAsString(),
                                               .headers = {},
                                               .reply_to = ""});
  target.pending.Clear();
  target.pending_bytes = 0;
  if (published.ok()) return 0;
  LOG_EVERY_N(WARNING, 1000) << "outputs lost on " << target.subject << ": " << published;
  return count;
}

}  // namespace varpulis::worker
