#include "engine/runtime/window.h"

#include <algorithm>
#include <utility>

#include "engine/runtime/batch_codec.h"
#include "engine/runtime/checkpoint.h"
#include "engine/runtime/time_math.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {
Window::Window(const PlanWindow& spec, ExpressionPtr key, std::unique_ptr<WindowContent> content)
    : spec_(spec), key_(std::move(key)), content_(std::move(content)) {
  if (key_ == nullptr) {
    states_.resize(1);
    content_->Resize(1);
  }
}

uint32_t Window::PartitionOf(const Row& row, RunContext& run) {
  if (key_ == nullptr) return 0;
  bool added = false;
  const uint32_t partition = keys_.Find(Evaluate(*key_, row, run), &added);
  if (added) {
    states_.emplace_back();
    content_->Resize(partition + 1);
  }
  return partition;
}

void Window::OnBatch(Batch batch, RunContext& run) {
  for (const Row& row : batch) Accept(PartitionOf(row, run), row, run);
}

void Window::Fire(uint32_t partition, RunContext& run) {
  content_->Fire(partition, key_ != nullptr ? &keys_ : nullptr, run, *next_);
}

void Window::Accept(uint32_t partition, const Row& row, RunContext& run) {
  State& state = states_[partition];
  const int64_t now = row.timestamp_ns;
  switch (spec_.kind) {
    case WindowKind::kTumbling:
      if (state.active && now >= TimePlus(state.time_ns, spec_.size)) {
        Fire(partition, run);
        content_->Clear(partition);
        state.active = false;
      }
      if (!state.active) {
        state.active = true;
        state.time_ns = now;
      }
      content_->Add(partition, row, run);
      return;
    case WindowKind::kSession:
      if (state.active && now > TimePlus(state.time_ns, spec_.size)) {
        Fire(partition, run);
        content_->Clear(partition);
        state.active = false;
      }
      if (!state.active) state.opened = run.event_number;
      state.active = true;
      state.time_ns = now;
      content_->Add(partition, row, run);
      return;
    case WindowKind::kCount:
      content_->Add(partition, row, run);
      if (++state.count < spec_.size) return;
      Fire(partition, run);
      content_->Clear(partition);
      state.count = 0;
      return;
    case WindowKind::kSliding: {
      content_->Add(partition, row, run);
      const int64_t horizon = TimePlus(now, -spec_.size);
      while (content_->size(partition) > 0 && content_->oldest_ns(partition) < horizon) {
        content_->DropOldest(partition);
      }
      if (state.active && now < TimePlus(state.time_ns, spec_.slide)) return;
      state.active = true;
      state.time_ns = now;
      if (content_->size(partition) > 0) Fire(partition, run);
      return;
    }
    case WindowKind::kSlidingCount:
      content_->Add(partition, row, run);
      if (content_->size(partition) > static_cast<size_t>(spec_.size)) {
        content_->DropOldest(partition);
      }
      if (state.count < spec_.slide) ++state.count;
      if (content_->size(partition) < static_cast<size_t>(spec_.size) ||
          state.count < spec_.slide) {
        return;
      }
      state.count = 0;
      Fire(partition, run);
      return;
  }
}

void Window::ListOpen(std::vector<OpenSession>* open) const {
  if (spec_.kind != WindowKind::kSession) return;
  for (uint32_t partition = 0; partition < states_.size(); ++partition) {
    if (states_[partition].active) open->push_back({states_[partition].opened, partition});
  }
}

void Window::CloseOpen(uint32_t partition, RunContext& run) {
  Fire(partition, run);
  content_->Clear(partition);
  states_[partition].active = false;
}

// The content's header, then one part per partition: its key and its state.
void Window::Save(StateWriter& writer) const {
  checkpoint::v1::StateRecord& record = writer.StartRecord();
  content_->SaveHeader(&record);
  for (uint32_t partition = 0; partition < states_.size(); ++partition) {
    const State& state = states_[partition];
    checkpoint::v1::StateRecord& part = *record.add_parts();
    if (key_ != nullptr) SavePartition(keys_, partition, &part);
    part.add_integers(state.time_ns);
    part.add_integers(static_cast<int64_t>(state.opened));
    part.add_integers(state.count);
    part.add_integers(state.active ? 1 : 0);
    content_->Save(partition, part.add_parts());
  }
}

void Window::Restore(const StateReader& reader) {
  content_->RestoreHeader(reader.record());
  for (const checkpoint::v1::StateRecord& part : reader.record().parts()) {
    uint32_t partition = 0;
    if (key_ != nullptr) {
      if (!AddSavedPartition(part, keys_, &partition)) continue;
      states_.emplace_back();
      content_->Resize(partition + 1);
    }
    if (part.integers_size() < 4 || part.parts_size() < 1) continue;
    State& state = states_[partition];
    state.time_ns = part.integers(0);
    state.opened = static_cast<uint64_t>(part.integers(1));
    state.count = static_cast<uint32_t>(part.integers(2));
    state.active = part.integers(3) != 0;
    content_->Restore(partition, part.parts(0));
    if (key_ == nullptr) break;
  }
}

}  // namespace varpulis::engine
