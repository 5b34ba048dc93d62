#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "proto/event.pb.h"
#include "transport/json_codec.h"
#include "transport/json_document.h"
#include "transport/json_layout.h"
#include "transport/time_text.h"
#include "transport/utf8.h"

namespace varpulis::transport {
namespace {

// What our messages put around an event's value at most: {"events":[{"fields":{…}}]} and some more.
constexpr int kEnvelopeDepth = 8;

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using JsonValue = rapidjson::Value;

// Fills messages from a parsed document. One per document.
class Reader {
 public:
  explicit Reader(const JsonReadOptions& options) : options_(options) {}

  // `lenient`: unknown keys are ignored, here and below.
  absl::Status ReadMessage(const JsonValue& json, const JsonPath& path, bool lenient,
                           Message* message) const;

 private:
  absl::Status ReadObject(const JsonValue& json, const JsonPath& path, const JsonLayout& layout,
                          bool lenient, Message* message) const;
  absl::Status ReadField(const JsonValue& json, const JsonPath& path, const JsonField& field,
                         bool lenient, Message* message) const;
  absl::Status ReadRepeated(const JsonValue& json, const JsonPath& path, const JsonField& field,
                            bool lenient, Message* message) const;
  absl::Status ReadStringMap(const JsonValue& json, const JsonPath& path, const JsonField& field,
                             Message* message) const;
  absl::Status ReadScalar(const JsonValue& json, const JsonPath& path, const JsonField& field,
                          Message* message) const;
  absl::Status ReadText(const JsonValue& json, const JsonPath& path, std::string* text) const;

  // `depth`: lists and maps that this is in, itself not counted, nor what is around the value.
  absl::Status ReadValue(const JsonValue& json, const JsonPath& path, int depth,
                         varpulis::v1::Value* value) const;
  absl::Status ReadList(const JsonValue& json, const JsonPath& path, int depth,
                        varpulis::v1::ListValue* list) const;
  absl::Status ReadMap(const JsonValue& json, const JsonPath& path, int depth,
                       varpulis::v1::MapValue* map) const;
  // `add` appends a Field to where they go.
  absl::Status ReadFields(const JsonValue& json, const JsonPath& path, int depth,
                          absl::FunctionRef<varpulis::v1::Field*()> add) const;
  absl::Status CheckDepth(const JsonPath& path, int depth) const;

