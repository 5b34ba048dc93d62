#include "cluster_fixture.h"

namespace varpulis::coordinator {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class ReconcilerTest : public ClusterFixture {
 protected:
  void SetUp() override {
    Join("w0");
    AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  }
};

TEST_F(ReconcilerTest, ARestartedWorkerGetsItsPlacementsUnderANewEpoch) {
  Join("w0", 100, "w0-2");  // asks the old process first
  const Effects back = Do(IncumbentChecked{{Worker("w0", 100, "w0-2"), kCaller}, std::nullopt});
  ASSERT_THAT(back.deploys, SizeIs(1));
  EXPECT_EQ(back.deploys[0].request.placement_epoch(), 1u);
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_DEPLOYING);
  Accept(back.deploys[0]);
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_RUNNING);
  EXPECT_EQ(At("g", "p").pipeline_id.str(), "w0/p/1");
}

TEST_F(ReconcilerTest, ADeployTellsHowManyBrokersAreToHaveWhatIsStored) {
  policy_.stream_replicas = 3;
  const Effects effects = Deploy("h", GroupOf({Pipeline("q")}));
  ASSERT_THAT(effects.deploys, SizeIs(1));
  EXPECT_EQ(effects.deploys[0].request.stream_replicas(), 3u);
}

TEST_F(ReconcilerTest, AProcessThatRegistersAgainKeepsWhatItRuns) {
  const Effects again = Join("w0", 100, "w0-1", {Copy("g", "p", 0, "w0/p/0")});
  EXPECT_THAT(again.deploys, IsEmpty());
  EXPECT_EQ(At("g", "p").epoch, 0u);
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_RUNNING);
}

TEST_F(ReconcilerTest, AReportBuiltBeforeTheDeployDoesNotUndoIt) {
  EXPECT_THAT(Beat("w0", {}).deploys, IsEmpty());
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_RUNNING);
}

TEST_F(ReconcilerTest, ALostCopyIsDeployedAgainUnderANewEpoch) {
  now_ += absl::Seconds(6);
  const Effects lost = Beat("w0", {});
  ASSERT_THAT(lost.deploys, SizeIs(1));
  EXPECT_EQ(lost.deploys[0].request.placement_epoch(), 1u);
}

TEST_F(ReconcilerTest, ABrokenCopyFailsAndIsReplaced) {
  auto copy = Copy("g", "p", 0, "w0/p/0");
  copy.set_status("error: division by zero");
  Beat("w0", {copy});
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_FAILED);
  EXPECT_EQ(At("g", "p").error, "error: division by zero");
  const Effects retried = Advance(absl::Seconds(1));
  ASSERT_THAT(retried.deploys, SizeIs(1));
  EXPECT_EQ(retried.deploys[0].request.placement_epoch(), 1u)
      << "the broken one may still be there";
}

TEST_F(ReconcilerTest, ACopyOfAReplacedEpochIsRemoved) {
  now_ += absl::Seconds(6);
  Accept(Beat("w0", {}).deploys[0]);  // epoch 1
  const Effects stale = Beat("w0", {Copy("g", "p", 0, "old"), Copy("g", "p", 1, "w0/p/1")});
  ASSERT_THAT(stale.undeploys, SizeIs(1));
  EXPECT_EQ(stale.undeploys[0].request.pipeline_id(), "old");
  EXPECT_EQ(stale.undeploys[0].request.placement_epoch(), 0u);
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_RUNNING);
}

TEST_F(ReconcilerTest, ACopyOfADeletedGroupIsRemovedWhereverItShows) {
  Join("w1");
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  const Effects shown = Beat("w1", {Copy("g", "p", 0, "elsewhere")});
  ASSERT_THAT(shown.undeploys, SizeIs(1));
  Confirm(deleted.undeploys[0]);
  EXPECT_TRUE(store_.contains("group.g")) << "the second copy is not confirmed";
  Confirm(shown.undeploys[0]);
  EXPECT_FALSE(store_.contains("group.g"));
}

