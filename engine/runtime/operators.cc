#include "engine/runtime/operators.h"

#include "engine/runtime/checkpoint.h"

namespace varpulis::engine {
namespace {

Value* NewSlots(const std::vector<ExpressionPtr>& fields, const Row& row, RunContext& run) {
  run.eval.slots = row.slots;
  run.eval.timestamp_ns = row.timestamp_ns;
  auto* slots = run.eval.arena->Allocate<Value>(fields.size());
  for (size_t i = 0; i < fields.size(); ++i) slots[i] = EvaluateIn(*fields[i], run.eval);
  return slots;
}

}  // namespace

void Filter::OnBatch(Batch batch, RunContext& run) {
  PushKept(batch, run, [&](const Row& row) { return Evaluate(*condition_, row, run).is_true(); });
}

void Select::OnBatch(Batch batch, RunContext& run) {
  for (Row& row : batch) row.slots = NewSlots(fields_, row, run);
  next_->OnBatch(batch, run);
}

void Emit::OnBatch(Batch batch, RunContext& run) {
  for (Row& row : batch) {
    row.slots = NewSlots(fields_, row, run);
    for (size_t i = 0; i < fields_.size(); ++i) row.slots[i] = ToEmit(row.slots[i], run.eval);
    ++run.outputs;
    run.sink->OnOutput({stream_, event_type_, row.timestamp_ns, names_, row.slots});
  }
  next_->OnBatch(batch, run);
}

void MapTo::OnBatch(Batch batch, RunContext& run) {
  for (Row& row : batch) {
    const Value value = Evaluate(*value_, row, run);
    auto* slots = run.eval.arena->Allocate<Value>(fields_.size());
    for (size_t i = 0; i < fields_.size(); ++i) {
      if (value.is(ValueKind::kMap)) {
        slots[i] = value.Find(fields_[i]);
      } else {
        slots[i] = fields_[i] == "value" ? value : Value();
      }
    }
    if (all_slot_ >= 0) {
      slots[all_slot_] = value;
      if (!value.is(ValueKind::kMap)) {
        auto* entry = run.eval.arena->Allocate<MapEntry>(1);
        *entry = {"value", value};
        slots[all_slot_] = Value::Map(entry, value.missing() ? 0 : 1);
      }
    }
    if (type_slot_ >= 0) slots[type_slot_] = Evaluate(*type_, row, run);
    row.slots = slots;
  }
  next_->OnBatch(batch, run);
}

void Process::OnBatch(Batch batch, RunContext& run) {
  std::vector<Row> emitted;
  std::vector<Row>* const outer = run.eval.emitted;
  run.eval.emitted = &emitted;
  for (const Row& row : batch) Evaluate(*call_, row, run);
  run.eval.emitted = outer;
  if (!emitted.empty()) next_->OnBatch(absl::MakeSpan(emitted), run);
}

Output::Output(std::string stream, std::vector<std::string> names, int type_slot)
    : stream_(std::move(stream)), type_slot_(type_slot) {
  for (size_t slot = 0; slot < names.size(); ++slot) {
    if (names[slot].empty()) continue;  // hidden
    names_.push_back(std::move(names[slot]));
    slots_.push_back(static_cast<int>(slot));
  }
}

void Output::OnBatch(Batch batch, RunContext& run) {
  for (const Row& row : batch) {
    auto* values = run.eval.arena->Allocate<Value>(slots_.size());
    for (size_t i = 0; i < slots_.size(); ++i) {
      values[i] = ToEmit(row.slots[slots_[i]], run.eval);
    }
    std::string_view type = stream_;
    if (type_slot_ >= 0 && row.slots[type_slot_].is(ValueKind::kString)) {
      type = row.slots[type_slot_].string();
    }
    ++run.outputs;
    run.sink->OnOutput({stream_, type, row.timestamp_ns, names_, values});
  }
  next_->OnBatch(batch, run);
}

void Limit::OnBatch(Batch batch, RunContext& run) {
  PushKept(batch, run, [&](const Row&) { return passed_ < count_ && ++passed_ > 0; });
}

void Limit::Save(StateWriter& writer) const { writer.SetPassed(passed_); }
void Limit::Restore(const StateReader& reader) { passed_ = reader.passed(); }

void StreamEnd::OnBatch(Batch batch, RunContext& run) {
  if (!has_consumers_) return;
  for (const Row& row : batch) run.queue.push_back({stream_, row});
}

}  // namespace varpulis::engine
