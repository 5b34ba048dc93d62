#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "google/protobuf/descriptor.h"

namespace varpulis::transport {

// How one message type looks in JSON: the annotations of proto/options.proto, read once per type.
struct JsonField {
  const google::protobuf::FieldDescriptor* field = nullptr;
  std::string key;
  bool required = false;
  bool discard = false;
  bool print_null = false;
  bool skip_empty = false;
  bool as_object = false;  // repeated Field
  bool timestamp = false;  // fixed64 named *_ns
  std::optional<uint64_t> default_uint;
};

enum class JsonShape {
  kObject,  // key by key
  kValue,   // varpulis.v1.Value: anything
  kList,    // varpulis.v1.ListValue: an array
  kMap,     // varpulis.v1.MapValue: an object
};

struct JsonLayout {
  JsonShape shape = JsonShape::kObject;
  bool ignore_unknown = false;
  std::vector<JsonField> fields;                    // in declared order, hidden ones left out
  absl::flat_hash_map<std::string, size_t> by_key;  // aliases too

  const JsonField* Find(absl::string_view key) const;
};

// Lives for ever. Thread-safe.
const JsonLayout& JsonLayoutOf(const google::protobuf::Descriptor* type);

// The spelling of an enum value; of an unknown number, that of 0.
std::string JsonEnumText(const google::protobuf::EnumDescriptor* type, int number);
std::optional<int> JsonEnumNumber(const google::protobuf::EnumDescriptor* type,
                                  absl::string_view text);

}  // namespace varpulis::transport
