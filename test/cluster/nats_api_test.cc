// The same cluster through plain NATS requests, in protobuf and in JSON.

#include <future>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/cluster.pb.h"

#include "base/mutex.h"
#include "test/cluster/harness/cluster.h"
#include "transport/rpc.h"

namespace varpulis::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using transport::CallAndWait;

class NatsApiTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.Start()); }

  // A request as `nats req SUBJECT BODY` sends it.
  transport::InboundMessage Ask(const std::string& subject, const std::string& body) {
    std::promise<absl::StatusOr<transport::InboundMessage>> answered;
    cluster_.bus().Request({.subject = subject, .payload = body}, absl::Seconds(10),
                           [&](absl::StatusOr<transport::InboundMessage> reply) {
                             answered.set_value(std::move(reply));
                           });
    absl::StatusOr<transport::InboundMessage> reply = answered.get_future().get();
    EXPECT_TRUE(reply.ok()) << reply.status();
    return *std::move(reply);
  }
  std::string Api(const char* resource, const char* verb) {
    return cluster_.subjects().Api(resource, verb);
  }

  Cluster cluster_;
};

v1::DeployGroupRequest TwoPipelines() {
  v1::DeployGroupRequest request;
  request.set_name("over-nats");
  for (const char* name : {"a", "b"}) {
    v1::PipelineSpec* pipeline = request.add_pipelines();
    pipeline->set_name(name);
    pipeline->set_source(absl::StrCat("stream Out", name, " = In", name, " .emit(twice: x * 2)"));
    pipeline->set_replicas(1);
    v1::RouteSpec* route = request.add_routes();
    route->set_from_pipeline("_external");
    route->set_to_pipeline(name);
    route->add_event_types(absl::StrCat("In", name));
  }
  return request;
}

TEST_F(NatsApiTest, ProtobufRequestsDoAllThatHttpDoes) {
  transport::Bus& bus = cluster_.bus();
  const auto workers =
      CallAndWait<v1::ListWorkersResponse>(bus, Api("workers", "list"), v1::ListRequest());
  ASSERT_TRUE(workers.ok()) << workers.status();
  EXPECT_EQ(workers->total(), 2u);

  const auto group = CallAndWait<v1::GroupInfo>(bus, Api("groups", "deploy"), TwoPipelines());
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(group->status(), v1::GROUP_STATUS_RUNNING);
  ASSERT_EQ(group->placements_size(), 2);
  EXPECT_NE(group->placements(0).worker_id(), group->placements(1).worker_id());

  v1::InjectRequest inject;
  inject.set_event_type("Inb");
  v1::Field* field = inject.add_fields();
  field->set_name("x");
  field->mutable_value()->set_int_value(21);
  const auto injected =
      CallAndWait<v1::InjectResponse>(bus, cluster_.subjects().Inject(group->id()), inject);
  ASSERT_TRUE(injected.ok()) << injected.status();
  EXPECT_EQ(injected->routed_to(), "b");
  ASSERT_EQ(injected->worker_response().output_events_size(), 1);
  EXPECT_EQ(injected->worker_response().output_events(0).fields(0).value().int_value(), 42);

  v1::InjectBatchRequest batch;
  batch.set_events_text("Ina { x: 1 }\nInb { x: 2.5 }\nIna(7)\n");
  const auto batched = CallAndWait<v1::InjectBatchResponse>(
      bus, cluster_.subjects().InjectBatch(group->id()), batch);
  ASSERT_TRUE(batched.ok()) << batched.status();
  EXPECT_EQ(batched->events_sent(), 3u);
  EXPECT_EQ(batched->events_failed(), 0u);
  EXPECT_EQ(batched->output_count(), 3u);

  const auto topology = CallAndWait<v1::TopologyResponse>(bus, Api("topology", "get"), v1::Empty());
  ASSERT_TRUE(topology.ok());
  EXPECT_EQ(topology->groups_size(), 1);
  const auto health =
      CallAndWait<v1::ClusterHealthResponse>(bus, Api("cluster", "health"), v1::Empty());
  ASSERT_TRUE(health.ok());
  EXPECT_EQ(health->status(), "healthy");
  EXPECT_TRUE(health->durable());
  const auto transport =
      CallAndWait<v1::TransportResponse>(bus, Api("cluster", "transport"), v1::Empty());
  ASSERT_TRUE(transport.ok());
  EXPECT_THAT(transport->urls(), ElementsAre(cluster_.broker().url()));

  const auto raft = CallAndWait<v1::RaftResponse>(bus, Api("cluster", "raft"), v1::Empty());
  ASSERT_TRUE(raft.ok()) << raft.status();
  EXPECT_TRUE(raft->enabled());
  EXPECT_GT(raft->term(), 0u);
  EXPECT_GT(raft->commit_index(), raft->term()) << "a group has been stored since the barrier";
  ASSERT_EQ(raft->nodes_size(), 1);
  EXPECT_EQ(raft->nodes(0).role(), "leader");
  EXPECT_TRUE(raft->nodes(0).is_current());
  EXPECT_EQ(raft->nodes(0).id(), raft->leader_id());
  EXPECT_EQ(raft->this_node_id(), raft->leader_id());
  EXPECT_EQ(raft->nodes(0).address(),
            absl::StrCat("http://localhost:", cluster_.coordinator().http_port()));

  v1::GroupRequest by_id;
  by_id.set_group_id(group->id());
  ASSERT_TRUE(CallAndWait<v1::GroupInfo>(bus, Api("groups", "get"), by_id).ok());
  const auto deleted = CallAndWait<v1::DeleteGroupResponse>(bus, Api("groups", "delete"), by_id);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_TRUE(deleted->torn_down());
  EXPECT_TRUE(
      absl::IsNotFound(CallAndWait<v1::GroupInfo>(bus, Api("groups", "get"), by_id).status()));
}

