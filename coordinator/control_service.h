#pragma once

#include "absl/status/status.h"

#include "coordinator/validation.h"
#include "proto/cluster.pb.h"
#include "transport/rpc.h"

namespace varpulis::coordinator {

class Runtime;

// The subjects that change something. Handlers run on transport threads: they validate and hand
// over.
class ControlService {
 public:
  explicit ControlService(Runtime& runtime) : runtime_(runtime) {}

  absl::Status Serve(transport::Service& service);

 private:
  void OnRegister(const transport::RequestContext& context,
                  varpulis::v1::RegisterWorkerRequest request, transport::RawReplier reply);
  void OnHeartbeat(const transport::RequestContext& context, varpulis::v1::Heartbeat heartbeat,
                   transport::RawReplier reply);
  void OnDeleteWorker(const transport::RequestContext& context,
                      const varpulis::v1::WorkerRequest& request, transport::RawReplier reply);
  void OnDrain(const transport::RequestContext& context,
               const varpulis::v1::DrainWorkerRequest& request, transport::RawReplier reply);
  void OnMigrate(const transport::RequestContext& context,
                 const varpulis::v1::MigratePipelineRequest& request, transport::RawReplier reply);
  void OnRebalance(const transport::RequestContext& context, const varpulis::v1::Empty& request,
                   transport::RawReplier reply);
  void OnDeploy(const transport::RequestContext& context, varpulis::v1::DeployGroupRequest request,
                transport::RawReplier reply);
  void OnDeleteGroup(const transport::RequestContext& context,
                     const varpulis::v1::GroupRequest& request, transport::RawReplier reply);
  void OnValidate(const transport::RequestContext& context, varpulis::v1::ValidateRequest request,
                  transport::RawReplier reply);

  // `Request`: a message, by value or by const reference.
  template <typename Request>
  absl::Status Add(transport::Service& service, const std::string& subject,
                   const std::string& endpoint,
                   void (ControlService::*method)(const transport::RequestContext&, Request,
                                                  transport::RawReplier));

  Runtime& runtime_;
};

// The errors that the language front end finds.
std::vector<SourceProblem> CheckPipelineSource(absl::string_view source);

}  // namespace varpulis::coordinator
