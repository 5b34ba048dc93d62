#include "worker/source_mark.h"

#include <algorithm>

#include "transport/error_reply.h"
#include "worker/event_batch.h"

namespace varpulis::worker {

using varpulis::v1::EventBatch;

absl::Status CheckSources(const EventBatch& batch) {
  uint64_t events = 0;
  for (const uint32_t count : batch.source_counts()) events += count;
  if (batch.source_positions_size() == batch.source_counts_size() && events == CountEvents(batch) &&
      std::is_sorted(batch.source_positions().begin(), batch.source_positions().end())) {
    return absl::OkStatus();
  }
  return transport::MakeError(
      "invalid_request", "the batch's source_positions and source_counts do not fit its events");
}

void AddSource(uint64_t position, uint32_t index, EventBatch* batch) {
  const int last = batch->source_positions_size() - 1;
  if (last >= 0 && batch->source_positions(last) == position) {
    batch->set_source_counts(last, batch->source_counts(last) + 1);
    return;
  }
  if (last < 0) batch->set_source_offset(index);
  batch->add_source_positions(position);
  batch->add_source_counts(1);
}

void RemoveLastSource(EventBatch* batch) {
  const int last = batch->source_counts_size() - 1;
  if (batch->source_counts(last) > 1) {
    batch->set_source_counts(last, batch->source_counts(last) - 1);
    return;
  }
  batch->mutable_source_counts()->RemoveLast();
  batch->mutable_source_positions()->RemoveLast();
}

SourceMark EndOf(const EventBatch& batch) {
  const int last = batch.source_positions_size() - 1;
  const uint32_t offset = last == 0 ? batch.source_offset() : 0;
  return {batch.source_positions(last), offset + batch.source_counts(last)};
}

bool BeginsBefore(const SourceMark& mark, const EventBatch& batch) {
  return !batch.source_positions().empty() &&
         SourceMark{batch.source_positions(0), batch.source_offset()} < mark;
}

uint64_t DropBefore(const SourceMark& mark, EventBatch* batch) {
  if (!BeginsBefore(mark, *batch)) return 0;
  ToRows(batch);
  auto* positions = batch->mutable_source_positions();
  auto* counts = batch->mutable_source_counts();
  uint32_t offset = batch->source_offset();
  int dropped = 0;
  int inputs = 0;
  while (inputs < positions->size() && positions->Get(inputs) <= mark.position) {
    const uint32_t count = counts->Get(inputs);
    const uint32_t below = positions->Get(inputs) < mark.position ? count
                           : mark.count > offset ? std::min(count, mark.count - offset)
                                                 : 0;
    dropped += static_cast<int>(below);
    if (below < count) {
      counts->Set(inputs, count - below);
      offset += below;
      break;
    }
    offset = 0;
    ++inputs;
  }
  positions->erase(positions->begin(), positions->begin() + inputs);
  counts->erase(counts->begin(), counts->begin() + inputs);
  batch->set_source_offset(offset);
  batch->mutable_events()->DeleteSubrange(0, dropped);
  return static_cast<uint64_t>(dropped);
}

}  // namespace varpulis::worker
