#include "engine/runtime/operators.h"

#include "engine/runtime/checkpoint.h"

namespace varpulis::engine {
namespace {

Value* NewSlots(const std::vector<ExpressionPtr>& fields, const Row& row, RunContext& run) {
  run.eval.slots = row.slots;
  run.eval.timestamp_ns = row.timestamp_ns;
  auto* slots = run.eval.arena->Allocate<Value>(fields.size());
  for (size_t i = 0; i < fields.size(); ++i) slots[i] = fields[i]->Evaluate(run.eval);
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
    ++run.outputs;
    run.sink->OnOutput({stream_, event_type_, row.timestamp_ns, names_, row.slots});
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
