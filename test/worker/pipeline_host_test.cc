#include "worker/pipeline_host.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/worker/cluster_fixture.h"
#include "test/worker/switched_bus.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::DeployPipelineResponse;

constexpr char kCopy[] = "stream Out = In .emit(n: n)";

class PipelineHostTest : public ::testing::Test {
 protected:
  std::string Deploy(const DeployOf& deploy) {
    Recorder<absl::StatusOr<DeployPipelineResponse>> answers;
    host_.Deploy(deploy.request(), [&](auto answer) { answers.Add(std::move(answer)); });
    EXPECT_TRUE(answers.WaitForSize(1));
    const auto answer = answers.items()[0];
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->id() : "";
  }
  void Block(const std::string& id, Gate gate) {
    Gate reached;
    const auto hosted = host_.Find(PipelineId(id));
    ASSERT_NE(hosted, nullptr);
    hosted->runner->Post([reached, gate](PipelineRunner::EnginePtr&) mutable {
      reached.Open();
      gate.Wait();
    });
    ASSERT_TRUE(reached.WaitFor(kPatience));
  }
  static varpulis::v1::UndeployPipelineRequest UndeployOf(const std::string& id) {
    varpulis::v1::UndeployPipelineRequest request;
    request.set_pipeline_id(id);
    request.set_placement_epoch(1);
    return request;
  }

  std::unique_ptr<transport::Bus> bus_ = transport::NewLocalBus();
  SwitchedBus cluster_{*bus_};
  PipelineHost host_{{.subjects = transport::Subjects(), .now = [] { return int64_t{1}; }},
                     {.cluster = &cluster_, .local = *bus_}};
};

TEST_F(PipelineHostTest, AnEndingPipelineHoldsUpOnlyItsOwnPlacement) {
  const std::string slow = Deploy(DeployOf("slow", kCopy).Epoch(1));
  Gate gate;
  Block(slow, gate);
  Recorder<std::string> done;
  host_.Undeploy(UndeployOf(slow), [&](auto) { done.Add("undeployed"); });
  host_.Undeploy(UndeployOf(slow), [&](auto) { done.Add("undeployed again"); });
  host_.Deploy(DeployOf("slow", kCopy).Epoch(2).request(), [&](auto) { done.Add("redeployed"); });
  EXPECT_NE(Deploy(DeployOf("other", kCopy)), "");
  EXPECT_EQ(done.size(), 0u);
  gate.Open();
  ASSERT_TRUE(done.WaitForSize(3));
  EXPECT_EQ(done.items()[0], "undeployed");
  EXPECT_EQ(host_.size(), 2u);
}

TEST_F(PipelineHostTest, WhenProcessedWaitsForWhatWasAccepted) {
  const std::string id = Deploy(DeployOf("p", kCopy));
  Gate gate;
  Block(id, gate);
  Recorder<bool> done;
  host_.WhenProcessed(kPatience, [&](bool processed) { done.Add(processed); });
  EXPECT_EQ(done.size(), 0u);
  gate.Open();
  ASSERT_TRUE(done.WaitForSize(1));
  EXPECT_TRUE(done.items()[0]);
}

TEST_F(PipelineHostTest, WhenProcessedGivesUpInTime) {
  const std::string id = Deploy(DeployOf("p", kCopy));
  Gate gate;
  Block(id, gate);
  Recorder<bool> done;  // called once: nothing comes after the test
  host_.WhenProcessed(absl::Milliseconds(5), [&](bool processed) { done.Add(processed); });
  ASSERT_TRUE(done.WaitForSize(1));
  EXPECT_FALSE(done.items()[0]);
  gate.Open();
}

TEST_F(PipelineHostTest, WhenProcessedWithoutPipelinesIsImmediate) {
  Recorder<bool> done;
  host_.WhenProcessed(kPatience, [&](bool processed) { done.Add(processed); });
  EXPECT_EQ(done.size(), 1u);
}

TEST_F(PipelineHostTest, StopAllAbandonsWhatDoesNotFinishInTime) {
  const std::string id = Deploy(DeployOf("p", kCopy));
  Gate gate;
  Block(id, gate);
  const auto hosted = host_.Find(PipelineId(id));
  varpulis::v1::Event event = MakeEvent("In");
  event.set_timestamp_ns(1);
  Recorder<std::string> codes;
  hosted->runner->Inject(event, "", [&](auto answer) {
    codes.Add(CodeOf(answer));
    gate.Open();  // refused while the thread still waits
  });
  host_.StopAll(absl::Milliseconds(5));
  ASSERT_TRUE(codes.WaitForSize(1));
  EXPECT_EQ(codes.items()[0], "worker_unavailable");
  EXPECT_EQ(host_.size(), 0u);
}

TEST_F(PipelineHostTest, ADeployThatCannotSubscribeFailsAndLeavesNothing) {
  cluster_.Set(false);
  Recorder<std::string> codes;
  host_.Deploy(DeployOf("p", kCopy).request(), [&](auto answer) { codes.Add(CodeOf(answer)); });
  ASSERT_TRUE(codes.WaitForSize(1));
  EXPECT_EQ(codes.items()[0], "worker_unavailable");
  EXPECT_EQ(host_.size(), 0u);
  cluster_.Set(true);
  EXPECT_NE(Deploy(DeployOf("p", kCopy)), "");
}

TEST_F(PipelineHostTest, CountsWhatTheDataPlaneDrops) {
  Deploy(DeployOf("p", kCopy));
  const std::string subject = transport::Subjects().Pipeline(kGroup, transport::kExternal, "p");
  varpulis::v1::EventBatch looped;
  *looped.add_events() = MakeEvent("In");
  *looped.add_events() = MakeEvent("In");
  looped.set_hops(16);
  ASSERT_TRUE(bus_->Publish({.subject = subject,
                             .payload = looped.SerializeAsString(),
                             .headers = {},
                             .reply_to = ""})
                  .ok());
  ASSERT_TRUE(
      bus_->Publish({.subject = subject, .payload = "{oops", .headers = {}, .reply_to = ""}).ok());
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  ASSERT_EQ(host_.Metrics().size(), 1u);
  EXPECT_EQ(host_.Metrics()[0].events_dropped(), 3u);
  EXPECT_EQ(host_.Metrics()[0].events_in(), 0u);
}

}  // namespace
}  // namespace varpulis::worker
