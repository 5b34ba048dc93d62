// State that outlives a copy: checkpoints, cuts, takeovers, restores.
#include "proto/checkpoint.pb.h"

#include "test/worker/cluster_fixture.h"
#include "test/worker/fake_blob_store.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::CheckpointPipelineRequest;
using varpulis::v1::CheckpointPipelineResponse;

// The outputs tell the state: what was seen before is not said again.
constexpr char kDistinct[] = "stream Out = In .distinct(n) .emit(n: n)";
constexpr char kPlain[] = "stream Out = In .emit(n: n)";

class CheckpointTest : public ClusterTest {
 protected:
  CheckpointTest() { stores_.checkpoints = &store_; }
  void TearDown() override { workers_.clear(); }  // before the store

  static CheckpointPipelineRequest Of(const std::string& id, uint64_t epoch, bool cut = false) {
    CheckpointPipelineRequest request;
    request.set_leader_epoch(1);
    request.set_pipeline_id(id);
    request.set_placement_epoch(epoch);
    request.set_cut(cut);
    return request;
  }
  absl::StatusOr<CheckpointPipelineResponse> Checkpoint(const CheckpointPipelineRequest& request) {
    return Command<CheckpointPipelineResponse>("w", "checkpoint", request);
  }
  // How many outputs an inject had; -1: refused.
  int Outputs(const std::string& id, int64_t n, const std::string& worker = "w") {
    const auto answer = Inject(worker, InjectOf(id, MakeEvent("In", n)));
    return answer.ok() ? answer->output_events_size() : -1;
  }
  std::string Name(const std::string& pipeline) const {
    return subjects_.Checkpoint(kGroup, pipeline, 0);
  }
  std::string Status(const std::string& worker = "w") {
    const auto ping = Ping(worker);
    return ping.pipelines_size() == 1 ? ping.pipelines(0).status() : "not one";
  }

  FakeBlobStore store_;
};

TEST_F(CheckpointTest, IsStoredAndTheCopyGoesOn) {
  StartWorker("w");
  const std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(3));
  EXPECT_EQ(Outputs(id, 1), 1);
  const auto answer = Checkpoint(Of(id, 3));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->pipeline_id(), id);
  EXPECT_EQ(answer->events_processed(), 1u);
  EXPECT_GT(answer->bytes(), 0u);
  EXPECT_TRUE(answer->stored());
  EXPECT_EQ(store_.Get(Name("p")).rank, 3u);
  EXPECT_EQ(Outputs(id, 2), 1);
  EXPECT_EQ(Status(), "running");
}

TEST_F(CheckpointTest, OfAnotherEpochOrAnUnknownCopyIsRefused) {
  StartWorker("w");
  const std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(3));
  EXPECT_EQ(CodeOf(Checkpoint(Of(id, 2, true))), "stale_epoch");
  EXPECT_EQ(CodeOf(Checkpoint(Of(id, 4))), "stale_epoch");
  EXPECT_EQ(CodeOf(Checkpoint(Of("nope", 3))), "pipeline_not_found");
  EXPECT_EQ(Status(), "running");
}

TEST_F(CheckpointTest, ACutCopyTakesNoMoreInput) {
  StartWorker("w");
  const std::string id = Deploy("w", DeployOf("p", kPlain).Epoch(3));
  Listener out(*bus_, Output("p"));
  for (int i = 0; i < 50; ++i) PublishEvent(Into("p"), MakeEvent("In", i));
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  const auto answer = Checkpoint(Of(id, 3, true));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->events_processed(), 50u);  // what was accepted before is in it
  EXPECT_EQ(Status(), "paused");
  EXPECT_EQ(CodeOf(Inject("w", InjectOf(id, MakeEvent("In")))), "worker_unavailable");
  PublishEvent(Into("p"), MakeEvent("In", 50));
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  const auto again = Checkpoint(Of(id, 3, true));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), answer->SerializeAsString());
  EXPECT_EQ(store_.saves.size(), 1u);
  EXPECT_EQ(out.events.size(), 50u);
  EXPECT_TRUE(Undeploy("w", id, 3).ok());
  EXPECT_EQ(Ping("w").pipelines_size(), 0);
}

TEST_F(CheckpointTest, ACutThatCannotBeStoredLetsTheCopyGoOn) {
  StartWorker("w");
  const std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(3));
  EXPECT_EQ(Outputs(id, 1), 1);
  store_.FailSaves(absl::ResourceExhaustedError("full"));
  EXPECT_FALSE(Checkpoint(Of(id, 3, true)).ok());
  EXPECT_EQ(Status(), "running");
  EXPECT_EQ(Outputs(id, 1), 0);
  store_.FailSaves(absl::OkStatus());
  EXPECT_TRUE(Checkpoint(Of(id, 3, true)).ok());
  EXPECT_EQ(Status(), "paused");
}

