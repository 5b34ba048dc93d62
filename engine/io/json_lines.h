#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"

#include "engine/runtime/event.h"

namespace varpulis::engine {

// One event as a JSON object: {"event_type": T, "data": {…}}, with `fields` for `data`, or with the
// fields beside `event_type`; "timestamp" is RFC 3339 or a number of milliseconds. Two steps,
// because the type decides which fields are decoded. Strings borrow this parser until the next
// line.
class JsonLineParser {
 public:
  JsonLineParser();
  ~JsonLineParser();

  absl::Status Parse(std::string_view line);
  std::string_view type_name() const { return type_name_; }
  bool has_timestamp() const { return has_timestamp_; }
  int64_t timestamp_ns() const { return timestamp_ns_; }
  // Fills the slots of `type`; checks only when it is null.
  absl::Status Fields(const InputType* type, Arena& arena, Value* slots) const;

 private:
  struct Document;
  std::unique_ptr<Document> document_;
  std::string_view type_name_;
  bool has_timestamp_ = false;
  int64_t timestamp_ns_ = 0;
};

}  // namespace varpulis::engine
