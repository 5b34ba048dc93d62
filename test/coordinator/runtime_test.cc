#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "coordinator/coordinator.h"
#include "fake_worker.h"
#include "scripted_log.h"
#include "test/support/wait.h"
#include "transport/error_reply.h"
#include "transport/json_codec.h"
#include "transport/local_bus.h"
#include "transport/rpc.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using varpulis::testing::WaitUntil;

// A coordinator over the bus of one process, with workers by script.
class RuntimeTest : public ::testing::Test {
 protected:
  std::unique_ptr<Coordinator> StartCoordinator(const std::string& id = "c1") {
    CoordinatorOptions options;
    options.id = id;
    options.version = "1.0.0";
    options.command_timeout = command_timeout_;
    options.ping_timeout = absl::Milliseconds(50);
    options.retry_backoff = absl::Milliseconds(50);
    options.strict_routing = strict_;
    options.advertised_urls = {"nats://localhost:4222"};
    auto coordinator = Coordinator::Start(options, {.bus = *bus_,
                                                    .open_log = [this] { return store_.NewLog(); },
                                                    .on_stood_down =
                                                        [this](absl::Status why) {
                                                          MutexLock lock(mutex_);
                                                          stood_down_ = std::move(why);
                                                        }});
    EXPECT_TRUE(coordinator.ok()) << coordinator.status();
    return coordinator.ok() ? *std::move(coordinator) : nullptr;
  }

  template <typename Reply>
  absl::StatusOr<Reply> Call(const std::string& subject, const google::protobuf::Message& request,
                             const std::string& request_id = "") {
    return transport::CallAndWait<Reply>(*bus_, subject, request,
                                         {.timeout = call_timeout_, .request_id = request_id});
  }
  absl::StatusOr<v1::GroupInfo> Deploy(const std::string& request_id = "") {
    v1::DeployGroupRequest request;
    request.set_name("app");
    for (const char* name : {"a", "b"}) {
      v1::PipelineSpec& spec = *request.add_pipelines();
      spec.set_name(name);
      spec.set_source("stream S = E");
      v1::RouteSpec& route = *request.add_routes();
      route.set_from_pipeline("_external");
      route.set_to_pipeline(name);
      route.add_event_types(absl::StrCat(name, "*"));
    }
    return Call<v1::GroupInfo>(subjects_.Api("groups", "deploy"), request, request_id);
  }
  absl::StatusOr<v1::InjectResponse> Inject(const std::string& group, const std::string& type,
                                            const std::string& event_id = "e1",
                                            const std::string& request_id = "") {
    v1::InjectRequest request;
    request.set_event_type(type);
    if (!event_id.empty()) request.set_event_id(event_id);
    return Call<v1::InjectResponse>(subjects_.Inject(group), request, request_id);
  }
  absl::StatusOr<v1::InjectBatchResponse> InjectBatch(const std::string& group,
                                                      const std::string& text) {
    v1::InjectBatchRequest request;
    request.set_events_text(text);
    return Call<v1::InjectBatchResponse>(subjects_.InjectBatch(group), request);
  }
  absl::StatusOr<v1::GroupInfo> Get(const std::string& group) {
    v1::GroupRequest request;
    request.set_group_id(group);
    return Call<v1::GroupInfo>(subjects_.Api("groups", "get"), request);
  }
  absl::StatusOr<v1::DeleteGroupResponse> Delete(const std::string& group,
                                                 const std::string& request_id = "") {
    v1::GroupRequest request;
    request.set_group_id(group);
    return Call<v1::DeleteGroupResponse>(subjects_.Api("groups", "delete"), request, request_id);
  }
  absl::StatusOr<v1::DeleteWorkerResponse> DeleteWorker(const std::string& worker,
                                                        const std::string& request_id = "") {
    v1::WorkerRequest request;
    request.set_worker_id(worker);
    return Call<v1::DeleteWorkerResponse>(subjects_.Api("workers", "delete"), request, request_id);
  }
  std::optional<absl::Status> stood_down() {
    MutexLock lock(mutex_);
    return stood_down_;
  }
  template <typename T>
  static std::string CodeOf(const absl::StatusOr<T>& result) {
    return result.ok() ? "OK" : transport::ErrorCode(result.status());
  }

