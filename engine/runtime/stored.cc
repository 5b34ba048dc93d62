#include "engine/runtime/stored.h"

#include <algorithm>
#include <cstring>

namespace varpulis::engine {
namespace {

size_t Aligned(size_t bytes) { return (bytes + 7) & ~size_t{7}; }

// Bytes that `value` points to, with what those point to.
size_t DeepSize(const Value& value) {
  switch (value.kind()) {
    case ValueKind::kString:
      return Aligned(value.size());
    case ValueKind::kList: {
      size_t size = value.size() * sizeof(Value);
      for (size_t i = 0; i < value.size(); ++i) size += DeepSize(value.items()[i]);
      return size;
    }
    case ValueKind::kMap: {
      size_t size = value.size() * sizeof(MapEntry);
      for (size_t i = 0; i < value.size(); ++i) {
        size += Aligned(value.entries()[i].key.size()) + DeepSize(value.entries()[i].value);
      }
      return size;
    }
    default:
      return 0;
  }
}

std::string_view CopyText(std::string_view text, char** at) {
  if (text.empty()) return {};
  char* begin = *at;
  std::memcpy(begin, text.data(), text.size());
  *at += Aligned(text.size());
  return {begin, text.size()};
}

// A copy of `value` in the memory at `*at`, which has room for DeepSize of it.
Value DeepCopy(const Value& value, char** at) {
  switch (value.kind()) {
    case ValueKind::kString:
      return Value::String(CopyText(value.string(), at));
    case ValueKind::kList: {
      auto* items = reinterpret_cast<Value*>(*at);
      *at += value.size() * sizeof(Value);
      for (size_t i = 0; i < value.size(); ++i) items[i] = DeepCopy(value.items()[i], at);
      return Value::List(items, value.size());
    }
    case ValueKind::kMap: {
      auto* entries = reinterpret_cast<MapEntry*>(*at);
      *at += value.size() * sizeof(MapEntry);
      for (size_t i = 0; i < value.size(); ++i) {
        entries[i].key = CopyText(value.entries()[i].key, at);
        entries[i].value = DeepCopy(value.entries()[i].value, at);
      }
      return Value::Map(entries, value.size());
    }
    default:
      return value;
  }
}

}  // namespace

void StoredValue::Assign(const Value& value) {
  const size_t size = DeepSize(value);
  if (size == 0) {
    value_ = value.is(ValueKind::kString) ? Value::String({}) : value;
    return;
  }
  // `value` may point into the storage itself: then it stays as it is.
  if (storage_ == nullptr) storage_ = std::make_unique<Arena>(size);
  storage_->Reset();
  value_ = varpulis::engine::CopyTo(value, *storage_);
}

StoredRow::StoredRow(const Row& row, size_t slot_count) : timestamp_ns_(row.timestamp_ns) {
  size_t bytes = slot_count * sizeof(Value);
  for (size_t i = 0; i < slot_count; ++i) bytes += DeepSize(row.slots[i]);
  block_.reset(new uint64_t[bytes / sizeof(uint64_t)]);
  auto* slots = reinterpret_cast<Value*>(block_.get());
  char* at = reinterpret_cast<char*>(slots + slot_count);
  for (size_t i = 0; i < slot_count; ++i) slots[i] = DeepCopy(row.slots[i], &at);
}

Row StoredRow::CopyTo(size_t slot_count, Arena& arena) const {
  Row row;
  row.timestamp_ns = timestamp_ns_;
  row.slots = arena.Allocate<Value>(slot_count);
  std::copy(slots(), slots() + slot_count, row.slots);
  return row;
}

}  // namespace varpulis::engine
