#include "test/fuzz/reference/value.h"

#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace varpulis::reference {

Value Value::Float(double value) {
  Value result = Make(Kind::kFloat, 0);
  result.real = value;
  return result;
}

Value Value::String(std::string value) {
  Value result = Make(Kind::kString, 0);
  result.text = std::move(value);
  return result;
}

Value Value::List(std::vector<Value> items) {
  Value result = Make(Kind::kList, 0);
  result.items = std::move(items);
  return result;
}

const Value* Value::Find(std::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] == key) return &items[i];
  }
  return nullptr;
}

void Value::Put(const std::string& key, Value value) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] != key) continue;
    items[i] = std::move(value);
    return;
  }
  keys.push_back(key);
  items.push_back(std::move(value));
}

bool Same(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == Kind::kFloat) {
    if (std::isnan(a.real) || std::isnan(b.real)) return std::isnan(a.real) && std::isnan(b.real);
    return std::memcmp(&a.real, &b.real, sizeof(a.real)) == 0;
  }
  if (a.integer != b.integer || a.text != b.text || a.keys != b.keys ||
      a.items.size() != b.items.size()) {
    return false;
  }
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!Same(a.items[i], b.items[i])) return false;
  }
  return true;
}

std::string ToText(const Value& value) {
  std::string out;
  switch (value.kind) {
    case Kind::kMissing:
      return "missing";
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return value.integer != 0 ? "true" : "false";
    case Kind::kInt:
      return absl::StrCat(value.integer);
    case Kind::kFloat:
      return absl::StrFormat("float %.17g", value.real);
    case Kind::kString:
      return absl::StrCat("\"", value.text, "\"");
    case Kind::kTimestamp:
      return absl::StrCat("timestamp ", value.integer);
    case Kind::kDuration:
      return absl::StrCat("duration ", value.integer);
    case Kind::kList:
      for (const Value& item : value.items) absl::StrAppend(&out, " ", ToText(item));
      return absl::StrCat("[", out, " ]");
    case Kind::kMap:
      for (size_t i = 0; i < value.keys.size(); ++i) {
        absl::StrAppend(&out, " ", value.keys[i], ": ", ToText(value.items[i]));
      }
      return absl::StrCat("{", out, " }");
  }
  return out;
}

void ToProto(const Value& value, v1::Value* proto) {
  switch (value.kind) {
    case Kind::kMissing:
    case Kind::kNull:
      return;
    case Kind::kBool:
      return proto->set_bool_value(value.integer != 0);
    case Kind::kInt:
      return proto->set_int_value(value.integer);
    case Kind::kFloat:
      return proto->set_float_value(value.real);
    case Kind::kString:
      return proto->set_string_value(value.text);
    case Kind::kTimestamp:
      return proto->set_timestamp_ns(value.integer);
    case Kind::kDuration:
      return proto->set_duration_ns(value.integer);
    case Kind::kList:
      proto->mutable_list_value();
      for (const Value& item : value.items) ToProto(item, proto->mutable_list_value()->add_items());
      return;
    case Kind::kMap:
      proto->mutable_map_value();
      for (size_t i = 0; i < value.keys.size(); ++i) {
        v1::Field& field = *proto->mutable_map_value()->add_entries();
        field.set_name(value.keys[i]);
        ToProto(value.items[i], field.mutable_value());
      }
      return;
  }
}

Value FromProto(const v1::Value& proto) {
  switch (proto.kind_case()) {
    case v1::Value::kBoolValue:
      return Value::Bool(proto.bool_value());
    case v1::Value::kIntValue:
      return Value::Int(proto.int_value());
    case v1::Value::kFloatValue:
      return Value::Float(proto.float_value());
    case v1::Value::kStringValue:
      return Value::String(proto.string_value());
    case v1::Value::kTimestampNs:
      return Value::Timestamp(proto.timestamp_ns());
    case v1::Value::kDurationNs:
      return Value::Duration(proto.duration_ns());
    case v1::Value::kListValue: {
      Value list = Value::List({});
      for (const v1::Value& item : proto.list_value().items()) {
        list.items.push_back(FromProto(item));
      }
      return list;
    }
    case v1::Value::kMapValue: {
      Value map;
      map.kind = Kind::kMap;
      for (const v1::Field& entry : proto.map_value().entries()) {
        map.keys.push_back(entry.name());
        map.items.push_back(FromProto(entry.value()));
      }
      return map;
    }
    case v1::Value::KIND_NOT_SET:
      break;
  }
  return Value::Null();
}

}  // namespace varpulis::reference
