#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/operator.h"
#include "engine/runtime/partition.h"

namespace varpulis::checkpoint::v1 {
class StateRecord;
}

namespace varpulis::engine {

// What a window holds of the events in it, for all partitions of one operator, numbered densely.
// Either the rows themselves or what an `.aggregate` makes of them.
class WindowContent {
 public:
  virtual ~WindowContent() = default;

  // Makes room for partitions [0, count).
  virtual void Resize(uint32_t count) = 0;
  virtual void Add(uint32_t partition, const Row& row, RunContext& run) = 0;
  virtual void Clear(uint32_t partition) = 0;
  // What the window has to give, as one batch to `next`. Not called for an empty window. `keys` has
  // the partition's name, `keyed` whether there are partitions at all.
  virtual void Fire(uint32_t partition, const PartitionTable* keys, RunContext& run,
                    Operator& next) = 0;

  // Sliding windows only: the events by age.
  virtual size_t size(uint32_t partition) const = 0;
  virtual int64_t oldest_ns(uint32_t partition) const = 0;
  virtual void DropOldest(uint32_t partition) = 0;

  // Once per operator, in front of the partitions.
  virtual void SaveHeader(checkpoint::v1::StateRecord*) const {}
  virtual void RestoreHeader(const checkpoint::v1::StateRecord&) {}
  virtual void Save(uint32_t partition, checkpoint::v1::StateRecord* record) const = 0;
  virtual void Restore(uint32_t partition, const checkpoint::v1::StateRecord& record) = 0;
};

// `.window(…)`, with the `.aggregate(…)` behind it when there is one. vpl.md §4.1: all decisions
// use event time; a partition fires only when an event of that partition arrives, and sessions also
// at the end of the input.
class Window final : public Operator {
 public:
  // `key` is null without `.partition_by`.
  Window(const PlanWindow& spec, ExpressionPtr key, std::unique_ptr<WindowContent> content);

  void OnBatch(Batch batch, RunContext& run) override;
  void ListOpen(std::vector<OpenSession>* open) const override;
  void CloseOpen(uint32_t partition, RunContext& run) override;
  void Save(StateWriter& writer) const override;
  void Restore(const StateReader& reader) override;

 private:
  struct State {
    int64_t time_ns = 0;  // tumbling: start; sliding: last fire; session: last event
    uint64_t opened = 0;  // session: number of its first event in the pipeline
    uint32_t count = 0;   // events held; sliding count: events since the last fire
    bool active = false;  // time_ns means something
  };

  uint32_t PartitionOf(const Row& row, RunContext& run);
  void Accept(uint32_t partition, const Row& row, RunContext& run);
  void Fire(uint32_t partition, RunContext& run);

  const PlanWindow spec_;
  ExpressionPtr key_;
  std::unique_ptr<WindowContent> content_;
  PartitionTable keys_;
  std::vector<State> states_;
};

}  // namespace varpulis::engine
