#include "engine/runtime/join.h"

#include <algorithm>
#include <utility>

#include "engine/runtime/batch_codec.h"
#include "engine/runtime/checkpoint.h"
#include "engine/runtime/time_math.h"
#include "engine/runtime/window_rows.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {
Join::Join(std::vector<Source> sources, int64_t window_ns, std::shared_ptr<const Assembly> assembly)
    : sources_(std::move(sources)),
      window_ns_(window_ns),
      assembly_(std::move(assembly)),
      parts_(sources_.size()) {
  for (const Source& source : sources_) {
    first_value_.push_back(value_count_);
    value_count_ += source.slots.size();
  }
}

// Parts are told apart by their lengths.
bool Join::KeyText(const Source& source, const Row& row, RunContext& run, std::string_view* text) {
  run.eval.slots = row.slots;
  run.eval.timestamp_ns = row.timestamp_ns;
  if (source.key.size() == 1) {
    const Value value = source.key[0]->Evaluate(run.eval);
    *text = PartitionText(value, {}, &key_text_);
    return !value.missing();
  }
  key_text_.clear();
  for (const ExpressionPtr& part : source.key) {
    const Value value = part->Evaluate(run.eval);
    if (value.missing()) return false;
    const std::string_view of_part = PartitionText(value, {}, &buffer_);
    key_text_.append(std::to_string(of_part.size())).append(":").append(of_part);
  }
  *text = key_text_;
  return true;
}

const Value* Join::Reduced(const Source& source, const Row& row) {
  reduced_.resize(source.slots.size());
  for (size_t i = 0; i < source.slots.size(); ++i) reduced_[i] = row.slots[source.slots[i]];
  return reduced_.data();
}

int64_t Join::Oldest() const { return TimeMinus(TimeMinus(latest_ns_, window_ns_), window_ns_); }

void Join::MakeBlock() {
  Block block;
  block.keys = std::make_unique<Key[]>(kBlockKeys);
  block.sides = std::make_unique<Side[]>(kBlockKeys * sources_.size());
  block.values = std::make_unique<StoredValue[]>(kBlockKeys * value_count_);
  for (size_t i = kBlockKeys; i-- > 0;) {  // handed out from the front
    block.keys[i].sides = &block.sides[i * sources_.size()];
    block.keys[i].values = block.values.get() + i * value_count_;
    unused_keys_.push_back(&block.keys[i]);
  }
  blocks_.push_back(std::move(block));
}

Join::Key& Join::KeyNamed(std::string_view text) {
  auto found = keys_.find(text);
  if (found != keys_.end()) return **found;
  if (unused_keys_.empty()) MakeBlock();
  Key* key = unused_keys_.back();
  unused_keys_.pop_back();
  key->text.assign(text);
  key->hash = HashText(text);
  keys_.insert(key);
  return *key;
}

bool Join::IsEmpty(const Key& key) const {
  return std::none_of(key.sides, key.sides + sources_.size(),
                      [](const Side& side) { return side.present; });
}

Row Join::LatestOf(const Key& key, size_t place) {
  const size_t count = sources_[place].slots.size();
  latest_.resize(count);
  for (size_t i = 0; i < count; ++i) latest_[i] = key.values[first_value_[place] + i].get();
  return {key.sides[place].timestamp_ns, latest_.data()};
}

void Join::Keep(size_t place, Key& key, int64_t timestamp_ns, const Value* reduced) {
  if (IsEmpty(key)) expiries_.push_back({timestamp_ns, &key});
  Side& side = key.sides[place];
  const int64_t oldest = Oldest();
  const auto stands_for = [&](int64_t other) { return other <= timestamp_ns || other < oldest; };
  if (side.present && !stands_for(side.timestamp_ns)) {
    side.older.emplace_back(LatestOf(key, place), sources_[place].slots.size());
    if (side.older.size() >= kMaxEventsPerKey) side.older.erase(side.older.begin());
  } else {
    while (!side.older.empty() && stands_for(side.older.back().timestamp_ns())) {
      side.older.pop_back();
    }
  }
  side.timestamp_ns = timestamp_ns;
  side.present = true;
  for (size_t i = 0; i < sources_[place].slots.size(); ++i) {
    key.values[first_value_[place] + i].Assign(reduced[i]);
  }
}

