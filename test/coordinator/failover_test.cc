#include "cluster_fixture.h"

#include "coordinator/views.h"

namespace varpulis::coordinator {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class FailoverTest : public ClusterFixture {
 protected:
  // Nobody listens for the worker's commands, for as long as it takes to be sure.
  Effects Vanish(const std::string& id) {
    Effects last = Unanswered(id, /*nobody_listens=*/true);
    now_ += policy_.ping_death;
    Effects sure = Unanswered(id, /*nobody_listens=*/true);
    return sure.empty() ? last : sure;
  }
  Effects Unanswered(const std::string& id, bool nobody_listens) {
    return Do(PingUnanswered{WorkerId(id), absl::StrCat(id, "-1"), nobody_listens});
  }
  Effects AnswerPing(const std::string& id) {
    v1::PingResponse answer;
    answer.set_worker_id(id);
    answer.set_incarnation(absl::StrCat(id, "-1"));
    answer.set_brief(true);
    return Do(PingAnswered{answer});
  }
  const Migration& OnlyMigration() {
    EXPECT_THAT(state_.migrations, SizeIs(1));
    return state_.migrations.begin()->second;
  }
  std::string StatusText(const Migration& migration) {
    return MakeMigrationInfo(state_, migration, now_).status();
  }
  Effects MigrateTo(const std::string& pipeline, const std::string& worker) {
    return Do(MigratePipeline{GroupId("g"), pipeline, WorkerId(worker), kCaller});
  }
  Effects Checkpointed(const SendCheckpoint& checkpoint,
                       const absl::Status& result = absl::OkStatus()) {
    return Do(CheckpointAnswered{checkpoint.migration, result});
  }
};

TEST_F(FailoverTest, APipelineOfADeadProcessMovesAtOnce) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  EXPECT_TRUE(Unanswered("w0", true).empty()) << "one lost ping is no death";
  now_ += policy_.ping_death - absl::Milliseconds(1);
  EXPECT_TRUE(Unanswered("w0", true).empty());
  now_ += absl::Milliseconds(1);
  const Effects effects = Unanswered("w0", true);
  ASSERT_THAT(effects.deploys, SizeIs(1));
  EXPECT_EQ(effects.deploys[0].worker.str(), "w1");
  EXPECT_EQ(effects.deploys[0].request.placement_epoch(), 1u);
  EXPECT_TRUE(effects.deploys[0].request.restore());
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_UNHEALTHY);
  Accept(effects.deploys[0]);
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_RUNNING);
  EXPECT_EQ(StatusText(OnlyMigration()), "completed");
  EXPECT_EQ(MakeMigrationInfo(state_, OnlyMigration(), now_).reason(), "failover");
  // The zombie's copy goes when it comes back.
  const Effects back = Beat("w0", {Copy("g", "p", 0, "w0/p/0")});
  ASSERT_THAT(back.undeploys, SizeIs(1));
  EXPECT_EQ(back.undeploys[0].copy.worker.str(), "w0");
}

TEST_F(FailoverTest, SilenceIsNotDeath) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  for (int i = 0; i < 20; ++i) {
    now_ += absl::Milliseconds(500);
    EXPECT_TRUE(Unanswered("w0", /*nobody_listens=*/false).empty());
  }
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
}

TEST_F(FailoverTest, AnAnswerEndsTheSuspicion) {
  Join("w0");
  Join("w1");
  Unanswered("w0", true);
  AnswerPing("w0");
  now_ += policy_.ping_death;
  Unanswered("w0", true);
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
}

TEST_F(FailoverTest, WorkersRegisteredByHandAreNotPinged) {
  Do(RegisterWorker{Worker("curl"), kCaller, "made-up"});
  Join("w0");
  const Effects effects = Advance(absl::Milliseconds(50));
  ASSERT_THAT(effects.pings, SizeIs(1));
  EXPECT_EQ(effects.pings[0].worker.str(), "w0");
  EXPECT_THAT(Advance(absl::Milliseconds(50)).pings, IsEmpty()) << "the last one is not answered";
  AnswerPing("w0");
  EXPECT_THAT(Advance(absl::Milliseconds(50)).pings, SizeIs(1));
}

