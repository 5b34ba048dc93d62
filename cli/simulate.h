#pragma once

#include <string>

namespace varpulis::cli {

struct SimulateOptions {
  std::string program;           // VPL file
  std::string events;            // .evt or JSON lines; "-" is standard input
  bool immediate = false;        // do not wait for the offsets of the events
  std::string output = "jsonl";  // the only form so far
  bool quiet = false;            // no output events, only the summary
};

// `varpulis simulate`: outputs as JSON lines on standard output, a summary on standard error.
// Returns the exit code: 0 done, 1 errors in program or events, 2 wrong options or unreadable file.
int RunSimulate(const SimulateOptions& options);

}  // namespace varpulis::cli