  const transport::Subjects subjects_;
  std::unique_ptr<transport::Bus> bus_ = transport::NewLocalBus();
  ScriptedStore store_;
  bool strict_ = false;
  absl::Duration command_timeout_ = absl::Milliseconds(400);
  absl::Duration call_timeout_ = absl::Seconds(5);
  Mutex mutex_;
  std::optional<absl::Status> stood_down_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(RuntimeTest, WithoutALeaseThereIsNoRaftToShow) {
  const auto coordinator = StartCoordinator();
  const auto raft = Call<v1::RaftResponse>(subjects_.Api("cluster", "raft"), v1::Empty());
  ASSERT_TRUE(raft.ok()) << raft.status();
  EXPECT_EQ(transport::ToJson(*raft),
            R"({"enabled":false,"this_node_id":0,"leader_id":null,"term":0,"commit_index":0,)"
            R"("nodes":[]})");
}

TEST_F(RuntimeTest, DeploysInjectsAndDeletes) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  FakeWorker w1(*bus_, "w1", "i1");
  ASSERT_EQ(w0.Register()->leader_epoch(), coordinator->leader_epoch());
  ASSERT_TRUE(w1.Register().ok());

  const auto group = Deploy();
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(group->status(), v1::GROUP_STATUS_RUNNING);
  EXPECT_EQ(group->placements(0).worker_id(), "w0");
  EXPECT_EQ(group->placements(1).worker_id(), "w1");
  EXPECT_TRUE(store_.Has(absl::StrCat("group.", group->id())));

  const auto injected = Inject(group->id(), "b1");
  ASSERT_TRUE(injected.ok()) << injected.status();
  EXPECT_EQ(injected->routed_to(), "b");
  EXPECT_EQ(injected->worker_id(), "w1");
  EXPECT_FALSE(injected->has_matched());
  EXPECT_EQ(injected->worker_response().output_events(0).event_type(), "b1");
  ASSERT_THAT(w1.injected(), SizeIs(1));
  EXPECT_EQ(w1.injected()[0].pipeline_id(), group->placements(1).pipeline_id());
  EXPECT_EQ(w1.injected()[0].event_id(), "e1");

  const auto unmatched = Inject(group->id(), "x");
  ASSERT_TRUE(unmatched.ok());
  EXPECT_EQ(unmatched->routed_to(), "a");
  EXPECT_TRUE(unmatched->has_matched() && !unmatched->matched());

  const auto deleted = Delete(group->id());
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_TRUE(deleted->torn_down());
  EXPECT_THAT(deleted->pending(), IsEmpty());
  EXPECT_THAT(w0.Copies(), IsEmpty());
  EXPECT_EQ(CodeOf(Get(group->id())), "group_not_found");
  EXPECT_EQ(CodeOf(Inject(group->id(), "a")), "group_not_found");
  EXPECT_FALSE(store_.Has(absl::StrCat("group.", group->id())));
}

TEST_F(RuntimeTest, InjectsABatchToItsTargets) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  FakeWorker w1(*bus_, "w1", "i1");
  ASSERT_TRUE(w0.Register().ok() && w1.Register().ok());
  const auto group = Deploy();
  ASSERT_TRUE(group.ok());
  v1::InjectBatchRequest request;
  request.set_events_text("a1 { x: 1 }\nb1 { x: 2 }\n\na2 { x: 3 }\n");
  const auto result = Call<v1::InjectBatchResponse>(subjects_.InjectBatch(group->id()), request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->events_sent(), 3u);
  EXPECT_EQ(result->events_failed(), 0u);
  EXPECT_EQ(result->output_count(), 3u);
  EXPECT_FALSE(result->truncated());

  request.set_events_text("a1 { x: 1 }\nb1 { x: \n");
  const auto bad = Call<v1::InjectBatchResponse>(subjects_.InjectBatch(group->id()), request);
  EXPECT_EQ(CodeOf(bad), "invalid_request");
  EXPECT_THAT(bad.status().message(), HasSubstr("2"));

  std::string many;
  for (int i = 0; i < 1500; ++i) absl::StrAppend(&many, "a { x: ", i, " }\n");
  request.set_events_text(many);
  const auto cut = Call<v1::InjectBatchResponse>(subjects_.InjectBatch(group->id()), request);
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(cut->output_events_size(), 1000);
  EXPECT_EQ(cut->output_count(), 1500u);
  EXPECT_TRUE(cut->truncated());
}

