#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "engine/runtime/columns.h"
#include "proto/cluster.pb.h"
#include "proto/event.pb.h"
#include "transport/error_reply.h"
#include "transport/local_bus.h"
#include "transport/rpc.h"
#include "transport/subjects.h"
#include "worker/worker.h"

#include "test/worker/recorder.h"
#include "test/worker/scripted_coordinator.h"

namespace varpulis::worker {

inline constexpr char kGroup[] = "7a3c4b1e-0000-4000-8000-000000000001";

inline varpulis::v1::Event MakeEvent(const std::string& type, int64_t n = 0) {
  varpulis::v1::Event event;
  event.set_event_type(type);
  auto* field = event.add_fields();
  field->set_name("n");
  field->mutable_value()->set_int_value(n);
  return event;
}

inline int64_t IntField(const varpulis::v1::Event& event, const std::string& name) {
  for (const auto& field : event.fields()) {
    if (field.name() == name) return field.value().int_value();
  }
  ADD_FAILURE() << "no field " << name << " in " << event.ShortDebugString();
  return -1;
}

// What is published on one subject: batches, and their events in order. An event is added after its
// batch, so that who has waited for events may look at batches.
class Listener {
 public:
  Listener(transport::Bus& bus, const std::string& subject) {
    auto subscription = bus.Subscribe(
        {.subject = subject, .queue_group = ""}, [this](transport::InboundMessage message) {
          varpulis::v1::EventBatch batch;
          ASSERT_TRUE(batch.ParseFromArray(message.payload().data(), message.payload().size()));
          EXPECT_TRUE(engine::CheckColumns(batch.columns()).ok());
          varpulis::v1::EventBatch copy = batch;
          engine::ColumnsToRows(batch.columns(), copy.mutable_events());
          subjects.Add(std::string(message.subject()));
          batches.Add(std::move(batch));
          for (const auto& event : copy.events()) events.Add(event);
        });
    EXPECT_TRUE(subscription.ok()) << subscription.status();
    subscription_ = std::move(*subscription);
    EXPECT_TRUE(bus.Flush(absl::Seconds(2)).ok());
  }

  Recorder<varpulis::v1::Event> events;
  Recorder<varpulis::v1::EventBatch> batches;
  Recorder<std::string> subjects;

 private:
  std::unique_ptr<transport::Subscription> subscription_;
};

// A deploy command, built up.
class DeployOf {
 public:
  DeployOf(const std::string& name, const std::string& source) {
    request_.set_leader_epoch(1);
    request_.set_group_id(kGroup);
    request_.set_name(name);
    request_.set_source(source);
    request_.set_replicas(1);
  }
  DeployOf& Epoch(uint64_t epoch) { return request_.set_placement_epoch(epoch), *this; }
  DeployOf& Leader(uint64_t epoch) { return request_.set_leader_epoch(epoch), *this; }
  DeployOf& Paused() { return request_.set_paused(true), *this; }
  DeployOf& ColumnarOutput() { return request_.set_columnar_output(true), *this; }
  DeployOf& Restore() { return request_.set_restore(true), *this; }
  DeployOf& Replica(uint32_t replica, uint32_t replicas) {
    request_.set_replica(replica);
    request_.set_replicas(replicas);
    return *this;
  }
  DeployOf& Key(const std::string& field) { return request_.set_partition_key(field), *this; }
  DeployOf& Route(const std::string& pattern, const std::string& subject) {
    auto* route = request_.add_routes();
    route->add_event_types(pattern);
    route->set_subject(subject);
    return *this;
  }
  DeployOf& ExtraInput(const std::string& subject) {
    return request_.add_extra_input_subjects(subject), *this;
  }
  const varpulis::v1::DeployPipelineRequest& request() const { return request_; }

 private:
  varpulis::v1::DeployPipelineRequest request_;
};

// One bus, a scripted coordinator and as many workers as the test asks for.
class ClusterTest : public ::testing::Test {
 protected:
  Worker& StartWorker(const std::string& id, WorkerOptions options = {}) {
    return StartWorkerOn(*bus_, id, std::move(options));
  }

