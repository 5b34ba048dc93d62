#include "engine/runtime/value.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

#include "engine/plan/fingerprint.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

// Exact: no rounding of the integer to a double.
Ordering CompareIntFloat(int64_t a, double b) {
  if (std::isnan(b)) return Ordering::kNone;
  if (b >= 9223372036854775808.0) return Ordering::kLess;
  if (b < -9223372036854775808.0) return Ordering::kGreater;
  const double whole = std::trunc(b);
  const auto integer = static_cast<int64_t>(whole);
  if (a != integer) return a < integer ? Ordering::kLess : Ordering::kGreater;
  if (b == whole) return Ordering::kEqual;
  return b > whole ? Ordering::kLess : Ordering::kGreater;
}

template <typename T>
Ordering Order(T a, T b) {
  return a < b    ? Ordering::kLess
         : a > b  ? Ordering::kGreater
         : a == b ? Ordering::kEqual
                  : Ordering::kNone;
}

Ordering Flip(Ordering ordering) {
  if (ordering == Ordering::kLess) return Ordering::kGreater;
  if (ordering == Ordering::kGreater) return Ordering::kLess;
  return ordering;
}

bool EqualMaps(const Value& a, const Value& b) {
  if (a.size() != b.size()) return false;
  size_t i = 0;
  while (i < a.size() && a.entries()[i].key == b.entries()[i].key) {
    if (!Equal(a.entries()[i].value, b.entries()[i].value)) return false;
    ++i;
  }
  if (i == a.size()) return true;
  // The rest stands in another order.
  std::vector<const MapEntry*> left, right;
  for (size_t k = i; k < a.size(); ++k) {
    left.push_back(&a.entries()[k]);
    right.push_back(&b.entries()[k]);
  }
  const auto by_key = [](const MapEntry* x, const MapEntry* y) { return x->key < y->key; };
  std::sort(left.begin(), left.end(), by_key);
  std::sort(right.begin(), right.end(), by_key);
  for (size_t k = 0; k < left.size(); ++k) {
    if (left[k]->key != right[k]->key || !Equal(left[k]->value, right[k]->value)) return false;
  }
  return true;
}

void AppendDuration(int64_t ns, std::string* out) {
  struct Unit {
    int64_t size;
    const char* name;
  };
  constexpr Unit kUnits[] = {{86'400'000'000'000, "d"}, {3'600'000'000'000, "h"},
                             {60'000'000'000, "m"},     {1'000'000'000, "s"},
                             {1'000'000, "ms"},         {1000, "us"}};
  for (const Unit& unit : kUnits) {
    if (ns / unit.size == 0) continue;
    absl::StrAppend(out, ns / unit.size, unit.name);
    return;
  }
  absl::StrAppend(out, ns, "ns");
}

}  // namespace

Extent Value::ExtentOf(const Value* items, size_t size) {
  Extent extent = Extent::OfEmpty();
  for (size_t i = 0; i < size; ++i) extent.Add(items[i].extent());
  return extent;
}

Value Value::Map(const MapEntry* entries, size_t size) {
  Extent extent = Extent::OfEmpty();
  for (size_t i = 0; i < size; ++i) {
    extent.Add(entries[i].value.extent());
    extent.units += Extent::OfText(entries[i].key.size());
  }
  Value result(ValueKind::kMap, 0);
  result.data_.entries = entries;
  result.size_ = static_cast<uint32_t>(size);
  result.SetExtent(extent);
  return result;
}

void Value::SetExtent(const Extent& extent) {
  levels_ = static_cast<uint8_t>(std::min<uint32_t>(extent.levels, UINT8_MAX));
  const uint64_t units = std::min(extent.units, Extent::kMaxUnits);
  if (units < 2 * kMantissa) {
    weight_ = static_cast<uint16_t>(units);
    return;
  }
  // A mantissa that is rounded up to 2 * kMantissa is the next exponent.
  const auto shift = static_cast<uint64_t>(std::bit_width(units / (2 * kMantissa)));
  const uint64_t mantissa = (units + (uint64_t{1} << shift) - 1) >> shift;
  weight_ = static_cast<uint16_t>(shift * kMantissa + mantissa);
}

