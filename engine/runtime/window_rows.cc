#include "engine/runtime/window_rows.h"

#include <algorithm>

#include "engine/runtime/batch_codec.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {

void RowWindow::Add(uint32_t partition, const Row& row, RunContext&) {
  partitions_[partition].emplace_back(row, slot_count_);
}

void RowWindow::Fire(uint32_t partition, const PartitionTable*, RunContext& run, Operator& next) {
  const std::deque<StoredRow>& stored = partitions_[partition];
  std::vector<Row> rows;
  rows.reserve(stored.size());
  // The rows may outlive the window's content in the queue of the graph.
  for (const StoredRow& row : stored) {
    Row copy = row.CopyTo(slot_count_, *run.eval.arena);
    for (size_t i = 0; i < slot_count_; ++i) {
      copy.slots[i] = varpulis::engine::CopyTo(copy.slots[i], *run.eval.arena);
    }
    rows.push_back(copy);
  }
  next.OnBatch(absl::MakeSpan(rows), run);
}

// Slots that are ⊥ are left out: integers hold the timestamp and then the number of each slot.
void SaveRow(const StoredRow& row, size_t slot_count, checkpoint::v1::StateRecord* record) {
  record->add_integers(row.timestamp_ns());
  for (size_t i = 0; i < slot_count; ++i) {
    if (row.slots()[i].missing()) continue;
    record->add_integers(static_cast<int64_t>(i));
    ValueToProto(row.slots()[i], record->add_values());
  }
}

StoredRow RestoreRow(const checkpoint::v1::StateRecord& record, size_t slot_count,
                     const std::vector<int>* slots) {
  Arena arena;
  std::vector<Value> values(slot_count);
  Row row;
  row.slots = values.data();
  if (record.integers_size() > 0) row.timestamp_ns = record.integers(0);
  for (int i = 0; i < record.values_size() && i + 1 < record.integers_size(); ++i) {
    const auto then = static_cast<uint64_t>(record.integers(i + 1));
    const int now = then < slots->size() ? (*slots)[then] : -1;
    if (now < 0 || static_cast<size_t>(now) >= slot_count) continue;
    Value value;
    if (ValueFromProto(record.values(i), arena, &value, /*check_limits=*/false).ok()) {
      values[static_cast<size_t>(now)] = value;
    }
  }
  return StoredRow(row, slot_count);
}

std::vector<int> RenumberSlots(const checkpoint::v1::StateRecord& names_then,
                               const std::vector<std::string>& names_now) {
  std::vector<int> slots;
  for (const varpulis::v1::Value& name : names_then.values()) {
    const auto found = std::find(names_now.begin(), names_now.end(), name.string_value());
    slots.push_back(found == names_now.end() ? -1 : static_cast<int>(found - names_now.begin()));
  }
  return slots;
}

void RowWindow::SaveHeader(checkpoint::v1::StateRecord* record) const {
  for (const std::string& name : names_) ValueToProto(Value::String(name), record->add_values());
}

void RowWindow::RestoreHeader(const checkpoint::v1::StateRecord& record) {
  renumbered_ = RenumberSlots(record, names_);
}

void RowWindow::Save(uint32_t partition, checkpoint::v1::StateRecord* record) const {
  for (const StoredRow& row : partitions_[partition]) {
    SaveRow(row, slot_count_, record->add_parts());
  }
}

void RowWindow::Restore(uint32_t partition, const checkpoint::v1::StateRecord& record) {
  for (const checkpoint::v1::StateRecord& part : record.parts()) {
    partitions_[partition].push_back(RestoreRow(part, slot_count_, &renumbered_));
  }
}

}  // namespace varpulis::engine
