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

// How large a list or map is when nothing in it is shared: each value takes a unit, each key of a
// map one, and text one more for every 16 bytes. Nothing with a limit gets near kMaxUnits.
struct Extent {
  static constexpr uint64_t kMaxUnits = uint64_t{1} << 31;
  static constexpr size_t kUnitBytes = 16;
  static uint64_t OfText(size_t bytes) { return 1 + (bytes + kUnitBytes - 1) / kUnitBytes; }

  uint32_t levels = 0;  // of lists and maps: a list of numbers has one
  uint64_t units = 1;

  static Extent OfEmpty() { return {1, 1}; }

  void Add(const Extent& item) {
    if (item.levels >= levels) levels = item.levels + 1;
    units += item.units;
  }
};

// 16 bytes, trivially copied. Strings, lists and maps are views into an arena or an input buffer
// that the reader of the value does not own; OwnedValue keeps one beyond that. Lists and maps may
// share their parts. They know their extent, or a bound of it: what walks through a value takes
// that much time and stack, so the values that programs make have limits (EvalContext::Made).
class Value {
 public:
  Value() : Value(ValueKind::kMissing, 0) {}

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
  // Reads the items, for the extent.
  static Value List(const Value* items, size_t size) {
    return List(items, size, ExtentOf(items, size));
  }
  static Value Map(const MapEntry* entries, size_t size);
  // With an extent that is known, or a bound of it.
  static Value List(const Value* items, size_t size, const Extent& extent) {
    Value result(ValueKind::kList, 0);
    result.data_.items = items;
    result.size_ = static_cast<uint32_t>(size);
    result.SetExtent(extent);
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

  // Of lists and maps maybe too large; see ExactExtent.
  Extent extent() const { return {levels_, units()}; }
  uint32_t levels() const { return levels_; }
  uint64_t units() const {
    if (kind_ == ValueKind::kString) return Extent::OfText(size_);
    return weight_ < 2 * kMantissa ? weight_ : Mantissa() << (weight_ / kMantissa - 1);
  }
  static Extent ExtentOf(const Value* items, size_t size);
  // REQUIRES: a list or a map.
  void SetExtent(const Extent& extent);

  // The entry of a map, or ⊥. First entry of that name.
  Value Find(std::string_view key) const;

 private:
  // The units as a float of 16 bits, rounded up: exact below 2 * kMantissa.
  static constexpr uint64_t kMantissa = 1024;

  Value(ValueKind kind, int64_t integer) : kind_(kind), levels_(0), weight_(1), size_(0) {
    data_.integer = integer;
  }
  uint64_t Mantissa() const { return kMantissa + weight_ % kMantissa; }

  ValueKind kind_;
  uint8_t levels_;
  uint16_t weight_;
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

// Not a bound. Walks through the value; with more than `limit` units no further.
Extent ExactExtent(const Value& value, uint64_t limit);

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