Extent ExactExtent(const Value& value, uint64_t limit) {
  Extent extent = Extent::OfEmpty();
  switch (value.kind()) {
    case ValueKind::kList:
      for (size_t i = 0; i < value.size() && extent.units <= limit; ++i) {
        extent.Add(ExactExtent(value.items()[i], limit - extent.units));
      }
      return extent;
    case ValueKind::kMap:
      for (size_t i = 0; i < value.size() && extent.units <= limit; ++i) {
        extent.units += Extent::OfText(value.entries()[i].key.size());
        if (extent.units > limit) return extent;
        extent.Add(ExactExtent(value.entries()[i].value, limit - extent.units));
      }
      return extent;
    default:
      return value.extent();
  }
}

Value Value::Find(std::string_view key) const {
  for (size_t i = 0; i < size_; ++i) {
    if (data_.entries[i].key == key) return data_.entries[i].value;
  }
  return Value();
}

std::string_view KindName(ValueKind kind) {
  switch (kind) {
    case ValueKind::kMissing:
    case ValueKind::kNull:
      return "null";
    case ValueKind::kBool:
      return "bool";
    case ValueKind::kInt:
      return "int";
    case ValueKind::kFloat:
      return "float";
    case ValueKind::kString:
      return "string";
    case ValueKind::kTimestamp:
      return "timestamp";
    case ValueKind::kDuration:
      return "duration";
    case ValueKind::kList:
      return "array";
    case ValueKind::kMap:
      return "map";
  }
  return "null";
}

bool Equal(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) {
    if (a.null_or_missing() && b.null_or_missing()) return true;
    return a.is_number() && b.is_number() && Compare(a, b) == Ordering::kEqual;
  }
  switch (a.kind()) {
    case ValueKind::kMissing:
    case ValueKind::kNull:
      return true;
    case ValueKind::kBool:
    case ValueKind::kInt:
    case ValueKind::kTimestamp:
    case ValueKind::kDuration:
      return a.integer() == b.integer();
    case ValueKind::kFloat:
      return a.real() == b.real() || (std::isnan(a.real()) && std::isnan(b.real()));
    case ValueKind::kString:
      return a.string() == b.string();
    case ValueKind::kList:
      if (a.size() != b.size()) return false;
      for (size_t i = 0; i < a.size(); ++i) {
        if (!Equal(a.items()[i], b.items()[i])) return false;
      }
      return true;
    case ValueKind::kMap:
      return EqualMaps(a, b);
  }
  return false;
}

uint64_t HashValue(const Value& value) {
  const auto mix = [](uint64_t tag, uint64_t bits) {
    uint64_t x = (bits ^ (tag * 0x9E3779B97F4A7C15ULL)) + 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  };
  switch (value.kind()) {
    case ValueKind::kMissing:
    case ValueKind::kNull:
      return mix(1, 0);
    case ValueKind::kFloat: {
      const double real = value.real();
      if (std::isnan(real)) return mix(3, 1);
      // A whole float equals the int of that value.
      if (real >= -9223372036854775808.0 && real < 9223372036854775808.0 &&
          real == std::trunc(real)) {
        return mix(2, static_cast<uint64_t>(static_cast<int64_t>(real)));
      }
      uint64_t bits;
      std::memcpy(&bits, &real, sizeof(bits));
      return mix(3, bits);
    }
    case ValueKind::kInt:
      return mix(2, static_cast<uint64_t>(value.integer()));
    case ValueKind::kBool:
      return mix(4, static_cast<uint64_t>(value.integer()));
    case ValueKind::kTimestamp:
      return mix(5, static_cast<uint64_t>(value.integer()));
    case ValueKind::kDuration:
      return mix(6, static_cast<uint64_t>(value.integer()));
    case ValueKind::kString:
      return mix(7, StableHash(value.string()));
    case ValueKind::kList: {
      uint64_t hash = mix(8, value.size());
      for (size_t i = 0; i < value.size(); ++i) hash = mix(hash, HashValue(value.items()[i]));
      return hash;
    }
    case ValueKind::kMap: {
      uint64_t sum = 0;  // entries in any order
      for (size_t i = 0; i < value.size(); ++i) {
        sum += mix(StableHash(value.entries()[i].key), HashValue(value.entries()[i].value));
      }
      return mix(9, sum);
    }
  }
  return 0;
}

