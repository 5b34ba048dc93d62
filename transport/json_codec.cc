#include "transport/json_codec.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/reflection.h"

#include "base/duration_text.h"
#include "proto/event.pb.h"
#include "transport/error_reply.h"
#include "transport/json_layout.h"
#include "transport/json_writer.h"
#include "transport/time_text.h"
#include "transport/utf8.h"

namespace varpulis::transport {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// ---------------------------------------------------------------- writing

void WriteMessage(JsonWriter& json, const Message& message);
void WriteList(JsonWriter& json, const varpulis::v1::ListValue& list);
template <typename Fields>
void WriteFields(JsonWriter& json, const Fields& fields);

void WriteValue(JsonWriter& json, const varpulis::v1::Value& value) {
  using varpulis::v1::Value;
  switch (value.kind_case()) {
    case Value::kBoolValue:
      return json.Bool(value.bool_value());
    case Value::kIntValue:
      return json.Int(value.int_value());
    case Value::kFloatValue:
      return json.Double(value.float_value());
    case Value::kStringValue:
      return json.String(value.string_value());
    case Value::kTimestampNs:
      return json.String(FormatTimestamp(value.timestamp_ns()));
    case Value::kDurationNs:
      return json.String(FormatDuration(value.duration_ns()));
    case Value::kListValue:
      return WriteList(json, value.list_value());
    case Value::kMapValue:
      return WriteFields(json, value.map_value().entries());
    case Value::KIND_NOT_SET:
      return json.Null();
  }
}

void WriteList(JsonWriter& json, const varpulis::v1::ListValue& list) {
  json.BeginArray();
  for (const varpulis::v1::Value& item : list.items()) WriteValue(json, item);
  json.EndArray();
}

template <typename Fields>
void WriteFields(JsonWriter& json, const Fields& fields) {
  json.BeginObject();
  for (const varpulis::v1::Field& field : fields) {
    json.Key(field.name());
    WriteValue(json, field.value());
  }
  json.EndObject();
}

// map<string, string>, sorted by key: hash order must not show.
void WriteStringMap(JsonWriter& json, const Message& message, const FieldDescriptor* field) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const Message& entry :
       message.GetReflection()->GetRepeatedFieldRef<Message>(message, field)) {
    const Reflection* reflection = entry.GetReflection();
    entries.emplace_back(reflection->GetString(entry, field->message_type()->map_key()),
                         reflection->GetString(entry, field->message_type()->map_value()));
  }
  std::sort(entries.begin(), entries.end());
  json.BeginObject();
  for (const auto& [key, value] : entries) {
    json.Key(key);
    json.String(value);
  }
  json.EndObject();
}

void WriteRepeated(JsonWriter& json, const Message& message, const JsonField& layout) {
  const FieldDescriptor* field = layout.field;
  const Reflection* reflection = message.GetReflection();
  if (layout.as_object) {
    return WriteFields(json, reflection->GetRepeatedFieldRef<varpulis::v1::Field>(message, field));
  }
  if (field->is_map()) return WriteStringMap(json, message, field);
  json.BeginArray();
  const int size = reflection->FieldSize(message, field);
  for (int i = 0; i < size; ++i) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      WriteMessage(json, reflection->GetRepeatedMessage(message, field, i));
    } else {
      std::string scratch;
      json.String(reflection->GetRepeatedStringReference(message, field, i, &scratch));
    }
  }
  json.EndArray();
}

