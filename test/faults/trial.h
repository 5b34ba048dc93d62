#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "test/faults/comparison.h"
#include "test/faults/fault.h"
#include "test/faults/producer.h"

namespace varpulis::faults {

struct TrialOptions {
  const Fault* fault = nullptr;
  std::string shape = "pair";  // see MakeGroup
  Load load;
  bool brief = false;          // absences are short, and patience too
  double strike_at = 1.0 / 3;  // after this part of the events
  int victim = 0;
  bool keep_logs = false;  // also of a run that is as promised
  // What a chain is expected to give; an undisturbed run finds it out.
  const std::vector<std::string>* expected = nullptr;
};

struct TrialResult {
  absl::Status status;    // not ok: it could not be carried through
  std::string verdict;    // empty: as promised
  absl::Duration outage;  // the longest time without an output, from the fault on
  Comparison comparison;
  std::vector<std::string> lines;  // the outputs
  std::string logs;                // where the logs of a run are that was not as promised
};

// One site, one group, one fault.
TrialResult RunTrial(const TrialOptions& options);

}  // namespace varpulis::faults
