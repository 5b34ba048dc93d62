#include "worker/output_router.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"

#include "engine/runtime/batch_codec.h"
#include "worker/event_batch.h"

namespace varpulis::worker {
namespace {

// From here on a larger batch is no faster, and what has been collected waits no longer.
constexpr size_t kGoodBatchBytes = 128 << 10;

}  // namespace

OutputRouter::OutputRouter(Options options, transport::Bus& bus)
    : routes_(options.routes),
      placement_epoch_(options.placement_epoch),
      replica_(options.replica),
      bus_(bus) {
  for (const std::string& subject : routes_.subjects()) {
    const bool columns = std::any_of(
        options.routes.begin(), options.routes.end(),
        [&](const EventRoute& route) { return route.columns && route.subject == subject; });
    targets_.emplace_back(subject, columns);
  }
  targets_.emplace_back(std::move(options.fallback_subject), options.fallback_columns);
}

void OutputRouter::BeginInput(uint32_t hops, uint64_t /*position*/) {
  if (hops == hops_) return;
  Flush();
  hops_ = hops;
}

void OutputRouter::Add(const engine::OutputEvent& output) {
  const std::vector<size_t>& matches =
      routes_.Match({output.event_type.data(), output.event_type.size()});
  for (const size_t match : matches) AddTo(targets_[match], output);
  if (matches.empty()) AddTo(targets_.back(), output);
}

void OutputRouter::AddTo(Target& target, const engine::OutputEvent& output) {
  ++collected_;
  if (target.columns == nullptr ||
      (target.columns->events() == 0 && target.rows.events().empty())) {
    engine::OutputToProto(output, &row_);
    return AddRow(target, &row_);
  }
  if (target.columns->events() == 0) {
    target.columns->Add(target.rows.events(0));
    target.rows.Clear();
    target.row_bytes = 0;
  }
  target.columns->Add(output);
  if (target.columns->bytes() >= std::min(kGoodBatchBytes, MaxBatchBytes(bus_) / 2) ||
      target.columns->text_bytes() >= engine::kMaxColumnText / 2) {
    FlushTarget(target);
  }
}

// Empties `*event`.
void OutputRouter::AddRow(Target& target, varpulis::v1::Event* event) {
  const size_t bytes = event->ByteSizeLong() + kBytesBesideEvent;
  if (target.row_bytes + bytes > MaxBatchBytes(bus_)) FlushRows(target);
  target.rows.add_events()->Swap(event);
  event->Clear();
  target.row_bytes += bytes;
  if (target.row_bytes >= kGoodBatchBytes) FlushRows(target);
}

void OutputRouter::Flush() {
  if (collected_ == 0) return;
  for (Target& target : targets_) FlushTarget(target);
  collected_ = 0;
}

void OutputRouter::FlushTarget(Target& target) {
  if (target.columns != nullptr && target.columns->events() > 0) FlushColumns(target);
  FlushRows(target);
}

void OutputRouter::FlushColumns(Target& target) {
  engine::ColumnsWriter& columns = *target.columns;
  varpulis::v1::Columns& all = columns.Finish();
  if (columns.bytes() <= MaxBatchBytes(bus_) && columns.text_bytes() <= engine::kMaxColumnText) {
    // Lent: neither copied nor freed.
    column_batch_.unsafe_arena_set_allocated_columns(&all);
    Send(target, column_batch_, columns.events());
    column_batch_.unsafe_arena_release_columns();
  } else {  // a large event came last: as rows they can be cut anywhere
    google::protobuf::RepeatedPtrField<varpulis::v1::Event> rows;
    engine::ColumnsToRows(all, &rows);
    for (varpulis::v1::Event& row : rows) AddRow(target, &row);
  }
  columns.Clear();
}

void OutputRouter::FlushRows(Target& target) {
  if (target.rows.events().empty()) return;
  Send(target, target.rows, target.rows.events_size());
  target.rows.Clear();
  target.row_bytes = 0;
}

void OutputRouter::Send(Target& target, varpulis::v1::EventBatch& batch, uint64_t events) {
  batch.set_placement_epoch(placement_epoch_);
  batch.set_source_replica(replica_);
  batch.set_sequence(++target.sequence);
  batch.set_hops(hops_);
  const absl::Status published = bus_.Publish({.subject = target.subject,
                                               .payload = batch.SerializeAsString(),
                                               .headers = {},
                                               .reply_to = ""});
  if (published.ok()) return;
  lost_ += events;
  LOG_EVERY_N(WARNING, 1000) << "outputs lost on " << target.subject << ": " << published;
}

}  // namespace varpulis::worker
