#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace varpulis::cli {

struct SimulateOptions {
  std::string program;           // VPL file
  std::string events;            // .evt or JSON lines; "-" is standard input
  bool immediate = false;        // do not wait for the offsets of the events
  bool preload = false;          // read all of the file first
  uint32_t workers = 1;          // threads, with `immediate`
  std::string partition_by;      // the field that spreads events over workers; empty: as it fits
  std::string base = "0";        // the time of offset 0: RFC 3339 or milliseconds
  std::string output = "jsonl";  // the only form so far
  bool quiet = false;            // no output events, only the summary
  bool verbose = false;          // what is loaded, and counters on the way
};

// InvalidArgument says what is wrong with them; else `*base_ns` is the time of offset 0.
absl::Status ValidateOptions(const SimulateOptions& options, int64_t* base_ns);

}  // namespace varpulis::cli
