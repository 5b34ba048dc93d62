// Damages real clusters while numbered events run through them, and compares what comes out with
// what must. `test/faults/run` builds and calls it; README.md says what it does.
#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"
#include "glog/logging.h"
#include "gtest/gtest.h"

#include "test/faults/fault.h"
#include "test/faults/isolation.h"
#include "test/faults/report.h"
#include "test/faults/trial.h"

DEFINE_string(fault, "all", "names of faults with commas between, none, all, or random");
DEFINE_string(shape, "chain", "the group: pair, chain (of ten pipelines), join");
DEFINE_string(delivery, "exactly_once", "exactly_once or at_most_once");
DEFINE_uint32(runs, 1, "of each fault; of random: in all");
DEFINE_uint64(events, 3000, "numbered events in each run");
DEFINE_double(rate, 1000, "events published in a second; 0: as fast as they are taken");
DEFINE_uint32(batch, 1, "events in a message");
DEFINE_uint64(seed, 1, "of when and whom a fault strikes; each run has the next one");
DEFINE_bool(stop_at_failure, false, "no more runs after one that failed");
DEFINE_bool(keep_logs, false, "of all runs, not only of those that fail");
DEFINE_bool(brief, false, "absences take 4 s instead of 20, after 2 s of silence instead of 15");

namespace varpulis::faults {
namespace {

class Runner {
 public:
  explicit Runner(absl::Status root) : root_(std::move(root)) {}

  int RunAll() {
    std::vector<const Fault*> faults;
    if (FLAGS_fault == "all" || FLAGS_fault == "random") {
      for (const Fault& fault : AllFaults()) faults.push_back(&fault);
    } else {
      for (const absl::string_view name : absl::StrSplit(FLAGS_fault, ',')) {
        faults.push_back(FindFault(std::string(name)));
        if (faults.back() == nullptr) {
          std::fprintf(stderr, "there is no fault '%s'; there are:", std::string(name).c_str());
          for (const Fault& fault : AllFaults()) std::fprintf(stderr, " %s", fault.name.c_str());
          std::fprintf(stderr, "\n");
          return 2;
        }
      }
    }
    std::erase_if(faults, [this](const Fault* fault) { return !Permitted(*fault); });
    if (faults.empty()) {
      report_.Print();
      return report_.passed() ? 0 : 1;
    }
    if (FLAGS_fault == "random") {
      for (uint32_t run = 0; run < FLAGS_runs; ++run) {
        std::mt19937_64 random(FLAGS_seed + run);
        Once(*faults[random() % faults.size()], random, run);
      }
    } else {
      for (const Fault* fault : faults) {
        for (uint32_t run = 0; run < FLAGS_runs; ++run) {
          std::mt19937_64 random(FLAGS_seed + run);
          Once(*fault, random, run);
        }
      }
    }
    report_.Print();
    return report_.passed() ? 0 : 1;
  }

 private:
  static Load LoadOf() {
    return {.events = static_cast<int64_t>(FLAGS_events),
            .per_second = FLAGS_rate,
            .per_message = static_cast<int>(FLAGS_batch),
            .exactly_once = FLAGS_delivery == "exactly_once"};
  }

  bool Permitted(const Fault& fault) {
    if (!fault.needs_root || root_.ok()) return true;
    report_.AddSkipped(RowName(fault), absl::StrCat("needs root: ", root_.message()));
    return false;
  }

  static std::string RowName(const Fault& fault) {
    return absl::StrCat(fault.name, " (", FLAGS_shape, ")");
  }

  // Of the chain, found out once. Null: that failed.
  const std::vector<std::string>* Expected() {
    if (expected_.empty()) {
      Load load = LoadOf();
      load.per_second = 0;
      load.per_message = std::max(load.per_message, 20);  // the outputs do not depend on it
      const TrialOptions options{.fault = FindFault("none"), .shape = FLAGS_shape, .load = load};
      const TrialResult result = RunTrial(options);
      report_.Add(RowName(*options.fault), options, result);
      if (!result.status.ok() || !result.verdict.empty()) return nullptr;
      expected_ = result.lines;
    }
    return &expected_;
  }

  void Once(const Fault& fault, std::mt19937_64& random, uint32_t run) {
    if (FLAGS_stop_at_failure && !report_.passed()) return;
    TrialOptions options{
        .fault = &fault, .shape = FLAGS_shape, .load = LoadOf(), .brief = FLAGS_brief};
    options.keep_logs = FLAGS_keep_logs;
    options.strike_at = 0.2 + 0.4 * std::uniform_real_distribution<double>()(random);
    // Who has a network of its own is the first.
    if (!fault.site.separate_network) {
      options.victim = static_cast<int>(random() % static_cast<uint64_t>(fault.site.workers));
    }
    if (options.load.exactly_once && FLAGS_shape != "join") {
      options.expected = Expected();
      if (options.expected == nullptr) return;
    }
    const absl::Time began = absl::Now();
    const TrialResult result = RunTrial(options);
    report_.Add(RowName(fault), options, result);
    const bool good = result.status.ok() && result.verdict.empty();
    absl::FPrintF(stderr, "%s, seed %d: %s, %.1f s, outage %.0f ms %s\n", RowName(fault),
                  FLAGS_seed + run, good ? "ok" : "FAILED",
                  absl::ToDoubleSeconds(absl::Now() - began),
                  absl::ToDoubleMilliseconds(result.outage), result.logs);
    if (!good) absl::FPrintF(stderr, "    %s %s\n", result.status.ToString(), result.verdict);
  }

  const absl::Status root_;
  Report report_;
  std::vector<std::string> expected_;
};

}  // namespace
}  // namespace varpulis::faults

int main(int argc, char** argv) {
  const absl::Status root = varpulis::faults::SeparateMounts();  // before the first thread
  testing::InitGoogleTest(&argc, argv);                          // the harness reports through it
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  google::InitGoogleLogging(argv[0]);
  if (varpulis::faults::MakeGroup(FLAGS_shape, FLAGS_delivery).entries.empty() ||
      (FLAGS_delivery != "exactly_once" && FLAGS_delivery != "at_most_once") || FLAGS_events < 10 ||
      FLAGS_batch == 0) {
    std::fprintf(stderr, "a flag has no value that it can have; see --help\n");
    return 2;
  }
  return varpulis::faults::Runner(root).RunAll();
}
