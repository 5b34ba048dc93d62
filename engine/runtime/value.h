#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/runtime/arena.h"

namespace varpulis::engine {

enum class ValueKind : uint8_t {
  kMissing,  // ⊥: an expression without a value; never stored
  kNull,
  kBool,
  kInt,
  kFloat,
  kString,
  kTimestamp,  // nanoseconds since the epoch, UTC
  kDuration,   // nanoseconds
  kList,
  kMap,
};

struct MapEntry;

// 16 bytes, trivially copied. Strings, lists and maps are views into an arena or an input buffer
// that the reader of the value does not own; OwnedValue keeps one beyond that.
class Value {
 public:
  Value() : kind_(ValueKind::kMissing), size_(0) { data_.integer = 0; }

  static Value Null() { return Value(ValueKind::kNull, 0); }
  static Value Bool(bool value) { return Value(ValueKind::kBool, value ? 1 : 0); }
  static Value Int(int64_t value) { return Value(ValueKind::kInt, value); }
  static Value Timestamp(int64_t ns) { return Value(ValueKind::kTimestamp, ns); }
  static Value Duration(int64_t ns) { return Value(ValueKind::kDuration, ns); }
  static Value Float(double value) {
    Value result(ValueKind::kFloat, 0);
    result.data_.real = value;
    return result;
  }
  static Value String(std::string_view text) {
    Value result(ValueKind::kString, 0);
    result.data_.text = text.data();
    result.size_ = static_cast<uint32_t>(text.size());
    return result;
  }
  static Value List(const Value* items, size_t size) {
    Value result(ValueKind::kList, 0);
    result.data_.items = items;
    result.size_ = static_cast<uint32_t>(size);
    return result;
  }
  static Value Map(const MapEntry* entries, size_t size) {
    Value result(ValueKind::kMap, 0);
    result.data_.entries = entries;
    result.size_ = static_cast<uint32_t>(size);
    return result;
  }

  ValueKind kind() const { return kind_; }
  bool is(ValueKind kind) const { return kind_ == kind; }
  bool missing() const { return kind_ == ValueKind::kMissing; }
  bool null_or_missing() const { return kind_ <= ValueKind::kNull; }
  bool is_number() const { return kind_ == ValueKind::kInt || kind_ == ValueKind::kFloat; }
  bool is_true() const { return kind_ == ValueKind::kBool && data_.integer != 0; }

  // Each is meaningful for its kind only.
  bool boolean() const { return data_.integer != 0; }
  int64_t integer() const { return data_.integer; }  // int, timestamp, duration
  double real() const { return data_.real; }
  double number() const {  // int or float
    return kind_ == ValueKind::kInt ? static_cast<double>(data_.integer) : data_.real;
  }
  std::string_view string() const { return {data_.text, size_}; }
  size_t size() const { return size_; }
  const Value* items() const { return data_.items; }
  const MapEntry* entries() const { return data_.entries; }

  // The entry of a map, or ⊥. First entry of that name.
  Value Find(std::string_view key) const;

 private:
  Value(ValueKind kind, int64_t integer) : kind_(kind), size_(0) { data_.integer = integer; }

  ValueKind kind_;
  uint32_t size_;
  union {
    int64_t integer;
    double real;
    const char* text;
    const Value* items;
    const MapEntry* entries;
  } data_;
};
static_assert(sizeof(Value) == 16);

struct MapEntry {
  std::string_view key;
  Value value;
};

// The name `type_of` gives.
std::string_view KindName(ValueKind kind);

// `==` of vpl.md §2.2: int and float by value, NaN equals NaN, lists and maps deep, maps in any
// order. ⊥ equals null here; the operator deals with ⊥ before.
bool Equal(const Value& a, const Value& b);
// Equal values have equal hashes. The same in every process.
uint64_t HashValue(const Value& value);

enum class Ordering { kLess, kEqual, kGreater, kNone };
// numbers by value, strings bytewise, timestamps, durations; anything else is kNone, as is NaN.
Ordering Compare(const Value& a, const Value& b);

// vpl.md §2.1. `quote` puts strings in quotes, also inside lists and maps.
void AppendDisplay(const Value& value, bool quote, std::string* out);

// Deep copy into `arena`.
Value CopyTo(const Value& value, Arena& arena);

// A value with its own storage, for state. Value type, move only.
class OwnedValue {
 public:
  OwnedValue() = default;
  explicit OwnedValue(const Value& value);

  const Value& get() const { return value_; }
  bool owns() const { return storage_ != nullptr; }
  size_t bytes() const { return storage_ == nullptr ? 0 : storage_->used(); }

 private:
  Value value_;
  std::unique_ptr<Arena> storage_;  // null for scalars
};

}  // namespace varpulis::engine
