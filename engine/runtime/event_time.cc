#include "engine/runtime/event_time.h"

#include <algorithm>
#include <iterator>

#include "engine/runtime/batch_codec.h"
#include "engine/runtime/checkpoint.h"
#include "engine/runtime/time_math.h"
#include "engine/runtime/window_rows.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {
namespace {

int64_t FloorTo(int64_t value, int64_t step) {
  const int64_t rest = value % step;
  return TimePlus(value, rest < 0 ? -rest - step : -rest);
}

}  // namespace

EventTimeWindow::EventTimeWindow(const PlanWindow& spec, ExpressionPtr key,
                                 std::vector<std::string> names, int64_t lateness_ns)
    : spec_(spec), key_(std::move(key)), names_(std::move(names)), lateness_ns_(lateness_ns) {
  if (key_ == nullptr) events_.resize(1);
}

// The run of events around `timestamp_ns` without a longer gap; it ends just after the gap.
EventTimeWindow::Range EventTimeWindow::SessionAt(const Events& events,
                                                  int64_t timestamp_ns) const {
  auto at = std::lower_bound(
      events.begin(), events.end(), timestamp_ns,
      [](const StoredRow& event, int64_t time) { return event.timestamp_ns() < time; });
  Range range{timestamp_ns, timestamp_ns};
  for (auto before = at; before != events.begin();) {
    --before;
    if (TimePlus(before->timestamp_ns(), spec_.size) < range.begin) break;
    range.begin = before->timestamp_ns();
  }
  for (; at != events.end() && at->timestamp_ns() <= TimePlus(range.end, spec_.size); ++at) {
    range.end = at->timestamp_ns();
  }
  range.end = TimePlus(TimePlus(range.end, spec_.size), 1);
  return range;
}

std::vector<EventTimeWindow::Range> EventTimeWindow::RangesOf(uint32_t partition,
                                                              int64_t timestamp_ns) const {
  if (spec_.kind == WindowKind::kSession) return {SessionAt(events_[partition], timestamp_ns)};
  std::vector<Range> ranges;
  const int64_t step = spec_.kind == WindowKind::kSliding ? spec_.slide : spec_.size;
  const int64_t last = FloorTo(timestamp_ns, step);
  for (int64_t begin = last; TimePlus(begin, spec_.size) > timestamp_ns;
       begin = TimePlus(begin, -step)) {
    ranges.push_back({begin, TimePlus(begin, spec_.size)});
    if (begin < INT64_MIN + step) break;
  }
  std::reverse(ranges.begin(), ranges.end());
  return ranges;
}

void EventTimeWindow::Insert(uint32_t partition, Event event) {
  Events& events = events_[partition];
  const int64_t time = event.timestamp_ns();
  auto behind = std::upper_bound(
      events.begin(), events.end(), time,
      [](int64_t at, const StoredRow& other) { return at < other.timestamp_ns(); });
  events.insert(behind, std::move(event));
  for (const Range& range : RangesOf(partition, time)) {
    if (range.end > watermark_ns_) pending_[range.end].emplace(partition, range.begin);
  }
}

void EventTimeWindow::OnBatch(Batch batch, RunContext& run) {
  for (const Row& row : batch) {
    uint32_t partition = 0;
    if (key_ != nullptr) {
      bool added = false;
      partition = keys_.Find(Evaluate(*key_, row, run), &added);
      if (added) events_.emplace_back();
    }
    Insert(partition, {StoredRow(row, names_.size()), run.event_number});
    for (const Range& range : RangesOf(partition, row.timestamp_ns)) {
      if (range.end <= watermark_ns_) Fire(partition, range, run);
    }
  }
}

void EventTimeWindow::OnWatermark(int64_t watermark_ns, RunContext& run) {
  watermark_ns_ = watermark_ns;
  std::set<uint32_t> fired_partitions;
  while (!pending_.empty() && pending_.begin()->first <= watermark_ns) {
    const int64_t end = pending_.begin()->first;
    const auto windows = std::move(pending_.begin()->second);
    pending_.erase(pending_.begin());
    std::set<std::pair<uint32_t, int64_t>> fired;
    for (const auto& [partition, begin] : windows) {
      Range range{begin, end};
      if (spec_.kind == WindowKind::kSession) {
        // It may have grown at either end since.
        range = SessionAt(events_[partition], begin);
        if (range.end != end || !fired.emplace(partition, range.begin).second) continue;
      }
      Fire(partition, range, run);
      fired_partitions.insert(partition);
    }
  }
  // Not before the last has fired: one step of the watermark may pass several windows.
  for (uint32_t partition : fired_partitions) Forget(partition);
}

void EventTimeWindow::Fire(uint32_t partition, Range range, RunContext& run) {
  const Events& events = events_[partition];
  auto at = std::lower_bound(
      events.begin(), events.end(), range.begin,
      [](const StoredRow& event, int64_t time) { return event.timestamp_ns() < time; });
  std::vector<Row> rows;
  for (; at != events.end() && at->timestamp_ns() < range.end; ++at) {
    Row row = at->CopyTo(names_.size(), *run.eval.arena);
    // The rows may outlive the stored ones in the queue of the graph.
    for (size_t i = 0; i < names_.size(); ++i) {
      row.slots[i] = CopyTo(row.slots[i], *run.eval.arena);
    }
    rows.push_back(row);
  }
  if (!rows.empty()) next_->OnBatch(absl::MakeSpan(rows), run);
}

