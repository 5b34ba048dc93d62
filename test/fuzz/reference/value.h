#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/event.pb.h"

namespace varpulis::reference {

enum class Kind {
  kMissing,
  kNull,
  kBool,
  kInt,
  kFloat,
  kString,
  kTimestamp,
  kDuration,
  kList,
  kMap,
};

// A value of vpl.md §2.1, as plain as can be: everything is copied.
struct Value {
  Kind kind = Kind::kMissing;
  int64_t integer = 0;  // bool, int, timestamp, duration
  double real = 0;
  std::string text;
  std::vector<Value> items;       // of a list; of a map by `keys`
  std::vector<std::string> keys;  // of a map

  static Value Missing() { return {}; }
  static Value Null() { return Make(Kind::kNull, 0); }
  static Value Bool(bool value) { return Make(Kind::kBool, value ? 1 : 0); }
  static Value Int(int64_t value) { return Make(Kind::kInt, value); }
  static Value Timestamp(int64_t ns) { return Make(Kind::kTimestamp, ns); }
  static Value Duration(int64_t ns) { return Make(Kind::kDuration, ns); }
  static Value Float(double value);
  static Value String(std::string value);
  static Value List(std::vector<Value> items);

  bool is(Kind other) const { return kind == other; }
  bool missing() const { return kind == Kind::kMissing; }
  bool null_or_missing() const { return kind == Kind::kMissing || kind == Kind::kNull; }
  bool is_number() const { return kind == Kind::kInt || kind == Kind::kFloat; }
  bool is_true() const { return kind == Kind::kBool && integer != 0; }
  double number() const { return kind == Kind::kInt ? static_cast<double>(integer) : real; }

  const Value* Find(std::string_view key) const;
  void Put(const std::string& key, Value value);

 private:
  static Value Make(Kind kind, int64_t integer) {
    Value value;
    value.kind = kind;
    value.integer = integer;
    return value;
  }
};

using Fields = std::vector<std::pair<std::string, Value>>;

// Nothing tells them apart; all NaNs are one.
bool Same(const Value& a, const Value& b);
// For people.
std::string ToText(const Value& value);

void ToProto(const Value& value, v1::Value* proto);
Value FromProto(const v1::Value& proto);

}  // namespace varpulis::reference
