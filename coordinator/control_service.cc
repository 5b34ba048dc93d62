#include "coordinator/control_service.h"

#include <memory>
#include <type_traits>
#include <utility>

#include "base/ids.h"
#include "base/status_macros.h"
#include "coordinator/command.h"
#include "coordinator/remembered_calls.h"
#include "coordinator/runtime.h"
#include "engine/lang/check.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {

using transport::RawReplier;
using transport::RequestContext;

std::vector<SourceProblem> CheckPipelineSource(absl::string_view source) {
  std::vector<SourceProblem> problems;
  for (engine::Diagnostic& found :
       engine::CheckRunnable({source.data(), source.size()}).diagnostics) {
    if (found.severity != engine::Severity::kError) continue;
    problems.push_back({static_cast<uint32_t>(found.line), static_cast<uint32_t>(found.column),
                        std::move(found.message), engine::HintText(found)});
  }
  return problems;
}

template <typename Request>
absl::Status ControlService::Add(transport::Service& service, const std::string& subject,
                                 const std::string& endpoint,
                                 void (ControlService::*method)(const RequestContext&, Request,
                                                                RawReplier)) {
  using Message = std::remove_cvref_t<Request>;
  return service.ServeRaw(
      subject, endpoint, std::make_unique<Message>(),
      [this, method](const RequestContext& context, std::unique_ptr<google::protobuf::Message> body,
                     RawReplier reply) {
        (this->*method)(context, std::move(static_cast<Message&>(*body)), std::move(reply));
      });
}

absl::Status ControlService::Serve(transport::Service& service) {
  const transport::Subjects& s = runtime_.policy().subjects;
  using Self = ControlService;
  RETURN_IF_ERROR(Add(service, s.Register(), "register", &Self::OnRegister));
  RETURN_IF_ERROR(
      Add(service, s.Api("workers", "register"), "workers-register", &Self::OnRegister));
  RETURN_IF_ERROR(Add(service, s.AnyHeartbeat(), "heartbeat", &Self::OnHeartbeat));
  RETURN_IF_ERROR(
      Add(service, s.Api("workers", "heartbeat"), "workers-heartbeat", &Self::OnHeartbeat));
  RETURN_IF_ERROR(
      Add(service, s.Api("workers", "delete"), "workers-delete", &Self::OnDeleteWorker));
  RETURN_IF_ERROR(Add(service, s.Api("workers", "drain"), "workers-drain", &Self::OnDrain));
  RETURN_IF_ERROR(
      Add(service, s.Api("pipelines", "migrate"), "pipelines-migrate", &Self::OnMigrate));
  RETURN_IF_ERROR(
      Add(service, s.Api("cluster", "rebalance"), "cluster-rebalance", &Self::OnRebalance));
  RETURN_IF_ERROR(Add(service, s.Api("groups", "deploy"), "groups-deploy", &Self::OnDeploy));
  RETURN_IF_ERROR(Add(service, s.Api("groups", "delete"), "groups-delete", &Self::OnDeleteGroup));
  return Add(service, s.Api("cluster", "validate"), "cluster-validate", &Self::OnValidate);
}

void ControlService::OnRegister(const RequestContext& /*context*/,
                                v1::RegisterWorkerRequest request, RawReplier reply) {
  if (const absl::Status valid = ValidateRegistration(request); !valid.ok())
    return reply.Fail(valid);
  runtime_.Submit(RegisterWorker{std::move(request), runtime_.Expect(std::move(reply)), NewUuid()});
}

// Answered also on success when an answer is expected: silence would look like a lost leader.
void ControlService::OnHeartbeat(const RequestContext& context, v1::Heartbeat heartbeat,
                                 RawReplier reply) {
  const absl::Time received = Runtime::Now();
  if (auto worker = runtime_.policy().subjects.TokenAfter("heartbeat", context.subject)) {
    heartbeat.set_worker_id(*std::move(worker));
  }
  runtime_.Submit(
      ReceiveHeartbeat{std::move(heartbeat), received, runtime_.Expect(std::move(reply))});
}

