#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "base/mutex.h"
#include "proto/cluster.pb.h"
#include "transport/bus.h"
#include "transport/error_reply.h"
#include "transport/rpc.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {

// A worker process by script: serves the command subjects, says yes, remembers what it was asked.
// Thread-safe.
class FakeWorker {
 public:
  FakeWorker(transport::Bus& bus, std::string id, std::string incarnation)
      : bus_(bus), id_(std::move(id)), incarnation_(std::move(incarnation)) {
    auto service = transport::Service::Start(bus_, {.name = "fake-worker",
                                                    .id = incarnation_,
                                                    .version = "1.0.0",
                                                    .description = "",
                                                    .metadata = {}});
    EXPECT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
    Serve<v1::DeployPipelineRequest, v1::DeployPipelineResponse>("deploy", &FakeWorker::OnDeploy);
    Serve<v1::UndeployPipelineRequest, v1::OkResponse>("undeploy", &FakeWorker::OnUndeploy);
    Serve<v1::WorkerInjectRequest, v1::WorkerInjectResponse>("inject", &FakeWorker::OnInject);
    Serve<v1::WorkerInjectBatchRequest, v1::WorkerInjectBatchResponse>("inject_batch",
                                                                       &FakeWorker::OnBatch);
    Serve<v1::PingRequest, v1::PingResponse>("ping", &FakeWorker::OnPing);
  }

  absl::StatusOr<v1::RegisterWorkerResponse> Register() {
    v1::RegisterWorkerRequest request;
    request.set_worker_id(id_);
    request.set_address(absl::StrCat("http://", id_, ":9000"));
    request.mutable_capacity()->set_cpu_cores(2);
    request.mutable_capacity()->set_max_pipelines(100);
    request.set_incarnation(incarnation_);
    for (const auto& copy : Copies()) *request.add_running() = copy;
    return transport::CallAndWait<v1::RegisterWorkerResponse>(bus_, subjects_.Register(), request);
  }

  absl::Status Beat() {
    v1::Heartbeat heartbeat;
    heartbeat.set_worker_id(id_);
    heartbeat.set_incarnation(incarnation_);
    for (const auto& copy : Copies()) *heartbeat.add_pipelines() = copy;
    return transport::CallAndWait<v1::HeartbeatResponse>(bus_, subjects_.Heartbeat(id_), heartbeat)
        .status();
  }

  void FailInjectsWith(absl::Status status) {
    MutexLock lock(mutex_);
    inject_error_ = std::move(status);
  }
  void SetSilent(bool silent) { silent_ = silent; }  // hears, and never answers

  std::vector<v1::RunningPipeline> Copies() {
    MutexLock lock(mutex_);
    std::vector<v1::RunningPipeline> copies;
    for (const auto& [id, copy] : copies_) copies.push_back(copy);
    return copies;
  }
  std::vector<v1::WorkerInjectRequest> injected() {
    MutexLock lock(mutex_);
    return injected_;
  }
  std::vector<v1::Event> batched() {
    MutexLock lock(mutex_);
    return batched_;
  }
  size_t deploys() const { return deploys_; }
  size_t pings() const { return pings_; }

 private:
  template <typename Request, typename Reply>
  void Serve(const std::string& verb,
             absl::StatusOr<Reply> (FakeWorker::*method)(const Request& request)) {
    const absl::Status served = service_->Serve<Request, Reply>(
        subjects_.Command(id_, verb), verb,
        [this, method](const transport::RequestContext&, const Request& request,
                       transport::Replier<Reply> reply) {
          if (silent_) {
            MutexLock lock(mutex_);
            held_.push_back(std::make_shared<transport::Replier<Reply>>(std::move(reply)));
            return;
          }
          reply.Answer((this->*method)(request));
        });
    EXPECT_TRUE(served.ok()) << served;
  }

  absl::StatusOr<v1::DeployPipelineResponse> OnDeploy(const v1::DeployPipelineRequest& request) {
    ++deploys_;
    MutexLock lock(mutex_);
    const std::string key =
        absl::StrCat(request.group_id(), "/", request.name(), "/", request.replica());
    v1::RunningPipeline& copy = copies_[key];
    if (copy.pipeline_id().empty() || copy.placement_epoch() != request.placement_epoch()) {
      copy.set_pipeline_id(absl::StrCat(id_, "-", request.name(), "-", next_id_++));
    }
    copy.set_group_id(request.group_id());
    copy.set_name(request.name());
    copy.set_replica(request.replica());
    copy.set_placement_epoch(request.placement_epoch());
    copy.set_status("running");
    v1::DeployPipelineResponse response;
    response.set_id(copy.pipeline_id());
    response.set_name(request.name());
    response.set_status("running");
    return response;
  }

  absl::StatusOr<v1::OkResponse> OnUndeploy(const v1::UndeployPipelineRequest& request) {
    MutexLock lock(mutex_);
    copies_.erase(absl::StrCat(request.group_id(), "/", request.name(), "/", request.replica()));
    v1::OkResponse response;
    response.set_ok(true);
    return response;
  }

  absl::StatusOr<v1::WorkerInjectResponse> OnInject(const v1::WorkerInjectRequest& request) {
    MutexLock lock(mutex_);
    if (!inject_error_.ok()) return inject_error_;
    injected_.push_back(request);
    v1::WorkerInjectResponse response;
    response.set_accepted(true);
    *response.add_output_events() = request.event();
    return response;
  }

  absl::StatusOr<v1::WorkerInjectBatchResponse> OnBatch(
      const v1::WorkerInjectBatchRequest& request) {
    MutexLock lock(mutex_);
    batched_.insert(batched_.end(), request.events().begin(), request.events().end());
    v1::WorkerInjectBatchResponse response;
    response.set_accepted(request.events_size());
    *response.mutable_output_events() = request.events();
    response.set_output_count(request.events_size());
    return response;
  }

  absl::StatusOr<v1::PingResponse> OnPing(const v1::PingRequest&) {
    ++pings_;
    v1::PingResponse response;
    response.set_worker_id(id_);
    response.set_incarnation(incarnation_);
    for (const auto& copy : Copies()) *response.add_pipelines() = copy;
    return response;
  }

  transport::Bus& bus_;
  const transport::Subjects subjects_;
  const std::string id_;
  const std::string incarnation_;
  std::atomic<bool> silent_{false};
  std::atomic<size_t> deploys_{0};
  std::atomic<size_t> pings_{0};
  Mutex mutex_;
  absl::Status inject_error_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, v1::RunningPipeline> copies_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::WorkerInjectRequest> injected_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::Event> batched_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<void>> held_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::unique_ptr<transport::Service> service_;  // last: stops first
};

}  // namespace varpulis::coordinator
