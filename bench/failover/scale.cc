#include <signal.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "bench/failover/parts.h"
#include "test/faults/site.h"

namespace varpulis::bench {
namespace {

using faults::Site;

constexpr int kPipelines = 1000;

std::string ManyPipelines(int group) {
  std::string json =
      absl::StrCat(R"json({"name": "many-)json", group, R"json(", "pipelines": [)json");
  for (int i = 0; i < kPipelines; ++i) {
    absl::StrAppend(&json, i == 0 ? "" : ",", R"json({"name": "p)json", i, R"json(", "source":
        "stream S = Reading .where(celsius > 90) .emit(c: celsius)"})json");
  }
  return absl::StrCat(json, "]}");
}

double DeployMany(Site& site, int group) {
  const std::string json = ManyPipelines(group);
  const absl::Time begun = absl::Now();
  const auto id = site.Deploy(json);
  Must(id.ok(), std::string(id.status().message()));
  return absl::ToDoubleMilliseconds(absl::Now() - begun);
}

}  // namespace

bool MeasureDeploys() {
  Site site({.workers = 4, .coordinators = 1, .worker_flags = {"--max-pipelines=10000"}});
  const absl::Status started = site.Start();
  Must(started.ok(), std::string(started.message()));
  std::vector<double> ms;
  for (int group = 0; group < 3; ++group) ms.push_back(DeployMany(site, group));
  return Report("deploy of 1,000 pipelines on 4 workers", ms, 3000);
}

bool MeasureRestart() {
  Site site({.workers = 4, .coordinators = 1, .worker_flags = {"--max-pipelines=10000"}});
  const absl::Status started = site.Start();
  Must(started.ok(), std::string(started.message()));
  for (int group = 0; group < 10; ++group) DeployMany(site, group);
  std::vector<double> killed, stopped;
  for (int i = 0; i < 10; ++i) {
    const bool kill = i % 2 == 0;
    testing::Node& node = site.coordinator("c0");
    node.Signal(kill ? SIGKILL : SIGTERM);
    node.Wait();
    const absl::Time begun = absl::Now();
    const absl::Status again = site.StartCoordinator("c0");
    Must(again.ok(), std::string(again.message()));
    Must(testing::WaitUntil(
             [&] { return site.Ask("GET", "/pipeline-groups?limit=20").At("/total") == "10"; }),
         "the coordinator does not list its groups");
    (kill ? killed : stopped).push_back(absl::ToDoubleMilliseconds(absl::Now() - begun));
  }
  const bool clean = Report("restart with 10,000 pipelines, after SIGTERM", stopped, 2000);
  // The lease of the one that was killed has to run out as well.
  return Report("restart with 10,000 pipelines, after SIGKILL", killed, 2000) && clean;
}

}  // namespace varpulis::bench
