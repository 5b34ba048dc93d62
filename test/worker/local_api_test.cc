// The worker's own API on its local bus, mostly without a coordinator.
#include "proto/worker_api.pb.h"
#include "transport/json_codec.h"

#include "test/worker/cluster_fixture.h"

namespace varpulis::worker {
namespace {

using namespace varpulis::v1;  // a test of messages

constexpr char kCopy[] = "stream Out = In .emit(n: n)";
constexpr char kFirstTwo[] = "stream Out = In .limit(2) .emit(n: n)";

class LocalApiTest : public ClusterTest {
 protected:
  LocalApiTest() {
    local_ = transport::NewLocalBus();
    WorkerOptions options;
    options.worker_id = "alone";
    options.version = "1.2.3";
    options.max_pipelines = 3;
    auto worker = Worker::Start(options, {.cluster = nullptr, .local = *local_});
    EXPECT_TRUE(worker.ok()) << worker.status();
    worker_ = std::move(*worker);
  }
  template <typename Reply>
  absl::StatusOr<Reply> Api(const std::string& resource, const std::string& verb,
                            const google::protobuf::Message& request) {
    return transport::CallAndWait<Reply>(*local_, subjects_.Api(resource, verb), request,
                                         {.timeout = kPatience, .request_id = ""});
  }
  std::string DeployLocal(const std::string& name, const std::string& source) {
    DeployWorkerPipelineRequest request;
    request.set_name(name);
    request.set_source(source);
    const auto response = Api<DeployPipelineResponse>("pipelines", "deploy", request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->id() : "";
  }
  static WorkerPipelineRequest Named(const std::string& id) {
    WorkerPipelineRequest request;
    request.set_pipeline_id(id);
    return request;
  }
  absl::StatusOr<WorkerInjectResponse> InjectLocal(const std::string& id, int64_t n) {
    InjectWorkerPipelineRequest request;
    request.set_pipeline_id(id);
    request.set_event_type("In");
    *request.add_fields() = MakeEvent("In", n).fields(0);
    return Api<WorkerInjectResponse>("pipelines", "inject", request);
  }

  std::unique_ptr<transport::Bus> local_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(LocalApiTest, DeployListGetDelete) {
  const std::string id = DeployLocal("p", kCopy);
  const std::string twin = DeployLocal("p", kCopy);  // names are free on a single server
  EXPECT_NE(id, twin);
  ListRequest page;
  page.set_limit(1);
  const auto list = Api<ListWorkerPipelinesResponse>("pipelines", "list", page);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->pipelines_size(), 1);
  EXPECT_EQ(list->pipelines(0).id(), std::min(id, twin));
  EXPECT_EQ(list->total(), 2u);
  EXPECT_TRUE(list->pagination().has_more());
  page.set_limit(0);
  EXPECT_EQ(CodeOf(Api<ListWorkerPipelinesResponse>("pipelines", "list", page)), "invalid_limit");

  const auto got = Api<WorkerPipelineInfo>("pipelines", "get", Named(id));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->name(), "p");
  EXPECT_EQ(got->status(), "running");
  EXPECT_EQ(got->source(), kCopy);
  EXPECT_EQ(transport::ToJson(*got).find("group_id"), std::string::npos);

  const auto deleted = Api<DeleteWorkerPipelineResponse>("pipelines", "delete", Named(id));
  ASSERT_TRUE(deleted.ok());
  EXPECT_TRUE(deleted->deleted());
  EXPECT_EQ(CodeOf(Api<WorkerPipelineInfo>("pipelines", "get", Named(id))), "pipeline_not_found");
  EXPECT_EQ(CodeOf(Api<DeleteWorkerPipelineResponse>("pipelines", "delete", Named(id))),
            "pipeline_not_found");
  EXPECT_TRUE(Api<WorkerPipelineInfo>("pipelines", "get", Named(twin)).ok());
}

TEST_F(LocalApiTest, DeployRefusesBrokenSourcesAndTooMany) {
  DeployWorkerPipelineRequest request;
  request.set_name("p");
  request.set_source("stream = = =");
  EXPECT_EQ(CodeOf(Api<DeployPipelineResponse>("pipelines", "deploy", request)), "parse_error");
  request.set_source(kCopy);
  request.set_name("no.dots");
  EXPECT_EQ(CodeOf(Api<DeployPipelineResponse>("pipelines", "deploy", request)), "invalid_request");
  for (int i = 0; i < 3; ++i) DeployLocal("p", kCopy);
  request.set_name("p");
  EXPECT_EQ(CodeOf(Api<DeployPipelineResponse>("pipelines", "deploy", request)), "quota_exceeded");
}

TEST_F(LocalApiTest, InjectAnswersAndFeedsTheLogStream) {
  const std::string id = DeployLocal("p", kCopy);
  Listener log(*local_, subjects_.Output("local", id));
  const auto response = InjectLocal(id, 4);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->accepted());
  ASSERT_EQ(response->output_events_size(), 1);
  EXPECT_EQ(IntField(response->output_events(0), "n"), 4);
  ASSERT_TRUE(log.events.WaitForSize(1));