TEST_F(RuntimeTest, EventTimeIsArrivalTimeWhateverOffsetsABatchNames) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const auto group = Deploy();
  ASSERT_TRUE(group.ok());
  const auto sent =
      InjectBatch(group->id(),
                  "# comment\n  BATCH 5000\r\n\na { x: 1 }\n// comment\n@10s a { x: 2 }\n"
                  "{\"event_type\":\"a\",\"data\":{\"x\":3}}\n"
                  "@1ms {\"event_type\":\"a\",\"x\":4}\n"
                  "@1 {\"event_type\":\"a\",\"x\":5,\"timestamp\":7}\n"
                  "{\"event_type\":\"a\",\"x\":6,\"timestamp\":\"2026-01-01T00:00:00Z\"}");
  ASSERT_TRUE(sent.ok()) << sent.status();
  EXPECT_EQ(sent->events_sent(), 6u);
  std::vector<int64_t> times;
  for (const v1::Event& event : w0.batched()) {
    times.push_back(event.has_timestamp_ns() ? event.timestamp_ns() : -1);
  }
  EXPECT_THAT(times, ElementsAre(-1, -1, -1, -1, 7'000'000, 1'767'225'600'000'000'000))
      << "only a time that the event itself names counts; the worker stamps the others";
}

TEST_F(RuntimeTest, BoundsEventTypesAndEventIds) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const auto group = Deploy();
  ASSERT_TRUE(group.ok());
  const std::string longest(256, 'a');
  EXPECT_TRUE(Inject(group->id(), longest, longest).ok());
  const auto long_type = Inject(group->id(), longest + "a");
  EXPECT_EQ(CodeOf(long_type), "invalid_request");
  EXPECT_THAT(long_type.status().message(), HasSubstr("event_type"));
  const auto long_id = Inject(group->id(), "a", longest + "a");
  EXPECT_EQ(CodeOf(long_id), "invalid_request");
  EXPECT_THAT(long_id.status().message(), HasSubstr("event_id"));
  EXPECT_TRUE(InjectBatch(group->id(), longest + " { x: 1 }").ok());
  const auto batch = InjectBatch(group->id(), "a { x: 1 }\n" + longest + "a { x: 1 }");
  EXPECT_EQ(CodeOf(batch), "invalid_request");
  EXPECT_THAT(batch.status().message(), HasSubstr("event 2: event_type"));
  EXPECT_THAT(w0.injected(), SizeIs(1));
  EXPECT_THAT(w0.batched(), SizeIs(1));
}

TEST_F(RuntimeTest, TheRequestIdOfAnInjectIsItsEventIdUnlessItHasOne) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const auto group = Deploy();
  ASSERT_TRUE(group.ok());
  ASSERT_TRUE(Inject(group->id(), "a", "", "").ok());
  ASSERT_TRUE(Inject(group->id(), "a", "", "request-1").ok());
  ASSERT_TRUE(Inject(group->id(), "a", "e7", "request-2").ok());
  const auto injected = w0.injected();
  ASSERT_THAT(injected, SizeIs(3));
  EXPECT_FALSE(injected[0].has_event_id());
  EXPECT_EQ(injected[1].event_id(), "request-1");
  EXPECT_EQ(injected[2].event_id(), "e7");
}

// One of two workers hears and never answers, and the coordinator would wait for it far longer
// than its callers do.
class SilentWorkerTest : public RuntimeTest {
 protected:
  void SetUp() override {
    command_timeout_ = absl::Seconds(60);
    coordinator_ = StartCoordinator();
    ASSERT_TRUE(w0_.Register().ok() && w1_.Register().ok());
  }

  std::unique_ptr<Coordinator> coordinator_;
  FakeWorker w0_{*bus_, "w0", "i0"};
  FakeWorker w1_{*bus_, "w1", "i1"};
};

TEST_F(SilentWorkerTest, InjectsAreAnsweredBeforeTheCallerGivesUp) {
  const auto group = Deploy();
  ASSERT_TRUE(group.ok());
  w1_.SetSilent(true);
  call_timeout_ = absl::Seconds(3);
  const auto one = Inject(group->id(), "b");
  EXPECT_EQ(CodeOf(one), "worker_timeout");
  EXPECT_THAT(one.status().message(), HasSubstr("worker w1: "));
  const auto batch = InjectBatch(group->id(), "a { x: 1 }\nb { x: 2 }\na { x: 3 }\n");
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->events_sent(), 2u);
  EXPECT_EQ(batch->events_failed(), 1u);
  EXPECT_EQ(batch->output_count(), 2u);
  ASSERT_EQ(batch->errors_size(), 1);
  EXPECT_THAT(batch->errors(0), HasSubstr("worker w1"));
}

