#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"

#include "engine/runtime/arena.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

// The key text of a value (vpl.md §2.1): display text with strings unquoted, so that 1, 1.0 and "1"
// are one partition. `absent` stands for ⊥. Returns a view of the value, of `buffer` or of
// `absent`.
std::string_view PartitionText(const Value& value, std::string_view absent, std::string* buffer);

// The same in every process.
uint32_t HashText(std::string_view text);

// What an absent key is called in windows and joins.
inline constexpr std::string_view kAbsentWindowKey = "default";

// Numbers partitions in order of their first event. Keys stay for good.
class PartitionTable {
 public:
  PartitionTable() : index_(0, Hash{&entries_}, Same{&entries_}) {}
  PartitionTable(const PartitionTable&) = delete;
  PartitionTable& operator=(const PartitionTable&) = delete;

  // The number of the partition of `key`, which may be ⊥; `*added` when it is a new one.
  uint32_t Find(const Value& key, bool* added);
  uint32_t size() const { return static_cast<uint32_t>(entries_.size()); }
  std::string_view text(uint32_t partition) const {
    return {entries_[partition].text, entries_[partition].size};
  }
  // The value that opened the partition; ⊥ when the field was absent.
  Value key(uint32_t partition) const;

 private:
  struct Entry {
    const char* text;
    uint32_t size;
    uint32_t hash;
    ValueKind kind;
    int64_t bits;  // of a number, bool, timestamp or duration
  };
  struct Probe {
    std::string_view text;
    uint32_t hash;
  };
  struct Hash {
    using is_transparent = void;
    const std::vector<Entry>* entries;
    // The table takes its bits from both ends of the hash.
    static size_t Spread(uint32_t hash) { return hash * 0x9E3779B97F4A7C15ULL; }
    size_t operator()(uint32_t index) const { return Spread((*entries)[index].hash); }
    size_t operator()(const Probe& probe) const { return Spread(probe.hash); }
  };
  struct Same {
    using is_transparent = void;
    const std::vector<Entry>* entries;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t a, const Probe& b) const {
      const Entry& entry = (*entries)[a];
      return entry.hash == b.hash && std::string_view(entry.text, entry.size) == b.text;
    }
    bool operator()(const Probe& b, uint32_t a) const { return (*this)(a, b); }
  };

  std::vector<Entry> entries_;
  Arena keys_{size_t{256} << 10};
  absl::flat_hash_set<uint32_t, Hash, Same> index_;
  std::string buffer_;
};

}  // namespace varpulis::engine
