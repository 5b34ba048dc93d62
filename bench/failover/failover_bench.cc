// What failures and moves cost, with real processes. bench/failover/run has all of it in one table.
//
//   failover_bench --part=deploys|restart|migrations|leases|steady

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "gflags/gflags.h"
#include "glog/logging.h"

#include "bench/failover/parts.h"

DEFINE_string(part, "", "deploys, restart, migrations, leases or steady");
DEFINE_uint32(times, 1000, "leases to break");
DEFINE_double(minutes, 30, "for steady");

namespace varpulis::bench {

bool Report(const std::string& name, std::vector<double> ms, double goal_ms) {
  std::sort(ms.begin(), ms.end());
  const bool met = !ms.empty() && ms.back() <= goal_ms;
  std::printf("%-44s %5zu %9.0f %9.0f %9.0f  %s\n", name.c_str(), ms.size(),
              ms.empty() ? 0 : ms[ms.size() / 2], ms.empty() ? 0 : ms.back(), goal_ms,
              met ? "" : "MISSED");
  std::fflush(stdout);
  return met;
}

void Must(bool worked, const std::string& what) {
  if (worked) return;
  std::fprintf(stderr, "failed: %s\n", what.c_str());
  std::exit(1);
}

namespace {

int Main() {
  std::printf("%-44s %5s %9s %9s %9s\n", FLAGS_part.c_str(), "times", "p50", "max", "goal");
  if (FLAGS_part == "deploys") return MeasureDeploys() ? 0 : 1;
  if (FLAGS_part == "restart") return MeasureRestart() ? 0 : 1;
  if (FLAGS_part == "migrations") return MeasureMigrations() ? 0 : 1;
  if (FLAGS_part == "leases") return BreakLeases(FLAGS_times) ? 0 : 1;
  if (FLAGS_part == "steady") return StayPut(FLAGS_minutes) ? 0 : 1;
  std::fprintf(stderr, "--part must be deploys, restart, migrations, leases or steady\n");
  return 2;
}

}  // namespace
}  // namespace varpulis::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  FLAGS_minloglevel = 2;
  google::InitGoogleLogging(argv[0]);
  return varpulis::bench::Main();
}
