#include "engine/runtime/distinct.h"

#include <utility>

#include "engine/runtime/checkpoint.h"

namespace varpulis::engine {

Distinct::Distinct(ExpressionPtr key)
    : key_(std::move(key)), index_(0, Hash{&entries_}, Same{&entries_}) {}

void Distinct::OnBatch(Batch batch, RunContext& run) {
  PushKept(batch, run, [&](const Row& row) { return Insert(Evaluate(*key_, row, run)); });
}

bool Distinct::Insert(const Value& key) {
  const Probe probe{&key, HashValue(key)};
  auto found = index_.find(probe);
  if (found != index_.end()) {
    Unlink(*found);
    LinkNewest(*found);
    return false;
  }
  uint32_t index = static_cast<uint32_t>(entries_.size());
  if (entries_.size() < kMaxKeys) {
    entries_.emplace_back();
  } else {
    index = oldest_;  // its place is reused
    index_.erase(index);
    Unlink(index);
  }
  entries_[index].key = OwnedValue(key);
  entries_[index].hash = probe.hash;
  LinkNewest(index);
  index_.insert(index);
  return true;
}

void Distinct::Unlink(uint32_t index) {
  Entry& entry = entries_[index];
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
}

void Distinct::LinkNewest(uint32_t index) {
  Entry& entry = entries_[index];
  entry.older = newest_;
  entry.newer = kNone;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = index;
  newest_ = index;
}

void Distinct::Save(StateWriter& writer) const {
  writer.StartDistinct();
  for (uint32_t at = oldest_; at != kNone; at = entries_[at].newer) {
    writer.AddDistinctKey(entries_[at].key.get());
  }
}

void Distinct::Restore(const StateReader& reader) {
  reader.ForEachDistinctKey([this](const Value& key) { Insert(key); });
}

}  // namespace varpulis::engine