  const JsonReadOptions& options_;
};

absl::Status Reader::ReadMessage(const JsonValue& json, const JsonPath& path, bool lenient,
                                 Message* message) const {
  const JsonLayout& layout = JsonLayoutOf(message->GetDescriptor());
  switch (layout.shape) {
    case JsonShape::kValue:
      return ReadValue(json, path, 0, static_cast<varpulis::v1::Value*>(message));
    case JsonShape::kList:
      return ReadList(json, path, 0, static_cast<varpulis::v1::ListValue*>(message));
    case JsonShape::kMap:
      return ReadMap(json, path, 0, static_cast<varpulis::v1::MapValue*>(message));
    case JsonShape::kObject:
      return ReadObject(json, path, layout, lenient || layout.ignore_unknown, message);
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadObject(const JsonValue& json, const JsonPath& path,
                                const JsonLayout& layout, bool lenient, Message* message) const {
  if (!json.IsObject()) return JsonTypeError(path, "an object", json);
  RETURN_IF_ERROR(CheckKeysDiffer(json, path));
  std::vector<bool> given(layout.fields.size());
  for (auto it = json.MemberBegin(); it != json.MemberEnd(); ++it) {
    const JsonPath member(&path, JsonText(it->name));
    const JsonField* field = layout.Find(JsonText(it->name));
    if (field == nullptr) {
      if (!lenient) return JsonError(member, "unknown key");
      RETURN_IF_ERROR(CheckKeysDifferBelow(it->value, member));
      continue;
    }
    if (it->value.IsNull()) continue;  // as if it were not there
    const auto index = static_cast<size_t>(field - layout.fields.data());
    if (given[index]) return JsonError(member, absl::StrCat("is another name of ", field->key));
    given[index] = true;
    if (field->discard) {
      const std::unique_ptr<Message> scratch(message->New());
      RETURN_IF_ERROR(ReadField(it->value, member, *field, lenient, scratch.get()));
    } else {
      RETURN_IF_ERROR(ReadField(it->value, member, *field, lenient, message));
    }
  }
  for (size_t i = 0; i < layout.fields.size(); ++i) {
    const JsonField& field = layout.fields[i];
    if (given[i]) continue;
    if (field.required) return JsonError(JsonPath(&path, field.key), "is required");
    if (!field.default_uint.has_value()) continue;
    const Reflection* reflection = message->GetReflection();
    if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      reflection->SetUInt32(message, field.field, static_cast<uint32_t>(*field.default_uint));
    } else {
      reflection->SetUInt64(message, field.field, *field.default_uint);
    }
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadField(const JsonValue& json, const JsonPath& path, const JsonField& field,
                               bool lenient, Message* message) const {
  const Reflection* reflection = message->GetReflection();
  if (field.as_object) {
    return ReadFields(json, path, 0, [&] {
      return static_cast<varpulis::v1::Field*>(reflection->AddMessage(message, field.field));
    });
  }
  if (field.field->is_map()) return ReadStringMap(json, path, field, message);
  if (field.field->is_repeated()) return ReadRepeated(json, path, field, lenient, message);
  if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return ReadMessage(json, path, lenient, reflection->MutableMessage(message, field.field));
  }
  return ReadScalar(json, path, field, message);
}

absl::Status Reader::ReadRepeated(const JsonValue& json, const JsonPath& path,
                                  const JsonField& field, bool lenient, Message* message) const {
  if (!json.IsArray()) return JsonTypeError(path, "an array", json);
  const Reflection* reflection = message->GetReflection();
  for (rapidjson::SizeType i = 0; i < json.Size(); ++i) {
    const JsonPath element(&path, i);
    if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      RETURN_IF_ERROR(
          ReadMessage(json[i], element, lenient, reflection->AddMessage(message, field.field)));
    } else {
      std::string text;
      RETURN_IF_ERROR(ReadText(json[i], element, &text));
      reflection->AddString(message, field.field, std::move(text));
    }
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadStringMap(const JsonValue& json, const JsonPath& path,
                                   const JsonField& field, Message* message) const {
  if (!json.IsObject()) return JsonTypeError(path, "an object", json);
  RETURN_IF_ERROR(CheckKeysDiffer(json, path));
  for (auto it = json.MemberBegin(); it != json.MemberEnd(); ++it) {
    std::string text;
    RETURN_IF_ERROR(ReadText(it->value, JsonPath(&path, JsonText(it->name)), &text));
    Message* entry = message->GetReflection()->AddMessage(message, field.field);
    const auto* type = entry->GetDescriptor();
    entry->GetReflection()->SetString(entry, type->map_key(), std::string(JsonText(it->name)));
    entry->GetReflection()->SetString(entry, type->map_value(), std::move(text));
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadText(const JsonValue& json, const JsonPath& path,
                              std::string* text) const {
  if (!json.IsString()) return JsonTypeError(path, "a string", json);
  if (json.GetStringLength() > static_cast<size_t>(options_.max_text_bytes)) {
    return JsonError(path, absl::StrCat("is longer than ", options_.max_text_bytes, " bytes"));
  }
  text->assign(json.GetString(), json.GetStringLength());
  return absl::OkStatus();
}

// 42 is an integer; 42.0 and 4e1 are not.
absl::Status CheckInteger(const JsonValue& json, const JsonPath& path, absl::string_view what) {
  if (!json.IsNumber()) return JsonTypeError(path, what, json);
  if (!json.IsInt64() && !json.IsUint64()) {
    return JsonError(path, absl::StrCat("expected ", what, ", got a float"));
  }
  return absl::OkStatus();
}

absl::Status ReadUnsigned(const JsonValue& json, const JsonPath& path, uint64_t max,
                          uint64_t* number) {
  RETURN_IF_ERROR(CheckInteger(json, path, "an unsigned integer"));
  if (!json.IsUint64()) {
    return JsonError(path, "expected an unsigned integer, got a negative number");
  }
  *number = json.GetUint64();
  if (*number > max) return JsonError(path, absl::StrCat("must be at most ", max));
  return absl::OkStatus();
}

absl::Status ReadSigned(const JsonValue& json, const JsonPath& path, int64_t min, int64_t max,
                        int64_t* number) {
  RETURN_IF_ERROR(CheckInteger(json, path, "an integer"));
  if (!json.IsInt64() || json.GetInt64() < min || json.GetInt64() > max) {
    return JsonError(path, absl::StrCat("must be between ", min, " and ", max));
  }
  *number = json.GetInt64();
  return absl::OkStatus();
}

absl::Status ReadTime(const JsonValue& json, const JsonPath& path, int64_t* unix_ns) {
  if (!json.IsString() && !json.IsInt64()) {
    return JsonTypeError(path, "an RFC 3339 time or integer epoch milliseconds", json);
  }
  const std::optional<int64_t> time =
      json.IsString() ? ParseTimestamp(JsonText(json)) : TimestampFromMillis(json.GetInt64());
  if (!time.has_value()) {
    return JsonError(path,
                     "is not an RFC 3339 time, such as 2026-01-31T23:59:59.5Z, or out of range");
  }
  *unix_ns = *time;
  return absl::OkStatus();
}

absl::Status Reader::ReadScalar(const JsonValue& json, const JsonPath& path,
                                const JsonField& layout, Message* message) const {
  const FieldDescriptor* field = layout.field;
  const Reflection* reflection = message->GetReflection();
  uint64_t number = 0;
  int64_t signed_number = 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      RETURN_IF_ERROR(ReadUnsigned(json, path, std::numeric_limits<uint32_t>::max(), &number));
      reflection->SetUInt32(message, field, static_cast<uint32_t>(number));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      RETURN_IF_ERROR(ReadUnsigned(json, path, std::numeric_limits<uint64_t>::max(), &number));
      reflection->SetUInt64(message, field, number);
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      RETURN_IF_ERROR(ReadSigned(json, path, std::numeric_limits<int32_t>::min(),
                                 std::numeric_limits<int32_t>::max(), &signed_number));
      reflection->SetInt32(message, field, static_cast<int32_t>(signed_number));
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      if (layout.timestamp) {
        RETURN_IF_ERROR(ReadTime(json, path, &signed_number));
      } else {
        RETURN_IF_ERROR(ReadSigned(json, path, std::numeric_limits<int64_t>::min(),
                                   std::numeric_limits<int64_t>::max(), &signed_number));
      }
      reflection->SetInt64(message, field, signed_number);
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!json.IsNumber()) return JsonTypeError(path, "a number", json);
      reflection->SetDouble(message, field, json.GetDouble());
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!json.IsBool()) return JsonTypeError(path, "a boolean", json);
      reflection->SetBool(message, field, json.GetBool());
      break;
    case FieldDescriptor::CPPTYPE_ENUM: {
      if (!json.IsString()) return JsonTypeError(path, "a string", json);
      const auto value = JsonEnumNumber(field->enum_type(), JsonText(json));
      if (!value.has_value()) {
        return JsonError(path, absl::StrCat("unknown value \"", OneLine(JsonText(json), 64), "\""));
      }
      reflection->SetEnumValue(message, field, *value);
      break;
    }
    default: {  // a string: the layout admits nothing else
      std::string text;
      RETURN_IF_ERROR(ReadText(json, path, &text));
      reflection->SetString(message, field, std::move(text));
    }
  }
  return absl::OkStatus();
}

absl::Status Reader::CheckDepth(const JsonPath& path, int depth) const {
  if (depth < options_.max_depth) return absl::OkStatus();
  return JsonError(path, absl::StrCat("nested deeper than ", options_.max_depth, " levels"));
}

absl::Status Reader::ReadValue(const JsonValue& json, const JsonPath& path, int depth,
                               varpulis::v1::Value* value) const {
  switch (json.GetType()) {
    case rapidjson::kNullType:
      value->clear_kind();
      break;
    case rapidjson::kFalseType:
    case rapidjson::kTrueType:
      value->set_bool_value(json.GetBool());
      break;
    case rapidjson::kNumberType:
      if (json.IsInt64()) {
        value->set_int_value(json.GetInt64());
      } else {
        value->set_float_value(json.GetDouble());  // also what is too large for an int64
      }
      break;
    case rapidjson::kStringType:
      if (json.GetStringLength() > static_cast<size_t>(options_.max_string_bytes)) {
        return JsonError(path,
                         absl::StrCat("is longer than ", options_.max_string_bytes, " bytes"));
      }
      value->set_string_value(json.GetString(), json.GetStringLength());
      break;
    case rapidjson::kArrayType:
      return ReadList(json, path, depth, value->mutable_list_value());
    case rapidjson::kObjectType:
      return ReadMap(json, path, depth, value->mutable_map_value());
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadList(const JsonValue& json, const JsonPath& path, int depth,
                              varpulis::v1::ListValue* list) const {
  if (!json.IsArray()) return JsonTypeError(path, "an array", json);
  RETURN_IF_ERROR(CheckDepth(path, depth));
  if (json.Size() > static_cast<size_t>(options_.max_array_elements)) {
    return JsonError(path,
                     absl::StrCat("has more than ", options_.max_array_elements, " elements"));
  }
  list->mutable_items()->Reserve(static_cast<int>(json.Size()));
  for (rapidjson::SizeType i = 0; i < json.Size(); ++i) {
    RETURN_IF_ERROR(ReadValue(json[i], JsonPath(&path, i), depth + 1, list->add_items()));
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadMap(const JsonValue& json, const JsonPath& path, int depth,
                             varpulis::v1::MapValue* map) const {
  RETURN_IF_ERROR(CheckDepth(path, depth));
  return ReadFields(json, path, depth + 1, [map] { return map->add_entries(); });
}

absl::Status Reader::ReadFields(const JsonValue& json, const JsonPath& path, int depth,
                                absl::FunctionRef<varpulis::v1::Field*()> add) const {
  if (!json.IsObject()) return JsonTypeError(path, "an object", json);
  if (json.MemberCount() > static_cast<size_t>(options_.max_fields_per_object)) {
    return JsonError(path,
                     absl::StrCat("has more than ", options_.max_fields_per_object, " fields"));
  }
  RETURN_IF_ERROR(CheckKeysDiffer(json, path));
  for (auto it = json.MemberBegin(); it != json.MemberEnd(); ++it) {
    const JsonPath member(&path, JsonText(it->name));
    if (it->name.GetStringLength() > static_cast<size_t>(options_.max_string_bytes)) {
      return JsonError(member,
                       absl::StrCat("name is longer than ", options_.max_string_bytes, " bytes"));
    }
    varpulis::v1::Field* field = add();
    field->set_name(it->name.GetString(), it->name.GetStringLength());
    RETURN_IF_ERROR(ReadValue(it->value, member, depth, field->mutable_value()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FromJson(absl::string_view json, Message* message, const JsonReadOptions& options) {
  message->Clear();
  rapidjson::Document document;
  RETURN_IF_ERROR(ParseJson(json, kEnvelopeDepth + options.max_depth, &document));
  return Reader(options).ReadMessage(document, JsonPath(), false, message);
}

}  // namespace varpulis::transport
