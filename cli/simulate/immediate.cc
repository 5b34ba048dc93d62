#include <string_view>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "cli/simulate/interrupt.h"
#include "cli/simulate/replay.h"
#include "engine/io/event_line.h"

namespace varpulis::cli {

absl::Status AtLine(const Replay& replay, const absl::Status& status) {
  return WithContext(status, absl::StrCat(replay.options.events, ":", replay.file.line_number()));
}

bool GoOn(Replay& replay) {
  replay.counters.bytes = replay.file.bytes_taken();
  const auto now = std::chrono::steady_clock::now();
  if (replay.progress.DueAt(now)) replay.progress.Update(now, replay.counters);
  return !replay.output.closed() && Interrupt::Signal() == 0;
}

absl::Status RunImmediate(Replay& replay, engine::Pipeline& pipeline) {
  constexpr size_t kBatchRows = 128;
  engine::EventLineReader reader(pipeline.inputs(), nullptr, pipeline.arena());
  reader.SetBase(replay.base_ns);
  engine::EventRows events;
  std::string_view lines;
  while (true) {
    absl::StatusOr<bool> more = replay.file.NextLines(&lines);
    if (!more.ok()) return AtLine(replay, more.status());
    if (!*more) break;
    while (!lines.empty()) {
      const size_t before = lines.size();
      const absl::Status read = reader.ReadRows(&lines, kBatchRows, &events);
      replay.file.Took(before - lines.size(), events.lines);
      if (!events.rows.empty()) {
        pipeline.PushRows(events.runs, absl::MakeSpan(events.rows), replay.output);
        replay.counters.events = pipeline.events_in();
        replay.counters.outputs = pipeline.events_out();
        if (!GoOn(replay)) return absl::OkStatus();
      }
      if (!read.ok()) {
        replay.file.Took(0, 1);
        return AtLine(replay, read);
      }
    }
  }
  if (!GoOn(replay)) return absl::OkStatus();
  pipeline.Finish(replay.output);
  replay.counters.outputs = pipeline.events_out();
  return absl::OkStatus();
}

}  // namespace varpulis::cli
