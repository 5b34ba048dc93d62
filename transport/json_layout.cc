#include "transport/json_layout.h"

#include <memory>

#include "absl/strings/match.h"
#include "glog/logging.h"

#include "base/mutex.h"
#include "proto/event.pb.h"
#include "proto/options.pb.h"

namespace varpulis::transport {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

JsonShape ShapeOf(const Descriptor* type) {
  if (type == varpulis::v1::Value::descriptor()) return JsonShape::kValue;
  if (type == varpulis::v1::ListValue::descriptor()) return JsonShape::kList;
  if (type == varpulis::v1::MapValue::descriptor()) return JsonShape::kMap;
  return JsonShape::kObject;
}

// Our own messages use no other kinds; one that does must teach the codec first.
bool IsSupported(const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return field->type() == FieldDescriptor::TYPE_STRING;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return !field->is_map() ||
             (field->message_type()->map_key()->type() == FieldDescriptor::TYPE_STRING &&
              field->message_type()->map_value()->type() == FieldDescriptor::TYPE_STRING);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return false;
    default:
      return !field->is_repeated();
  }
}

JsonField FieldLayout(const FieldDescriptor* field) {
  CHECK(IsSupported(field)) << "JSON codec: " << field->full_name();
  const auto& options = field->options();
  JsonField layout;
  layout.field = field;
  layout.key = options.GetExtension(varpulis::json::name);
  if (layout.key.empty()) layout.key = field->name();
  layout.required = options.GetExtension(varpulis::json::required);
  layout.discard = options.GetExtension(varpulis::json::discard);
  layout.print_null = options.GetExtension(varpulis::json::print_null);
  layout.skip_empty = options.GetExtension(varpulis::json::skip_empty);
  layout.as_object = options.GetExtension(varpulis::json::as_object) && !field->is_map();
  layout.timestamp =
      field->type() == FieldDescriptor::TYPE_SFIXED64 && absl::EndsWith(field->name(), "_ns");
  if (options.HasExtension(varpulis::json::default_uint)) {
    layout.default_uint = options.GetExtension(varpulis::json::default_uint);
  }
  return layout;
}

std::unique_ptr<JsonLayout> MakeLayout(const Descriptor* type) {
  auto layout = std::make_unique<JsonLayout>();
  layout->shape = ShapeOf(type);
  if (layout->shape != JsonShape::kObject) return layout;
  layout->ignore_unknown = type->options().GetExtension(varpulis::json::ignore_unknown);
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->options().GetExtension(varpulis::json::hide)) continue;
    layout->fields.push_back(FieldLayout(field));
    layout->by_key.emplace(layout->fields.back().key, layout->fields.size() - 1);
    const std::string& alias = field->options().GetExtension(varpulis::json::alias);
    if (!alias.empty()) layout->by_key.emplace(alias, layout->fields.size() - 1);
  }
  return layout;
}

std::string TextOf(const EnumValueDescriptor* value) {
  const std::string& text = value->options().GetExtension(varpulis::json::text);
  return text.empty() ? value->name() : text;
}

}  // namespace

const JsonField* JsonLayout::Find(absl::string_view key) const {
  const auto it = by_key.find(key);
  return it == by_key.end() ? nullptr : &fields[it->second];
}

const JsonLayout& JsonLayoutOf(const Descriptor* type) {
  static Mutex& mutex = *new Mutex;
  static auto& layouts = *new absl::flat_hash_map<const Descriptor*, std::unique_ptr<JsonLayout>>;
  MutexLock lock(mutex);
  std::unique_ptr<JsonLayout>& layout = layouts[type];
  if (layout == nullptr) layout = MakeLayout(type);
  return *layout;
}

std::string JsonEnumText(const EnumDescriptor* type, int number) {
  const EnumValueDescriptor* value = type->FindValueByNumber(number);
  return TextOf(value != nullptr ? value : type->value(0));
}

std::optional<int> JsonEnumNumber(const EnumDescriptor* type, absl::string_view text) {
  for (int i = 0; i < type->value_count(); ++i) {
    if (TextOf(type->value(i)) == text) return type->value(i)->number();
  }
  return std::nullopt;
}

}  // namespace varpulis::transport
