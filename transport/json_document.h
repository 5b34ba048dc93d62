#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// RapidJSON 1.1 asks whether null + n lies beyond null when its stack is still empty. Harmless, but
// UBSan is right to complain, so it does not look here. No other file includes RapidJSON.
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include "rapidjson/document.h"
#include "rapidjson/reader.h"
#ifdef __clang__
#pragma clang attribute pop
#endif

namespace varpulis::transport {

// Parses all of `text`: RFC 8259 and nothing more, valid UTF-8, nested no deeper than `max_depth`.
// Uses no stack for nesting. INVALID_ARGUMENT (invalid_request) that names line and column.
absl::Status ParseJson(absl::string_view text, int max_depth, rapidjson::Document* document);

// Where in the document a value stands. Lives on the stack of the reader; costs nothing until an
// error is to be told.
class JsonPath {
 public:
  JsonPath() = default;  // the document itself
  JsonPath(const JsonPath* parent, absl::string_view key) : parent_(parent), key_(key) {}
  JsonPath(const JsonPath* parent, size_t index) : parent_(parent), index_(index) {}

  std::string ToString() const;  // "pipelines[0].source"

 private:
  const JsonPath* parent_ = nullptr;
  absl::string_view key_;
  size_t index_ = 0;
};

// invalid_request: "{path}: {reason}", with the same in its details.
absl::Status JsonError(const JsonPath& path, absl::string_view reason);
// "expected {what}, got a number"
absl::Status JsonTypeError(const JsonPath& path, absl::string_view what,
                           const rapidjson::Value& got);

// Refuses an object that names a key twice.
absl::Status CheckKeysDiffer(const rapidjson::Value& object, const JsonPath& path);
// The same for all objects in a value that nobody reads.
absl::Status CheckKeysDifferBelow(const rapidjson::Value& value, const JsonPath& path);

inline absl::string_view JsonText(const rapidjson::Value& text) {
  return absl::string_view(text.GetString(), text.GetStringLength());
}

}  // namespace varpulis::transport
