#include "engine/runtime/window_aggregate.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/runtime/batch_codec.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {

Row MakeAggregateRow(const AggregateShape& shape, int64_t timestamp_ns, const PartitionTable* keys,
                     uint32_t partition, RunContext& run) {
  Row row;
  row.timestamp_ns = timestamp_ns;
  run.eval.timestamp_ns = timestamp_ns;  // of `now()` in the outputs
  row.slots = run.eval.arena->Allocate<Value>(shape.slot_count);
  for (size_t i = 0; i < shape.slot_count; ++i) row.slots[i] = Value();
  if (keys == nullptr) return row;
  if (shape.partition_slot >= 0) {
    row.slots[shape.partition_slot] = Value::String(keys->text(partition));
  }
  if (shape.key_slot >= 0) row.slots[shape.key_slot] = keys->key(partition);
  return row;
}

AggregateWindow::AggregateWindow(AggregateSet aggregates, AggregateShape shape)
    : aggregates_(std::move(aggregates)),
      shape_(shape),
      stride_(aggregates_.block_size() + sizeof(int64_t)) {}

AggregateWindow::~AggregateWindow() {
  for (uint32_t i = 0; i < count_; ++i) aggregates_.Stop(Block(i) + sizeof(int64_t));
}

void AggregateWindow::Resize(uint32_t count) {
  for (; count_ < count; ++count_) {
    if (count_ % kPerChunk == 0) {
      chunks_.push_back(std::unique_ptr<char[]>(new char[kPerChunk * stride_]));
    }
    std::memset(Block(count_), 0, sizeof(int64_t));
    aggregates_.Start(Block(count_) + sizeof(int64_t));
  }
}

void AggregateWindow::Add(uint32_t partition, const Row& row, RunContext& run) {
  char* block = Block(partition);
  *reinterpret_cast<int64_t*>(block) = row.timestamp_ns;
  aggregates_.Add(block + sizeof(int64_t), row, run);
}

void AggregateWindow::Clear(uint32_t partition) {
  char* block = Block(partition) + sizeof(int64_t);
  aggregates_.Stop(block);
  aggregates_.Start(block);
}

void AggregateWindow::Fire(uint32_t partition, const PartitionTable* keys, RunContext& run,
                           Operator& next) {
  const char* block = Block(partition);
  Row row =
      MakeAggregateRow(shape_, *reinterpret_cast<const int64_t*>(block), keys, partition, run);
  aggregates_.Finish(block + sizeof(int64_t), run, row.slots);
  next.OnBatch(Batch(&row, 1), run);
}

void AggregateWindow::Save(uint32_t partition, checkpoint::v1::StateRecord* record) const {
  const char* block = Block(partition);
  record->add_integers(*reinterpret_cast<const int64_t*>(block));
  aggregates_.Save(block + sizeof(int64_t), record);
}

void AggregateWindow::Restore(uint32_t partition, const checkpoint::v1::StateRecord& record) {
  char* block = Block(partition);
  *reinterpret_cast<int64_t*>(block) = record.integers_size() > 0 ? record.integers(0) : 0;
  aggregates_.Restore(block + sizeof(int64_t), record);
}

SlidingAggregateWindow::SlidingAggregateWindow(AggregateSet aggregates, AggregateShape shape)
    : aggregates_(std::move(aggregates)), shape_(shape) {
  for (const AggregateSet::Function& function : aggregates_.functions()) {
    if (function.function == AggregateFunction::kCount) {
      place_.push_back(-1);
    } else {
      auto& kind = IsNumeric(function.function) ? numeric_ : other_;
      place_.push_back(static_cast<int>(kind.size()));
      kind.push_back(&function);
    }
  }
  scratch_.resize(numeric_.size());
}

void SlidingAggregateWindow::Resize(uint32_t count) {
  const size_t before = parts_.size();
  parts_.resize(count);
  for (size_t i = before; i < parts_.size(); ++i) {
    parts_[i].younger.resize(numeric_.size());
    parts_[i].distinct.resize(other_.size());
  }
}

