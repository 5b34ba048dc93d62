#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace varpulis::transport {

// The strict mapping between our messages and the documented JSON, driven by reflection and by the
// annotations of proto/options.proto. Serves the HTTP shim and JSON requests over NATS alike.
//
// Values: Value ⇄ any JSON value (integers that fit int64 are ints, all other numbers floats;
// timestamps print RFC 3339 UTC, durations "90s"); floats print shortest and always with a point or
// an exponent, NaN and infinities as null; `*_ns` fixed64 timestamps print RFC 3339; enums print
// their `text`; repeated Field marked as_object and Event.fields are objects. Keys in declared
// order.

std::string ToJson(const google::protobuf::Message& message);

struct JsonReadOptions {
  int max_depth = 32;  // of lists and maps in an event field; what is around it does not count
  int max_fields_per_object = 1024;
  int max_string_bytes = 256 * 1024;  // in event fields
  int max_array_elements = 10'000;    // in event fields
  int max_text_bytes = 1024 * 1024;   // other strings; inject_batch takes more
};

// Reads `json` into `message` (cleared first). INVALID_ARGUMENT with code invalid_request and a
// text that names the path: "pipelines[0].source: expected a string, got a number". Duplicate keys
// are refused.
absl::Status FromJson(absl::string_view json, google::protobuf::Message* message,
                      const JsonReadOptions& options = {});

// Sets a scalar field from text (path and query parameters): integers and strings. INVALID_ARGUMENT
// when the text does not fit.
absl::Status SetFieldFromText(absl::string_view field, absl::string_view text,
                              google::protobuf::Message* message);

}  // namespace varpulis::transport