// The youngest in time stand in front.
void Join::DropOlderThan(Key& key, int64_t oldest) {
  for (size_t place = 0; place < sources_.size(); ++place) {
    Side& side = key.sides[place];
    if (!side.present || side.timestamp_ns >= oldest) continue;
    while (!side.older.empty() && side.older.back().timestamp_ns() < oldest) side.older.pop_back();
    side.present = !side.older.empty();
    if (!side.present) continue;
    const StoredRow& latest = side.older.back();
    side.timestamp_ns = latest.timestamp_ns();
    for (size_t i = 0; i < sources_[place].slots.size(); ++i) {
      key.values[first_value_[place] + i].Assign(latest.slots()[i]);
    }
    side.older.pop_back();
  }
}

void Join::Forget() {
  const int64_t oldest = Oldest();
  while (!expiries_.empty() && expiries_.front().timestamp_ns < oldest) {
    Key* key = expiries_.front().key;
    expiries_.pop_front();
    // Keys expire in the order they came, so those that are next can be on their way from memory.
    constexpr size_t kAhead = 8;
    if (expiries_.size() > 2 * kAhead) {
      __builtin_prefetch(expiries_[2 * kAhead].key);
      __builtin_prefetch(expiries_[kAhead].key->sides);
    }
    DropOlderThan(*key, oldest);
    if (IsEmpty(*key)) {
      keys_.erase(key);
      unused_keys_.push_back(key);
      continue;
    }
    int64_t next = INT64_MAX;
    for (size_t place = 0; place < sources_.size(); ++place) {
      if (key->sides[place].present) next = std::min(next, key->sides[place].timestamp_ns);
    }
    expiries_.push_back({next, key});
  }
}

// The kept values of the latest event of a source at or after `horizon`; null when there is none.
const Value* Join::Partner(const Key& key, size_t place, int64_t horizon, int64_t* timestamp_ns) {
  const Side& side = key.sides[place];
  if (!side.present) return nullptr;
  if (side.timestamp_ns >= horizon) {
    *timestamp_ns = side.timestamp_ns;
    return LatestOf(key, place).slots;
  }
  const auto older =
      std::find_if(side.older.rbegin(), side.older.rend(),
                   [&](const StoredRow& event) { return event.timestamp_ns() >= horizon; });
  if (older == side.older.rend()) return nullptr;
  *timestamp_ns = older->timestamp_ns();
  return older->slots();
}

void Join::Match(size_t place, Key& key, const Row& row, RunContext& run) {
  const int64_t horizon = std::max(TimeMinus(row.timestamp_ns, window_ns_), Oldest());
  Row joined;
  joined.timestamp_ns = row.timestamp_ns;
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (i == place) {
      parts_[i] = row.slots;
      continue;
    }
    int64_t time = 0;
    const Value* partner = Partner(key, i, horizon, &time);
    if (partner == nullptr) return;
    joined.timestamp_ns = std::max(joined.timestamp_ns, time);
    // Back into the slots of the source's rows. The row may outlive the stored one.
    auto* slots = run.eval.arena->Allocate<Value>(sources_[i].slot_count);
    std::fill(slots, slots + sources_[i].slot_count, Value());
    for (size_t k = 0; k < sources_[i].slots.size(); ++k) {
      slots[sources_[i].slots[k]] = CopyTo(partner[k], *run.eval.arena);
    }
    parts_[i] = slots;
  }
  joined.slots = assembly_->Make(parts_.data(), *run.eval.arena);
  next_->OnBatch(Batch(&joined, 1), run);
}