TEST_F(CheckpointTest, WithoutAStoreACutSaysSoAndHolds) {
  stores_.checkpoints = nullptr;
  StartWorker("w");
  const std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(3));
  const auto answer = Checkpoint(Of(id, 3, true));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->stored());
  EXPECT_EQ(Status(), "paused");
  EXPECT_NE(Deploy("w", DeployOf("q", kDistinct).Epoch(3).Restore()), "");  // afresh
}

TEST_F(CheckpointTest, ABriefPingTellsNoPipelines) {
  StartWorker("w");
  Deploy("w", DeployOf("p", kPlain));
  varpulis::v1::PingRequest request;
  request.set_leader_epoch(1);
  request.set_brief(true);
  const auto answer = Command<varpulis::v1::PingResponse>("w", "ping", request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->brief());
  EXPECT_EQ(answer->worker_id(), "w");
  EXPECT_FALSE(answer->incarnation().empty());
  EXPECT_EQ(answer->pipelines_size(), 0);
  EXPECT_FALSE(Ping("w").brief());
}

TEST_F(CheckpointTest, ASuccessorHereTakesTheStateOver) {
  StartWorker("w");
  std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(1));
  EXPECT_EQ(Outputs(id, 1), 1);
  ASSERT_TRUE(Checkpoint(Of(id, 1, true)).ok());
  id = Deploy("w", DeployOf("p", kDistinct).Epoch(2).Restore());
  EXPECT_EQ(Status(), "running");
  EXPECT_EQ(Outputs(id, 1), 0);
  EXPECT_EQ(Outputs(id, 2), 1);
  // Also of one that was not cut, and into another program as far as that fits.
  id = Deploy(
      "w",
      DeployOf("p", std::string(kDistinct) + "\nstream More = In .emit(m: n)").Epoch(3).Restore());
  EXPECT_EQ(Outputs(id, 2), 1);  // `More` alone
  EXPECT_EQ(store_.loads.size(), 0u);
  const auto answer = Checkpoint(Of(id, 3));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->events_processed(), 4u);  // counters go over
}

TEST_F(CheckpointTest, WithoutRestoreASuccessorBeginsAfresh) {
  StartWorker("w");
  std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(1));
  EXPECT_EQ(Outputs(id, 1), 1);
  id = Deploy("w", DeployOf("p", kDistinct).Epoch(2));
  EXPECT_EQ(Outputs(id, 1), 1);
}

TEST_F(CheckpointTest, ACopyElsewhereThatWentFurtherIsNotForgotten) {
  StartWorker("w");
  StartWorker("v");
  std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(1));
  EXPECT_EQ(Outputs(id, 1), 1);
  ASSERT_TRUE(Checkpoint(Of(id, 1, true)).ok());
  const std::string there = Deploy("v", DeployOf("p", kDistinct).Epoch(2).Restore());
  EXPECT_EQ(Outputs(there, 1, "v"), 0);
  EXPECT_EQ(Outputs(there, 2, "v"), 1);
  ASSERT_TRUE((Command<CheckpointPipelineResponse>("v", "checkpoint", Of(there, 2, true))).ok());
  id = Deploy("w", DeployOf("p", kDistinct).Epoch(3).Restore());
  EXPECT_EQ(Outputs(id, 2), 0);
  EXPECT_EQ(Outputs(id, 3), 1);
}

TEST_F(CheckpointTest, AMoveThatWasGivenUpComesBackHereWhileTheWorkerDrains) {
  StartWorker("w");
  std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(1));
  EXPECT_EQ(Outputs(id, 1), 1);
  ASSERT_TRUE(Checkpoint(Of(id, 1, true)).ok());
  varpulis::v1::DrainRequest drain;
  drain.set_leader_epoch(1);
  ASSERT_TRUE((Command<varpulis::v1::DrainResponse>("w", "drain", drain)).ok());
  id = Deploy("w", DeployOf("p", kDistinct).Epoch(3).Restore());
  EXPECT_EQ(Outputs(id, 1), 0);
}

