#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

#include "engine/io/json_lines.h"
#include "engine/io/known_type.h"
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

// Successive events.
struct EventRows {
  std::vector<Row> rows;
  std::vector<RowRun> runs;  // their types: checked and skipped where null
  int64_t lines = 0;         // that were read, those without an event included
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

  // The time that offset 0 stands for, instead of the epoch. Before the first line.
  // REQUIRES: within kMaxBase of the epoch.
  void SetBase(int64_t base_ns) { base_ns_ = offset_ns_ = base_ns; }
  static constexpr int64_t kMaxBase = int64_t{1} << 62;

  // `line` without its newline. InvalidArgument says what is wrong; the caller adds where.
  absl::Status Read(std::string_view line, LineEvent* event);

  // The events of whole lines, each with its newline, from the front of `*text`: at least one line,
  // then on to the next unusual one, an error or `max_rows`. Takes what it read off `*text`. On an
  // error, the rows before it are good and `*text` starts with the line at fault.
  //
  // REQUIRES: kReadableBehind readable bytes behind `*text`.
  absl::Status ReadRows(std::string_view* text, size_t max_rows, EventRows* rows);
  static constexpr size_t kReadableBehind = ExpectedText::kReadable;

 private:
  absl::Status ReadBatch(std::string_view line);
  absl::Status ReadOffset(std::string_view* line, LineEvent* event);
  absl::Status ReadText(std::string_view line, LineEvent* event);
  absl::Status ReadFields(const char* at, const char* end, KnownType& known, LineEvent* event);
  absl::Status ReadPositional(const char* at, const char* end, KnownType& known, LineEvent* event);
  absl::Status ReadJson(std::string_view line, LineEvent* event);
  KnownType& Known(std::string_view name);
  KnownType* KnownAt(const char* at) const;
  const char* SkipSimpleOffset(const char* at, int64_t* ns) const;
  void StartRow(const InputType* type, LineEvent* event);

  const InputTypes& inputs_;
  const InputType* fallback_;
  Arena& arena_;
  bool has_offset_ = false;
  int64_t base_ns_ = 0;
  int64_t offset_ns_ = 0;  // with the base
  KnownType* last_ = nullptr;
  absl::flat_hash_map<const InputType*, std::unique_ptr<KnownType>> known_;
  KnownType unknown_;  // for types nobody reads
  std::unique_ptr<JsonLineParser> json_;
};

}  // namespace varpulis::engine
