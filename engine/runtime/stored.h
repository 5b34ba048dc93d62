#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/runtime/event.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

// A value with storage that is used again when the next one is no larger: for state that changes
// with every event. 24 bytes. Move only.
class StoredValue {
 public:
  StoredValue() = default;
  StoredValue(StoredValue&&) = default;
  StoredValue& operator=(StoredValue&&) = default;

  void Assign(const Value& value);
  const Value& get() const { return value_; }

 private:
  Value value_;
  std::unique_ptr<Arena> storage_;  // null until a value needs it
};

// A row with all it points to, in one block. Move only.
class StoredRow {
 public:
  StoredRow() = default;
  StoredRow(const Row& row, size_t slot_count);

  int64_t timestamp_ns() const { return timestamp_ns_; }
  const Value* slots() const { return reinterpret_cast<const Value*>(block_.get()); }
  // A row to give on. Its slots are a copy, because operators may change them.
  Row CopyTo(size_t slot_count, Arena& arena) const;

 private:
  int64_t timestamp_ns_ = 0;
  std::unique_ptr<uint64_t[]> block_;
};

}  // namespace varpulis::engine
