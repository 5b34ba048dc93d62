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
    OwnedValue value;
  };
  // What assignments of one event may leave behind, see below.
  static constexpr size_t kMaxRetired = 1'000'000;

  void Add(std::string name, bool is_mutable) {
    globals_.push_back({std::move(name), is_mutable, {}});
    values_.emplace_back();
  }
  // The old value lives until EndEvent, because what was read of it is still in use. False, with
  // nothing changed, when too many have gathered.
  bool Set(size_t index, const Value& value) {
    if (retired_.size() >= kMaxRetired) return false;
    Global& global = globals_[index];
    OwnedValue next(value);
    if (global.value.owns()) retired_.push_back(std::move(global.value));
    global.value = std::move(next);
    values_[index] = global.value.get();
    return true;
  }
  void EndEvent() {
    if (!retired_.empty()) retired_.clear();
  }
  // For Restore. A name that is no mutable variable is ignored.
  void Set(std::string_view name, const Value& value) {
    for (size_t i = 0; i < globals_.size(); ++i) {
      if (globals_[i].is_mutable && globals_[i].name == name) Set(i, value);
    }
  }
  const std::vector<Global>& all() const { return globals_; }
  // By index, for expressions. REQUIRES: no Add any more.
  const Value* values() const { return values_.data(); }

 private:
  std::vector<Global> globals_;
  std::vector<Value> values_;
  std::vector<OwnedValue> retired_;
};

}  // namespace varpulis::engine
