#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "test/faults/site.h"

namespace varpulis::faults {

// What strikes a site, and how it is mended.
struct Fault {
  std::string name;
  // Called on the main thread; `victim` is a worker.
  std::function<absl::Status(Site&, int victim)> strike;
  std::function<absl::Status(Site&, int victim)> mend;
  // Of the fault itself; zero: it is mended as soon as outputs come again.
  absl::Duration lasts, lasts_short;
  // Nobody can tell the victim from a slow one before it has missed its heartbeats.
  bool silent = false;
  // Mended at once, or outputs would never come again.
  bool stops_everything = false;
  bool needs_root = false;
  bool strikes_exit = false;  // the victim is whoever runs the pipeline whose outputs are looked at
  // Seconds of events that a group with delivery at_most_once may lose, beside those of the time
  // in which the victim is silent.
  double may_lose = 0.7;
  SiteOptions site;
};

// All of them, but for "none".
const std::vector<Fault>& AllFaults();
// "none", too. Null: there is none of this name.
const Fault* FindFault(const std::string& name);

}  // namespace varpulis::faults