  Worker& StartWorkerOn(transport::Bus& bus, const std::string& id, WorkerOptions options = {}) {
    options.worker_id = id;
    options.address = "http://127.0.0.1:9000";
    options.version = "1.2.3";
    // A slow machine is no frozen process, but for the tests that say so.
    if (!boot_clock_) options.freeze_limit = absl::InfiniteDuration();
    local_buses_.push_back(transport::NewLocalBus());
    // No jitter luck: every back-off is the same part of its cap.
    auto worker = Worker::Start(options, {.cluster = &bus,
                                          .local = *local_buses_.back(),
                                          .broker_id = [] { return std::string("broker-1"); },
                                          .stores = stores_,
                                          .wall_clock_ns = {},
                                          .random =
                                              [this] {
                                                ++backoffs_;
                                                return backoff_;
                                              },
                                          .boot_clock_ns = boot_clock_});
    EXPECT_TRUE(worker.ok()) << worker.status();
    workers_.push_back(std::move(*worker));
    return *workers_.back();
  }

  template <typename Reply>
  absl::StatusOr<Reply> Command(const std::string& worker, const std::string& verb,
                                const google::protobuf::Message& request) {
    return transport::CallAndWait<Reply>(*bus_, subjects_.Command(worker, verb), request,
                                         {.timeout = kPatience, .request_id = ""});
  }
  absl::StatusOr<varpulis::v1::DeployPipelineResponse> TryDeploy(const std::string& worker,
                                                                 const DeployOf& deploy) {
    return Command<varpulis::v1::DeployPipelineResponse>(worker, "deploy", deploy.request());
  }
  std::string Deploy(const std::string& worker, const DeployOf& deploy) {
    const auto response = TryDeploy(worker, deploy);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->id() : "";
  }
  varpulis::v1::PingResponse Ping(const std::string& worker, uint64_t leader_epoch = 1) {
    varpulis::v1::PingRequest request;
    request.set_leader_epoch(leader_epoch);
    const auto response = Command<varpulis::v1::PingResponse>(worker, "ping", request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : varpulis::v1::PingResponse();
  }
  absl::Status Undeploy(const std::string& worker, const std::string& id, uint64_t epoch = 1) {
    varpulis::v1::UndeployPipelineRequest request;
    request.set_leader_epoch(1);
    request.set_pipeline_id(id);
    request.set_placement_epoch(epoch);
    return Command<varpulis::v1::OkResponse>(worker, "undeploy", request).status();
  }
  varpulis::v1::WorkerInjectRequest InjectOf(const std::string& id, varpulis::v1::Event event) {
    varpulis::v1::WorkerInjectRequest request;
    request.set_leader_epoch(1);
    request.set_pipeline_id(id);
    *request.mutable_event() = std::move(event);
    return request;
  }
  absl::StatusOr<varpulis::v1::WorkerInjectResponse> Inject(
      const std::string& worker, const varpulis::v1::WorkerInjectRequest& request) {
    return Command<varpulis::v1::WorkerInjectResponse>(worker, "inject", request);
  }

  void PublishBatch(const std::string& subject, const varpulis::v1::EventBatch& batch) {
    EXPECT_TRUE(bus_->Publish({.subject = subject,
                               .payload = batch.SerializeAsString(),
                               .headers = {},
                               .reply_to = ""})
                    .ok());
  }
  void PublishEvent(const std::string& subject, varpulis::v1::Event event) {
    varpulis::v1::EventBatch batch;
    *batch.add_events() = std::move(event);
    PublishBatch(subject, batch);
  }
  std::string Into(const std::string& pipeline) const {
    return subjects_.Pipeline(kGroup, transport::kExternal, pipeline);
  }
  std::string Edge(const std::string& from, const std::string& to) const {
    return subjects_.Pipeline(kGroup, from, to);
  }
  std::string Output(const std::string& pipeline) const {
    return subjects_.Output(kGroup, pipeline);
  }

  const transport::Subjects subjects_;
  // Of workers started from now on.
  std::function<int64_t()> boot_clock_;  // empty: they are never frozen
  Stores stores_;
  double backoff_ = 0.01;          // of its cap
  std::atomic<int> backoffs_ = 0;  // how often a worker waited before it tried again
  std::unique_ptr<transport::Bus> bus_ = transport::NewLocalBus();
  std::vector<std::unique_ptr<transport::Bus>> local_buses_;
  std::vector<std::unique_ptr<Worker>> workers_;  // go before the buses
};

// The text code of a failure, "" of a success.
template <typename T>
std::string CodeOf(const absl::StatusOr<T>& result) {
  return result.ok() ? "" : transport::ErrorCode(result.status());
}

}  // namespace varpulis::worker
