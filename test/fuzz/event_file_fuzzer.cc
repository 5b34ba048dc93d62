// The readers of event files: line by line, many lines at once with several sizes of batches, and
// as messages. All of them read the same, or find the same line at fault.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

#include "engine/io/event_line.h"
#include "engine/io/evt.h"
#include "engine/lang/source_text.h"
#include "engine/runtime/value.h"
#include "test/fuzz/fuzzing.h"

namespace varpulis::fuzz {
namespace {

using engine::EventLineReader;
using engine::EventRows;
using engine::InputType;
using engine::LineEvent;
using engine::Pipeline;
using engine::Row;

constexpr char kProgram[] =
    "stream A = E .emit(a: a, b: b, long_name_of_a_field: long_name_of_a_field, f: field_0)\n"
    "stream B = F .distinct() .emit(x: x, y: y, f: field_1)\n"
    "stream C = VeryLongEventTypeName .where(a > 1)\n";

Pipeline& TheTypes() {
  static Pipeline* const kPipeline = [] {
    auto pipeline = Pipeline::Compile(kProgram);
    Require(pipeline.ok(), "the program of the fuzzer", pipeline.status().message());
    return pipeline->release();
  }();
  return *kPipeline;
}

std::string RowText(const InputType* type, const Row& row) {
  std::string out = absl::StrCat(row.timestamp_ns, " ");
  if (type == nullptr) return out + "nobody\n";
  out += type->name;
  for (size_t i = 0; i < type->slot_count; ++i) {
    out += absl::StrCat(" ", static_cast<int>(row.slots[i].kind()), "=");
    AppendDisplay(row.slots[i], true, &out);
  }
  return out + "\n";
}

struct Outcome {
  std::string rows;
  size_t events = 0;
  int64_t lines = 0;  // read well
  std::string error;
};

// `text` ends with a newline and has kReadableBehind bytes behind it.
Outcome ByLine(std::string_view text) {
  Outcome outcome;
  engine::Arena arena;
  EventLineReader reader(TheTypes().inputs(), nullptr, arena);
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    LineEvent event;
    const absl::Status status = reader.Read(text.substr(0, newline), &event);
    if (!status.ok()) {
      outcome.error = std::string(status.message());
      return outcome;
    }
    ++outcome.lines;
    if (event.present) {
      outcome.rows += RowText(event.type, event.row);
      ++outcome.events;
    }
    arena.Reset();
    text.remove_prefix(newline + 1);
  }
  return outcome;
}

Outcome ByRows(std::string_view text, size_t max_rows) {
  Outcome outcome;
  engine::Arena arena;
  EventLineReader reader(TheTypes().inputs(), nullptr, arena);
  EventRows rows;
  while (!text.empty()) {
    const size_t before = text.size();
    const absl::Status status = reader.ReadRows(&text, max_rows, &rows);
    Require(rows.rows.size() <= max_rows, "more rows than asked for");
    outcome.lines += rows.lines;
    outcome.events += rows.rows.size();
    size_t row = 0;
    for (const engine::RowRun& run : rows.runs) {
      for (size_t i = 0; i < run.count; ++i) outcome.rows += RowText(run.type, rows.rows[row++]);
    }
    Require(row == rows.rows.size(), "rows that no run counts");
    if (!status.ok()) {
      outcome.error = std::string(status.message());
      return outcome;
    }
    Require(text.size() < before, "ReadRows does not advance");
    arena.Reset();
  }
  return outcome;
}

void Run(std::string_view input) {
  // A buffer of its own, so that AddressSanitizer sees the end of what may be read.
  const bool lacks_newline = !input.empty() && input.back() != '\n';
  const size_t size = input.size() + (lacks_newline ? 1 : 0);
  std::unique_ptr<char[]> buffer(new char[size + EventLineReader::kReadableBehind]());
  std::memcpy(buffer.get(), input.data(), input.size());
  if (lacks_newline) buffer[size - 1] = '\n';
  // Whoever opens a text skips its mark, before there are lines.
  std::string_view text(buffer.get(), size);
  text.remove_prefix(engine::ByteOrderMark(text));

  const Outcome by_line = ByLine(text);
  for (const size_t max_rows : {1, 2, 7, 1000}) {
    const Outcome by_rows = ByRows(text, max_rows);
    const std::string both =
        absl::StrCat("batches of ", max_rows, ":\n", by_rows.rows, by_rows.error,
                     "\nline by line:\n", by_line.rows, by_line.error);
    Require(by_line.rows == by_rows.rows, "other rows in batches", both);
    Require(by_line.error == by_rows.error, "another error in batches", both);
    Require(by_line.lines == by_rows.lines, "other lines in batches", both);
  }
  const auto events = engine::ParseEventText(input);
  if (by_line.error.empty() && events.ok()) {
    Require(events->size() == by_line.events, "ParseEventText finds other events", by_line.rows);
  }
}

}  // namespace
}  // namespace varpulis::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  varpulis::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
