#pragma once

#include <cstddef>
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
  }
  // The value is kept as it is until EndEvent, in the arena of the event or as a part of what some
  // variable held before: assigning in a loop copies nothing.
  void Set(size_t index, const Value& value) {
    values_[index] = value;
    if (!globals_[index].changed) changed_.push_back(index);
    globals_[index].changed = true;
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
  std::vector<Global> globals_;
  std::vector<Value> values_;
  std::vector<size_t> changed_;  // since the last EndEvent
};

}  // namespace varpulis::engine