TEST_F(FailoverTest, SeveralGoneAtOnceMeanTheBroker) {
  for (const char* id : {"w0", "w1", "w2"}) Join(id);
  AcceptAll(Deploy("g", GroupOf({Pipeline("p", 1, "w0"), Pipeline("q", 1, "w1")})));
  Unanswered("w0", true);
  now_ += absl::Milliseconds(100);
  Unanswered("w1", true);
  now_ += policy_.ping_death;
  EXPECT_THAT(Unanswered("w0", true).deploys, IsEmpty());
  EXPECT_THAT(Unanswered("w1", true).deploys, IsEmpty());
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_READY);
  AnswerPing("w1");  // it was the broker for this one
  now_ += policy_.failover_hold;
  const Effects effects = Unanswered("w0", true);
  ASSERT_THAT(effects.deploys, SizeIs(1)) << "it is still gone";
  EXPECT_EQ(effects.deploys[0].placement.pipeline, "p");
}

TEST_F(FailoverTest, NothingMovesForAWhileAfterAnOwnReconnect) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  Do(ConnectionRestored{});
  EXPECT_THAT(Vanish("w0").deploys, IsEmpty());
  now_ += policy_.failover_hold;
  EXPECT_THAT(Unanswered("w0", true).deploys, SizeIs(1));
}

TEST_F(FailoverTest, WaitsForRoomAndTakesItWhenThereIsSome) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  EXPECT_THAT(Vanish("w0").deploys, IsEmpty());
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_FAILED);
  Join("w1");
  Effects effects;
  for (int i = 0; i < 40 && effects.deploys.empty(); ++i) effects = Advance(absl::Seconds(1));
  ASSERT_THAT(effects.deploys, SizeIs(1));
  EXPECT_EQ(effects.deploys[0].worker.str(), "w1");
}

TEST_F(FailoverTest, ATargetThatFailsIsFollowedByAnother) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  const Effects moved = Vanish("w0");
  ASSERT_THAT(moved.deploys, SizeIs(1));
  Refuse(moved.deploys[0], absl::UnavailableError("gone"));
  EXPECT_EQ(StatusText(OnlyMigration()), "failed: gone");
  Join("w2");
  const Effects dead = Vanish("w1");
  ASSERT_THAT(dead.deploys, SizeIs(1));
  EXPECT_EQ(dead.deploys[0].worker.str(), "w2");
  Accept(dead.deploys[0]);
  EXPECT_EQ(GroupStatusOf("g"), v1::GROUP_STATUS_RUNNING);
}

TEST_F(FailoverTest, AMoveByHandStopsTheSourceFirst) {
  Join("w0");
  const Effects deployed = Deploy("g", GroupOf({Pipeline("p")}));
  AcceptAll(deployed);
  Join("w1");
  const Effects begun = MigrateTo("p", "w1");
  const auto answer = BodyOf<v1::MigratePipelineResponse>(begun, kCaller);
  EXPECT_EQ(answer.status(), "started");
  ASSERT_THAT(begun.checkpoints, SizeIs(1));
  EXPECT_TRUE(begun.checkpoints[0].request.cut());
  EXPECT_THAT(begun.deploys, IsEmpty());
  EXPECT_EQ(ErrorOf(MigrateTo("p", "w1"), kCaller), "conflict") << "on its way already";
  const Effects cut = Checkpointed(begun.checkpoints[0]);
  ASSERT_THAT(cut.deploys, SizeIs(1));
  EXPECT_EQ(cut.deploys[0].worker.str(), "w1");
  EXPECT_THAT(cut.undeploys, IsEmpty()) << "the source keeps its state until the target runs";
  const Effects done = Accept(cut.deploys[0]);
  ASSERT_THAT(done.undeploys, SizeIs(1));
  EXPECT_EQ(done.undeploys[0].copy.worker.str(), "w0");
  EXPECT_EQ(done.undeploys[0].request.placement_epoch(), 0u);
  EXPECT_EQ(StatusText(OnlyMigration()), "cleaning_up");
  Confirm(done.undeploys[0]);
  EXPECT_EQ(StatusText(OnlyMigration()), "completed");
  EXPECT_EQ(answer.migration_id(), OnlyMigration().id);
}

