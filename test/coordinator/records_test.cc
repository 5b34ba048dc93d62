#include "coordinator/records.h"

#include "cluster_fixture.h"

#include "absl/strings/escaping.h"

#include "coordinator/views.h"

namespace varpulis::coordinator {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class RecordsTest : public ClusterFixture {
 protected:
  std::string MakeGroupText() {
    return MakeGroupInfo(state_, *state_.FindGroup(GroupId("g"))).DebugString();
  }
};

TEST_F(RecordsTest, ARestartKnowsWorkersGroupsSourcesAndPlacements) {
  Join("w0");
  Join("w1");
  AcceptAll(
      Deploy("g", GroupOf({Pipeline("a", 2), Pipeline("b")}, {Route("a", "b", {"T"})}), "req"));
  const std::string before = MakeGroupText();
  now_ += absl::Seconds(100);
  Restart(9);
  EXPECT_EQ(MakeGroupText(), before);
  EXPECT_EQ(state_.leader_epoch, 9u);
  EXPECT_THAT(state_.workers, SizeIs(2));
  EXPECT_EQ(state_.workers.at(WorkerId("w0")).incarnation, "w0-1");
  EXPECT_EQ(state_.workers.at(WorkerId("w0")).last_seen, now_) << "the grace of one timeout";
  EXPECT_THAT(Advance(absl::Seconds(1)).deploys, IsEmpty()) << "what ran is left running";
  const Effects again = Do(DeployGroup{GroupOf({Pipeline("a")}), GroupId("h"), "req", kCaller});
  EXPECT_EQ(BodyOf<v1::GroupInfo>(again, kCaller).id(), "g") << "request ids survive";
}

TEST_F(RecordsTest, ARestartFinishesWhatWasBeingDeployed) {
  Join("w0");
  Deploy("g", GroupOf({Pipeline("a")}));
  Restart(9);
  const Effects resumed = Advance(absl::Seconds(1));
  ASSERT_THAT(resumed.deploys, SizeIs(1));
  EXPECT_EQ(resumed.deploys[0].request.placement_epoch(), 0u);
  EXPECT_EQ(resumed.deploys[0].request.leader_epoch(), 9u);
  EXPECT_EQ(resumed.deploys[0].request.source(), "stream a = E");
}

TEST_F(RecordsTest, ARestartAdoptsWhatAWorkerReports) {
  Join("w0");
  const Effects asked = Deploy("g", GroupOf({Pipeline("a")}));
  Restart(9);
  v1::PingResponse ping;
  ping.set_worker_id("w0");
  ping.set_incarnation("w0-1");
  *ping.add_pipelines() = Copy("g", "a", 0, "id");
  Do(PingAnswered{ping});
  EXPECT_EQ(StatusOf("g", "a"), v1::PLACEMENT_STATUS_RUNNING);
  EXPECT_THAT(Advance(absl::Seconds(1)).deploys, IsEmpty());
}

TEST_F(RecordsTest, ARestartGoesOnRemoving) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")})));
  Confirm(Do(DeleteGroup{GroupId("g"), kCaller}).undeploys[0]);
  Restart(9);
  EXPECT_EQ(state_.FindVisibleGroup(GroupId("g")), nullptr);
  const Effects resumed = Advance(absl::Seconds(1));
  ASSERT_THAT(resumed.undeploys, SizeIs(1));
  EXPECT_EQ(resumed.undeploys[0].copy.placement.pipeline, "b");
  Confirm(resumed.undeploys[0]);
  EXPECT_FALSE(store_.contains("group.g"));
}

TEST_F(RecordsTest, AGroupThatWasNeverCompletedDoesNotExist) {
  Join("w0");
  Deploy("g", GroupOf({Pipeline("a")}));
  store_.erase("group.g");  // the process died before the last record
  Restart(9);
  EXPECT_THAT(state_.groups, IsEmpty());
  EXPECT_THAT(store_, SizeIs(1)) << "only the worker is left";
}

TEST_F(RecordsTest, ATombstoneWithNothingLeftIsForgotten) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("a")})));
  Do(DeleteGroup{GroupId("g"), kCaller});
  store_.erase("placement.g.a.0");  // confirmed, then died before the rest was removed
  Restart(9);
  EXPECT_THAT(state_.groups, IsEmpty());
  EXPECT_FALSE(store_.contains("group.g"));
}

TEST_F(RecordsTest, RefusesNewerFormatsAndDamage) {
  state::v1::BarrierRecord newer;
  newer.set_format_version(2);
  EXPECT_EQ(Recover({{"cluster", newer.SerializeAsString()}}, 1, now_).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Recover({{"worker.w0", "\xff\xff"}}, 1, now_).status().code(),
            absl::StatusCode::kDataLoss);
}

// The stored bytes, so that a change of them is seen.
TEST_F(RecordsTest, Golden) {
  Placement placement;
  placement.worker = WorkerId("w0");
  placement.pipeline_id = PipelineId("id");
  placement.epoch = 3;
  placement.status = v1::PLACEMENT_STATUS_RUNNING;
  const StateWrite write = StorePlacement({GroupId("g"), "p", 1}, placement);
  EXPECT_EQ(write.key, "placement.g.p.1");
  EXPECT_EQ(absl::BytesToHexString(write.value), "0a01671201701801220277302a02696430033802");
}

}  // namespace
}  // namespace varpulis::coordinator