TEST_F(SilentWorkerTest, ADeployIsAnsweredBeforeTheCallerGivesUp) {
  w1_.SetSilent(true);
  call_timeout_ = absl::Seconds(3);
  const auto group = Deploy();
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(group->status(), v1::GROUP_STATUS_PARTIALLY_RUNNING);
  EXPECT_EQ(group->placements(0).status(), v1::PLACEMENT_STATUS_RUNNING);
  EXPECT_NE(group->placements(1).status(), v1::PLACEMENT_STATUS_RUNNING);
  EXPECT_THAT(group->placements(1).error(), HasSubstr("w1"));
  // It is being deleted while its deploy is still under way: the deploy's answer is awaited first.
  const auto deleted = Delete(group->id());
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_TRUE(deleted->torn_down());
  EXPECT_THAT(deleted->pending(), ElementsAre("w1"));
}

TEST_F(RuntimeTest, SaysWhatBecameOfAnInject) {
  strict_ = true;
  const auto coordinator = StartCoordinator();
  auto w0 = std::make_unique<FakeWorker>(*bus_, "w0", "i0");
  ASSERT_TRUE(w0->Register().ok());
  const auto group = Deploy();
  ASSERT_TRUE(group.ok());
  EXPECT_EQ(CodeOf(Inject(group->id(), "x")), "no_route");
  w0->FailInjectsWith(transport::MakeError("rate_limited", "full"));
  EXPECT_EQ(CodeOf(Inject(group->id(), "a")), "rate_limited");
  w0->FailInjectsWith(transport::MakeError("invalid_request", "bad"));
  EXPECT_EQ(CodeOf(Inject(group->id(), "a")), "invalid_request");
  w0->FailInjectsWith(transport::MakeError("stale_epoch", "old"));
  EXPECT_EQ(CodeOf(Inject(group->id(), "a")), "routing_failed");
  w0->SetSilent(true);
  EXPECT_EQ(CodeOf(Inject(group->id(), "a")), "worker_timeout");
  w0.reset();
  EXPECT_EQ(CodeOf(Inject(group->id(), "a")), "worker_unavailable");
}

TEST_F(RuntimeTest, RefusesASecondProcessWhileTheFirstAnswers) {
  const auto coordinator = StartCoordinator();
  auto first = std::make_unique<FakeWorker>(*bus_, "w0", "i0");
  ASSERT_TRUE(first->Register().ok());
  FakeWorker impostor(*bus_, "w0", "i1");
  EXPECT_EQ(CodeOf(impostor.Register()), "conflict");
  EXPECT_TRUE(first->Beat().ok());
  EXPECT_EQ(transport::ErrorCode(impostor.Beat()), "worker_not_found");
  first.reset();
  EXPECT_EQ(CodeOf(impostor.Register()), "OK") << "only the new one answers";
}

TEST_F(RuntimeTest, AnswersARetryWithTheFirstGroup) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const auto first = Deploy("request-1");
  const auto second = Deploy("request-1");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->id(), second->id());
  EXPECT_EQ(w0.deploys(), 2u);
}

TEST_F(RuntimeTest, RetriesOfDeletesAreAnsweredAndNotDoneAgain) {
  auto coordinator = StartCoordinator("c1");
  auto w0 = std::make_unique<FakeWorker>(*bus_, "w0", "i0");
  ASSERT_TRUE(w0->Register().ok());
  const auto group = Deploy("deploy-1");
  ASSERT_TRUE(group.ok()) << group.status();
  ASSERT_TRUE(Delete(group->id(), "delete-1").ok());
  EXPECT_TRUE(Delete(group->id(), "delete-1").ok());
  EXPECT_EQ(CodeOf(Delete(group->id(), "delete-2")), "group_not_found");
  EXPECT_EQ(CodeOf(Deploy("deploy-1")), "conflict") << "no second group of one request";
  EXPECT_EQ(CodeOf(Delete(group->id(), "deploy-1")), "conflict") << "the id of another call";
  const auto other = Deploy("deploy-2");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(CodeOf(Delete(other->id(), "delete-1")), "conflict");
  EXPECT_EQ(Get(other->id())->status(), v1::GROUP_STATUS_RUNNING);
  const auto gone = DeleteWorker("w0", "delete-3");
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(gone->placements_affected(), 2u);

  coordinator.reset();
  coordinator = StartCoordinator("c2");
  EXPECT_TRUE(Delete(group->id(), "delete-1").ok());
  EXPECT_EQ(CodeOf(Deploy("deploy-1")), "conflict");
  ASSERT_TRUE(w0->Register().ok());
  const auto again = DeleteWorker("w0", "delete-3");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->placements_affected(), 2u) << "as it was answered then";
  EXPECT_TRUE(w0->Beat().ok()) << "who joined since is not deleted by a late retry";
}