Ordering Compare(const Value& a, const Value& b) {
  if (a.is(ValueKind::kInt) && b.is(ValueKind::kFloat))
    return CompareIntFloat(a.integer(), b.real());
  if (a.is(ValueKind::kFloat) && b.is(ValueKind::kInt)) {
    return Flip(CompareIntFloat(b.integer(), a.real()));
  }
  if (a.kind() != b.kind()) return Ordering::kNone;
  switch (a.kind()) {
    case ValueKind::kInt:
    case ValueKind::kTimestamp:
    case ValueKind::kDuration:
      return Order(a.integer(), b.integer());
    case ValueKind::kFloat:
      return Order(a.real(), b.real());
    case ValueKind::kString: {
      const int order = a.string().compare(b.string());
      return order < 0 ? Ordering::kLess : order > 0 ? Ordering::kGreater : Ordering::kEqual;
    }
    default:
      return Ordering::kNone;
  }
}

void AppendDisplay(const Value& value, bool quote, std::string* out) {
  const auto append_text = [out](std::string_view text) { out->append(text.data(), text.size()); };
  switch (value.kind()) {
    case ValueKind::kMissing:
    case ValueKind::kNull:
      *out += "null";
      return;
    case ValueKind::kBool:
      *out += value.boolean() ? "true" : "false";
      return;
    case ValueKind::kInt:
      absl::StrAppend(out, value.integer());
      return;
    case ValueKind::kFloat:
      AppendFloatDisplay(value.real(), out);
      return;
    case ValueKind::kString:
      if (quote) *out += '"';
      append_text(value.string());
      if (quote) *out += '"';
      return;
    case ValueKind::kTimestamp:
      *out += '@';
      AppendTimestamp(value.integer(), /*with_fraction=*/false, out);
      return;
    case ValueKind::kDuration:
      AppendDuration(value.integer(), out);
      return;
    case ValueKind::kList:
      *out += '[';
      for (size_t i = 0; i < value.size(); ++i) {
        if (i > 0) *out += ", ";
        AppendDisplay(value.items()[i], quote, out);
      }
      *out += ']';
      return;
    case ValueKind::kMap:
      *out += '{';
      for (size_t i = 0; i < value.size(); ++i) {
        if (i > 0) *out += ", ";
        append_text(value.entries()[i].key);
        *out += ": ";
        AppendDisplay(value.entries()[i].value, quote, out);
      }
      *out += '}';
      return;
  }
}

Value CopyTo(const Value& value, Arena& arena) {
  switch (value.kind()) {
    case ValueKind::kString:
      return Value::String(arena.CopyString(value.string()));
    case ValueKind::kList: {
      auto* items = arena.Allocate<Value>(value.size());
      for (size_t i = 0; i < value.size(); ++i) items[i] = CopyTo(value.items()[i], arena);
      return Value::List(items, value.size());
    }
    case ValueKind::kMap: {
      auto* entries = arena.Allocate<MapEntry>(value.size());
      for (size_t i = 0; i < value.size(); ++i) {
        entries[i].key = arena.CopyString(value.entries()[i].key);
        entries[i].value = CopyTo(value.entries()[i].value, arena);
      }
      return Value::Map(entries, value.size());
    }
    default:
      return value;
  }
}

OwnedValue::OwnedValue(const Value& value) {
  if (value.kind() < ValueKind::kString || value.is(ValueKind::kTimestamp) ||
      value.is(ValueKind::kDuration)) {
    value_ = value;
    return;
  }
  constexpr size_t kSmallBlock = 64;  // most keys are short; larger values get blocks as needed
  storage_ = std::make_unique<Arena>(value.is(ValueKind::kString) ? (value.size() + 7) & ~size_t{7}
                                                                  : kSmallBlock);
  value_ = CopyTo(value, *storage_);
}

}  // namespace varpulis::engine
