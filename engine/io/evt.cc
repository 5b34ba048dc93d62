#include "engine/io/evt.h"

#include <string>
#include <utility>

#include <simdjson.h>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/io/event_line.h"
#include "engine/lang/source_text.h"
#include "engine/runtime/batch_codec.h"

namespace varpulis::engine {

absl::StatusOr<std::vector<varpulis::v1::Event>> ParseEventText(std::string_view text) {
  // Every type is taken whole: its only slot is the map of all fields.
  InputType any;
  any.all_fields_slot = 0;
  any.slot_count = 1;
  const InputTypes none;
  Arena arena;
  EventLineReader reader(none, &any, arena);
  std::vector<varpulis::v1::Event> events;
  text.remove_prefix(ByteOrderMark(text));
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    LineEvent read;
    RETURN_IF_ERROR(simdjson::validate_utf8(line.data(), line.size())
                        ? reader.Read(line, &read)
                        : absl::InvalidArgumentError("text is not UTF-8"),
                    Annotate("line ", number));
    if (read.present) {
      varpulis::v1::Event& event = events.emplace_back();
      event.mutable_event_type()->assign(read.type_name.data(), read.type_name.size());
      if (read.has_timestamp) event.set_timestamp_ns(read.row.timestamp_ns);
      const Value& fields = read.row.slots[0];
      for (size_t i = 0; i < fields.size(); ++i) {
        varpulis::v1::Field& field = *event.add_fields();
        const MapEntry& entry = fields.entries()[i];
        field.mutable_name()->assign(entry.key.data(), entry.key.size());
        ValueToProto(entry.value, field.mutable_value());
      }
    }
    arena.Reset();
  }
  return events;
}

}  // namespace varpulis::engine