TEST_F(FailoverTest, AMoveWhoseTargetRefusesGoesBack) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  const Effects cut = Checkpointed(MigrateTo("p", "w1").checkpoints[0]);
  const Effects back = Refuse(cut.deploys[0], absl::InternalError("no"));
  ASSERT_THAT(back.deploys, SizeIs(1));
  EXPECT_EQ(back.deploys[0].worker.str(), "w0");
  EXPECT_EQ(back.deploys[0].request.placement_epoch(), 2u);
  EXPECT_TRUE(back.deploys[0].request.restore());
  ASSERT_THAT(back.undeploys, SizeIs(1)) << "perhaps it runs there after all";
  EXPECT_EQ(back.undeploys[0].copy.worker.str(), "w1");
  Accept(back.deploys[0]);
  EXPECT_EQ(At("g", "p").worker.str(), "w0");
  EXPECT_EQ(StatusText(OnlyMigration()), "failed: no");
}

TEST_F(FailoverTest, ASourceThatCannotStoreGoesOn) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  const Effects failed =
      Checkpointed(MigrateTo("p", "w1").checkpoints[0], absl::ResourceExhaustedError("full"));
  EXPECT_THAT(failed.deploys, IsEmpty());
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_RUNNING);
  EXPECT_EQ(StatusText(OnlyMigration()), "failed: no checkpoint: full");
}

TEST_F(FailoverTest, ASourceThatDiesWhileStoringIsFailedOver) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  const Effects died =
      Checkpointed(MigrateTo("p", "w1").checkpoints[0], absl::UnavailableError("gone"));
  ASSERT_THAT(died.deploys, SizeIs(1));
  EXPECT_EQ(died.deploys[0].worker.str(), "w1");
}

TEST_F(FailoverTest, RefusesMovesThatMakeNoSense) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1", /*max_pipelines=*/0);
  EXPECT_EQ(ErrorOf(MigrateTo("p", "w0"), kCaller), "conflict");
  EXPECT_EQ(ErrorOf(MigrateTo("p", "w1"), kCaller), "conflict");
  EXPECT_EQ(ErrorOf(MigrateTo("q", "w1"), kCaller), "pipeline_not_found");
  EXPECT_EQ(ErrorOf(MigrateTo("p#x", "w1"), kCaller), "pipeline_not_found");
  EXPECT_EQ(ErrorOf(MigrateTo("p", "w9"), kCaller), "worker_not_found");
  EXPECT_EQ(ErrorOf(Do(MigratePipeline{GroupId("h"), "p", WorkerId("w1"), kCaller}), kCaller),
            "group_not_found");
  EXPECT_THAT(state_.migrations, IsEmpty());
}

TEST_F(FailoverTest, ADrainedWorkerIsEmptyAndForgotten) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p"), Pipeline("q")})));
  Join("w1");
  const Effects begun = Do(DrainWorker{WorkerId("w0"), absl::InfiniteDuration(), true, kCaller});
  EXPECT_EQ(ErrorOf(begun, kCaller), "no answer");
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_DRAINING);
  ASSERT_THAT(begun.checkpoints, SizeIs(2));
  Effects last;
  for (const SendCheckpoint& checkpoint : begun.checkpoints) {
    const Effects cut = Checkpointed(checkpoint);
    EXPECT_EQ(ErrorOf(Advance(absl::Milliseconds(50)), kCaller), "no answer") << "not there yet";
    const Effects moved = Accept(cut.deploys.at(0));
    EXPECT_EQ(ErrorOf(Advance(absl::Milliseconds(50)), kCaller), "no answer") << "still here, too";
    last = Confirm(moved.undeploys.at(0));
  }
  const auto drained = BodyOf<v1::DrainWorkerResponse>(last, kCaller);
  EXPECT_EQ(drained.status(), "drained");
  EXPECT_EQ(drained.pipelines_migrated(), 2u);
  EXPECT_EQ(state_.FindWorker(WorkerId("w0")), nullptr);
  // It has not stopped yet, and must not come back by itself.
  v1::Heartbeat heartbeat;
  heartbeat.set_worker_id("w0");
  heartbeat.set_incarnation("w0-1");
  heartbeat.set_draining(true);
  EXPECT_EQ(ErrorOf(Do(ReceiveHeartbeat{heartbeat, now_, kCaller}), kCaller), "OK");
}

