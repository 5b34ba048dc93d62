#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "proto/worker_api.pb.h"
#include "transport/bus.h"
#include "transport/rpc.h"
#include "worker/pipeline_host.h"

namespace varpulis::worker {

// The worker's own API on its local bus (proto/worker_api.proto): what the HTTP shim of `varpulis
// server` translates. The same with and without a coordinator. Destroying it stops the handlers.
class LocalService {
 public:
  struct Options {
    std::string version;
    // Empty when the worker is ready, else why not.
    std::function<std::string()> not_ready_reason;
  };

  static absl::StatusOr<std::unique_ptr<LocalService>> Start(Options options, transport::Bus& bus,
                                                             PipelineHost& host);

 private:
  LocalService(Options options, PipelineHost& host);

  absl::Status Serve(const transport::Subjects& subjects);
  // `Request`: a message, by value or by const reference.
  template <typename Request, typename Reply>
  absl::Status Serve(const std::string& subject, const std::string& endpoint,
                     void (LocalService::*method)(Request, transport::Replier<Reply>));

  // One line of worker_api.proto's table each.
  void OnDeploy(const varpulis::v1::DeployWorkerPipelineRequest& request,
                transport::Replier<varpulis::v1::DeployPipelineResponse> reply);
  void OnList(const varpulis::v1::ListRequest& request,
              transport::Replier<varpulis::v1::ListWorkerPipelinesResponse> reply);
  void OnGet(const varpulis::v1::WorkerPipelineRequest& request,
             transport::Replier<varpulis::v1::WorkerPipelineInfo> reply);
  void OnDelete(const varpulis::v1::WorkerPipelineRequest& request,
                transport::Replier<varpulis::v1::DeleteWorkerPipelineResponse> reply);
  void OnReload(const varpulis::v1::ReloadWorkerPipelineRequest& request,
                transport::Replier<varpulis::v1::ReloadWorkerPipelineResponse> reply);
  void OnMetrics(const varpulis::v1::WorkerPipelineRequest& request,
                 transport::Replier<varpulis::v1::WorkerPipelineMetrics> reply);
  void OnCheckpoint(const varpulis::v1::WorkerPipelineRequest& request,
                    transport::Replier<varpulis::v1::WorkerCheckpointResponse> reply);
  void OnRestore(const varpulis::v1::WorkerRestoreRequest& request,
                 transport::Replier<varpulis::v1::WorkerRestoreResponse> reply);
  void OnInject(varpulis::v1::InjectWorkerPipelineRequest request,
                transport::Replier<varpulis::v1::WorkerInjectResponse> reply);
  void OnInjectBatch(varpulis::v1::InjectBatchWorkerPipelineRequest request,
                     transport::Replier<varpulis::v1::WorkerInjectBatchResponse> reply);
  void OnUsage(const varpulis::v1::Empty& request,
               transport::Replier<varpulis::v1::WorkerUsageResponse> reply);
  void OnHealth(const varpulis::v1::Empty& request,
                transport::Replier<varpulis::v1::WorkerHealthResponse> reply);
  void OnReady(const varpulis::v1::Empty& request,
               transport::Replier<varpulis::v1::WorkerReadyResponse> reply);

  absl::Time Now() const;
  varpulis::v1::WorkerPipelineInfo Describe(const HostedPipeline& hosted) const;

  const Options options_;
  PipelineHost& host_;
  const absl::Time started_;
  std::unique_ptr<transport::Service> service_;  // last: its handlers use the rest
};

}  // namespace varpulis::worker
