#include "coordinator/placement.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

// "a:3/10" is a worker with 3 pipelines of at most 10; "a:3/10!" an unhealthy one; "a:3/10~8" has 8
// cores.
ClusterState Cluster(const std::string& text) {
  ClusterState state;
  for (const absl::string_view item : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    Worker worker;
    const std::vector<std::string> parts = absl::StrSplit(item, absl::ByAnyChar(":/~!"));
    worker.id = WorkerId(parts[0]);
    worker.foreign_pipelines = static_cast<uint32_t>(std::stoul(parts[1]));
    worker.max_pipelines = static_cast<uint32_t>(std::stoul(parts[2]));
    worker.cpu_cores =
        parts.size() > 3 && !parts[3].empty() ? static_cast<uint32_t>(std::stoul(parts[3])) : 1;
    worker.unhealthy = item.back() == '!';
    state.workers[worker.id] = worker;
  }
  return state;
}

// "p" one copy, "p*3" three replicas, "p@w" prefers w.
std::vector<v1::PipelineSpec> Pipelines(const std::string& text) {
  std::vector<v1::PipelineSpec> specs;
  for (const absl::string_view item : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    v1::PipelineSpec spec;
    const std::vector<std::string> affinity = absl::StrSplit(item, '@');
    const std::vector<std::string> replicas = absl::StrSplit(affinity[0], '*');
    spec.set_name(replicas[0]);
    spec.set_replicas(replicas.size() > 1 ? static_cast<uint32_t>(std::stoul(replicas[1])) : 1);
    if (affinity.size() > 1) spec.set_worker_affinity(affinity[1]);
    specs.push_back(spec);
  }
  return specs;
}

std::string Plan(const std::string& cluster, const std::string& pipelines,
                 PlacementStrategy strategy = PlacementStrategy::kRoundRobin, uint64_t turn = 0) {
  ClusterState state = Cluster(cluster);
  state.round_robin = turn;
  const auto plan = PlanPlacements(state, Pipelines(pipelines), strategy);
  if (!plan.ok()) return transport::ErrorCode(plan.status());
  std::vector<std::string> all;
  for (const auto& copies : plan->workers) {
    all.push_back(absl::StrJoin(
        copies, ",", [](std::string* out, const WorkerId& id) { out->append(id.str()); }));
  }
  return absl::StrCat(absl::StrJoin(all, " "), plan->warnings.empty() ? "" : " (warned)");
}

constexpr auto kLeast = PlacementStrategy::kLeastLoaded;
constexpr auto kTurns = PlacementStrategy::kRoundRobin;

TEST(PlacementTest, RoundRobinGoesThroughTheAvailableWorkersInOrderOfId) {
  EXPECT_EQ(Plan("b:0/9 a:0/9 c:0/9", "p q r s"), "a b c a");
  EXPECT_EQ(Plan("a:0/9 b:0/9 c:0/9", "p q", kTurns, 2), "c a") << "goes on where the last ended";
  EXPECT_EQ(Plan("a:0/9 b:0/9! c:0/9", "p q r"), "a c a");
}

TEST(PlacementTest, CountsItsOwnPicksAgainstCapacity) {
  EXPECT_EQ(Plan("a:8/9 b:0/9", "p q r"), "a b b");
  EXPECT_EQ(Plan("a:0/1 b:0/1", "p q"), "a b");
  EXPECT_EQ(Plan("a:0/1 b:0/1", "p q r"), "no_workers_available");
}

TEST(PlacementTest, RefusesWhenNobodyIsAvailable) {
  EXPECT_EQ(Plan("", "p"), "no_workers_available");
  EXPECT_EQ(Plan("a:9/9 b:0/9!", "p"), "no_workers_available");
}

TEST(PlacementTest, LeastLoadedPicksTheFewestPipelines) {
  EXPECT_EQ(Plan("a:3/9 b:1/9 c:2/9", "p q r s", kLeast), "b b c a");
  EXPECT_EQ(Plan("a:2/9~1 b:2/9~8", "p", kLeast), "b") << "tie: fewer per core";
  EXPECT_EQ(Plan("b:2/9 a:2/9", "p", kLeast), "a") << "tie: smaller id";
}

TEST(PlacementTest, AffinityWinsWhileItsWorkerIsAvailable) {
  EXPECT_EQ(Plan("a:0/9 b:0/9", "p@b q@b r"), "b b a");
  EXPECT_EQ(Plan("a:0/9 b:0/9!", "p@b"), "a (warned)");
  EXPECT_EQ(Plan("a:0/9", "p@nobody q"), "a a (warned)");
  EXPECT_EQ(Plan("a:0/9 b:0/1", "p@b q@b"), "b a (warned)");
}

TEST(PlacementTest, ReplicasPreferDistinctWorkers) {
  EXPECT_EQ(Plan("a:0/9 b:0/9 c:0/9", "p*3"), "a,b,c");
  EXPECT_EQ(Plan("a:5/9 b:0/9", "p*2", kLeast), "b,a") << "distinct before less loaded";
  EXPECT_EQ(Plan("a:0/9 b:0/9", "p*3"), "a,b,a");
  EXPECT_EQ(Plan("a:0/9 b:0/9", "p*2@b"), "b,b") << "an affinity holds for all replicas";
}

}  // namespace
}  // namespace varpulis::coordinator
