#include "coordinator/views.h"

#include "cluster_fixture.h"

namespace varpulis::coordinator {
namespace {

using testing::ElementsAre;

class ViewsTest : public ClusterFixture {};

TEST_F(ViewsTest, PagesAreSortedAndSayWhetherMoreFollows) {
  for (const char* id : {"c", "a", "b"}) Join(id);
  v1::ListRequest request;
  request.set_limit(2);
  auto page = ListWorkers(state_, request);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->workers(0).id(), "a");
  EXPECT_EQ(page->workers(1).id(), "b");
  EXPECT_EQ(page->total(), 3u);
  EXPECT_TRUE(page->pagination().has_more());
  request.set_offset(2);
  page = ListWorkers(state_, request);
  EXPECT_EQ(page->workers_size(), 1);
  EXPECT_FALSE(page->pagination().has_more());
  request.set_offset(99);
  EXPECT_EQ(ListWorkers(state_, request)->workers_size(), 0);
  for (const uint64_t bad : {0, 1001}) {
    request.set_limit(bad);
    EXPECT_EQ(transport::ErrorCode(ListWorkers(state_, request).status()), "invalid_limit");
    EXPECT_EQ(transport::ErrorCode(ListGroups(state_, request).status()), "invalid_limit");
  }
  EXPECT_EQ(ListWorkers(state_, {})->pagination().limit(), 50u);
}

TEST_F(ViewsTest, WorkersShowWhatTheyRun) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("q"), Pipeline("p", 2)})));
  const auto info = MakeWorkerInfo(state_, state_.workers.at(WorkerId("w0")));
  EXPECT_EQ(info.pipelines_running(), 3u);
  EXPECT_THAT(info.assigned_pipelines(), ElementsAre("p#0", "p#1", "q"));
}

TEST_F(ViewsTest, TopologyLinksPlacedEndsOnly) {
  Join("w0");
  Join("w1");
  AcceptAll(Deploy("g", GroupOf({Pipeline("a"), Pipeline("b", 2)},
                                {Route("_external", "a", {"X"}), Route("a", "b", {"Y"})})));
  const auto topology = MakeTopology(state_);
  ASSERT_EQ(topology.groups_size(), 1);
  EXPECT_EQ(topology.groups(0).pipelines_size(), 3);
  EXPECT_EQ(topology.groups(0).routes_size(), 2);
  ASSERT_EQ(topology.routes_size(), 2);
  EXPECT_EQ(topology.routes(0).source_pipeline(), "a");
  EXPECT_EQ(topology.routes(0).target_pipeline(), "b#0");
  EXPECT_EQ(topology.routes(0).route_type(), "inter-pipeline");
  EXPECT_THAT(topology.workers(0).pipeline_groups(), ElementsAre("app"));
}

}  // namespace
}  // namespace varpulis::coordinator