TEST_F(NatsApiTest, JsonIsAnsweredInTheJsonOfTheHttpApi) {
  const transport::InboundMessage workers = Ask(Api("workers", "list"), "{}");
  EXPECT_EQ(workers.payload(), cluster_.Get("/workers").body);
  EXPECT_EQ(workers.Header("Content-Type"), "application/json");

  const transport::InboundMessage refused = Ask(Api("groups", "get"), R"({"group_id": "nobody"})");
  EXPECT_EQ(refused.Header("Nats-Service-Error-Code"), "404");
  EXPECT_THAT(std::string(refused.payload()), HasSubstr("\"code\":\"group_not_found\""));

  const transport::InboundMessage typo = Ask(Api("groups", "deploy"), R"({"nome": "x"})");
  EXPECT_EQ(typo.Header("Nats-Service-Error-Code"), "400");
  EXPECT_THAT(std::string(typo.payload()), HasSubstr("nome"));
}

TEST_F(NatsApiTest, CoordinatorAndWorkersAnswerTheServicesProtocol) {
  std::set<std::string> names;
  Mutex mutex;
  auto inbox =
      cluster_.bus().Subscribe({.subject = "test.inbox"}, [&](transport::InboundMessage reply) {
        MutexLock lock(mutex);
        for (const char* name : {"varpulis-coordinator", "varpulis-worker"}) {
          if (absl::StrContains(reply.payload(), absl::StrCat("\"name\":\"", name, "\"")))
            names.insert(name);
        }
      });
  ASSERT_TRUE(inbox.ok());
  ASSERT_TRUE(cluster_.bus().Flush(absl::Seconds(5)).ok());
  ASSERT_TRUE(cluster_.bus().Publish({.subject = "$SRV.PING", .reply_to = "test.inbox"}).ok());
  EXPECT_TRUE(WaitUntil([&] {
    MutexLock lock(mutex);
    return names.size() == 2;
  }));
}

TEST_F(NatsApiTest, ADeployRepeatedWithItsRequestIdIsDoneOnce) {
  const transport::CallOptions options = {.request_id = "deploy-1"};
  const auto first =
      CallAndWait<v1::GroupInfo>(cluster_.bus(), Api("groups", "deploy"), TwoPipelines(), options);
  const auto second =
      CallAndWait<v1::GroupInfo>(cluster_.bus(), Api("groups", "deploy"), TwoPipelines(), options);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ(first->id(), second->id());
  EXPECT_EQ(cluster_.Get("/pipeline-groups").At("/total"), "1");
}

}  // namespace
}  // namespace varpulis::testing