void WriteSingle(JsonWriter& json, const Message& message, const JsonField& layout) {
  const FieldDescriptor* field = layout.field;
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return json.Uint(reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return json.Uint(reflection->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_INT32:
      return json.Int(reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64: {
      const int64_t number = reflection->GetInt64(message, field);
      if (layout.timestamp) return json.String(FormatTimestamp(number));
      return json.Int(number);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return json.Double(reflection->GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return json.Bool(reflection->GetBool(message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return json.String(
          JsonEnumText(field->enum_type(), reflection->GetEnumValue(message, field)));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return WriteMessage(json, reflection->GetMessage(message, field));
    default: {  // a string: the layout admits nothing else
      std::string scratch;
      return json.String(reflection->GetStringReference(message, field, &scratch));
    }
  }
}

void WriteMember(JsonWriter& json, const Message& message, const JsonField& layout) {
  const Reflection* reflection = message.GetReflection();
  if (layout.field->is_repeated()) {
    if (layout.skip_empty && reflection->FieldSize(message, layout.field) == 0) return;
    json.Key(layout.key);
    return WriteRepeated(json, message, layout);
  }
  // Without presence HasField means "not zero".
  if ((layout.field->has_presence() || layout.skip_empty) &&
      !reflection->HasField(message, layout.field)) {
    if (!layout.print_null) return;
    json.Key(layout.key);
    return json.Null();
  }
  json.Key(layout.key);
  WriteSingle(json, message, layout);
}

void WriteMessage(JsonWriter& json, const Message& message) {
  const JsonLayout& layout = JsonLayoutOf(message.GetDescriptor());
  switch (layout.shape) {
    case JsonShape::kValue:
      return WriteValue(json, static_cast<const varpulis::v1::Value&>(message));
    case JsonShape::kList:
      return WriteList(json, static_cast<const varpulis::v1::ListValue&>(message));
    case JsonShape::kMap:
      return WriteFields(json, static_cast<const varpulis::v1::MapValue&>(message).entries());
    case JsonShape::kObject:
      break;
  }
  json.BeginObject();
  for (const JsonField& field : layout.fields) {
    if (!field.discard) WriteMember(json, message, field);
  }
  json.EndObject();
}

// ---------------------------------------------------------------- text parameters

constexpr size_t kMaxTextBytes = 1 << 20;

absl::Status Refuse(absl::string_view field, absl::string_view reason) {
  return MakeError("invalid_request", absl::StrCat(OneLine(field, 64), ": ", reason));
}

// Digits only: no blanks, no plus sign, which SimpleAtoi would take.
template <typename Number>
bool ParseInteger(absl::string_view text, Number* number) {
  const absl::string_view digits =
      text.substr(std::numeric_limits<Number>::is_signed && !text.empty() && text.front() == '-');
  return !digits.empty() && std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, number);
}

// A false result: the text does not fit the type.
bool SetScalar(const FieldDescriptor* field, absl::string_view text, Message* message) {
  const Reflection* reflection = message->GetReflection();
  const auto set_integer = [&](auto number, auto setter) {
    if (!ParseInteger(text, &number)) return false;
    (reflection->*setter)(message, field, number);
    return true;
  };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return set_integer(uint32_t{}, &Reflection::SetUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return set_integer(uint64_t{}, &Reflection::SetUInt64);
    case FieldDescriptor::CPPTYPE_INT32:
      return set_integer(int32_t{}, &Reflection::SetInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return set_integer(int64_t{}, &Reflection::SetInt64);
    case FieldDescriptor::CPPTYPE_STRING:
      if (text.size() > kMaxTextBytes || !IsValidUtf8(text)) return false;
      reflection->SetString(message, field, std::string(text));
      return true;
    default:
      return false;
  }
}

absl::string_view ExpectedText(const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return "expected an integer from 0 to 4294967295";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "expected an unsigned integer";
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
      return "expected an integer";
    case FieldDescriptor::CPPTYPE_STRING:
      return "expected UTF-8 text of at most 1 MiB";
    default:
      return "cannot be given as text";
  }
}

}  // namespace

std::string ToJson(const Message& message) {
  JsonWriter json;
  WriteMessage(json, message);
  return json.Take();
}

absl::Status SetFieldFromText(absl::string_view field, absl::string_view text, Message* message) {
  const JsonLayout& layout = JsonLayoutOf(message->GetDescriptor());
  const JsonField* found = layout.Find(field);
  for (const JsonField& candidate : layout.fields) {
    if (found == nullptr && candidate.field->name() == field) found = &candidate;
  }
  if (found == nullptr) return Refuse(field, "unknown parameter");
  if (found->field->is_repeated() || found->timestamp || found->discard) {
    return Refuse(field, "cannot be given as text");
  }
  if (SetScalar(found->field, text, message)) return absl::OkStatus();
  return Refuse(field,
                absl::StrCat(ExpectedText(found->field), ", got \"", OneLine(text, 64), "\""));
}

}  // namespace varpulis::transport
