#include "engine/runtime/batch_operators.h"

#include <algorithm>
#include <memory>
#include <numeric>

namespace varpulis::engine {
namespace {

// -1, 0, 1; kinds that cannot be compared are equal, NaN comes behind the numbers.
int Order(const Value& a, const Value& b) {
  switch (Compare(a, b)) {
    case Ordering::kLess:
      return -1;
    case Ordering::kGreater:
      return 1;
    case Ordering::kEqual:
      return 0;
    case Ordering::kNone:
      break;
  }
  const auto is_nan = [](const Value& value) {
    return value.is(ValueKind::kFloat) && value.real() != value.real();
  };
  // Kinds among themselves, so that the order is one.
  const auto group = [&](const Value& value) {
    return value.is_number() ? (is_nan(value) ? 1 : 0) : 2 + static_cast<int>(value.kind());
  };
  return group(a) < group(b) ? -1 : group(a) > group(b) ? 1 : 0;
}

}  // namespace

void Aggregate::OnBatch(Batch batch, RunContext& run) {
  PartitionTable keys;
  std::vector<std::unique_ptr<uint64_t[]>> blocks;
  std::vector<int64_t> times;
  for (const Row& row : batch) {
    uint32_t partition = 0;
    if (key_ != nullptr) {
      bool added = false;
      partition = keys.Find(Evaluate(*key_, row, run), &added);
    }
    if (partition == blocks.size()) {
      blocks.push_back(std::make_unique<uint64_t[]>(aggregates_.block_size() / sizeof(uint64_t)));
      times.push_back(row.timestamp_ns);
      aggregates_.Start(reinterpret_cast<char*>(blocks.back().get()));
    }
    times[partition] = row.timestamp_ns;
    aggregates_.Add(reinterpret_cast<char*>(blocks[partition].get()), row, run);
  }
  std::vector<Row> rows;
  for (uint32_t partition = 0; partition < blocks.size(); ++partition) {
    char* block = reinterpret_cast<char*>(blocks[partition].get());
    rows.push_back(MakeAggregateRow(shape_, times[partition], key_ != nullptr ? &keys : nullptr,
                                    partition, run));
    for (size_t i = 0; i < shape_.slot_count; ++i) {  // the keys go before the rows do
      rows.back().slots[i] = CopyTo(rows.back().slots[i], *run.eval.arena);
    }
    aggregates_.Finish(block, run, rows.back().slots);
    aggregates_.Stop(block);
  }
  next_->OnBatch(absl::MakeSpan(rows), run);
}

void OrderBy::OnBatch(Batch batch, RunContext& run) {
  const size_t width = keys_.size();
  std::vector<Value> keys;
  keys.reserve(batch.size() * width);
  for (const Row& row : batch) {
    for (const ExpressionPtr& key : keys_) keys.push_back(Evaluate(*key, row, run));
  }
  std::vector<size_t> order(batch.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    for (size_t i = 0; i < width; ++i) {
      const Value& left = keys[a * width + i];
      const Value& right = keys[b * width + i];
      if (left.null_or_missing() != right.null_or_missing()) return right.null_or_missing();
      if (left.null_or_missing()) continue;
      const int compared = descending_[i] ? Order(right, left) : Order(left, right);
      if (compared != 0) return compared < 0;
    }
    return false;
  });
  std::vector<Row> sorted;
  sorted.reserve(batch.size());
  for (size_t index : order) sorted.push_back(batch[index]);
  next_->OnBatch(absl::MakeSpan(sorted), run);
}

}  // namespace varpulis::engine