TEST_F(ReconcilerTest, AWorkerThatComesBackIsToldWhatMustNotGoOn) {
  Join("w1");
  const auto superseded = [](const Effects& effects) {
    const auto answer = BodyOf<v1::RegisterWorkerResponse>(effects, kCaller);
    return std::vector<std::string>(answer.superseded().begin(), answer.superseded().end());
  };
  AcceptAll(Deploy("doomed", GroupOf({Pipeline("d", 1, "w0")})));
  AcceptAll(Deploy("stays", GroupOf({Pipeline("s", 1, "w0")})));
  AcceptAll(Deploy("moved", GroupOf({Pipeline("m", 1, "w0")})));
  const std::vector<v1::RunningPipeline> running = {
      Copy("g", "p", 0, "w0/p/0"), Copy("doomed", "d", 0, "w0/d/0"),
      Copy("stays", "s", 0, "w0/s/0"), Copy("moved", "m", 0, "w0/m/0"),
      Copy("other", "x", 4, "stranger")};
  EXPECT_THAT(superseded(Join("w0", 100, "w0-1", running)), IsEmpty());

  // Meanwhile it is cut off.
  Do(DeleteGroup{GroupId("doomed"), kCaller});
  const Effects moving = Do(MigratePipeline{GroupId("moved"), "m", WorkerId("w1"), kCaller});
  const Effects switched = Do(CheckpointAnswered{moving.checkpoints[0].migration,
                                                 absl::UnavailableError("nobody listens")});
  ASSERT_THAT(switched.deploys, SizeIs(1));
  const std::vector<std::string> gone = {"w0/d/0", "w0/m/0"};
  EXPECT_EQ(superseded(Join("w0", 100, "w0-1", running)), gone) << "on its way";
  Accept(switched.deploys[0]);
  EXPECT_EQ(superseded(Join("w0", 100, "w0-1", running)), gone) << "there";
}

TEST_F(ReconcilerTest, AnUnknownCopyIsReportedOnceAndLeftAlone) {
  const std::vector<v1::RunningPipeline> running = {Copy("g", "p", 0, "w0/p/0"),
                                                    Copy("other", "x", 4, "stranger")};
  const Effects first = Beat("w0", running);
  EXPECT_THAT(first.undeploys, IsEmpty());
  ASSERT_THAT(first.notices, SizeIs(1));
  EXPECT_EQ(first.notices[0].kind(), "unknown_pipeline");
  EXPECT_THAT(Beat("w0", running).notices, IsEmpty());
  EXPECT_EQ(state_.Load(state_.workers.at(WorkerId("w0"))), 2u) << "it takes room all the same";
}

TEST_F(ReconcilerTest, AHigherEpochThanOursIsReportedNotDestroyed) {
  const Effects effects = Beat("w0", {Copy("g", "p", 9, "future")});
  EXPECT_THAT(effects.undeploys, IsEmpty());
  EXPECT_THAT(effects.notices, SizeIs(1));
}

TEST_F(ReconcilerTest, APlacementWaitsForItsDeadWorker) {
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Advance(absl::Seconds(5)).deploys, IsEmpty());
  const Effects back = Join("w0", 100, "w0-2");
  ASSERT_THAT(back.deploys, SizeIs(1));
  EXPECT_EQ(back.deploys[0].request.placement_epoch(), 1u);
}

TEST_F(ReconcilerTest, AnAnswerOfAReplacedEpochIsIgnored) {
  const Effects again = Do(IncumbentChecked{{Worker("w0", 100, "w0-2"), kCaller}, std::nullopt});
  Do(DeployAnswered{{GroupId("g"), "p", 0}, WorkerId("w0"), 0, PipelineId("old")});
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_DEPLOYING);
  Accept(again.deploys[0]);
  EXPECT_EQ(At("g", "p").pipeline_id.str(), "w0/p/1");
}

}  // namespace
}  // namespace varpulis::coordinator
