#include <algorithm>

#include "absl/strings/str_cat.h"

#include "cluster_fixture.h"
#include "coordinator/remembered_calls.h"

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
  ASSERT_THAT(gone.forgets, SizeIs(1));
  EXPECT_EQ(ToString(gone.forgets[0].copy.placement), "g/b#0");
  EXPECT_EQ(ErrorOf(Forgotten(gone.forgets[0]), kCaller), "OK");
  EXPECT_THAT(state_.groups, IsEmpty());
}

TEST_F(GroupsTest, TheCheckpointsGoWithTheGroup) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")})));
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  EXPECT_TRUE(deleted.undeploys[0].request.forget());
  EXPECT_TRUE(deleted.undeploys[1].request.forget());
  EXPECT_THAT(deleted.forgets, IsEmpty());
}

TEST_F(GroupsTest, TheLeaderForgetsTheCheckpointsOfAWorkerThatWasDeleted) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a")})));
  const Effects moved = Do(DeleteWorker{WorkerId("w0"), 9});
  Do(DeleteWorker{WorkerId("w1"), 9});  // nobody is left to take it over
  Refuse(moved.deploys[0], absl::UnavailableError("nobody"));
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  EXPECT_THAT(deleted.undeploys, IsEmpty());
  ASSERT_THAT(deleted.forgets, SizeIs(1));
  // Also when it could not, and when the leader after it has to.
  const Effects failed = Forgotten(deleted.forgets[0], absl::UnavailableError("away"));
  EXPECT_THAT(BodyOf<v1::DeleteGroupResponse>(failed, kCaller).pending(), IsEmpty());
  EXPECT_TRUE(store_.contains("placement.g.a.0"));
  Restart(2);
  const Effects again = Do(Tick{});
  ASSERT_THAT(again.forgets, SizeIs(1));
  Forgotten(again.forgets[0]);
  EXPECT_FALSE(store_.contains("placement.g.a.0"));
  EXPECT_FALSE(store_.contains("group.g"));
}

TEST_F(GroupsTest, TheLeaderForgetsTheCheckpointsOfAWorkerThatIsAwayAndSoDoesThat) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a", 1, "w0")})));
  state_.FindWorker(WorkerId("w0"))->unhealthy = true;
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  const Effects failed = Confirm(deleted.undeploys[0], absl::UnavailableError("nobody"));
  EXPECT_THAT(BodyOf<v1::DeleteGroupResponse>(failed, kCaller).pending(), ElementsAre("w0"));
  ASSERT_THAT(failed.forgets, SizeIs(1));
  Forgotten(failed.forgets[0]);
  EXPECT_TRUE(store_.contains("group.g")) << "its copy may still run";
  const Effects back = Join("w0", 100, "w0-1", {Copy("g", "a", 0, "w0/a/0")});
  ASSERT_THAT(back.undeploys, SizeIs(1));
  EXPECT_TRUE(back.undeploys[0].request.forget());
  Confirm(back.undeploys[0]);
  EXPECT_FALSE(store_.contains("group.g"));
}

TEST_F(GroupsTest, AWorkerThatComesBackWhileTheLeaderForgetsStillHasToRemoveItsCopy) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a", 1, "w0")})));
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  const Effects gone = Do(DeleteWorker{WorkerId("w0"), 9});
  Join("w0", 100, "w0-1", {Copy("g", "a", 0, "w0/a/0")});
  Forgotten(gone.forgets[0]);
  EXPECT_TRUE(store_.contains("group.g"));
  const Effects again = Advance(absl::Seconds(1));
  ASSERT_THAT(again.undeploys, SizeIs(1));
  Confirm(again.undeploys[0]);
  EXPECT_FALSE(store_.contains("group.g"));
}

TEST_F(GroupsTest, ARetriedDeleteJoinsTheOneUnderWay) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a")}), "deploy"));
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller, "delete"});
  const Effects again = Do(DeleteGroup{GroupId("g"), 8, "delete"});
  EXPECT_THAT(again.writes, IsEmpty());
  EXPECT_THAT(again.undeploys, IsEmpty());
  EXPECT_THAT(again.answers, IsEmpty());
  const Effects done = Confirm(deleted.undeploys[0]);
  EXPECT_EQ(ErrorOf(done, kCaller), "OK");
  EXPECT_EQ(ErrorOf(done, 8), "OK");
  EXPECT_EQ(ErrorOf(Do(DeleteGroup{GroupId("g"), 9, "delete"}), 9), "OK");
  EXPECT_EQ(ErrorOf(Do(DeleteGroup{GroupId("g"), 9, "other"}), 9), "group_not_found");
  EXPECT_EQ(ErrorOf(Deploy("h", GroupOf({Pipeline("a")}), "deploy"), kCaller), "conflict");
  EXPECT_EQ(ErrorOf(Deploy("h", GroupOf({Pipeline("a")}), "delete"), kCaller), "conflict");
  Restart(2);
  EXPECT_EQ(ErrorOf(Deploy("h", GroupOf({Pipeline("a")}), "deploy"), kCaller), "conflict");
  EXPECT_EQ(ErrorOf(Do(DeleteGroup{GroupId("g"), 9, "delete"}), 9), "OK");
  EXPECT_THAT(state_.groups, IsEmpty());
}