TEST_F(FailoverTest, ADrainThatCannotFinishSaysWhatIsLeft) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Do(DrainWorker{WorkerId("w0"), absl::Seconds(3), true, kCaller});
  Effects effects;
  for (int i = 0; i < 3; ++i) effects = Advance(absl::Seconds(1));
  const auto answer = BodyOf<v1::DrainWorkerResponse>(effects, kCaller);
  EXPECT_EQ(answer.status(), "draining");
  EXPECT_THAT(answer.remaining(), testing::ElementsAre("p"));
  EXPECT_EQ(WorkerStatusOf("w0"), v1::WORKER_STATUS_DRAINING);
  Join("w1");  // room at last
  EXPECT_THAT(Advance(absl::Seconds(1)).checkpoints, SizeIs(1));
}

TEST_F(FailoverTest, RebalanceEvensOut) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("a"), Pipeline("b"), Pipeline("c"), Pipeline("d"),
                                 Pipeline("home", 1, "w0")})));
  Join("w1");
  const Effects effects = Do(Rebalance{kCaller});
  const auto answer = BodyOf<v1::RebalanceResponse>(effects, kCaller);
  EXPECT_EQ(answer.migrations_started(), 2u);
  EXPECT_THAT(effects.checkpoints, SizeIs(2));
  for (const SendCheckpoint& checkpoint : effects.checkpoints) {
    AcceptAll(Checkpointed(checkpoint));
  }
  EXPECT_EQ(At("g", "home").worker.str(), "w0");
  EXPECT_EQ(BodyOf<v1::RebalanceResponse>(Do(Rebalance{kCaller}), kCaller).migrations_started(),
            0u);
}

TEST_F(FailoverTest, AMoveOutlivesItsCoordinator) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  const Effects cut = Checkpointed(MigrateTo("p", "w1").checkpoints[0]);
  ASSERT_THAT(cut.deploys, SizeIs(1));
  Restart(2);
  Effects effects = Advance(absl::Milliseconds(50));
  ASSERT_THAT(effects.deploys, SizeIs(1)) << "the deploy is repeated";
  EXPECT_EQ(effects.deploys[0].worker.str(), "w1");
  EXPECT_EQ(effects.deploys[0].request.placement_epoch(), 1u);
  Accept(effects.deploys[0]);
  EXPECT_EQ(OnlyMigration().phase, state::v1::MIGRATION_PHASE_COMPLETED);
}

TEST_F(FailoverTest, ASourceThatWasStoppingWhenTheCoordinatorWentIsPutBack) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  MigrateTo("p", "w1");
  Restart(2);
  v1::RunningPipeline paused = Copy("g", "p", 0, "w0/p/0");
  paused.set_status("paused");
  const Effects effects = Beat("w0", {paused});
  ASSERT_THAT(effects.deploys, SizeIs(1));
  EXPECT_EQ(effects.deploys[0].worker.str(), "w0");
  EXPECT_EQ(effects.deploys[0].request.placement_epoch(), 1u);
  EXPECT_TRUE(effects.deploys[0].request.restore());
}

TEST_F(FailoverTest, ADeletedGroupEndsItsMoves) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  const Effects begun = MigrateTo("p", "w1");
  Do(DeleteGroup{GroupId("g"), kCaller});
  EXPECT_THAT(state_.moving, IsEmpty());
  EXPECT_TRUE(Checkpointed(begun.checkpoints[0]).empty());
}

