#include "coordinator/live_events.h"

#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/io/evt.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

constexpr char kBlanks[] = " \t\r";

absl::string_view FromFirst(absl::string_view text, size_t at) {
  return at == absl::string_view::npos ? absl::string_view() : text.substr(at);
}

// The event in a line, without its offset; empty when there is none in it.
absl::string_view EventIn(absl::string_view line) {
  line = FromFirst(line, line.find_first_not_of(kBlanks));
  if (absl::StartsWith(line, "#") || absl::StartsWith(line, "//") ||
      absl::StartsWith(line, "BATCH")) {
    return {};
  }
  if (!absl::StartsWith(line, "@")) return line;
  line = FromFirst(line, line.find_first_of(kBlanks));
  return FromFirst(line, line.find_first_not_of(kBlanks));
}

// Whether the event itself, and not a line before it, names a time. `line` has been parsed before.
bool NamesItsTime(absl::string_view line) {
  if (!absl::StartsWith(line, "{")) return false;
  const auto alone = engine::ParseEventText({line.data(), line.size()});
  return alone.ok() && alone->size() == 1 && alone->front().has_timestamp_ns();
}

absl::Status CheckLength(absl::string_view what, absl::string_view text, size_t most) {
  if (text.size() <= most) return absl::OkStatus();
  return transport::MakeError("invalid_request",
                              absl::StrCat(what, ": longer than ", most, " bytes"));
}

}  // namespace

absl::StatusOr<std::vector<varpulis::v1::Event>> ParseLiveEvents(absl::string_view text) {
  absl::StatusOr<std::vector<varpulis::v1::Event>> events =
      engine::ParseEventText({text.data(), text.size()});
  if (!events.ok()) return transport::MakeError("invalid_request", events.status().message());
  auto event = events->begin();
  while (!text.empty() && event != events->end()) {
    const size_t newline = text.find('\n');
    const absl::string_view line = EventIn(text.substr(0, newline));
    text.remove_prefix(newline == absl::string_view::npos ? text.size() : newline + 1);
    if (line.empty()) continue;
    if (event->has_timestamp_ns() && !NamesItsTime(line)) event->clear_timestamp_ns();
    ++event;
  }
  for (size_t i = 0; i < events->size(); ++i) {
    RETURN_IF_ERROR(ValidateEventType((*events)[i].event_type()), Annotate("event ", i + 1));
  }
  return events;
}

absl::Status ValidateEventType(absl::string_view type) {
  return CheckLength("event_type", type, kMaxEventTypeBytes);
}

absl::Status ValidateEventId(absl::string_view id) {
  return CheckLength("event_id", id, kMaxEventIdBytes);
}

}  // namespace varpulis::coordinator
