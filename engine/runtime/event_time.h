#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/operator.h"
#include "engine/runtime/partition.h"
#include "engine/runtime/stored.h"

namespace varpulis::engine {

// Windows by event time, for streams with `.watermark` (vpl.md §10.1). Events go to their windows
// by their timestamps, whatever the order of arrival. Windows are aligned to multiples of their
// size (or slide) and fire when the watermark reaches their end; an event that comes later but is
// still allowed fires its windows again with the corrected content.
class EventTimeWindow final : public Operator {
 public:
  // `key` is null without `.partition_by`; `names` of the slots, for checkpoints; `lateness_ns` is
  // how long events are kept behind the watermark.
  EventTimeWindow(const PlanWindow& spec, ExpressionPtr key, std::vector<std::string> names,
                  int64_t lateness_ns);

  void OnBatch(Batch batch, RunContext& run) override;
  void OnWatermark(int64_t watermark_ns, RunContext& run);
  // Sessions only.
  void ListOpen(std::vector<OpenSession>* open) const override;
  void CloseOpen(uint32_t listed, RunContext& run) override;
  void Save(StateWriter& writer) const override;
  void Restore(const StateReader& reader) override;

 private:
  struct Range {  // [begin, end) in time
    int64_t begin;
    int64_t end;
  };
  struct Event : StoredRow {
    Event(StoredRow row, uint64_t event_number) : StoredRow(std::move(row)), number(event_number) {}
    uint64_t number;  // of the input event it came of
  };
  // By timestamp, those of one timestamp in order of arrival.
  using Events = std::deque<Event>;

  void Insert(uint32_t partition, Event event);
  std::vector<Range> RangesOf(uint32_t partition, int64_t timestamp_ns) const;
  Range SessionAt(const Events& events, int64_t timestamp_ns) const;
  void Fire(uint32_t partition, Range range, RunContext& run);
  void Forget(uint32_t partition);

  const PlanWindow spec_;
  ExpressionPtr key_;
  std::vector<std::string> names_;
  const int64_t lateness_ns_;
  PartitionTable keys_;
  std::vector<Events> events_;  // by partition
  // Windows to fire, by end, then partition, then begin.
  std::map<int64_t, std::set<std::pair<uint32_t, int64_t>>> pending_;
  int64_t watermark_ns_ = INT64_MIN;
  mutable std::vector<std::pair<uint32_t, Range>> listed_;  // by ListOpen, for CloseOpen
};

// `.watermark(out_of_order: d)`: the watermark is the largest timestamp minus d. An event more than
// the allowed lateness behind it is dropped and counted.
class Watermark final : public Operator {
 public:
  Watermark(int64_t slack_ns, int64_t lateness_ns)
      : slack_ns_(slack_ns), lateness_ns_(lateness_ns) {}

  void AddWindow(EventTimeWindow* window) { windows_.push_back(window); }
  uint64_t dropped() const { return dropped_; }

  void OnBatch(Batch batch, RunContext& run) override;
  void Save(StateWriter& writer) const override;
  void Restore(const StateReader& reader) override;

 private:
  const int64_t slack_ns_, lateness_ns_;
  std::vector<EventTimeWindow*> windows_;
  int64_t watermark_ns_ = INT64_MIN;
  uint64_t dropped_ = 0;
};

}  // namespace varpulis::engine
