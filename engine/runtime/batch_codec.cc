#include "engine/runtime/batch_codec.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/runtime/all_fields.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

// Bounds the recursion over values that no limit of ours has seen. Of 32 levels of maps in an event
// protobuf's own parser makes 99 nested messages; it stops at 100.
constexpr int kMaxProtoDepth = 200;

void SetText(std::string_view from, std::string* to) { to->assign(from.data(), from.size()); }

absl::Status FromProto(const varpulis::v1::Value& in, Arena& arena, int depth, bool check_limits,
                       Value* out) {
  using varpulis::v1::Value;
  const bool nests = in.has_list_value() || in.has_map_value();
  if (nests && depth > (check_limits ? kMaxValueDepth : kMaxProtoDepth)) {
    return absl::InvalidArgumentError(absl::StrCat("value is nested deeper than ", kMaxValueDepth));
  }
  switch (in.kind_case()) {
    case Value::KIND_NOT_SET:
      *out = engine::Value::Null();
      break;
    case Value::kBoolValue:
      *out = engine::Value::Bool(in.bool_value());
      break;
    case Value::kIntValue:
      *out = engine::Value::Int(in.int_value());
      break;
    case Value::kFloatValue:
      *out = engine::Value::Float(in.float_value());
      break;
    case Value::kTimestampNs:
      *out = engine::Value::Timestamp(in.timestamp_ns());
      break;
    case Value::kDurationNs:
      *out = engine::Value::Duration(in.duration_ns());
      break;
    case Value::kStringValue: {
      const std::string_view text = in.string_value();
      *out = engine::Value::String(check_limits ? CutAtCharacter(text, kMaxStringBytes) : text);
      break;
    }
    case Value::kListValue: {
      const auto& items = in.list_value().items();
      const auto size = static_cast<size_t>(items.size());
      if (check_limits && size > kMaxListItems) {
        return absl::InvalidArgumentError(
            absl::StrCat("list has more than ", kMaxListItems, " items"));
      }
      auto* copy = arena.Allocate<engine::Value>(size);
      for (size_t i = 0; i < size; ++i) {
        RETURN_IF_ERROR(
            FromProto(items.Get(static_cast<int>(i)), arena, depth + 1, check_limits, &copy[i]));
      }
      *out = engine::Value::List(copy, size);
      break;
    }
    case Value::kMapValue: {
      const auto& entries = in.map_value().entries();
      const auto size = static_cast<size_t>(entries.size());
      if (check_limits && size > kMaxListItems) {
        return absl::InvalidArgumentError(
            absl::StrCat("map has more than ", kMaxListItems, " entries"));
      }
      auto* copy = arena.Allocate<MapEntry>(size);
      for (size_t i = 0; i < size; ++i) {
        const varpulis::v1::Field& entry = entries.Get(static_cast<int>(i));
        copy[i].key = entry.name();
        RETURN_IF_ERROR(FromProto(entry.value(), arena, depth + 1, check_limits, &copy[i].value));
      }
      *out = engine::Value::Map(copy, size);
      break;
    }
  }
  return absl::OkStatus();
}

}  // namespace

void ValueToProto(const Value& value, varpulis::v1::Value* out) {
  switch (value.kind()) {
    case ValueKind::kMissing:
    case ValueKind::kNull:
      out->clear_kind();
      return;
    case ValueKind::kBool:
      out->set_bool_value(value.boolean());
      return;
    case ValueKind::kInt:
      out->set_int_value(value.integer());
      return;
    case ValueKind::kFloat:
      out->set_float_value(value.real());
      return;
    case ValueKind::kString:
      SetText(value.string(), out->mutable_string_value());
      return;
    case ValueKind::kTimestamp:
      out->set_timestamp_ns(value.integer());
      return;
    case ValueKind::kDuration:
      out->set_duration_ns(value.integer());
      return;
    case ValueKind::kList: {
      varpulis::v1::ListValue& list = *out->mutable_list_value();
      for (size_t i = 0; i < value.size(); ++i) ValueToProto(value.items()[i], list.add_items());
      return;
    }
    case ValueKind::kMap: {
      varpulis::v1::MapValue& map = *out->mutable_map_value();
      for (size_t i = 0; i < value.size(); ++i) {
        varpulis::v1::Field& entry = *map.add_entries();
        SetText(value.entries()[i].key, entry.mutable_name());
        ValueToProto(value.entries()[i].value, entry.mutable_value());
      }
      return;
    }
  }
}

absl::Status ValueFromProto(const varpulis::v1::Value& in, Arena& arena, Value* out,
                            bool check_limits) {
  return FromProto(in, arena, 1, check_limits, out);
}

void OutputToProto(const OutputEvent& event, varpulis::v1::Event* out) {
  SetText(event.event_type, out->mutable_event_type());
  out->set_timestamp_ns(event.timestamp_ns);
  event.ForEachField([out](std::string_view name, const Value& value) {
    varpulis::v1::Field& field = *out->add_fields();
    SetText(name, field.mutable_name());
    ValueToProto(value, field.mutable_value());
  });
}

absl::Status CheckLimits(const varpulis::v1::Event& event) {
  if (event.event_type().empty()) return absl::InvalidArgumentError("event has no type");
  if (!event.has_timestamp_ns()) return absl::InvalidArgumentError("event has no timestamp");
  if (static_cast<size_t>(event.fields_size()) > kMaxFields) {
    return absl::InvalidArgumentError(absl::StrCat("event has more than ", kMaxFields, " fields"));
  }
  return absl::OkStatus();
}

absl::Status RowFromProto(const varpulis::v1::Event& event, const InputType& type, Arena& arena,
                          Row* row) {
  RETURN_IF_ERROR(CheckLimits(event));
  row->timestamp_ns = event.timestamp_ns();
  row->slots = arena.Allocate<Value>(type.slot_count);
  for (size_t i = 0; i < type.slot_count; ++i) row->slots[i] = Value();
  AllFields all(type, arena, static_cast<size_t>(event.fields_size()));
  for (const varpulis::v1::Field& field : event.fields()) {
    const int slot = type.SlotOf(field.name());
    if (slot < 0 && !all.wanted()) continue;
    Value value;
    RETURN_IF_ERROR(ValueFromProto(field.value(), arena, &value),
                    Annotate("field `", field.name(), "`"));
    if (slot >= 0) row->slots[slot] = value;
    all.Add(field.name(), value);
  }
  all.Finish(row->slots);
  return absl::OkStatus();
}

}  // namespace varpulis::engine