TEST_F(RuntimeTest, RejectsBadSourcesWithTheirPlaceAndNoSideEffect) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  v1::DeployGroupRequest request;
  request.set_name("bad");
  request.add_pipelines()->set_name("p");
  request.mutable_pipelines(0)->set_source("stream S = E\nstream = = 3");
  const auto result = Call<v1::GroupInfo>(subjects_.Api("groups", "deploy"), request);
  ASSERT_EQ(CodeOf(result), "invalid_request");
  const v1::ErrorReply error = transport::ToErrorReply(result.status());
  ASSERT_GE(error.details_size(), 1);
  EXPECT_EQ(error.details(0).path(), "pipelines[0].source");
  EXPECT_EQ(error.details(0).line(), 2u);
  EXPECT_EQ(w0.deploys(), 0u);

  v1::ValidateRequest validate;
  validate.set_source("stream = = 3");
  const auto checked = Call<v1::ValidateResponse>(subjects_.Api("cluster", "validate"), validate);
  ASSERT_TRUE(checked.ok());
  EXPECT_FALSE(checked->valid());
}

TEST_F(RuntimeTest, ValidatesASource) {
  auto coordinator = StartCoordinator("c1");
  auto validate = [&](const std::string& source) {
    v1::ValidateRequest request;
    request.set_source(source);
    const auto checked = Call<v1::ValidateResponse>(subjects_.Api("cluster", "validate"), request);
    EXPECT_TRUE(checked.ok()) << checked.status();
    return checked.ok() ? *checked : v1::ValidateResponse();
  };
  const v1::ValidateResponse good = validate("event E: x: int\nstream S = E .where(x > 1)\n");
  EXPECT_TRUE(good.valid());
  EXPECT_EQ(good.diagnostics_size(), 0);

  // Warnings do not make it invalid. Columns count characters, not bytes.
  const v1::ValidateResponse warned =
      validate("event Reading: x: int\nstream S = Reading .where(\"\xC3\xA9\" == y)\n");
  EXPECT_TRUE(warned.valid());
  ASSERT_EQ(warned.diagnostics_size(), 1);
  EXPECT_EQ(warned.diagnostics(0).severity(), "warning");
  EXPECT_EQ(warned.diagnostics(0).code(), "W100");
  EXPECT_EQ(warned.diagnostics(0).line(), 2u);
  EXPECT_EQ(warned.diagnostics(0).column(), 34u);
  EXPECT_FALSE(warned.diagnostics(0).message().empty());

  const v1::ValidateResponse bad = validate("event E: x: int\n\nevent E: y: int\n");
  EXPECT_FALSE(bad.valid());
  ASSERT_EQ(bad.diagnostics_size(), 1);
  EXPECT_EQ(bad.diagnostics(0).severity(), "error");
  EXPECT_EQ(bad.diagnostics(0).hint(), "declared at line 1");

  // There are no files to import from.
  const v1::ValidateResponse import = validate("import \"types.vpl\"\nstream S = E\n");
  EXPECT_FALSE(import.valid());
  EXPECT_EQ(import.diagnostics(0).code(), "E114");
}

TEST_F(RuntimeTest, ANewCoordinatorKnowsTheGroupsAndPingsTheWorkersFirst) {
  auto coordinator = StartCoordinator("c1");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const auto group = Deploy();
  ASSERT_TRUE(group.ok());
  const uint64_t epoch = coordinator->leader_epoch();
  const size_t pings = w0.pings();
  coordinator.reset();
  coordinator = StartCoordinator("c2");
  EXPECT_GT(coordinator->leader_epoch(), epoch);
  EXPECT_GT(w0.pings(), pings);
  EXPECT_EQ(Get(group->id())->status(), v1::GROUP_STATUS_RUNNING);
  EXPECT_TRUE(Inject(group->id(), "a").ok());
  EXPECT_EQ(w0.deploys(), 2u) << "nothing was deployed twice";
  EXPECT_TRUE(w0.Beat().ok());
}

