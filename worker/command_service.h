#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "proto/cluster.pb.h"
#include "transport/bus.h"
#include "transport/rpc.h"
#include "worker/pipeline_host.h"

namespace varpulis::worker {

// The commands of a coordinator: {root}.cmd.{worker}.{verb}. Each checks the leader's epoch and
// hands over to the host; no handler waits. Destroying it stops the handlers.
class CommandService {
 public:
  struct Options {
    std::string worker_id;
    std::string incarnation;
    std::string version;
    absl::Duration drain_timeout = absl::Seconds(30);
    std::function<void()> on_ping = {};  // a leader has pinged us
  };

  static absl::StatusOr<std::unique_ptr<CommandService>> Start(Options options, transport::Bus& bus,
                                                               PipelineHost& host);

 private:
  CommandService(Options options, PipelineHost& host);

  absl::Status Serve(const transport::Subjects& subjects);
  // Serves a command with a method, for leaders that are not out of date. `Request`: a message, by
  // value or by const reference.
  template <typename Request, typename Reply>
  absl::Status Serve(const std::string& subject,
                     void (CommandService::*method)(Request, transport::Replier<Reply>));

  void OnDeploy(varpulis::v1::DeployPipelineRequest request,
                transport::Replier<varpulis::v1::DeployPipelineResponse> reply);
  void OnUndeploy(varpulis::v1::UndeployPipelineRequest request,
                  transport::Replier<varpulis::v1::OkResponse> reply);
  void OnCheckpoint(const varpulis::v1::CheckpointPipelineRequest& request,
                    transport::Replier<varpulis::v1::CheckpointPipelineResponse> reply);
  void OnInject(varpulis::v1::WorkerInjectRequest request,
                transport::Replier<varpulis::v1::WorkerInjectResponse> reply);
  void OnInjectBatch(varpulis::v1::WorkerInjectBatchRequest request,
                     transport::Replier<varpulis::v1::WorkerInjectBatchResponse> reply);
  void OnPing(const varpulis::v1::PingRequest& request,
              transport::Replier<varpulis::v1::PingResponse> reply);
  void OnDrain(const varpulis::v1::DrainRequest& request,
               transport::Replier<varpulis::v1::DrainResponse> reply);

  const Options options_;
  PipelineHost& host_;
  std::unique_ptr<transport::Service> service_;  // last: its handlers use the rest
};

}  // namespace varpulis::worker