void Join::Arrive(const std::vector<int>& places, const Row& row, RunContext& run) {
  latest_ns_ = std::max(latest_ns_, row.timestamp_ns);
  Forget();
  std::string_view text;
  if (places.size() == 1) {
    const auto place = static_cast<size_t>(places[0]);
    if (!KeyText(sources_[place], row, run, &text)) return;
    Key& key = KeyNamed(text);
    Match(place, key, row, run);
    Keep(place, key, row.timestamp_ns, Reduced(sources_[place], row));
    return;
  }
  std::vector<std::pair<size_t, std::string>> keep;
  for (const int at : places) {
    const auto place = static_cast<size_t>(at);
    if (!KeyText(sources_[place], row, run, &text)) continue;
    keep.emplace_back(place, text);
    auto found = keys_.find(text);
    if (found != keys_.end()) Match(place, **found, row, run);
  }
  for (const auto& [place, key_text] : keep) {
    Keep(place, KeyNamed(key_text), row.timestamp_ns, Reduced(sources_[place], row));
  }
}

// The latest time, then the events in order of arrival per key and source, under their key text.
void Join::Save(StateWriter& writer) const {
  checkpoint::v1::StateRecord& record = writer.StartRecord();
  record.add_integers(latest_ns_);
  for (const Source& source : sources_) {
    checkpoint::v1::StateRecord& part = *record.add_parts();
    for (const std::string& name : source.names) {
      ValueToProto(Value::String(name), part.add_values());
    }
  }
  std::vector<const Key*> sorted;
  for (const Key* key : keys_) sorted.push_back(key);
  std::sort(sorted.begin(), sorted.end(),
            [](const Key* a, const Key* b) { return a->text < b->text; });
  for (const Key* key : sorted) {
    checkpoint::v1::StateRecord& group = *record.add_parts();
    ValueToProto(Value::String(key->text), group.add_values());
    for (size_t place = 0; place < sources_.size(); ++place) {
      checkpoint::v1::StateRecord& part = *group.add_parts();
      const Side& side = key->sides[place];
      const size_t width = sources_[place].slots.size();
      for (const StoredRow& event : side.older) SaveRow(event, width, part.add_parts());
      if (!side.present) continue;
      std::vector<Value> latest;
      for (size_t i = 0; i < width; ++i)
        latest.push_back(key->values[first_value_[place] + i].get());
      SaveRow(StoredRow({side.timestamp_ns, latest.data()}, width), width, part.add_parts());
    }
  }
}

void Join::Restore(const StateReader& reader) {
  const checkpoint::v1::StateRecord& record = reader.record();
  const auto sources = static_cast<int>(sources_.size());
  if (record.integers_size() < 1 || record.parts_size() < sources) return;
  latest_ns_ = record.integers(0);
  std::vector<std::vector<int>> renumbered;
  renumbered.reserve(sources_.size());
  for (int place = 0; place < sources; ++place) {
    renumbered.push_back(
        RenumberSlots(record.parts(place), sources_[static_cast<size_t>(place)].names));
  }
  for (int i = sources; i < record.parts_size(); ++i) {
    const checkpoint::v1::StateRecord& group = record.parts(i);
    if (group.values_size() < 1) continue;
    Key* key = nullptr;
    int64_t next = INT64_MAX;
    for (int place = 0; place < sources && place < group.parts_size(); ++place) {
      const auto at = static_cast<size_t>(place);
      const size_t width = sources_[at].slots.size();
      const checkpoint::v1::StateRecord& events = group.parts(place);
      for (int event = 0; event < events.parts_size(); ++event) {
        if (key == nullptr) key = &KeyNamed(group.values(0).string_value());
        Side& side = key->sides[at];
        StoredRow row = RestoreRow(events.parts(event), width, &renumbered[at]);
        if (event + 1 < events.parts_size()) {
          side.older.push_back(std::move(row));
          continue;
        }
        side.timestamp_ns = row.timestamp_ns();
        side.present = true;
        next = std::min(next, side.timestamp_ns);
        for (size_t k = 0; k < width; ++k) {
          key->values[first_value_[at] + k].Assign(row.slots()[k]);
        }
      }
    }
    if (key != nullptr) expiries_.push_back({next, key});
  }
  std::sort(expiries_.begin(), expiries_.end(),
            [](const Expiry& a, const Expiry& b) { return a.timestamp_ns < b.timestamp_ns; });
}

}  // namespace varpulis::engine
