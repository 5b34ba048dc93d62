#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

#include "engine/io/json_lines.h"
#include "engine/runtime/event.h"

namespace varpulis::engine {

// What one line holds. Views into the line and the reader's arena.
struct LineEvent {
  bool present = false;        // false: blank, comment, BATCH
  bool has_timestamp = false;  // an offset or timestamp was given, here or by an earlier BATCH
  std::string_view type_name;
  const InputType* type = nullptr;  // null: checked and skipped
  Row row;                          // slots only when `type` is set
};

// Reads event files line by line: the .evt forms and JSON lines of vpl.md §8.1, which may mix.
//
// Only fields that have a slot are decoded; the others are checked and skipped. Fields are expected
// in the order of the last event of that type, so that a name costs one comparison. Values live in
// `arena`, strings without escapes in the line itself. Thread-compatible.
class EventLineReader {
 public:
  // Events of types not in `inputs` go to `fallback`, which may be null.
  EventLineReader(const InputTypes& inputs, const InputType* fallback, Arena& arena)
      : inputs_(inputs), fallback_(fallback), arena_(arena) {}

  // `line` without its newline. InvalidArgument says what is wrong; the caller adds where.
  absl::Status Read(std::string_view line, LineEvent* event);

 private:
  // A field name with its colon, as words that are compared at once.
  struct Expected {
    static constexpr size_t kWordBytes = 16;
    std::string name;
    int slot = -1;
    uint64_t words[2] = {0, 0};
    uint64_t masks[2] = {0, 0};  // zero when the name is too long for this

    void Set(std::string_view name, int slot);
    // REQUIRES: kWordBytes readable bytes at `at`.
    bool StandsAt(const char* at) const {
      uint64_t here[2];
      std::memcpy(here, at, sizeof(here));
      return (((here[0] & masks[0]) ^ words[0]) | ((here[1] & masks[1]) ^ words[1])) == 0 &&
             masks[0] != 0;
    }
  };
  // What the reader remembers of an event type.
  struct KnownType {
    std::string name;
    const InputType* type = nullptr;
    std::vector<Expected> fields;  // of the last event, in its order
  };

  absl::Status ReadBatch(std::string_view line);
  absl::Status ReadOffset(std::string_view* line, LineEvent* event);
  absl::Status ReadText(std::string_view line, LineEvent* event);
  absl::Status ReadFields(const char* at, const char* end, KnownType& known, LineEvent* event);
  absl::Status ReadPositional(const char* at, const char* end, KnownType& known, LineEvent* event);
  absl::Status ReadJson(std::string_view line, LineEvent* event);
  KnownType& Known(std::string_view name);
  void StartRow(const InputType* type, LineEvent* event);

  const InputTypes& inputs_;
  const InputType* fallback_;
  Arena& arena_;
  bool has_offset_ = false;
  int64_t offset_ns_ = 0;
  KnownType* last_ = nullptr;
  absl::flat_hash_map<const InputType*, std::unique_ptr<KnownType>> known_;
  KnownType unknown_;  // for types nobody reads
  std::unique_ptr<JsonLineParser> json_;
};

}  // namespace varpulis::engine