TEST_F(GroupsTest, ACrashBeforeTheTombstoneIsStoredLeavesTheGroupToItsRequest) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a")}), "deploy"));
  const std::string group = store_.at("group.g");
  Do(DeleteGroup{GroupId("g"), kCaller, "delete"});
  store_["group.g"] = group;  // the calls' records, written first, are all that was stored
  Restart(2);
  EXPECT_EQ(BodyOf<v1::GroupInfo>(Deploy("h", GroupOf({Pipeline("a")}), "deploy"), kCaller).id(),
            "g");
  EXPECT_THAT(Do(DeleteGroup{GroupId("g"), kCaller, "delete"}).undeploys, SizeIs(1));
}

TEST_F(GroupsTest, ADeleteIsRememberedWithItsTombstone) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a")}), "deploy"));
  std::vector<std::string> keys;
  for (const StateWrite& write : Do(DeleteGroup{GroupId("g"), kCaller, "delete"}).writes) {
    keys.push_back(write.key);
  }
  EXPECT_THAT(keys, testing::ElementsAre("call.0", "call.1", "group.g"))
      << "whoever finds the tombstone knows whose it is";
}

TEST_F(GroupsTest, ACopyOfADeletedGroupThatTurnsUpLaterIsRemoved) {
  AcceptAll(Deploy("g", GroupOf({Pipeline("a")}), "deploy"));
  Confirm(Do(DeleteGroup{GroupId("g"), kCaller, "delete"}).undeploys[0]);
  Restart(2);
  const Effects effects = Beat("w0", {Copy("g", "a", 0, "w0/a/0")});
  ASSERT_THAT(effects.undeploys, SizeIs(1));
  EXPECT_EQ(effects.undeploys[0].copy.worker.str(), "w0");
  Confirm(effects.undeploys[0]);
  EXPECT_TRUE(state_.removals.empty());
}

TEST_F(GroupsTest, CallsAreRememberedInBoundedNumberAndForADay) {
  for (uint64_t i = 0; i < kMaxRememberedCalls + 10; ++i) {
    Do(RegisterWorker{Worker("w9"), kCaller, "made"});
    Do(DeleteWorker{WorkerId("w9"), kCaller, absl::StrCat("delete-", i)});
  }
  const auto stored = [this] {
    return std::count_if(store_.begin(), store_.end(),
                         [](const auto& record) { return record.first.starts_with("call."); });
  };
  EXPECT_EQ(state_.calls.size(), kMaxRememberedCalls);
  EXPECT_EQ(state_.calls_by_request_id.size(), kMaxRememberedCalls);
  EXPECT_EQ(stored(), static_cast<int64_t>(kMaxRememberedCalls));
  const auto again = [this](uint64_t i) {
    return ErrorOf(Do(DeleteWorker{WorkerId("w9"), 9, absl::StrCat("delete-", i)}), 9);
  };
  EXPECT_EQ(again(9), "worker_not_found");
  EXPECT_EQ(again(10), "OK");
  Restart(2);
  EXPECT_EQ(again(9), "worker_not_found");
  EXPECT_EQ(again(10), "OK");
  EXPECT_EQ(again(kMaxRememberedCalls + 9), "OK");
  Advance(kRememberCallsFor);
  EXPECT_THAT(state_.calls, IsEmpty());
  EXPECT_THAT(state_.calls_by_request_id, IsEmpty());
  EXPECT_EQ(stored(), 0);
}

TEST_F(GroupsTest, WhoCannotWaitIsToldHowFarItHasCome) {
  const Effects asked = Deploy("g", GroupOf({Pipeline("a"), Pipeline("b")}));
  Accept(asked.deploys[0]);
  const auto info = BodyOf<v1::GroupInfo>(Do(AnswerDue{kCaller}), kCaller);
  EXPECT_EQ(info.status(), v1::GROUP_STATUS_PARTIALLY_RUNNING);
  EXPECT_EQ(info.placements(0).error(), "");
  EXPECT_EQ(info.placements(1).status(), v1::PLACEMENT_STATUS_DEPLOYING);
  EXPECT_EQ(info.placements(1).error(), "worker w1 has not answered yet");
  EXPECT_THAT(Do(AnswerDue{kCaller}).answers, IsEmpty()) << "once";
  EXPECT_THAT(Accept(asked.deploys[1]).answers, IsEmpty());
  EXPECT_EQ(At("g", "b").error, "");
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_RUNNING);

  const Effects deleted = Do(DeleteGroup{GroupId("g"), 9});
  Confirm(deleted.undeploys[0]);
  const auto so_far = BodyOf<v1::DeleteGroupResponse>(Do(AnswerDue{9}), 9);
  EXPECT_TRUE(so_far.torn_down());
  EXPECT_THAT(so_far.pending(), ElementsAre("w1"));
  EXPECT_THAT(Confirm(deleted.undeploys[1]).answers, IsEmpty());
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