TEST_F(FailoverTest, AMoveEndsWithAReportWhenItsAnswerWentToAPredecessor) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  Checkpointed(MigrateTo("p", "w1").checkpoints[0]);
  Restart(2);
  const Effects effects = Beat("w1", {Copy("g", "p", 1, "w1/p/1")});
  EXPECT_EQ(OnlyMigration().phase, state::v1::MIGRATION_PHASE_COMPLETED);
  EXPECT_THAT(state_.moving, IsEmpty());
  ASSERT_THAT(effects.undeploys, SizeIs(1));
  EXPECT_EQ(effects.undeploys[0].copy.worker.str(), "w0");
}

TEST_F(FailoverTest, AMoveThatDoesNotGoOnIsStoredAsEnded) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  MigrateTo("p", "w1");
  Restart(2);
  EXPECT_EQ(store_.at("migration." + OnlyMigration().id), StoreMigration(OnlyMigration()).value);
}

TEST_F(FailoverTest, ADeleteAmidAMoveRemovesTheCopyThatWasCut) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  Checkpointed(MigrateTo("p", "w1").checkpoints[0]);
  const Effects deleted = Do(DeleteGroup{GroupId("g"), kCaller});
  ASSERT_THAT(deleted.undeploys, SizeIs(1));
  EXPECT_EQ(deleted.undeploys[0].copy.worker.str(), "w0");
}

TEST_F(FailoverTest, ADeleteEndsTheMoveToAWorkerThatWasDeleted) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  Checkpointed(MigrateTo("p", "w1").checkpoints[0]);
  Do(DeleteWorker{WorkerId("w0"), kCaller});
  Do(DeleteWorker{WorkerId("w1"), kCaller});
  Do(DeleteGroup{GroupId("g"), kCaller});
  EXPECT_THAT(state_.moving, IsEmpty());
}

TEST_F(FailoverTest, ADeployAnsweredByAWorkerThatWasDeletedDoesNotCount) {
  Join("w0");
  const Effects deployed = Deploy("g", GroupOf({Pipeline("p")}));
  Join("w1");
  Do(DeleteWorker{WorkerId("w0"), kCaller});
  Accept(deployed.deploys[0]);
  EXPECT_EQ(StatusOf("g", "p"), v1::PLACEMENT_STATUS_FAILED);
  const Effects elsewhere = Advance(absl::Seconds(1));
  ASSERT_THAT(elsewhere.deploys, SizeIs(1));
  EXPECT_EQ(elsewhere.deploys[0].worker.str(), "w1");
  EXPECT_EQ(elsewhere.deploys[0].request.placement_epoch(), 1u);
}

TEST_F(FailoverTest, ADrainOfAWorkerThatIsDeletedIsAnswered) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  constexpr ReplyToken kDrainer = 8;
  Do(DrainWorker{.worker = WorkerId("w0"), .reply = kDrainer});
  EXPECT_EQ(ErrorOf(Do(DeleteWorker{WorkerId("w0"), kCaller}), kDrainer), "worker_not_found");
}

TEST_F(FailoverTest, ADrainOutlivesItsCoordinator) {
  Join("w0");
  AcceptAll(Deploy("g", GroupOf({Pipeline("p")})));
  Join("w1");
  const Effects begun = Do(DrainWorker{.worker = WorkerId("w0"), .reply = kCaller});
  const Effects cut = Checkpointed(begun.checkpoints[0]);
  Accept(cut.deploys[0]);  // its copy on w0 has yet to be removed, which only w0 knows after this
  Restart(2);
  Advance(absl::Milliseconds(50));
  EXPECT_TRUE(state_.workers.contains(WorkerId("w0")));
  const Effects told = Beat("w0", {Copy("g", "p", 0, "w0/p/0")});
  ASSERT_THAT(told.undeploys, SizeIs(1));
  Confirm(told.undeploys[0]);
  EXPECT_FALSE(state_.workers.contains(WorkerId("w0")));
}

}  // namespace
}  // namespace varpulis::coordinator
