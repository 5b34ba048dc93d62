#include "worker/stored_progress.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "base/partition_hash.h"
#include "worker/event_batch.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::EventBatch;

// An event this far ahead of the time at which it was stored would carry the pipeline's time away
// from all others.
constexpr int64_t kFarAheadNs = int64_t{24} * 3600 * 1'000'000'000;

void Clear(EventBatch* batch) {
  batch->clear_events();
  batch->clear_columns();
}

uint64_t DropFarAhead(int64_t stored_at_ns, EventBatch* batch) {
  const int64_t limit = stored_at_ns + kFarAheadNs;
  for (const varpulis::v1::Shape& shape : batch->columns().shapes()) {
    const auto& times = shape.timestamps_ns();
    if (std::any_of(times.begin(), times.end(), [limit](int64_t time) { return time > limit; })) {
      ToRows(batch);
      break;
    }
  }
  auto* events = batch->mutable_events();
  const auto end =
      std::remove_if(events->begin(), events->end(), [limit](const varpulis::v1::Event& event) {
        return event.has_timestamp_ns() && event.timestamp_ns() > limit;
      });
  const auto dropped = static_cast<uint64_t>(events->end() - end);
  events->erase(end, events->end());
  return dropped;
}

}  // namespace

uint64_t StoredProgress::Take(const Placement& placement, uint64_t position, int64_t stored_at_ns,
                              EventBatch* batch) {
  position_ = position;
  DropTaken(batch);
  if (batch->hops() >= kMaxHops) {
    LOG_EVERY_N(WARNING, 1000) << "pipeline " << placement.DisplayName()
                               << ": events dropped after " << batch->hops()
                               << " pipelines: do the group's routes form a loop?";
    const uint64_t dropped = CountEvents(*batch);
    Clear(batch);
    return dropped;
  }
  if (placement.partition_key.has_value()) {
    KeepOwnShare(placement, batch);
  } else if (placement.replicated() &&
             PartitionOf(absl::StrCat(position), placement.replicas) != placement.replica) {
    Clear(batch);
  }
  const uint64_t dropped = DropFarAhead(stored_at_ns, batch);
  if (dropped > 0) {
    LOG_EVERY_N(WARNING, 1000) << "pipeline " << placement.DisplayName() << ": " << dropped
                               << " events dropped, more than a day ahead of their arrival";
  }
  StampMissing(stored_at_ns, batch);
  return dropped;
}

void StoredProgress::DropTaken(EventBatch* batch) {
  if (batch->source().empty() || batch->source_positions().empty()) return;
  SourceMark& taken = sources_[batch->source()];
  const SourceMark end = EndOf(*batch);
  const uint64_t again = DropBefore(taken, batch);
  if (again > 0) {
    LOG(INFO) << again << " outputs of " << batch->source() << " came again and are left out";
  }
  taken = std::max(taken, end);
}

void StoredProgress::Save(varpulis::checkpoint::v1::PipelineCheckpoint* checkpoint) const {
  checkpoint->set_input_position(position_);
  for (const auto& [name, mark] : sources_) {
    auto* source = checkpoint->add_sources();
    source->set_source(name);
    source->set_position(mark.position);
    source->set_count(mark.count);
  }
}

StoredProgress StoredProgress::Restore(
    const varpulis::checkpoint::v1::PipelineCheckpoint& checkpoint) {
  StoredProgress progress;
  progress.position_ = checkpoint.input_position();
  for (const auto& source : checkpoint.sources()) {
    progress.sources_[source.source()] = {source.position(), source.count()};
  }
  return progress;
}

}  // namespace varpulis::worker
