#include "engine/runtime/enrich.h"

#include <algorithm>

#include "engine/runtime/batch_codec.h"
#include "engine/runtime/checkpoint.h"
#include "engine/runtime/time_math.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {

Enrich::Enrich(PlanEnrich spec, ExpressionPtr key, Value fallback, LookupProvider* provider,
               Assembly assembly)
    : spec_(std::move(spec)),
      key_(std::move(key)),
      fallback_(fallback),
      provider_(provider),
      assembly_(std::move(assembly)) {}

const Enrich::Cached* Enrich::Find(const Value& key, int64_t now_ns) const {
  auto found = index_.find(key);
  if (found == index_.end() || found->first->expires_ns <= now_ns) return nullptr;
  return found->first;
}

void Enrich::Insert(Cached cached) {
  if (auto old = index_.find(cached.key.get()); old != index_.end()) {
    const auto place = old->second;
    index_.erase(old);
    cached_.erase(place);
  }
  if (cached_.size() >= kMaxCached) {
    constexpr size_t kEvicted = kMaxCached / 10;
    for (size_t i = 0; i < kEvicted; ++i) {
      index_.erase(&cached_.front());
      cached_.pop_front();
    }
  }
  cached_.push_back(std::move(cached));
  index_.emplace(&cached_.back(), std::prev(cached_.end()));
}

const Enrich::Cached& Enrich::Keep(const Value& key, const LookupResult& found, int64_t now_ns) {
  Cached cached;
  cached.key = OwnedValue(key);
  cached.expires_ns = TimePlus(now_ns, spec_.ttl_ns);
  for (const std::string& field : spec_.fields) {
    const auto at = std::find_if(found.fields.begin(), found.fields.end(),
                                 [&](const auto& entry) { return entry.first == field; });
    cached.fields.emplace_back(at == found.fields.end() ? Value() : at->second.get());
  }
  Insert(std::move(cached));
  return cached_.back();
}

// The fields, then the status and the latency, in front of the row's own.
Row Enrich::Enriched(const Row& row, const Cached* found, const char* status, int64_t latency_ms,
                     RunContext& run) const {
  Arena& arena = *run.eval.arena;
  const size_t count = spec_.fields.size();
  auto* added = arena.Allocate<Value>(count + 2);
  for (size_t i = 0; i < count; ++i) {
    // What is kept may go before the row does.
    added[i] = CopyTo(found != nullptr ? found->fields[i].get() : fallback_.get(), arena);
  }
  added[count] = Value::String(status);
  added[count + 1] = Value::Int(latency_ms);
  const Value* parts[] = {added, row.slots};
  return {row.timestamp_ns, assembly_.Make(parts, arena)};
}

void Enrich::OnBatch(Batch batch, RunContext& run) {
  std::vector<Value> keys;    // of the rows
  std::vector<Value> wanted;  // to look up, each once
  std::vector<size_t> place;  // of each row among `wanted`; npos when cached
  constexpr size_t kCached = SIZE_MAX;
  absl::flat_hash_map<std::string, size_t> asked;  // by kind and text
  for (const Row& row : batch) {
    Value key = Evaluate(*key_, row, run);
    if (key.missing()) key = Value::Null();
    keys.push_back(key);
    if (Find(key, row.timestamp_ns) != nullptr) {
      place.push_back(kCached);
      continue;
    }
    std::string text(1, static_cast<char>(key.kind()));
    AppendDisplay(key, /*quote=*/true, &text);
    const auto [at, added] = asked.emplace(std::move(text), wanted.size());
    if (added) wanted.push_back(key);
    place.push_back(at->second);
  }
  std::vector<LookupResult> results(wanted.size());
  if (!wanted.empty()) {
    provider_->Lookup(wanted, spec_.timeout_ns, absl::MakeSpan(results));
  }
  std::vector<bool> used(wanted.size(), false);
  std::vector<Row> rows;
  for (size_t i = 0; i < batch.size(); ++i) {
    const Row& row = batch[i];
    const Cached* cached = Find(keys[i], row.timestamp_ns);
    const size_t at = place[i];
    if (cached != nullptr) {
      rows.push_back(Enriched(row, cached, "cached", 0, run));
      continue;
    }
    LookupResult late;
    LookupResult* result = &late;
    if (at != kCached && !used[at]) {
      used[at] = true;
      result = &results[at];
    } else {
      // What was there when the batch came has expired within it, or was an error.
      provider_->Lookup(absl::MakeConstSpan(&keys[i], 1), spec_.timeout_ns,
                        absl::MakeSpan(result, 1));
    }
    if (result->status == LookupResult::Status::kOk) {
      const Cached& kept = Keep(keys[i], *result, row.timestamp_ns);
      rows.push_back(Enriched(row, &kept, "ok", result->latency_ms, run));
    } else if (spec_.has_fallback) {
      const bool timeout = result->status == LookupResult::Status::kTimeout;
      rows.push_back(
          Enriched(row, nullptr, timeout ? "timeout" : "error", result->latency_ms, run));
    }
  }
  if (!rows.empty()) next_->OnBatch(absl::MakeSpan(rows), run);
}

// One part per key, oldest first: the key and the fields that the answer had, with their places.
void Enrich::Save(StateWriter& writer) const {
  checkpoint::v1::StateRecord& record = writer.StartRecord();
  for (const Cached& cached : cached_) {
    checkpoint::v1::StateRecord& part = *record.add_parts();
    part.add_integers(cached.expires_ns);
    ValueToProto(cached.key.get(), part.add_values());
    for (size_t i = 0; i < cached.fields.size(); ++i) {
      if (cached.fields[i].get().missing()) continue;
      part.add_integers(static_cast<int64_t>(i));
      ValueToProto(cached.fields[i].get(), part.add_values());
    }
  }
}

void Enrich::Restore(const StateReader& reader) {
  Arena arena;
  for (const checkpoint::v1::StateRecord& part : reader.record().parts()) {
    if (part.integers_size() < 1 || part.values_size() != part.integers_size()) continue;
    Cached cached;
    cached.expires_ns = part.integers(0);
    cached.fields.resize(spec_.fields.size());
    for (int i = 0; i < part.values_size(); ++i) {
      Value value;
      if (!ValueFromProto(part.values(i), arena, &value, /*check_limits=*/false).ok()) continue;
      if (i == 0) {
        cached.key = OwnedValue(value);
      } else if (const auto field = static_cast<uint64_t>(part.integers(i));
                 field < cached.fields.size()) {
        cached.fields[field] = OwnedValue(value);
      }
    }
    Insert(std::move(cached));
    arena.Reset();
  }
}

}  // namespace varpulis::engine