TEST_F(RuntimeTest, StandsDownWhenAnotherLeads) {
  const auto old = StartCoordinator("c1");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const auto successor = StartCoordinator("c2");
  ASSERT_TRUE(WaitUntil([&] { return stood_down().has_value(); }));
  EXPECT_THAT(stood_down()->message(), HasSubstr("c2"));
  EXPECT_TRUE(Deploy().ok()) << "exactly one answers";
}

TEST_F(RuntimeTest, StandsDownWhenItsWriteIsRefused) {
  const auto coordinator = StartCoordinator("c1");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  store_.FailAppendsWith(absl::AbortedError("wrong last sequence"));
  EXPECT_EQ(CodeOf(Deploy()), "not_leader");
  EXPECT_TRUE(WaitUntil([&] { return stood_down().has_value(); }));
  EXPECT_EQ(w0.deploys(), 0u) << "nothing is sent that was not stored";
  EXPECT_EQ(CodeOf(Call<v1::Empty>(subjects_.Api("cluster", "ready"), v1::Empty())),
            "worker_unavailable")
      << "nobody serves";
}

TEST_F(RuntimeTest, KeepsReadingWhileNothingCanBeStoredAndGoesOnAfterwards) {
  const auto coordinator = StartCoordinator("c1");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const auto group = Deploy();
  ASSERT_TRUE(group.ok());
  const uint64_t epoch = coordinator->leader_epoch();
  store_.FailAppendsWith(absl::UnavailableError("no stream leader"));
  EXPECT_EQ(CodeOf(Deploy()), "not_ready");
  EXPECT_TRUE(Get(group->id()).ok());
  EXPECT_TRUE(Inject(group->id(), "a").ok()) << "the data path needs no store";
  EXPECT_EQ(CodeOf(Deploy()), "not_ready");
  EXPECT_TRUE(w0.Beat().ok());
  store_.FailAppendsWith(absl::OkStatus());
  ASSERT_TRUE(WaitUntil(
      [&] { return Call<v1::Empty>(subjects_.Api("cluster", "ready"), v1::Empty()).ok(); }));
  EXPECT_GT(coordinator->leader_epoch(), epoch) << "behind a new barrier";
  EXPECT_TRUE(Deploy().ok());
  EXPECT_EQ(Get(group->id())->status(), v1::GROUP_STATUS_RUNNING);
  EXPECT_FALSE(stood_down().has_value());
}

TEST_F(RuntimeTest, AnswersInJson) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  std::atomic<bool> answered{false};
  std::string text;
  transport::OutgoingMessage message;
  message.subject = subjects_.Api("workers", "list");
  message.payload = "{}";
  bus_->Request(message, absl::Seconds(5), [&](absl::StatusOr<transport::InboundMessage> reply) {
    if (reply.ok()) text = std::string(reply->payload());
    answered = true;
  });
  ASSERT_TRUE(WaitUntil([&] { return answered.load(); }));
  EXPECT_THAT(text, HasSubstr("\"status\":\"ready\""));
}

TEST_F(RuntimeTest, TellsHealthTopologyAndTransport) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const auto health =
      Call<v1::ClusterHealthResponse>(subjects_.Api("cluster", "health"), v1::Empty());
  ASSERT_TRUE(health.ok()) << health.status();
  EXPECT_EQ(health->status(), "healthy");
  EXPECT_TRUE(health->durable());
  EXPECT_EQ(health->leader_epoch(), coordinator->leader_epoch());
  const auto transport =
      Call<v1::TransportResponse>(subjects_.Api("cluster", "transport"), v1::Empty());
  EXPECT_EQ(transport->urls(0), "nats://localhost:4222");
  EXPECT_EQ(
      Call<v1::TopologyResponse>(subjects_.Api("topology", "get"), v1::Empty())->workers_size(), 1);
}

TEST_F(RuntimeTest, AnswersADeployToASilentWorkerAndRecoversLater) {
  const auto coordinator = StartCoordinator();
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  w0.SetSilent(true);
  const auto group = Deploy();
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(group->status(), v1::GROUP_STATUS_FAILED);
  EXPECT_THAT(group->placements(0).error(), HasSubstr("no reply"));
  EXPECT_EQ(CodeOf(Inject(group->id(), "a")), "worker_unavailable");
  w0.SetSilent(false);
  EXPECT_TRUE(WaitUntil([&] { return Get(group->id())->status() == v1::GROUP_STATUS_RUNNING; }));
}

}  // namespace
}  // namespace varpulis::coordinator