void SlidingAggregateWindow::Append(Part& part, int64_t time, const double* numbers) {
  part.times.push_back(time);
  for (size_t i = 0; i < numeric_.size(); ++i) {
    part.numbers.push_back(numbers[i]);
    AddNumber(numeric_[i]->function, numeric_[i]->parameter, numbers[i], &part.younger[i]);
  }
}

void SlidingAggregateWindow::Add(uint32_t partition, const Row& row, RunContext& run) {
  Part& part = parts_[partition];
  for (size_t i = 0; i < numeric_.size(); ++i) {
    scratch_[i] = AggregateSet::NumberOf(EvaluateOn(*numeric_[i]->argument, row, run));
  }
  Append(part, row.timestamp_ns, scratch_.data());
  for (size_t i = 0; i < other_.size(); ++i) {
    const Value value = EvaluateOn(*other_[i]->argument, row, run);
    part.values.emplace_back(value);
    if (other_[i]->function == AggregateFunction::kCountDistinct && !value.missing()) {
      part.distinct[i].Add(value);
    }
  }
}

void SlidingAggregateWindow::Clear(uint32_t partition) {
  parts_[partition] = Part();
  parts_[partition].younger.resize(numeric_.size());
  parts_[partition].distinct.resize(other_.size());
}

// All events become older ones: each gets the merge of itself and what is younger.
void SlidingAggregateWindow::MoveBoundary(Part& part) const {
  Compact(part);
  const size_t width = numeric_.size();
  const size_t count = part.times.size();
  part.boundary = count;
  part.older.resize(count * width);
  for (size_t i = count; i-- > 0;) {
    for (size_t k = 0; k < width; ++k) {
      NumberState own;
      AddNumber(numeric_[k]->function, numeric_[k]->parameter, part.numbers[i * width + k], &own);
      part.older[i * width + k] = i + 1 == count ? own
                                                 : MergeNumbers(numeric_[k]->function, own,
                                                                part.older[(i + 1) * width + k]);
    }
  }
  part.younger.assign(width, NumberState());
}

// Dropped events give their room back. REQUIRES: no older ones.
void SlidingAggregateWindow::Compact(Part& part) const {
  const auto drop = [&part](auto& column, size_t width) {
    column.erase(column.begin(), column.begin() + static_cast<ptrdiff_t>(part.head * width));
  };
  drop(part.times, 1);
  drop(part.numbers, numeric_.size());
  drop(part.values, other_.size());
  part.head = 0;
}

void SlidingAggregateWindow::DropOldest(uint32_t partition) {
  Part& part = parts_[partition];
  if (part.head == part.boundary) MoveBoundary(part);
  for (size_t i = 0; i < other_.size(); ++i) {
    OwnedValue& value = part.values[part.head * other_.size() + i];
    if (other_[i]->function == AggregateFunction::kCountDistinct && !value.get().missing()) {
      part.distinct[i].Remove(value.get());
    }
    value = OwnedValue();
  }
  ++part.head;
}

Value SlidingAggregateWindow::OtherResult(const Part& part, size_t column,
                                          const AggregateSet::Function& function, size_t distinct,
                                          RunContext& run) const {
  const size_t width = other_.size();
  const size_t end = part.times.size();
  const auto value = [&](size_t event) -> const Value& {
    return part.values[event * width + column].get();
  };
  switch (function.function) {
    case AggregateFunction::kFirst:
      return value(part.head).missing() ? Value::Null() : value(part.head);
    case AggregateFunction::kLast:
      return value(end - 1).missing() ? Value::Null() : value(end - 1);
    case AggregateFunction::kCountDistinct:
      return Value::Int(static_cast<int64_t>(part.distinct[distinct].size()));
    case AggregateFunction::kCollect: {
      auto* items = run.eval.arena->Allocate<Value>(end - part.head);
      size_t size = 0;
      for (size_t i = part.head; i < end; ++i) {
        if (!value(i).missing()) items[size++] = value(i);
      }
      return MadeOfState(Value::List(items, size), run.eval);
    }
    default: {
      std::vector<double> numbers;
      for (size_t i = part.head; i < end; ++i) {
        const double number = AggregateSet::NumberOf(value(i));
        if (number == number) numbers.push_back(number);
      }
      return PercentileOf(std::move(numbers), function.parameter);
    }
  }
}

