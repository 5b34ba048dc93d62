#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/runtime/value.h"

namespace varpulis::engine {

// The variables of a program: its state outside of operators. Thread-compatible.
class Globals {
 public:
  struct Global {
    std::string name;
    bool is_mutable = false;
    OwnedValue value;  // as of the last EndEvent
    bool changed = false;
  };
  void Add(std::string name, bool is_mutable) {
    globals_.push_back({std::move(name), is_mutable, {}});
    values_.emplace_back();
    units_.push_back(1);
    ++total_units_;
  }
  // The value is kept as it is until EndEvent, in the arena of the event or as a part of what some
  // variable held before: assigning in a loop copies nothing. False, and nothing happens, when all
  // variables together would take more than `bytes` with nothing shared.
  bool Set(size_t index, const Value& value, size_t bytes = SIZE_MAX) {
    const uint64_t limit = bytes / Extent::kUnitBytes;
    const uint64_t others = total_units_ - units_[index];
    uint64_t units = value.units();
    if (others + units > limit) {
      if (others < limit) units = ExactExtent(value, limit - others).units;
      if (others + units > limit) return false;
    }
    Count(index, units);
    values_[index] = value;
    if (!globals_[index].changed) changed_.push_back(index);
    globals_[index].changed = true;
    return true;
  }
  // The reason for false.
  static std::string TooLarge(size_t bytes) {
    return "made all variables together larger than " + std::to_string(bytes >> 20) + " MiB";
  }
  // Copies what changed, before the arena is emptied.
  void EndEvent() {
    if (changed_.empty()) return;
    std::vector<OwnedValue> next;
    for (const size_t index : changed_) next.emplace_back(values_[index]);
    for (size_t i = 0; i < changed_.size(); ++i) {
      Global& global = globals_[changed_[i]];
      global.value = std::move(next[i]);
      global.changed = false;
      values_[changed_[i]] = global.value.get();
      Count(changed_[i], global.value.get().units());
    }
    changed_.clear();
  }
  // For Restore. A name that is no mutable variable is ignored.
  void Set(std::string_view name, const Value& value) {
    for (size_t i = 0; i < globals_.size(); ++i) {
      if (globals_[i].is_mutable && globals_[i].name == name) Set(i, value);
    }
    EndEvent();
  }
  const std::vector<Global>& all() const { return globals_; }
  // By index, for expressions. REQUIRES: no Add any more.
  const Value* values() const { return values_.data(); }

 private:
  void Count(size_t index, uint64_t units) {
    total_units_ += units - units_[index];
    units_[index] = units;
  }

  std::vector<Global> globals_;
  std::vector<Value> values_;
  std::vector<uint64_t> units_;  // of the values, or a bound
  uint64_t total_units_ = 0;
  std::vector<size_t> changed_;  // since the last EndEvent
};

}  // namespace varpulis::engine