TEST_F(CheckpointTest, ARestoreLoadsTheNewestCheckpointBeforeTheFirstInput) {
  StartWorker("w");
  StartWorker("v");
  const std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(1));
  EXPECT_EQ(Outputs(id, 1), 1);
  ASSERT_TRUE(Checkpoint(Of(id, 1)).ok());
  const std::string there = Deploy("v", DeployOf("p", kDistinct).Epoch(2).Restore());
  EXPECT_EQ(Outputs(there, 1, "v"), 0);
  EXPECT_EQ(Outputs(there, 2, "v"), 1);
  // The old copy may not store any more.
  ASSERT_TRUE((Command<CheckpointPipelineResponse>("v", "checkpoint", Of(there, 2))).ok());
  EXPECT_EQ(CodeOf(Checkpoint(Of(id, 1))), "stale_epoch");
}

TEST_F(CheckpointTest, ARestoreFailsWhileTheStoreDoesNotAnswer) {
  StartWorker("w");
  store_.FailLoads(absl::DeadlineExceededError("no answer"));
  const auto deploy = DeployOf("p", kDistinct).Epoch(2).Restore();
  EXPECT_EQ(CodeOf(TryDeploy("w", deploy)), "deploy_failed");
  EXPECT_EQ(Ping("w").pipelines_size(), 0);
  store_.FailLoads(absl::OkStatus());
  EXPECT_NE(Deploy("w", deploy), "");
}

TEST_F(CheckpointTest, DamageAndOtherProgramsBeginAfresh) {
  StartWorker("w");
  store_.FailLoads(absl::DataLossError("all damaged"));
  EXPECT_NE(Deploy("w", DeployOf("p", kDistinct).Epoch(2).Restore()), "");
  store_.FailLoads(absl::FailedPreconditionError("no JetStream"));
  EXPECT_NE(Deploy("w", DeployOf("q", kDistinct).Epoch(2).Restore()), "");
  store_.FailLoads(absl::OkStatus());
  store_.Put(Name("r"), {.data = "\xff garbage", .rank = 1, .encoding = 1});
  EXPECT_NE(Deploy("w", DeployOf("r", kDistinct).Epoch(2).Restore()), "");
  // One of a later build is kept for it.
  varpulis::checkpoint::v1::PipelineCheckpoint newer;
  newer.set_version(99);
  store_.Put(Name("s"), {.data = newer.SerializeAsString(), .rank = 1, .encoding = 1});
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("s", kDistinct).Epoch(2).Restore())), "deploy_failed");
}

TEST_F(CheckpointTest, AnUndeployForgetsWhenItIsTold) {
  StartWorker("w");
  const std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(1));
  ASSERT_TRUE(Checkpoint(Of(id, 1)).ok());
  varpulis::v1::UndeployPipelineRequest request;
  request.set_leader_epoch(1);
  request.set_group_id(kGroup);
  request.set_name("p");
  request.set_placement_epoch(1);
  request.set_forget(true);
  // Until they are gone it is not done, and told again.
  store_.FailForgets(absl::UnavailableError("the broker is away"));
  EXPECT_FALSE((Command<varpulis::v1::OkResponse>("w", "undeploy", request)).ok());
  store_.FailForgets(absl::OkStatus());
  EXPECT_TRUE((Command<varpulis::v1::OkResponse>("w", "undeploy", request)).ok());
  EXPECT_THAT(store_.forgotten.items(), ::testing::ElementsAre(Name("p"), Name("p")));
}

TEST_F(CheckpointTest, AtAnIntervalWhatHasChangedIsStored) {
  WorkerOptions options;
  options.checkpoint_interval = absl::Milliseconds(20);
  StartWorker("w", options);
  const std::string idle = Deploy("w", DeployOf("idle", kDistinct));
  const std::string id = Deploy("w", DeployOf("p", kDistinct));
  ASSERT_NE(idle, "");
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(Outputs(id, int64_t(i)), 1);
    ASSERT_TRUE(store_.saves.WaitForSize(i));
  }
  for (const std::string& name : store_.saves.items()) EXPECT_EQ(name, Name("p"));
}

TEST_F(CheckpointTest, TheLastStateIsStoredWhenTheWorkerStops) {
  Worker& worker = StartWorker("w");
  Deploy("w", DeployOf("idle", kDistinct));
  const std::string id = Deploy("w", DeployOf("p", kDistinct).Epoch(1));
  EXPECT_EQ(Outputs(id, 1), 1);
  worker.Stop(kPatience);
  EXPECT_THAT(store_.saves.items(), ::testing::ElementsAre(Name("p")));
  StartWorker("v");
  const std::string there = Deploy("v", DeployOf("p", kDistinct).Epoch(2).Restore());
  EXPECT_EQ(Outputs(there, 1, "v"), 0);
}

}  // namespace
}  // namespace varpulis::worker
