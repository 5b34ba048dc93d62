#include "engine/io/json_lines.h"

#include <cmath>
#include <string>

#include <simdjson.h>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/runtime/all_fields.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

namespace dom = simdjson::dom;

absl::Status ToValue(const dom::element& in, int depth, Arena& arena, Value* out) {
  if (depth > kMaxValueDepth && (in.is_array() || in.is_object())) {
    return absl::InvalidArgumentError(absl::StrCat("value is nested deeper than ", kMaxValueDepth));
  }
  switch (in.type()) {
    case dom::element_type::NULL_VALUE:
      *out = Value::Null();
      break;
    case dom::element_type::BOOL:
      *out = Value::Bool(in.get_bool().value_unsafe());
      break;
    case dom::element_type::INT64:
      *out = Value::Int(in.get_int64().value_unsafe());
      break;
    case dom::element_type::UINT64:
      *out = Value::Float(static_cast<double>(in.get_uint64().value_unsafe()));
      break;
    case dom::element_type::DOUBLE:
      *out = Value::Float(in.get_double().value_unsafe());
      break;
    case dom::element_type::STRING:
      *out = Value::String(CutAtCharacter(in.get_string().value_unsafe(), kMaxStringBytes));
      break;
    case dom::element_type::ARRAY: {
      const dom::array array = in.get_array().value_unsafe();
      size_t size = 0;
      for (const dom::element& item : array) {
        (void)item;
        ++size;
      }
      if (size > kMaxListItems) {
        return absl::InvalidArgumentError(
            absl::StrCat("list has more than ", kMaxListItems, " items"));
      }
      auto* items = arena.Allocate<Value>(size);
      size_t i = 0;
      for (const dom::element& item : array) {
        RETURN_IF_ERROR(ToValue(item, depth + 1, arena, &items[i++]));
      }
      *out = Value::List(items, size);
      break;
    }
    case dom::element_type::OBJECT: {
      const dom::object object = in.get_object().value_unsafe();
      size_t size = 0;
      for (const dom::key_value_pair& entry : object) {
        (void)entry;
        ++size;
      }
      if (size > kMaxListItems) {
        return absl::InvalidArgumentError(
            absl::StrCat("map has more than ", kMaxListItems, " entries"));
      }
      auto* entries = arena.Allocate<MapEntry>(size);
      size_t i = 0;
      for (const dom::key_value_pair& entry : object) {
        entries[i].key = entry.key;
        RETURN_IF_ERROR(ToValue(entry.value, depth + 1, arena, &entries[i++].value));
      }
      *out = Value::Map(entries, size);
      break;
    }
  }
  return absl::OkStatus();
}

bool ToTimestamp(const dom::element& in, int64_t* ns) {
  constexpr int64_t kMillisecond = 1'000'000;
  if (in.is_string()) return ParseTimestamp(in.get_string().value_unsafe(), ns);
  if (in.is_int64())
    return !__builtin_mul_overflow(in.get_int64().value_unsafe(), kMillisecond, ns);
  if (!in.is_double()) return false;
  const double scaled = std::round(in.get_double().value_unsafe() * kMillisecond);
  if (!(std::fabs(scaled) < 9.2e18)) return false;
  *ns = static_cast<int64_t>(scaled);
  return true;
}

// simdjson refuses integers beyond 64 bits; with a fraction they are floats. Changes nothing else:
// what was no JSON is none afterwards.
std::string LongIntegersAsFloats(std::string_view line) {
  constexpr size_t kShortest = 19;  // digits of the smallest number that does not fit
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string out;
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '\\' && i + 1 < line.size()) {
      out.append(line.substr(i++, 2));
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (quoted || !is_digit(c)) {
      out += c;
      continue;
    }
    size_t end = i;
    while (end < line.size() && is_digit(line[end])) ++end;
    out.append(line.substr(i, end - i));
    const char next = end < line.size() ? line[end] : ' ';
    const bool in_float = next == '.' || next == 'e' || next == 'E' ||
                          (i > 0 && (line[i - 1] == '.' || line[i - 1] == 'e' ||
                                     line[i - 1] == 'E' || line[i - 1] == '+'));
    if (end - i >= kShortest && !in_float) out += ".0";
    i = end - 1;
  }
  return out;
}

}  // namespace

struct JsonLineParser::Document {
  dom::parser parser;
  dom::object root;
  dom::object fields;
  bool flat = false;  // the fields stand beside `event_type`
};

JsonLineParser::JsonLineParser() : document_(std::make_unique<Document>()) {}
JsonLineParser::~JsonLineParser() = default;

absl::Status JsonLineParser::Parse(std::string_view line) {
  dom::element root;
  // The parser copies the line, because simdjson reads beyond its end.
  auto error = document_->parser.parse(line.data(), line.size()).get(root);
  if (error == simdjson::NUMBER_ERROR) {
    const std::string floats = LongIntegersAsFloats(line);
    error = document_->parser.parse(floats).get(root);
  }
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("not JSON: ", simdjson::error_message(error)));
  }
  if (root.get(document_->root) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("not a JSON object");
  }
  has_timestamp_ = false;
  type_name_ = {};
  document_->flat = true;
  bool has_data = false;
  for (const dom::key_value_pair& entry : document_->root) {
    const std::string_view key = entry.key;
    if (key == "event_type") {
      if (!entry.value.is_string())
        return absl::InvalidArgumentError("`event_type` is not a string");
      type_name_ = entry.value.get_string().value_unsafe();
    } else if (key == "timestamp" && !entry.value.is_null()) {
      if (!ToTimestamp(entry.value, &timestamp_ns_)) {
        return absl::InvalidArgumentError("`timestamp` is neither RFC 3339 nor milliseconds");
      }
      has_timestamp_ = true;
    } else if ((key == "data" || (key == "fields" && !has_data)) && entry.value.is_object()) {
      has_data = key == "data";
      document_->fields = entry.value.get_object().value_unsafe();
      document_->flat = false;
    }
  }
  if (type_name_.empty()) return absl::InvalidArgumentError("event has no `event_type`");
  if (document_->flat) document_->fields = document_->root;
  return absl::OkStatus();
}

absl::Status JsonLineParser::Fields(const InputType* type, Arena& arena, Value* slots) const {
  size_t count = 0;
  for (const dom::key_value_pair& entry : document_->fields) {
    const std::string_view key = entry.key;
    if (!document_->flat || (key != "event_type" && key != "timestamp")) ++count;
  }
  if (count > kMaxFields) {
    return absl::InvalidArgumentError(absl::StrCat("event has more than ", kMaxFields, " fields"));
  }
  std::unique_ptr<AllFields> all;
  if (type != nullptr && type->all_fields_slot >= 0) {
    all = std::make_unique<AllFields>(*type, arena, count);
  }
  for (const dom::key_value_pair& entry : document_->fields) {
    const std::string_view key = entry.key;
    if (document_->flat && (key == "event_type" || key == "timestamp")) continue;
    const int slot = type != nullptr ? type->SlotOf(key) : -1;
    Value value;
    const bool scalar = !entry.value.is_array() && !entry.value.is_object();
    if (slot < 0 && all == nullptr && scalar) continue;
    RETURN_IF_ERROR(ToValue(entry.value, 1, arena, &value),
                    Annotate("field `", absl::string_view(key.data(), key.size()), "`"));
    if (slot >= 0) slots[slot] = value;
    if (all != nullptr) all->Add(key, value);
  }
  if (all != nullptr) all->Finish(slots);
  return absl::OkStatus();
}

}  // namespace varpulis::engine