// No window with what lies further back can fire any more. A session is kept as a whole.
void EventTimeWindow::Forget(uint32_t partition) {
  Events& events = events_[partition];
  const int64_t horizon = TimePlus(TimePlus(watermark_ns_, -lateness_ns_), -spec_.size);
  if (spec_.kind == WindowKind::kSession) {
    while (!events.empty()) {
      const Range first = SessionAt(events, events.front().timestamp_ns());
      if (first.end > horizon) return;
      while (!events.empty() && events.front().timestamp_ns() < first.end) events.pop_front();
    }
    return;
  }
  while (!events.empty() && events.front().timestamp_ns() < horizon) events.pop_front();
}

// By the first of its events to come, as sessions without a watermark are.
void EventTimeWindow::ListOpen(std::vector<OpenSession>* open) const {
  listed_.clear();
  if (spec_.kind != WindowKind::kSession) return;
  std::set<std::pair<uint32_t, int64_t>> seen;
  for (const auto& [end, windows] : pending_) {
    for (const auto& [partition, begin] : windows) {
      const Events& events = events_[partition];
      const Range range = SessionAt(events, begin);
      if (range.end != end || !seen.emplace(partition, range.begin).second) continue;
      uint64_t opened = UINT64_MAX;
      for (const Event& event : events) {
        const int64_t time = event.timestamp_ns();
        if (time >= range.begin && time < range.end) opened = std::min(opened, event.number);
      }
      open->push_back({opened, static_cast<uint32_t>(listed_.size())});
      listed_.emplace_back(partition, range);
    }
  }
}

void EventTimeWindow::CloseOpen(uint32_t listed, RunContext& run) {
  const auto [closing, range] = listed_[listed];
  const uint32_t partition = closing;
  auto windows = pending_.find(range.end);
  if (windows != pending_.end()) {
    std::erase_if(windows->second, [&](const auto& window) { return window.first == partition; });
    if (windows->second.empty()) pending_.erase(windows);
  }
  Fire(partition, range, run);
}

// The names of the slots, the watermark, then one part per partition: its key, its events and
// their numbers.
void EventTimeWindow::Save(StateWriter& writer) const {
  checkpoint::v1::StateRecord& record = writer.StartRecord();
  for (const std::string& name : names_) ValueToProto(Value::String(name), record.add_values());
  record.add_integers(watermark_ns_);
  for (uint32_t partition = 0; partition < events_.size(); ++partition) {
    checkpoint::v1::StateRecord& part = *record.add_parts();
    if (key_ != nullptr) SavePartition(keys_, partition, &part);
    for (const Event& event : events_[partition]) {
      part.add_integers(static_cast<int64_t>(event.number));
      SaveRow(event, names_.size(), part.add_parts());
    }
  }
}

void EventTimeWindow::Restore(const StateReader& reader) {
  const checkpoint::v1::StateRecord& record = reader.record();
  if (record.integers_size() > 0) watermark_ns_ = record.integers(0);
  const std::vector<int> renumbered = RenumberSlots(record, names_);
  for (const checkpoint::v1::StateRecord& part : record.parts()) {
    uint32_t partition = 0;
    if (key_ != nullptr) {
      if (!AddSavedPartition(part, keys_, &partition)) continue;
      events_.emplace_back();
    }
    for (int i = 0; i < part.parts_size() && i < part.integers_size(); ++i) {
      Insert(partition, {RestoreRow(part.parts(i), names_.size(), &renumbered),
                         static_cast<uint64_t>(part.integers(i))});
    }
    if (key_ == nullptr) break;
  }
}

void Watermark::OnBatch(Batch batch, RunContext& run) {
  for (Row& row : batch) {
    const int64_t time = row.timestamp_ns;
    if (time < TimePlus(watermark_ns_, -lateness_ns_)) {
      ++dropped_;
      continue;
    }
    next_->OnBatch(Batch(&row, 1), run);
    const int64_t reached = TimePlus(time, -slack_ns_);
    if (reached <= watermark_ns_) continue;
    watermark_ns_ = reached;
    for (EventTimeWindow* window : windows_) window->OnWatermark(watermark_ns_, run);
  }
}

void Watermark::Save(StateWriter& writer) const {
  checkpoint::v1::StateRecord& record = writer.StartRecord();
  record.add_integers(watermark_ns_);
  record.add_integers(static_cast<int64_t>(dropped_));
}

void Watermark::Restore(const StateReader& reader) {
  const checkpoint::v1::StateRecord& record = reader.record();
  if (record.integers_size() < 2) return;
  watermark_ns_ = record.integers(0);
  dropped_ = static_cast<uint64_t>(record.integers(1));
}

}  // namespace varpulis::engine
