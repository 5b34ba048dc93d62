#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_set.h"

#include "engine/runtime/operator.h"

namespace varpulis::engine {

// `.distinct`: drops rows whose key was seen. Remembers the kMaxKeys most recently seen keys.
class Distinct final : public Operator {
 public:
  static constexpr size_t kMaxKeys = 100'000;

  explicit Distinct(ExpressionPtr key);
  void OnBatch(Batch batch, RunContext& run) override;
  void Save(StateWriter& writer) const override;
  void Restore(const StateReader& reader) override;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Entries are linked from least to most recently seen.
  struct Entry {
    OwnedValue key;
    uint64_t hash = 0;
    uint32_t older = kNone, newer = kNone;
  };
  struct Probe {
    const Value* key;
    uint64_t hash;
  };
  struct Hash {
    using is_transparent = void;
    const std::vector<Entry>* entries;
    size_t operator()(uint32_t index) const { return (*entries)[index].hash; }
    size_t operator()(const Probe& probe) const { return probe.hash; }
  };
  struct Same {
    using is_transparent = void;
    const std::vector<Entry>* entries;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t a, const Probe& b) const {
      const Value& key = (*entries)[a].key.get();
      // ⊥ and null are equal, but not the same.
      return key.missing() == b.key->missing() && Equal(key, *b.key);
    }
    bool operator()(const Probe& b, uint32_t a) const { return (*this)(a, b); }
  };

  // True when the key is new.
  bool Insert(const Value& key);
  void Unlink(uint32_t index);
  void LinkNewest(uint32_t index);

  ExpressionPtr key_;
  std::vector<Entry> entries_;
  absl::flat_hash_set<uint32_t, Hash, Same> index_;
  uint32_t oldest_ = kNone, newest_ = kNone;
};

}  // namespace varpulis::engine
