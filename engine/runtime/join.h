#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"

#include "engine/runtime/operator.h"
#include "engine/runtime/partition.h"
#include "engine/runtime/sources.h"
#include "engine/runtime/stored.h"

namespace varpulis::engine {

// `join(…).on(…).window(W)`, vpl.md §6.1: an arriving event makes one row with the latest event of
// every other source that has the same key and lies no more than W before it. Nothing is consumed.
//
// Of the events of one source and key, one that came later and is not older stands for all before
// it, so mostly one is kept. What lies more than 2 W behind the latest time seen is forgotten.
class Join {
 public:
  static constexpr size_t kMaxEventsPerKey = 1000;

  struct Source {
    std::vector<ExpressionPtr> key;  // over its own rows
    std::vector<int> slots;          // that joined rows read; what is kept of an event
    std::vector<std::string> names;  // of those slots
    size_t slot_count = 0;           // of its rows
  };

  Join(std::vector<Source> sources, int64_t window_ns, std::shared_ptr<const Assembly> assembly);

  void set_next(Operator* next) { next_ = next; }
  // A row for each source in `places`, which are over the same rows. It is no partner of itself.
  void Arrive(const std::vector<int>& places, const Row& row, RunContext& run);

  void Save(StateWriter& writer) const;
  void Restore(const StateReader& reader);

 private:
  // The latest event of a source with one key; older ones only where time runs backwards.
  struct Side {
    int64_t timestamp_ns = 0;
    bool present = false;
    std::vector<StoredRow> older;  // in order of arrival, each older than the one before it
  };
  // Lies in a block with others, and is used again when the last of its events is forgotten.
  struct Key {
    std::string text;
    size_t hash = 0;                // of the text
    Side* sides = nullptr;          // by source
    StoredValue* values = nullptr;  // of the latest events, by source and slot
  };
  struct Block {
    std::unique_ptr<Key[]> keys;
    std::unique_ptr<Side[]> sides;
    std::unique_ptr<StoredValue[]> values;
  };
  static constexpr size_t kBlockKeys = 64;
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(const Key* key) const { return key->hash; }
    size_t operator()(std::string_view text) const { return HashText(text); }
  };
  struct KeySame {
    using is_transparent = void;
    bool operator()(const Key* a, const Key* b) const { return a == b; }
    bool operator()(const Key* a, std::string_view b) const { return a->text == b; }
    bool operator()(std::string_view a, const Key* b) const { return b->text == a; }
  };
  struct Expiry {
    int64_t timestamp_ns;
    Key* key;
  };

  // The text of the key parts, valid until the next call; false when one is absent.
  bool KeyText(const Source& source, const Row& row, RunContext& run, std::string_view* text);
  Key& KeyNamed(std::string_view text);
  void Keep(size_t place, Key& key, int64_t timestamp_ns, const Value* reduced);
  const Value* Reduced(const Source& source, const Row& row);
  void Match(size_t place, Key& key, const Row& row, RunContext& run);
  void MakeBlock();
  bool IsEmpty(const Key& key) const;
  void DropOlderThan(Key& key, int64_t oldest);
  Row LatestOf(const Key& key, size_t place);  // valid until the next call
  const Value* Partner(const Key& key, size_t place, int64_t horizon, int64_t* timestamp_ns);
  int64_t Oldest() const;
  void Forget();

  std::vector<Source> sources_;
  int64_t window_ns_;
  std::shared_ptr<const Assembly> assembly_;
  Operator* next_ = nullptr;
  absl::flat_hash_set<Key*, KeyHash, KeySame> keys_;
  std::vector<Block> blocks_;
  std::vector<Key*> unused_keys_;
  std::deque<Expiry> expiries_;  // one per key
  int64_t latest_ns_ = INT64_MIN;
  std::string key_text_, buffer_;
  std::vector<size_t> first_value_;  // of each source among a key's values
  size_t value_count_ = 0;
  std::vector<Value> reduced_, latest_;
  std::vector<const Value*> parts_;
};

// A way into a join: the rows of one type, for the sources over that type. The first port of a join
// has its state.
class JoinPort final : public Operator {
 public:
  JoinPort(std::shared_ptr<Join> join, std::vector<int> places, bool first)
      : join_(std::move(join)), places_(std::move(places)), first_(first) {}
  void OnBatch(Batch batch, RunContext& run) override {
    join_->set_next(next_);
    for (const Row& row : batch) join_->Arrive(places_, row, run);
  }
  void Save(StateWriter& writer) const override {
    if (first_) join_->Save(writer);
  }
  void Restore(const StateReader& reader) override {
    if (first_) join_->Restore(reader);
  }

 private:
  std::shared_ptr<Join> join_;
  std::vector<int> places_;
  bool first_;
};

}  // namespace varpulis::engine
