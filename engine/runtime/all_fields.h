#pragma once

#include <string_view>

#include "absl/container/flat_hash_map.h"

#include "engine/runtime/arena.h"
#include "engine/runtime/event.h"

namespace varpulis::engine {

// Fills the slot that takes a map of every field of an event, for types that have one. A field
// given twice keeps its place and takes the later value.
class AllFields {
 public:
  AllFields(const InputType& type, Arena& arena, size_t capacity) : slot_(type.all_fields_slot) {
    if (wanted()) entries_ = arena.Allocate<MapEntry>(capacity);
  }
  bool wanted() const { return slot_ >= 0; }
  // The name and the value must live as long as the arena. REQUIRES: at most `capacity` calls.
  void Add(std::string_view name, const Value& value) {
    if (!wanted()) return;
    auto [found, added] = places_.emplace(name, size_);
    if (added) {
      entries_[size_++] = {name, value};
    } else {
      entries_[found->second].value = value;
    }
  }
  void Finish(Value* slots) const {
    if (wanted()) slots[slot_] = Value::Map(entries_, size_);
  }

 private:
  int slot_;
  MapEntry* entries_ = nullptr;
  size_t size_ = 0;
  absl::flat_hash_map<std::string_view, size_t> places_;
};

}  // namespace varpulis::engine
