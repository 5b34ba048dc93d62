// Runs the coordinator's state machine through seeded histories full of faults. See README.md.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gflags/gflags.h"

#include "base/mutex.h"
#include "counters.h"
#include "world.h"

DEFINE_uint64(seed, 0, "run this seed only");
DEFINE_uint64(first_seed, 1, "the first of the seeds to run");
DEFINE_uint64(runs, 2000, "how many seeds to run");
DEFINE_int32(steps, 200, "steps with faults in each run");
DEFINE_int32(threads, 0, "0: one for each core");
DEFINE_bool(verbose, false, "print all that happens; with --seed");

namespace varpulis::simulation {
namespace {

// Of so many runs one is made twice, to see that it is the same.
constexpr uint64_t kTwiceEvery = 100;

void PrintTrace(const Trace& trace) {
  for (const std::string& line : trace.lines()) std::puts(line.c_str());
}

int RunOne(uint64_t seed) {
  World world(seed, FLAGS_verbose ? Trace::Text::kAll : Trace::Text::kNone);
  const bool kept = world.Run(FLAGS_steps);
  PrintTrace(world.trace());
  std::printf("seed %lu: %s, trace %016lx\n", static_cast<unsigned long>(seed),
              kept ? "all promises kept" : world.violation().c_str(),
              static_cast<unsigned long>(world.trace().hash()));
  return kept ? 0 : 1;
}

class Simulation {
 public:
  int Run() {
    const absl::Time began = absl::Now();
    const int threads = FLAGS_threads > 0
                            ? FLAGS_threads
                            : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) workers.emplace_back([this] { RunSome(); });
    for (std::thread& worker : workers) worker.join();
    MutexLock lock(mutex_);
    if (failed_) return 1;
    return Summarize(absl::Now() - began);
  }

 private:
  void RunSome() {
    Counters counters;
    for (uint64_t i = next_++; i < FLAGS_runs && !failed_; i = next_++) {
      const uint64_t seed = FLAGS_first_seed + i;
      World world(seed, Trace::Text::kNone);
      if (!world.Run(FLAGS_steps)) {
        Fail(seed, world.violation());
      } else if (i % kTwiceEvery == 0) {
        World again(seed, Trace::Text::kNone);
        again.Run(FLAGS_steps);
        if (again.trace().hash() != world.trace().hash()) {
          Fail(seed, "it is not the same when it is run again");
        }
      }
      counters.Add(world.counters());
    }
    MutexLock lock(mutex_);
    total_.Add(counters);
  }

  void Fail(uint64_t seed, const std::string& violation) {
    MutexLock lock(mutex_);
    if (failed_.exchange(true)) return;
    World world(seed, Trace::Text::kLast);
    world.Run(FLAGS_steps);
    PrintTrace(world.trace());
    std::printf(
        "\nVIOLATION, seed %lu, step %d of %d: %s\nTo see all of it:\n  %s --seed=%lu "
        "--steps=%d --verbose\n",
        static_cast<unsigned long>(seed), world.step(), FLAGS_steps, violation.c_str(),
        gflags::ProgramInvocationName(), static_cast<unsigned long>(seed), FLAGS_steps);
  }

  int Summarize(absl::Duration took) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::string counts;
    std::string missing;
    total_.ForEach([&](const char* name, uint64_t count) {
      absl::StrAppend(&counts, ", ", name, " ", count);
      if (count == 0) absl::StrAppend(&missing, " ", name);
    });
    std::printf("%lu runs of %d steps kept all promises in %.1f s%s\n",
                static_cast<unsigned long>(FLAGS_runs), FLAGS_steps, absl::ToDoubleSeconds(took),
                counts.c_str());
    if (missing.empty()) return 0;
    std::printf("TOOTHLESS: never happened:%s\n", missing.c_str());
    return 1;
  }

  std::atomic<uint64_t> next_{0};
  std::atomic<bool> failed_{false};
  Mutex mutex_;
  Counters total_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace
}  // namespace varpulis::simulation

int main(int argc, char** argv) {
  gflags::SetUsageMessage("simulates the coordinator under faults; test/simulation/README.md");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (FLAGS_seed != 0) return varpulis::simulation::RunOne(FLAGS_seed);
  return varpulis::simulation::Simulation().Run();
}
