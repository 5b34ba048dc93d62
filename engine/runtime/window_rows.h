#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/runtime/stored.h"
#include "engine/runtime/window.h"

namespace varpulis::engine {

// The rows themselves, for a window without an aggregate right behind it.
class RowWindow final : public WindowContent {
 public:
  // `names` by slot.
  explicit RowWindow(std::vector<std::string> names)
      : names_(std::move(names)), slot_count_(names_.size()) {}

  void Resize(uint32_t count) override { partitions_.resize(count); }
  void Add(uint32_t partition, const Row& row, RunContext& run) override;
  void Clear(uint32_t partition) override { partitions_[partition].clear(); }
  void Fire(uint32_t partition, const PartitionTable* keys, RunContext& run,
            Operator& next) override;
  size_t size(uint32_t partition) const override { return partitions_[partition].size(); }
  int64_t oldest_ns(uint32_t partition) const override {
    return partitions_[partition].front().timestamp_ns();
  }
  void DropOldest(uint32_t partition) override { partitions_[partition].pop_front(); }
  void SaveHeader(checkpoint::v1::StateRecord* record) const override;
  void RestoreHeader(const checkpoint::v1::StateRecord& record) override;
  void Save(uint32_t partition, checkpoint::v1::StateRecord* record) const override;
  void Restore(uint32_t partition, const checkpoint::v1::StateRecord& record) override;

 private:
  std::vector<std::string> names_;
  size_t slot_count_;
  std::vector<int> renumbered_;  // while restoring
  std::vector<std::deque<StoredRow>> partitions_;
};

// A stored row as a part of a record, and back. Slots are numbered by a program's first use of a
// field, so a record goes with the names of its slots; `slots` of RestoreRow says which slot of the
// program each number means now, -1 for none.
void SaveRow(const StoredRow& row, size_t slot_count, checkpoint::v1::StateRecord* record);
StoredRow RestoreRow(const checkpoint::v1::StateRecord& record, size_t slot_count,
                     const std::vector<int>* slots);
std::vector<int> RenumberSlots(const checkpoint::v1::StateRecord& names_then,
                               const std::vector<std::string>& names_now);

}  // namespace varpulis::engine