void ControlService::OnDeleteWorker(const RequestContext& context, const v1::WorkerRequest& request,
                                    RawReplier reply) {
  if (const absl::Status valid = ValidateRequestId(context.request_id); !valid.ok()) {
    return reply.Fail(valid);
  }
  runtime_.Submit(DeleteWorker{WorkerId(request.worker_id()), runtime_.Expect(std::move(reply)),
                               context.request_id});
}

void ControlService::OnDrain(const RequestContext& context, const v1::DrainWorkerRequest& request,
                             RawReplier reply) {
  const ReplyToken token = runtime_.Expect(std::move(reply));
  DrainWorker command;
  command.worker = WorkerId(request.worker_id());
  if (request.has_timeout_secs()) command.timeout = absl::Seconds(request.timeout_secs());
  command.wait = !request.has_wait() || request.wait();
  command.reply = token;
  runtime_.Submit(std::move(command));
  runtime_.RemindAt(Runtime::AnswerBy(context), token);
}

void ControlService::OnMigrate(const RequestContext& /*context*/,
                               const v1::MigratePipelineRequest& request, RawReplier reply) {
  runtime_.Submit(MigratePipeline{GroupId(request.group_id()), request.pipeline_name(),
                                  WorkerId(request.target_worker_id()),
                                  runtime_.Expect(std::move(reply))});
}

void ControlService::OnRebalance(const RequestContext& /*context*/, const v1::Empty& /*request*/,
                                 RawReplier reply) {
  runtime_.Submit(Rebalance{runtime_.Expect(std::move(reply))});
}

void ControlService::OnDeploy(const RequestContext& context, v1::DeployGroupRequest request,
                              RawReplier reply) {
  if (const absl::Status valid = ValidateRequestId(context.request_id); !valid.ok()) {
    return reply.Fail(valid);
  }
  struct Job {
    v1::DeployGroupRequest request;
    std::string request_id;
    absl::Time answer_by;
    RawReplier reply;
  };
  auto job = std::make_shared<Job>(
      Job{std::move(request), context.request_id, Runtime::AnswerBy(context), std::move(reply)});
  runtime_.RunAside([this, job] {  // thousands of sources take a while to compile
    const absl::Status valid = ValidateDeploy(job->request, runtime_.policy(), CheckPipelineSource);
    if (!valid.ok()) return job->reply.Fail(valid);
    const ReplyToken token = runtime_.Expect(std::move(job->reply));
    runtime_.Submit(DeployGroup{std::move(job->request), GroupId(NewUuid()),
                                std::move(job->request_id), token});
    runtime_.RemindAt(job->answer_by, token);
  });
}

void ControlService::OnDeleteGroup(const RequestContext& context, const v1::GroupRequest& request,
                                   RawReplier reply) {
  if (const absl::Status valid = ValidateRequestId(context.request_id); !valid.ok()) {
    return reply.Fail(valid);
  }
  const ReplyToken token = runtime_.Expect(std::move(reply));
  runtime_.Submit(DeleteGroup{GroupId(request.group_id()), token, context.request_id});
  runtime_.RemindAt(Runtime::AnswerBy(context), token);
}

void ControlService::OnValidate(const RequestContext& /*context*/, v1::ValidateRequest request,
                                RawReplier reply) {
  auto shared = std::make_shared<RawReplier>(std::move(reply));
  runtime_.RunAside([source = std::move(*request.mutable_source()), shared] {
    const engine::CheckResult result = engine::CheckRunnable(source);
    v1::ValidateResponse response;
    response.set_valid(result.ok());
    for (const engine::Diagnostic& found : result.diagnostics) {
      v1::ValidateDiagnostic& out = *response.add_diagnostics();
      out.set_severity(found.severity == engine::Severity::kError ? "error" : "warning");
      out.set_line(static_cast<uint32_t>(found.line));
      out.set_column(static_cast<uint32_t>(found.column));
      out.set_message(found.message);
      if (std::string hint = engine::HintText(found); !hint.empty()) out.set_hint(hint);
      out.set_code(found.code);
    }
    shared->Reply(response);
  });
}

}  // namespace varpulis::coordinator
