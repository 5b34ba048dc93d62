#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/runtime/aggregate_function.h"
#include "engine/runtime/distinct_counts.h"
#include "engine/runtime/window.h"

namespace varpulis::engine {

// The output row of an aggregation: the outputs, then the key text and the key when partitioned and
// the plan has slots for them.
struct AggregateShape {
  size_t slot_count = 0;
  int partition_slot = -1;  // `_partition`
  int key_slot = -1;        // the partition field under its own name
};
Row MakeAggregateRow(const AggregateShape& shape, int64_t timestamp_ns, const PartitionTable* keys,
                     uint32_t partition, RunContext& run);

// What an aggregate has gathered since the window began; the events are not kept. For windows that
// empty when they fire.
class AggregateWindow final : public WindowContent {
 public:
  AggregateWindow(AggregateSet aggregates, AggregateShape shape);
  ~AggregateWindow() override;

  void Resize(uint32_t count) override;
  void Add(uint32_t partition, const Row& row, RunContext& run) override;
  void Clear(uint32_t partition) override;
  void Fire(uint32_t partition, const PartitionTable* keys, RunContext& run,
            Operator& next) override;
  size_t size(uint32_t) const override { return 0; }
  int64_t oldest_ns(uint32_t) const override { return 0; }
  void DropOldest(uint32_t) override {}
  void Save(uint32_t partition, checkpoint::v1::StateRecord* record) const override;
  void Restore(uint32_t partition, const checkpoint::v1::StateRecord& record) override;

 private:
  static constexpr uint32_t kPerChunk = 64;

  // A block is the timestamp of the last event and then the set's own block.
  char* Block(uint32_t partition) const {
    return chunks_[partition / kPerChunk].get() + partition % kPerChunk * stride_;
  }
  AggregateSet aggregates_;
  AggregateShape shape_;
  size_t stride_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  uint32_t count_ = 0;
};

// Aggregates over the events of a sliding window in constant time per event, whatever the length of
// the window: the two stacks of Tangwongsan, Hirzel, Schneider, Low-Latency Sliding-Window
// Aggregation in Worst-Case Constant Time (DEBS 2017), §2. Older events have a running merge from
// each of them to the boundary, younger ones one merge of all; a result is one merge of the two.
// Nothing is ever subtracted, so no rounding error builds up.
class SlidingAggregateWindow final : public WindowContent {
 public:
  SlidingAggregateWindow(AggregateSet aggregates, AggregateShape shape);

  void Resize(uint32_t count) override;
  void Add(uint32_t partition, const Row& row, RunContext& run) override;
  void Clear(uint32_t partition) override;
  void Fire(uint32_t partition, const PartitionTable* keys, RunContext& run,
            Operator& next) override;
  size_t size(uint32_t partition) const override {
    const Part& part = parts_[partition];
    return part.times.size() - part.head;
  }
  int64_t oldest_ns(uint32_t partition) const override {
    return parts_[partition].times[parts_[partition].head];
  }
  void DropOldest(uint32_t partition) override;
  void Save(uint32_t partition, checkpoint::v1::StateRecord* record) const override;
  void Restore(uint32_t partition, const checkpoint::v1::StateRecord& record) override;

 private:
  // Events by age from `head`. `numbers` and `values` have one entry per event and numeric or other
  // function.
  struct Part {
    std::vector<int64_t> times;
    std::vector<double> numbers;
    std::vector<OwnedValue> values;
    std::vector<NumberState> older;    // per event before the boundary and numeric function
    std::vector<NumberState> younger;  // per numeric function
    std::vector<DistinctCounts> distinct;
    size_t head = 0;
    size_t boundary = 0;
  };
  void MoveBoundary(Part& part) const;
  void Compact(Part& part) const;
  void Append(Part& part, int64_t time, const double* numbers);
  Value OtherResult(const Part& part, size_t column, const AggregateSet::Function& function,
                    size_t distinct, RunContext& run) const;

  AggregateSet aggregates_;
  AggregateShape shape_;
  std::vector<const AggregateSet::Function*> numeric_, other_;
  std::vector<int> place_;  // of each function among its kind; -1 for count
  std::vector<double> scratch_;
  std::vector<Part> parts_;
};

}  // namespace varpulis::engine
