#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

#include "base/status_macros.h"
#include "cli/simulate/interrupt.h"
#include "cli/simulate/replay.h"
#include "engine/io/event_line.h"

namespace varpulis::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

// An event, as a line of the file.
struct Timed {
  int64_t at_ns;
  size_t begin, size;
};

absl::Status ReadTimes(Replay& replay, engine::Pipeline& pipeline, std::vector<Timed>* events) {
  engine::EventLineReader reader(pipeline.inputs(), nullptr, pipeline.arena());
  reader.SetBase(replay.base_ns);
  std::string_view line;
  engine::LineEvent event;
  while (true) {
    absl::StatusOr<bool> more = replay.file.Next(&line);
    if (!more.ok()) return AtLine(replay, more.status());
    if (!*more) break;
    const absl::Status read = reader.Read(line, &event);
    pipeline.arena().Reset();
    if (!read.ok()) return AtLine(replay, read);
    if (!event.present) continue;
    events->push_back({event.row.timestamp_ns, replay.file.OffsetOf(line), line.size()});
  }
  std::stable_sort(events->begin(), events->end(),
                   [](const Timed& a, const Timed& b) { return a.at_ns < b.at_ns; });
  return absl::OkStatus();
}

// The time that is now. JSON lines may carry dates far from the base: the first event is due at
// once then.
int64_t StartOf(const std::vector<Timed>& events, int64_t base_ns) {
  constexpr int64_t kDay = 86'400'000'000'000;
  if (events.empty()) return base_ns;
  const int64_t first = events[0].at_ns;
  const bool near = first >= base_ns && first < base_ns + kDay;
  return near ? base_ns : first;
}

}  // namespace

absl::Status RunTimed(Replay& replay, engine::Pipeline& pipeline) {
  std::vector<Timed> events;
  RETURN_IF_ERROR(ReadTimes(replay, pipeline, &events));
  const int64_t base = StartOf(events, replay.base_ns);
  const SteadyClock::time_point start = SteadyClock::now();
  engine::EventLineReader reader(pipeline.inputs(), nullptr, pipeline.arena());
  engine::LineEvent event;
  for (const Timed& timed : events) {
    const auto due = start + std::chrono::nanoseconds(timed.at_ns - base);
    while (due > SteadyClock::now()) {
      replay.output.Flush();
      if (!GoOn(replay)) return absl::OkStatus();
      // Not to the end at once: the progress wants to be seen.
      constexpr std::chrono::milliseconds kLook{200};
      Interrupt::WaitUntil(std::min(due, SteadyClock::now() + kLook));
    }
    if (!GoOn(replay)) return absl::OkStatus();
    const std::string_view line = replay.file.TextAt(timed.begin, timed.size);
    RETURN_IF_ERROR(reader.Read(line, &event));
    event.row.timestamp_ns = timed.at_ns;
    const engine::RowRun run{event.type, 1};
    pipeline.PushRows(absl::MakeConstSpan(&run, 1), engine::Batch(&event.row, 1), replay.output);
    replay.counters.events = pipeline.events_in();
    replay.counters.outputs = pipeline.events_out();
  }
  pipeline.Finish(replay.output);
  replay.counters.outputs = pipeline.events_out();
  return absl::OkStatus();
}

}  // namespace varpulis::cli
