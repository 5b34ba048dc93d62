// The commands of a coordinator, over a bus.
#include <set>

#include "absl/strings/str_cat.h"

#include "test/worker/cluster_fixture.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::OkResponse;
using varpulis::v1::UndeployPipelineRequest;
using varpulis::v1::WorkerInjectBatchRequest;
using varpulis::v1::WorkerInjectBatchResponse;

constexpr char kCopy[] = "stream Out = In .emit(n: n)";

class CommandTest : public ClusterTest {
 protected:
  CommandTest() { StartWorker("w"); }
};

TEST_F(CommandTest, DeployAnswersWithAnIdAndRuns) {
  const auto response = TryDeploy("w", DeployOf("p", kCopy).Epoch(3));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->name(), "p");
  EXPECT_EQ(response->status(), "running");
  const auto ping = Ping("w");
  ASSERT_EQ(ping.pipelines_size(), 1);
  EXPECT_EQ(ping.pipelines(0).pipeline_id(), response->id());
  EXPECT_EQ(ping.pipelines(0).placement_epoch(), 3u);
  EXPECT_FALSE(ping.incarnation().empty());
}

TEST_F(CommandTest, DeployIsIdempotentPerPlacementEpoch) {
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(3));
  EXPECT_EQ(Deploy("w", DeployOf("p", kCopy).Epoch(3)), id);
  EXPECT_EQ(Ping("w").pipelines_size(), 1);
}

TEST_F(CommandTest, AHigherPlacementEpochReplacesAndALowerOneIsRefused) {
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(3));
  const std::string newer = Deploy("w", DeployOf("p", kCopy).Epoch(4));
  EXPECT_NE(newer, id);
  const auto ping = Ping("w");
  ASSERT_EQ(ping.pipelines_size(), 1);
  EXPECT_EQ(ping.pipelines(0).pipeline_id(), newer);
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("p", kCopy).Epoch(3))), "stale_epoch");
  EXPECT_EQ(CodeOf(Inject("w", InjectOf(id, MakeEvent("In")))), "pipeline_not_found");
}

TEST_F(CommandTest, RemembersTheEpochOfARemovedCopy) {
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(3));
  EXPECT_TRUE(Undeploy("w", id, 3).ok());
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("p", kCopy).Epoch(2))), "stale_epoch");
  EXPECT_NE(Deploy("w", DeployOf("p", kCopy).Epoch(4)), "");
}

TEST_F(CommandTest, PlacementsDifferByGroupNameAndReplica) {
  std::set<std::string> ids;
  ids.insert(Deploy("w", DeployOf("p", kCopy)));
  ids.insert(Deploy("w", DeployOf("q", kCopy)));
  ids.insert(Deploy("w", DeployOf("r", kCopy).Replica(0, 2)));
  ids.insert(Deploy("w", DeployOf("r", kCopy).Replica(1, 2)));
  varpulis::v1::DeployPipelineRequest other = DeployOf("p", kCopy).request();
  other.set_group_id("other-group");
  const auto response = Command<varpulis::v1::DeployPipelineResponse>("w", "deploy", other);
  ASSERT_TRUE(response.ok());
  ids.insert(response->id());
  EXPECT_EQ(ids.size(), 5u);
}

TEST_F(CommandTest, ALeaderOfThePastIsRefusedByEveryCommand) {
  const std::string id = Deploy("w", DeployOf("p", kCopy).Leader(5));
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("q", kCopy).Leader(4))), "stale_epoch");
  EXPECT_EQ(transport::ErrorCode(Undeploy("w", id)), "stale_epoch");
  EXPECT_EQ(CodeOf(Inject("w", InjectOf(id, MakeEvent("In")))), "stale_epoch");
  varpulis::v1::PingRequest ping;
  ping.set_leader_epoch(7);
  EXPECT_TRUE((Command<varpulis::v1::PingResponse>("w", "ping", ping)).ok());
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("q", kCopy).Leader(6))), "stale_epoch");
  EXPECT_NE(Deploy("w", DeployOf("q", kCopy).Leader(7)), "");
}