void SlidingAggregateWindow::Fire(uint32_t partition, const PartitionTable* keys, RunContext& run,
                                  Operator& next) {
  const Part& part = parts_[partition];
  const std::vector<AggregateSet::Function>& functions = aggregates_.functions();
  auto* results = run.eval.arena->Allocate<Value>(functions.size());
  for (size_t i = 0; i < functions.size(); ++i) {
    const AggregateSet::Function& function = functions[i];
    if (place_[i] < 0) {
      results[i] = Value::Int(static_cast<int64_t>(part.times.size() - part.head));
      continue;
    }
    const auto place = static_cast<size_t>(place_[i]);
    if (!IsNumeric(function.function)) {
      results[i] = OtherResult(part, place, function, place, run);
      continue;
    }
    const NumberState older =
        part.head < part.boundary ? part.older[part.head * numeric_.size() + place] : NumberState();
    results[i] = NumberResult(function.function,
                              MergeNumbers(function.function, older, part.younger[place]));
  }
  Row row = MakeAggregateRow(shape_, part.times.back(), keys, partition, run);
  aggregates_.FinishFrom(results, run, row.slots);
  next.OnBatch(Batch(&row, 1), run);
}

// The events, and how many of them are older ones: what was merged follows from that.
void SlidingAggregateWindow::Save(uint32_t partition, checkpoint::v1::StateRecord* record) const {
  const Part& part = parts_[partition];
  record->add_integers(static_cast<int64_t>(part.boundary - std::min(part.boundary, part.head)));
  for (size_t i = part.head; i < part.times.size(); ++i) record->add_integers(part.times[i]);
  for (size_t i = part.head * numeric_.size(); i < part.numbers.size(); ++i) {
    record->add_reals(part.numbers[i]);
  }
  for (size_t i = part.head * other_.size(); i < part.values.size(); ++i) {
    checkpoint::v1::StateRecord& value = *record->add_parts();
    if (!part.values[i].get().missing()) ValueToProto(part.values[i].get(), value.add_values());
  }
}

void SlidingAggregateWindow::Restore(uint32_t partition,
                                     const checkpoint::v1::StateRecord& record) {
  Clear(partition);
  Part& part = parts_[partition];
  const int count = record.integers_size() - 1;
  const size_t width = numeric_.size();
  if (count < 0 || static_cast<size_t>(record.reals_size()) != static_cast<size_t>(count) * width ||
      static_cast<size_t>(record.parts_size()) != static_cast<size_t>(count) * other_.size()) {
    return;
  }
  Arena arena;
  for (const checkpoint::v1::StateRecord& saved : record.parts()) {
    Value value;
    if (saved.values_size() > 0 &&
        !ValueFromProto(saved.values(0), arena, &value, /*check_limits=*/false).ok()) {
      value = Value();
    }
    const size_t column = part.values.size() % other_.size();
    part.values.emplace_back(value);
    if (other_[column]->function == AggregateFunction::kCountDistinct && !value.missing()) {
      part.distinct[column].Add(value);
    }
    arena.Reset();
  }
  const auto older = static_cast<uint64_t>(record.integers(0));
  for (int i = 0; i < count; ++i) {
    Append(part, record.integers(i + 1), record.reals().data() + static_cast<size_t>(i) * width);
    if (static_cast<uint64_t>(i) + 1 == older) {
      // The values of later events are there already; without dropped events nothing moves.
      MoveBoundary(part);
    }
  }
}

}  // namespace varpulis::engine
