#pragma once

#include <string>
#include <string_view>

#include "engine/runtime/event.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

// Appends {"stream":…,"event_type":…,"timestamp":…,"fields":{…}} and a newline. Floats are shortest
// round-trip and always show that they are floats; NaN and infinities are null; timestamps RFC 3339
// UTC; durations are nanoseconds.
void AppendJsonLine(const OutputEvent& event, std::string* out);

void AppendJson(const Value& value, std::string* out);
// In quotes. Invalid UTF-8 becomes U+FFFD.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace varpulis::engine