TEST_F(CommandTest, DeployRefusesBadRequests) {
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("bad name", kCopy))), "invalid_request");
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("_external", kCopy))), "invalid_request");
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("p", kCopy).Replica(2, 2))), "invalid_request");
  const auto broken = TryDeploy("w", DeployOf("p", "stream = = ="));
  EXPECT_EQ(CodeOf(broken), "parse_error");
  EXPECT_FALSE(broken.status().message().empty());
  EXPECT_EQ(Ping("w").pipelines_size(), 0);
}

TEST_F(CommandTest, ABrokenSourceLeavesTheRunningCopyAlone) {
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(1));
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("p", "stream = = =").Epoch(2))), "parse_error");
  EXPECT_TRUE(Inject("w", InjectOf(id, MakeEvent("In"))).ok());
}

TEST_F(CommandTest, RespectsMaxPipelines) {
  WorkerOptions options;
  options.max_pipelines = 2;
  StartWorker("small", options);
  Deploy("small", DeployOf("a", kCopy).Epoch(1));
  const std::string id = Deploy("small", DeployOf("b", kCopy).Epoch(1));
  EXPECT_EQ(CodeOf(TryDeploy("small", DeployOf("c", kCopy))), "quota_exceeded");
  EXPECT_NE(Deploy("small", DeployOf("a", kCopy).Epoch(2)), "");  // replacing needs no room
  EXPECT_TRUE(Undeploy("small", id).ok());
  EXPECT_NE(Deploy("small", DeployOf("c", kCopy)), "");
}

TEST_F(CommandTest, UndeployByIdOrByPlacementAndOfTheUnknown) {
  const std::string a = Deploy("w", DeployOf("a", kCopy).Epoch(2));
  Deploy("w", DeployOf("b", kCopy).Epoch(2));
  EXPECT_TRUE(Undeploy("w", a, 2).ok());
  EXPECT_TRUE(Undeploy("w", a, 2).ok());
  UndeployPipelineRequest by_name;
  by_name.set_leader_epoch(1);
  by_name.set_group_id(kGroup);
  by_name.set_name("b");
  by_name.set_placement_epoch(1);
  EXPECT_TRUE((Command<OkResponse>("w", "undeploy", by_name)).ok());
  EXPECT_EQ(Ping("w").pipelines_size(), 1);  // a higher epoch stays
  by_name.set_placement_epoch(2);
  EXPECT_TRUE((Command<OkResponse>("w", "undeploy", by_name)).ok());
  EXPECT_EQ(Ping("w").pipelines_size(), 0);
}

TEST_F(CommandTest, InjectChecksItsTarget) {
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(3));
  EXPECT_EQ(CodeOf(Inject("w", InjectOf("nope", MakeEvent("In")))), "pipeline_not_found");
  EXPECT_EQ(CodeOf(Inject("w", InjectOf(id, MakeEvent("")))), "invalid_request");
  auto request = InjectOf(id, MakeEvent("In", 5));
  request.set_placement_epoch(2);
  EXPECT_EQ(CodeOf(Inject("w", request)), "stale_epoch");
  request.set_placement_epoch(3);
  const auto response = Inject("w", request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->accepted());
  ASSERT_EQ(response->output_events_size(), 1);
  EXPECT_EQ(IntField(response->output_events(0), "n"), 5);
  EXPECT_GT(response->output_events(0).timestamp_ns(), 0);  // stamped on entry
}

TEST_F(CommandTest, InjectKeepsAGivenTimestampAndIsIdempotentById) {
  const std::string id = Deploy("w", DeployOf("p", kCopy));
  auto request = InjectOf(id, MakeEvent("In", 5));
  request.mutable_event()->set_timestamp_ns(1234);
  request.set_event_id("once");
  const auto first = Inject("w", request);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->output_events(0).timestamp_ns(), 1234);
  const auto second = Inject("w", request);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->SerializeAsString(), first->SerializeAsString());
  Listener out(*bus_, Output("p"));
  ASSERT_TRUE(Inject("w", request).ok());
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  EXPECT_EQ(out.events.size(), 0u);
}

