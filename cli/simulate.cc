#include "cli/simulate.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/io/event_file.h"
#include "engine/io/event_line.h"
#include "engine/io/json_writer.h"
#include "engine/lang/lexer.h"
#include "engine/pipeline.h"

namespace varpulis::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Output events as lines on standard output. Stops for good when nobody reads them any more.
class JsonLinesOutput final : public engine::OutputSink {
 public:
  explicit JsonLinesOutput(bool quiet) : quiet_(quiet) {}
  void OnOutput(const engine::OutputEvent& event) override {
    if (quiet_ || closed_) return;
    engine::AppendJsonLine(event, &buffer_);
    if (buffer_.size() >= kFlushBytes) Flush();
  }
  void Flush() {
    size_t written = 0;
    while (written < buffer_.size() && !closed_) {
      const ssize_t count =
          write(STDOUT_FILENO, buffer_.data() + written, buffer_.size() - written);
      if (count >= 0) {
        written += static_cast<size_t>(count);
      } else if (errno != EINTR) {
        closed_ = true;
      }
    }
    buffer_.clear();
  }
  bool closed() const { return closed_; }

 private:
  static constexpr size_t kFlushBytes = 64 << 10;
  const bool quiet_;
  bool closed_ = false;
  std::string buffer_;
};

absl::Status AtLine(const SimulateOptions& options, const engine::LineFile& file,
                    const absl::Status& status) {
  return WithContext(status, absl::StrCat(options.events, ":", file.line_number()));
}

// File order, no waiting, memory independent of the file's length.
absl::Status RunImmediate(const SimulateOptions& options, engine::LineFile& file,
                          engine::Pipeline& pipeline, JsonLinesOutput& output) {
  constexpr size_t kBatchRows = 128;
  engine::EventLineReader reader(pipeline.inputs(), nullptr, pipeline.arena());
  engine::EventRows events;
  std::string_view lines;
  while (true) {
    absl::StatusOr<bool> more = file.NextLines(&lines);
    if (!more.ok()) return AtLine(options, file, more.status());
    if (!*more) return absl::OkStatus();
    while (!lines.empty()) {
      const size_t before = lines.size();
      const absl::Status read = reader.ReadRows(&lines, kBatchRows, &events);
      file.Took(before - lines.size(), events.lines);
      if (!events.rows.empty()) {
        pipeline.PushRows(events.type, absl::MakeSpan(events.rows), output);
        if (output.closed()) return absl::OkStatus();
      }
      if (!read.ok()) {
        file.Took(0, 1);
        return AtLine(options, file, read);
      }
    }
  }
}

// By offset, each event when its time has come. The whole file is read first, to be sorted.
absl::Status RunTimed(const SimulateOptions& options, engine::LineFile& file,
                      engine::Pipeline& pipeline, JsonLinesOutput& output) {
  struct Timed {
    int64_t at_ns;
    std::string line;
  };
  std::vector<Timed> events;
  engine::EventLineReader reader(pipeline.inputs(), nullptr, pipeline.arena());
  std::string_view line;
  engine::LineEvent event;
  while (true) {
    absl::StatusOr<bool> more = file.Next(&line);
    if (!more.ok()) return AtLine(options, file, more.status());
    if (!*more) break;
    absl::Status read = reader.Read(line, &event);
    pipeline.arena().Reset();
    if (!read.ok()) return AtLine(options, file, read);
    if (event.present) events.push_back({event.row.timestamp_ns, std::string(line)});
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Timed& a, const Timed& b) { return a.at_ns < b.at_ns; });
  // JSON lines may carry dates: the first event is due at once when it lies years after the epoch.
  constexpr int64_t kDay = 86'400'000'000'000;
  const int64_t base = events.empty() || events[0].at_ns < kDay ? 0 : events[0].at_ns;
  const SteadyClock::time_point start = SteadyClock::now();
  for (const Timed& timed : events) {
    const auto due = start + std::chrono::nanoseconds(timed.at_ns - base);
    if (due > SteadyClock::now()) {
      output.Flush();
      std::this_thread::sleep_until(due);
    }
    if (output.closed()) break;
    RETURN_IF_ERROR(reader.Read(timed.line, &event));
    event.row.timestamp_ns = timed.at_ns;
    pipeline.PushRows(event.type, engine::Batch(&event.row, 1), output);
  }
  return absl::OkStatus();
}

void PrintSummary(const engine::Pipeline& pipeline, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(pipeline.events_in()) / seconds : 0;
  std::fprintf(stderr, "events: %llu, outputs: %llu, seconds: %.3f, events/s: %.0f\n",
               static_cast<unsigned long long>(pipeline.events_in()),
               static_cast<unsigned long long>(pipeline.events_out()), seconds, rate);
}

}  // namespace

int RunSimulate(const SimulateOptions& options) {
  if (options.output != "jsonl") {
    std::cerr << "unknown output `" << options.output << "`: use jsonl\n";
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);  // a closed output shows as an error of write
  const absl::StatusOr<std::string> program =
      engine::ReadTextFile(options.program, engine::kMaxSourceBytes + 1);
  if (!program.ok()) {
    std::cerr << program.status().message() << "\n";
    return 2;
  }
  const std::string& source = *program;
  const engine::CheckResult check = engine::Pipeline::Check(source);
  for (const engine::Diagnostic& diagnostic : check.diagnostics) {
    std::cerr << engine::FormatDiagnostic(diagnostic, source, options.program);
  }
  if (!check.ok()) return 1;
  absl::StatusOr<std::unique_ptr<engine::Pipeline>> pipeline = engine::Pipeline::Compile(source);
  if (!pipeline.ok()) {
    std::cerr << pipeline.status().message() << "\n";
    return 1;
  }
  absl::StatusOr<std::unique_ptr<engine::LineFile>> file = engine::LineFile::Open(options.events);
  if (!file.ok()) {
    std::cerr << file.status().message() << "\n";
    return 2;
  }
  JsonLinesOutput output(options.quiet);
  const SteadyClock::time_point start = SteadyClock::now();
  const absl::Status run = options.immediate ? RunImmediate(options, **file, **pipeline, output)
                                             : RunTimed(options, **file, **pipeline, output);
  output.Flush();
  const std::chrono::duration<double> seconds = SteadyClock::now() - start;
  if (!run.ok()) std::cerr << run.message() << "\n";
  if (!output.closed()) PrintSummary(**pipeline, seconds.count());
  if (run.ok()) return 0;
  return absl::IsInvalidArgument(run) ? 1 : 2;
}

}  // namespace varpulis::cli