  InjectBatchWorkerPipelineRequest batch;
  batch.set_pipeline_id(id);
  for (const char* type : {"In", "", "Unread"}) batch.add_events()->set_event_type(type);
  batch.mutable_events(0)->set_timestamp_ns(99);
  const auto answer = Api<WorkerInjectBatchResponse>("pipelines", "inject_batch", batch);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->accepted(), 2u);
  ASSERT_EQ(answer->rejected_size(), 1);
  EXPECT_EQ(answer->rejected(0).index(), 1u);
  ASSERT_EQ(answer->output_events_size(), 1);
  EXPECT_EQ(answer->output_events(0).timestamp_ns(), 99);

  const auto metrics = Api<WorkerPipelineMetrics>("pipelines", "metrics", Named(id));
  ASSERT_TRUE(metrics.ok());
  EXPECT_EQ(metrics->events_processed(), 3u);
  EXPECT_EQ(metrics->output_events_emitted(), 2u);
  const auto usage = Api<WorkerUsageResponse>("pipelines", "usage", Empty());
  ASSERT_TRUE(usage.ok());
  EXPECT_EQ(usage->tenant_id(), "default");
  EXPECT_EQ(usage->events_processed(), 3u);
  EXPECT_EQ(usage->output_events_emitted(), 2u);
  EXPECT_EQ(usage->active_pipelines(), 1u);
  EXPECT_EQ(usage->quota().max_pipelines(), 3u);
  EXPECT_EQ(CodeOf(InjectLocal("nope", 1)), "pipeline_not_found");
}

TEST_F(LocalApiTest, ACheckpointGoesThroughJsonAndBack) {
  const std::string id = DeployLocal("p", kFirstTwo);
  EXPECT_EQ(InjectLocal(id, 1)->output_events_size(), 1);
  const auto saved = Api<WorkerCheckpointResponse>("pipelines", "checkpoint", Named(id));
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(saved->events_processed(), 1u);
  EXPECT_EQ(InjectLocal(id, 2)->output_events_size(), 1);
  EXPECT_EQ(InjectLocal(id, 3)->output_events_size(), 0);  // the limit

  WorkerRestoreRequest restore;
  restore.set_pipeline_id(id);
  ASSERT_TRUE(
      transport::FromJson(transport::ToJson(saved->checkpoint()), restore.mutable_checkpoint())
          .ok());
  const auto restored = Api<WorkerRestoreResponse>("pipelines", "restore", restore);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_TRUE(restored->restored());
  EXPECT_EQ(restored->events_restored(), 1u);
  EXPECT_EQ(InjectLocal(id, 2)->output_events_size(), 1);
  EXPECT_EQ(InjectLocal(id, 3)->output_events_size(), 0);
  EXPECT_EQ(Api<WorkerPipelineMetrics>("pipelines", "metrics", Named(id))->events_processed(), 3u);

  restore.mutable_checkpoint()->set_state("!");
  EXPECT_EQ(CodeOf(Api<WorkerRestoreResponse>("pipelines", "restore", restore)), "invalid_request");
}

TEST_F(LocalApiTest, ReloadChangesTheLogicAndKeepsTheState) {
  const std::string id = DeployLocal("p", kFirstTwo);
  EXPECT_EQ(InjectLocal(id, 1)->output_events_size(), 1);
  ReloadWorkerPipelineRequest reload;
  reload.set_pipeline_id(id);
  reload.set_source("stream Out = In .limit(2) .emit(n: n)\nstream More = In .emit(n: n)");
  const auto reloaded = Api<ReloadWorkerPipelineResponse>("pipelines", "reload", reload);
  ASSERT_TRUE(reloaded.ok()) << reloaded.status();
  EXPECT_TRUE(reloaded->reloaded());
  EXPECT_EQ(Api<WorkerPipelineInfo>("pipelines", "get", Named(id))->source(), reload.source());
  EXPECT_EQ(InjectLocal(id, 2)->output_events_size(), 2);
  EXPECT_EQ(InjectLocal(id, 3)->output_events_size(), 1);  // the limit remembers
  reload.set_source("stream = = =");
  EXPECT_EQ(CodeOf(Api<ReloadWorkerPipelineResponse>("pipelines", "reload", reload)),
            "parse_error");
  EXPECT_EQ(InjectLocal(id, 4)->output_events_size(), 1);
}