TEST_F(CommandTest, InjectBatchSaysWhichEventsItRejected) {
  const std::string id = Deploy("w", DeployOf("p", kCopy));
  WorkerInjectBatchRequest request;
  request.set_leader_epoch(1);
  request.set_pipeline_id(id);
  *request.add_events() = MakeEvent("In", 0);
  *request.add_events() = MakeEvent("", 1);
  *request.add_events() = MakeEvent("In", 2);
  auto* wide = request.add_events();
  *wide = MakeEvent("In", 3);
  for (int i = 0; i < 2000; ++i) wide->add_fields()->set_name(absl::StrCat("f", i));
  *request.add_events() = MakeEvent("", 4);
  const auto response = Command<WorkerInjectBatchResponse>("w", "inject_batch", request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->accepted(), 2u);
  ASSERT_EQ(response->rejected_size(), 3);
  EXPECT_EQ(response->rejected(0).index(), 1u);
  EXPECT_EQ(response->rejected(1).index(), 3u);
  EXPECT_EQ(response->rejected(2).index(), 4u);
  EXPECT_EQ(response->rejected(1).code(), "invalid_request");
  EXPECT_EQ(response->output_events_size(), 2);
  EXPECT_EQ(response->output_count(), 2u);
  EXPECT_FALSE(response->truncated());
}

TEST_F(CommandTest, LargeBatchesAnswerWithAThousandOutputs) {
  const std::string id = Deploy("w", DeployOf("p", kCopy));
  WorkerInjectBatchRequest request;
  request.set_leader_epoch(1);
  request.set_pipeline_id(id);
  for (int i = 0; i < 5000; ++i) *request.add_events() = MakeEvent("In", i);
  const auto response = Command<WorkerInjectBatchResponse>("w", "inject_batch", request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->accepted(), 5000u);
  EXPECT_EQ(response->output_events_size(), 1000);
  EXPECT_EQ(response->output_count(), 5000u);
  EXPECT_TRUE(response->truncated());
}

TEST_F(CommandTest, DrainFinishesWorkAndRefusesDeploys) {
  const std::string id = Deploy("w", DeployOf("p", kCopy));
  Listener out(*bus_, Output("p"));
  for (int i = 0; i < 50; ++i) PublishEvent(Into("p"), MakeEvent("In", i));
  varpulis::v1::DrainRequest request;
  request.set_leader_epoch(1);
  const auto response = Command<varpulis::v1::DrainResponse>("w", "drain", request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->ok());
  EXPECT_EQ(response->pipelines_running(), 1u);
  EXPECT_TRUE(out.events.WaitForSize(50));
  EXPECT_EQ(CodeOf(TryDeploy("w", DeployOf("q", kCopy))), "worker_draining");
  EXPECT_TRUE(Ping("w").draining());
  EXPECT_TRUE(Inject("w", InjectOf(id, MakeEvent("In"))).ok());  // it runs until it is moved
}

TEST_F(CommandTest, APausedDeployIsResumedByTheSameDeployWithoutIt) {
  Deploy("w", DeployOf("p", kCopy).Epoch(1).Paused());
  EXPECT_EQ(Ping("w").pipelines(0).status(), "paused");
  Listener out(*bus_, Output("p"));
  PublishEvent(Into("p"), MakeEvent("In", 1));
  Deploy("w", DeployOf("p", kCopy).Epoch(1));
  EXPECT_TRUE(out.events.WaitForSize(1));
  EXPECT_EQ(Ping("w").pipelines(0).status(), "running");
}

TEST_F(CommandTest, CommandsAnswerInJsonToo) {
  const std::string id = Deploy("w", DeployOf("p", kCopy));
  Recorder<std::string> replies;
  bus_->Request(
      {.subject = subjects_.Command("w", "inject"),
       .payload = absl::StrCat(R"({"leader_epoch": 1, "pipeline_id": ")", id,
                               R"(", "event": {"event_type": "In", "fields": {"n": 8}}})"),
       .headers = {},
       .reply_to = ""},
      kPatience, [&](absl::StatusOr<transport::InboundMessage> reply) {
        replies.Add(reply.ok() ? std::string(reply->payload())
                               : std::string(reply.status().message()));
      });
  ASSERT_TRUE(replies.WaitForSize(1));
  EXPECT_THAT(replies.items()[0], ::testing::HasSubstr(R"("accepted":true)"));
  EXPECT_THAT(replies.items()[0], ::testing::HasSubstr(R"("n":8)"));
}

}  // namespace
}  // namespace varpulis::worker
