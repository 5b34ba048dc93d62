#include "cluster_fixture.h"

namespace varpulis::coordinator {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class GroupsTest : public ClusterFixture {
 protected:
  void SetUp() override {
    Join("w0");
    Join("w1");
  }
};

TEST_F(GroupsTest, IsStoredBeforeItIsSentAndAnsweredWhenSettled) {
  const Effects asked = Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")}));
  EXPECT_EQ(asked.writes.back().key, "group.g") << "the record that makes the others count";
  EXPECT_THAT(asked.deploys, SizeIs(2));
  EXPECT_THAT(asked.answers, IsEmpty());
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_DEPLOYING);

  const Effects first = Accept(asked.deploys[0]);
  EXPECT_THAT(first.answers, IsEmpty());
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_PARTIALLY_RUNNING);
  const auto info = BodyOf<v1::GroupInfo>(Accept(asked.deploys[1]), kCaller);
  EXPECT_EQ(info.status(), v1::GROUP_STATUS_RUNNING);
  EXPECT_EQ(info.pipeline_count(), 2u);
  EXPECT_EQ(info.placements(0).pipeline_name(), "a");
  EXPECT_EQ(info.placements(0).worker_address(), "http://w0:9000");
  EXPECT_EQ(info.placements(0).pipeline_id(), "w0/a/0");
  EXPECT_EQ(info.sources().at("a"), "stream a = E");
}

TEST_F(GroupsTest, AFailedPlacementSaysWhyAndIsRetriedWithGrowingPauses) {
  const Effects asked = Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")}));
  Accept(asked.deploys[0]);
  const auto info =
      BodyOf<v1::GroupInfo>(Refuse(asked.deploys[1], absl::UnavailableError("nobody")), kCaller);
  EXPECT_EQ(info.status(), v1::GROUP_STATUS_PARTIALLY_RUNNING);
  EXPECT_EQ(info.placements(1).status(), v1::PLACEMENT_STATUS_FAILED);
  EXPECT_EQ(info.placements(1).error(), "nobody");
  EXPECT_EQ(info.placements(1).pipeline_id(), "");

  for (const int pause : {1, 2, 4}) {
    EXPECT_THAT(Advance(absl::Seconds(pause) - absl::Milliseconds(1)).deploys, IsEmpty()) << pause;
    const Effects again = Advance(absl::Milliseconds(1));
    ASSERT_THAT(again.deploys, SizeIs(1)) << pause;
    EXPECT_EQ(again.deploys[0].request.placement_epoch(), 0u)
        << "it may be the lost answer of a copy that runs: the repeat must not make a second one";
    Refuse(again.deploys[0], absl::UnavailableError("nobody"));
  }
}

TEST_F(GroupsTest, AllFailedIsStillAnAnswer) {
  const Effects asked = Deploy("g", GroupOf({Pipeline("a")}));
  const auto info =
      BodyOf<v1::GroupInfo>(Refuse(asked.deploys[0], absl::DeadlineExceededError("late")), kCaller);
  EXPECT_EQ(info.status(), v1::GROUP_STATUS_FAILED);
}

TEST_F(GroupsTest, GoesAboveAnEpochThatTheWorkerHasSeen) {
  const Effects asked = Deploy("g", GroupOf({Pipeline("a")}));
  Refuse(asked.deploys[0], transport::MakeError("stale_epoch", "epoch 0 is below 3"));
  EXPECT_EQ(Advance(absl::Seconds(1)).deploys.at(0).request.placement_epoch(), 1u);
}

TEST_F(GroupsTest, ARetryWithTheSameRequestIdGetsTheSameGroup) {
  const Effects asked = Deploy("g", GroupOf({Pipeline("a")}), "req");
  const Effects early = Do(DeployGroup{GroupOf({Pipeline("a")}), GroupId("g2"), "req", 8});
  EXPECT_THAT(early.deploys, IsEmpty());
  EXPECT_THAT(early.answers, IsEmpty()) << "still deploying";
  const Effects settled = Accept(asked.deploys[0]);
  EXPECT_EQ(BodyOf<v1::GroupInfo>(settled, kCaller).id(), "g");
  EXPECT_EQ(BodyOf<v1::GroupInfo>(settled, 8).id(), "g");
  const Effects late = Do(DeployGroup{GroupOf({Pipeline("a")}), GroupId("g3"), "req", 9});
  EXPECT_EQ(BodyOf<v1::GroupInfo>(late, 9).id(), "g");
  EXPECT_THAT(state_.groups, SizeIs(1));
}