TEST_F(LocalApiTest, HealthAndReadiness) {
  DeployLocal("p", "stream A = In .emit(n: n)\nstream B = In .emit(n: n)");
  const auto health = Api<WorkerHealthResponse>("worker", "health", Empty());
  ASSERT_TRUE(health.ok());
  EXPECT_EQ(health->status(), "healthy");
  EXPECT_EQ(health->version(), "1.2.3");
  const auto ready = Api<WorkerReadyResponse>("worker", "ready", Empty());
  ASSERT_TRUE(ready.ok());
  EXPECT_EQ(transport::ToJson(*ready),
            R"({"status":"ready","engine_loaded":true,"streams_count":2,"events_processed":0,)"
            R"("output_events_emitted":0})");
  EXPECT_FALSE(worker_->registered());
}

TEST_F(LocalApiTest, AClusteredWorkerIsReadyOnceRegistered) {
  StartWorker("w");
  auto ready = [&] {
    return transport::ToJson(*transport::CallAndWait<WorkerReadyResponse>(
        *local_buses_.back(), subjects_.Api("worker", "ready"), Empty()));
  };
  EXPECT_EQ(ready(), R"({"status":"not_ready","engine_loaded":false,)"
                     R"("reason":"not registered with a coordinator"})");
  ScriptedCoordinator coordinator(*bus_);
  ASSERT_TRUE(coordinator.heartbeats.WaitForSize(1));
  EXPECT_THAT(ready(), ::testing::HasSubstr(R"("status":"ready")"));
  workers_.clear();
}

TEST_F(LocalApiTest, AWorkerThatJoinsLaterServesMeanwhile) {
  auto local = transport::NewLocalBus();
  WorkerOptions options;
  options.worker_id = "late";
  options.joins_later = true;
  auto started = Worker::Start(options, {.cluster = nullptr, .local = *local});
  ASSERT_TRUE(started.ok()) << started.status();
  Worker& worker = **started;
  const auto ask = [&](const char* verb) {
    return transport::CallAndWait<WorkerReadyResponse>(*local, subjects_.Api("worker", verb),
                                                       Empty());
  };
  EXPECT_EQ(ask("ready")->reason(), "not registered with a coordinator");
  EXPECT_EQ(ask("health")->status(), "healthy");
  DeployWorkerPipelineRequest request;
  request.set_name("p");
  request.set_source(kCopy);
  ASSERT_TRUE(transport::CallAndWait<DeployPipelineResponse>(
                  *local, subjects_.Api("pipelines", "deploy"), request)
                  .ok());

  ScriptedCoordinator coordinator(*bus_);
  ASSERT_TRUE(worker.Join(*bus_, "varpulis.cluster", [] { return std::string("broker-1"); }).ok());
  ASSERT_TRUE(coordinator.heartbeats.WaitForSize(1));
  EXPECT_EQ(ask("ready")->status(), "ready");
  EXPECT_EQ(coordinator.registrations.items()[0].capacity().pipelines_running(), 1u);
  const std::string id = Deploy("late", DeployOf("q", kCopy));
  EXPECT_TRUE(Inject("late", InjectOf(id, MakeEvent("In"))).ok());
  worker.Stop(absl::Seconds(1));
  EXPECT_EQ(coordinator.deleted.size(), 1u);
}

TEST_F(LocalApiTest, AGroupsPipelineIsSeenButChangedByItsCoordinatorOnly) {
  StartWorker("w");
  const std::string id = Deploy("w", DeployOf("p", kCopy).Epoch(2));
  auto& local = *local_buses_.back();
  const auto info = transport::CallAndWait<WorkerPipelineInfo>(
      local, subjects_.Api("pipelines", "get"), Named(id));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->group_id(), kGroup);
  EXPECT_EQ(info->placement_epoch(), 2u);
  ReloadWorkerPipelineRequest reload;
  reload.set_pipeline_id(id);
  reload.set_source(kFirstTwo);
  EXPECT_EQ(CodeOf(transport::CallAndWait<ReloadWorkerPipelineResponse>(
                local, subjects_.Api("pipelines", "reload"), reload)),
            "conflict");
  const auto deleted = transport::CallAndWait<DeleteWorkerPipelineResponse>(
      local, subjects_.Api("pipelines", "delete"), Named(id));
  EXPECT_EQ(CodeOf(deleted), "conflict");
  EXPECT_EQ(transport::HttpStatus(deleted.status()), 409);
  EXPECT_TRUE(Inject("w", InjectOf(id, MakeEvent("In"))).ok());
}

}  // namespace
}  // namespace varpulis::worker
