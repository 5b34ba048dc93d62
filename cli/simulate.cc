#include "cli/simulate.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <unistd.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "cli/program_file.h"
#include "cli/simulate/interrupt.h"
#include "cli/simulate/replay.h"

namespace varpulis::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// Null, with everything said and the exit code in `*code`, when the program cannot run.
std::unique_ptr<engine::Pipeline> Compiled(const std::string& path, std::string* source,
                                           int* code) {
  absl::StatusOr<engine::LoadedSource> program = LoadProgram(path);
  if (!program.ok()) {
    std::cerr << program.status().message() << "\n";
    *code = 2;
    return nullptr;
  }
  *code = 1;
  engine::CheckResult check = engine::Pipeline::Check(program->text);
  const bool ok = check.ok() && program->diagnostics.empty();
  std::cerr << Formatted(*program, Located(*program, std::move(check.diagnostics)));
  if (!ok) return nullptr;
  absl::StatusOr<std::unique_ptr<engine::Pipeline>> pipeline =
      engine::Pipeline::Compile(program->text);
  if (!pipeline.ok()) {
    std::cerr << pipeline.status().message() << "\n";
    return nullptr;
  }
  *source = std::move(program->text);
  return *std::move(pipeline);
}

// How to spread the events; `possible` only when that is wanted and changes nothing.
engine::Spread SpreadFor(const SimulateOptions& options, const std::string& source,
                         const engine::LineFile& file) {
  engine::Spread spread;
  if (options.workers == 1) return spread;
  if (!options.immediate) {
    spread.reason = "events that wait for their time need no more";
  } else {
    spread = engine::FindSpread(source, options.partition_by);
    if (spread.possible && spread.max_late_ns != INT64_MAX && file.size() < 0) {
      spread.possible = false;
      spread.reason = "a join may need the events a second time, which are no file (see --preload)";
    }
  }
  if (!spread.possible) std::cerr << "running with one worker: " << spread.reason << "\n";
  return spread;
}

void DescribeLoaded(const SimulateOptions& options, const engine::Pipeline& pipeline,
                    const engine::LineFile& file, const engine::Spread& spread) {
  std::cerr << "program: " << options.program << ", streams: " << pipeline.stream_count()
            << ", reads: " << absl::StrJoin(pipeline.input_event_types(), ", ") << "\n"
            << pipeline.DebugString() << "events: " << options.events;
  if (file.size() >= 0) std::cerr << ", bytes: " << file.size();
  std::cerr << ", " << (options.immediate ? "immediate" : "timed");
  if (spread.possible) {
    std::cerr << ", workers: " << options.workers << (spread.field.empty() ? "" : ", by: ")
              << spread.field;
  }
  std::cerr << "\n";
}

Progress::Form FormOf(const SimulateOptions& options) {
  if (options.verbose) return Progress::Form::kCounters;
  const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal && !options.quiet ? Progress::Form::kBar : Progress::Form::kNone;
}

absl::Status RunMode(Replay& replay, const std::string& source, const engine::Spread& spread,
                     engine::Pipeline& pipeline) {
  if (!replay.options.immediate) return RunTimed(replay, pipeline);
  if (spread.possible) {
    ASSIGN_OR_RETURN(const bool done, RunParallel(replay, source, spread, pipeline));
    if (done) return absl::OkStatus();
    std::cerr << "running with one worker: an event is so late that it matters to a join\n";
  }
  return RunImmediate(replay, pipeline);
}

void PrintSummary(const Counters& counters, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(counters.events) / seconds : 0;
  std::fprintf(stderr, "%sevents: %llu, outputs: %llu, seconds: %.3f, events/s: %.0f\n",
               Interrupt::Signal() != 0 ? "interrupted, " : "",
               static_cast<unsigned long long>(counters.events),
               static_cast<unsigned long long>(counters.outputs), seconds, rate);
}

}  // namespace

int RunSimulate(const SimulateOptions& options) {
  int64_t base_ns = 0;
  if (const absl::Status checked = ValidateOptions(options, &base_ns); !checked.ok()) {
    std::cerr << checked.message() << "\n";
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);  // a closed output shows as an error of write
  int code = 0;
  std::string source;
  const std::unique_ptr<engine::Pipeline> pipeline = Compiled(options.program, &source, &code);
  if (pipeline == nullptr) return code;
  Interrupt::Install();
  const SteadyClock::time_point open = SteadyClock::now();
  const bool whole = options.preload || !options.immediate;
  absl::StatusOr<std::unique_ptr<engine::LineFile>> file =
      whole ? engine::LineFile::OpenWhole(options.events, Interrupt::WaitReadable)
            : engine::LineFile::Open(options.events, Interrupt::WaitReadable);
  if (!file.ok()) {
    std::cerr << file.status().message() << "\n";
    return 2;
  }
  if (options.preload) {
    std::fprintf(stderr, "read: %lld bytes, seconds: %.3f\n",
                 static_cast<long long>((*file)->size()), SecondsSince(open));
  }
  const engine::Spread spread = SpreadFor(options, source, **file);
  if (options.verbose) DescribeLoaded(options, *pipeline, **file, spread);

  const SteadyClock::time_point start = SteadyClock::now();
  Progress progress(FormOf(options), STDERR_FILENO, (*file)->size(), start);
  SimulationOutput output(options.quiet, [&progress] { progress.Hide(); });
  Replay replay{options, base_ns, **file, output, progress, {}};
  const absl::Status run = RunMode(replay, source, spread, *pipeline);
  output.Flush();
  progress.Hide();
  if (!run.ok()) std::cerr << run.message() << "\n";
  if (!output.error().ok()) {
    std::cerr << output.error().message() << "\n";
    return 2;
  }
  if (!output.closed()) PrintSummary(replay.counters, SecondsSince(start));
  if (!run.ok()) return absl::IsInvalidArgument(run) ? 1 : 2;
  constexpr int kSignalled = 128;
  return Interrupt::Signal() != 0 ? kSignalled + Interrupt::Signal() : 0;
}

}  // namespace varpulis::cli
