#pragma once

#include "cli/simulate/options.h"

namespace varpulis::cli {

// `varpulis simulate`: outputs as JSON lines on standard output, a summary on standard error.
// Returns the exit code: 0 done, 1 errors in program or events, 2 wrong options or unreadable file,
// 128 and the signal's number when a signal ended it.
int RunSimulate(const SimulateOptions& options);

}  // namespace varpulis::cli
