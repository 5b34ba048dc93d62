#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "cli/simulate/options.h"
#include "cli/simulate/output.h"
#include "cli/simulate/progress.h"
#include "engine/io/event_file.h"
#include "engine/pipeline.h"
#include "engine/plan/parallel.h"

namespace varpulis::cli {

// What all modes of a simulation work with. Main thread only.
struct Replay {
  const SimulateOptions& options;
  int64_t base_ns;
  engine::LineFile& file;
  SimulationOutput& output;
  Progress& progress;
  Counters counters;
};

// The modes. Each runs to the end of the events, to an error, which says where in the file it is,
// to a signal, or until nobody reads the output any more. Open sessions close at the end of the
// events only.

// File order, no waiting; memory is independent of the file's length.
absl::Status RunImmediate(Replay& replay, engine::Pipeline& pipeline);
// The same on several threads, as `spread` allows. False, with the file and the output set back,
// when it met an event that is too late for that.
absl::StatusOr<bool> RunParallel(Replay& replay, const std::string& source,
                                 const engine::Spread& spread, const engine::Pipeline& shape);
// By offset, those of one offset in file order, each when its time has come. REQUIRES: a whole
// file.
absl::Status RunTimed(Replay& replay, engine::Pipeline& pipeline);

// For all of them.
absl::Status AtLine(const Replay& replay, const absl::Status& status);
// Called now and then with the state so far. False: stop.
bool GoOn(Replay& replay);

}  // namespace varpulis::cli