TEST_F(GroupsTest, RequestsWithoutAnIdAreAllDifferent) {
  Deploy("g", GroupOf({Pipeline("a")}));
  Deploy("h", GroupOf({Pipeline("a")}));
  EXPECT_THAT(state_.groups, SizeIs(2));
}

TEST_F(GroupsTest, NothingHappensWithoutAWorker) {
  for (int i = 0; i < 4; ++i) Advance(absl::Seconds(5));
  const Effects effects = Deploy("g", GroupOf({Pipeline("a")}));
  EXPECT_EQ(ErrorOf(effects, kCaller), "no_workers_available");
  EXPECT_THAT(effects.writes, IsEmpty());
  EXPECT_THAT(state_.groups, IsEmpty());
}

TEST_F(GroupsTest, DeletedIsInvisibleAtOnceAndForgottenWhenConfirmed) {
  const Effects asked = Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")}));
  AcceptAll(asked);
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  EXPECT_EQ(state_.FindVisibleGroup(GroupId("g")), nullptr);
  EXPECT_EQ(ErrorOf(Do(DeleteGroup{GroupId("g"), 9}), 9), "group_not_found");
  ASSERT_THAT(deleted.undeploys, SizeIs(2));
  EXPECT_EQ(deleted.undeploys[0].request.pipeline_id(), "w0/a/0");
  EXPECT_THAT(Confirm(deleted.undeploys[0]).answers, IsEmpty());
  const Effects done = Confirm(deleted.undeploys[1]);
  EXPECT_TRUE(BodyOf<v1::DeleteGroupResponse>(done, kCaller).torn_down());
  EXPECT_THAT(BodyOf<v1::DeleteGroupResponse>(done, kCaller).pending(), IsEmpty());
  EXPECT_THAT(state_.groups, IsEmpty());
  for (const auto& [key, value] : store_) EXPECT_TRUE(key.starts_with("worker.")) << key;
}

TEST_F(GroupsTest, NamesTheWorkersThatHaveNotConfirmedAndKeepsAsking) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")})));
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  Confirm(deleted.undeploys[0]);
  const Effects answered = Confirm(deleted.undeploys[1], absl::DeadlineExceededError("late"));
  EXPECT_THAT(BodyOf<v1::DeleteGroupResponse>(answered, kCaller).pending(), ElementsAre("w1"));
  EXPECT_TRUE(store_.contains("group.g")) << "the tombstone";
  const Effects again = Advance(absl::Seconds(1));
  ASSERT_THAT(again.undeploys, SizeIs(1));
  Confirm(again.undeploys[0]);
  EXPECT_FALSE(store_.contains("group.g"));
}

TEST_F(GroupsTest, AnUndeployDoesNotOvertakeItsDeploy) {
  const Effects asked = Deploy("g", GroupOf({Pipeline("a")}));
  const Effects deleted = Do(DeleteGroup{GroupId("g"), 9});
  EXPECT_THAT(deleted.undeploys, IsEmpty());
  EXPECT_EQ(ErrorOf(deleted, kCaller), "group_not_found") << "whoever waited for the deploy";
  const Effects answered = Accept(asked.deploys[0]);
  ASSERT_THAT(answered.undeploys, SizeIs(1));
  EXPECT_EQ(answered.undeploys[0].request.pipeline_id(), "w0/a/0");
  EXPECT_EQ(ErrorOf(Confirm(answered.undeploys[0]), 9), "OK");
}

TEST_F(GroupsTest, ADeletedWorkerNeedNotConfirm) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")})));
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  Confirm(deleted.undeploys[0]);
  const Effects gone = Do(DeleteWorker{WorkerId("w1"), 9});
  EXPECT_EQ(ErrorOf(gone, kCaller), "OK");
  EXPECT_THAT(state_.groups, IsEmpty());
}

TEST_F(GroupsTest, TellsTheWorkerItsRoutes) {
  auto custom = Route("_external", "b", {"X"});
  custom.set_mqtt_topic("plant/line");
  const Effects asked =
      Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")}, {Route("a", "b", {"T*", "U"}), custom}));
  const auto& a = asked.deploys[0].request;
  ASSERT_EQ(a.routes_size(), 1);
  EXPECT_EQ(a.routes(0).subject(), "varpulis.cluster.pipeline.g.a.b");
  EXPECT_THAT(a.routes(0).event_types(), ElementsAre("T*", "U"));
  EXPECT_THAT(a.extra_input_subjects(), IsEmpty());
  const auto& b = asked.deploys[1].request;
  EXPECT_EQ(b.routes_size(), 0);
  EXPECT_THAT(b.extra_input_subjects(), ElementsAre("plant.line"));
}

}  // namespace
}  // namespace varpulis::coordinator
