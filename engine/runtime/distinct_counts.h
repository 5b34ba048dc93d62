#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"

#include "engine/runtime/value.h"

namespace varpulis::engine {

// How often each different value occurs. Values differ by kind and value: 1 and 1.0 are two.
class DistinctCounts {
 public:
  void Add(const Value& value, uint64_t times = 1);
  void Remove(const Value& value);
  size_t size() const { return counts_.size(); }
  // In an order that depends on the values alone.
  std::vector<std::pair<Value, uint64_t>> Sorted() const;

 private:
  struct Counted {
    OwnedValue value;
    mutable uint64_t times;  // no part of what is hashed
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Counted& counted) const { return (*this)(counted.value.get()); }
    size_t operator()(const Value& value) const {
      return HashValue(value) + static_cast<size_t>(value.kind());
    }
  };
  struct Same {
    using is_transparent = void;
    static const Value& Get(const Counted& counted) { return counted.value.get(); }
    static const Value& Get(const Value& value) { return value; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Get(a).kind() == Get(b).kind() && Equal(Get(a), Get(b));
    }
  };
  absl::flat_hash_set<Counted, Hash, Same> counts_;
};

}  // namespace varpulis::engine
