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
  void OnRegister(transport::RequestContext context, varpulis::v1::RegisterWorkerRequest request,
                  transport::RawReplier reply);
  void OnHeartbeat(transport::RequestContext context, varpulis::v1::Heartbeat heartbeat,
                   transport::RawReplier reply);
  void OnDeleteWorker(transport::RequestContext context, varpulis::v1::WorkerRequest request,
                      transport::RawReplier reply);
  void OnDeploy(transport::RequestContext context, varpulis::v1::DeployGroupRequest request,
                transport::RawReplier reply);
  void OnDeleteGroup(transport::RequestContext context, varpulis::v1::GroupRequest request,
                     transport::RawReplier reply);
  void OnValidate(transport::RequestContext context, varpulis::v1::ValidateRequest request,
                  transport::RawReplier reply);

  template <typename Request>
  absl::Status Add(transport::Service& service, const std::string& subject, std::string endpoint,
                   void (ControlService::*method)(transport::RequestContext, Request,
                                                  transport::RawReplier));

  Runtime& runtime_;
};

// The errors that the language front end finds.
std::vector<SourceProblem> CheckPipelineSource(absl::string_view source);

}  // namespace varpulis::coordinator
