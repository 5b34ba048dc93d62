#include "worker/command_service.h"

#include <type_traits>
#include <utility>

#include "base/status_macros.h"
#include "worker/inject.h"

namespace varpulis::worker {

using transport::Replier;
using varpulis::v1::CheckpointPipelineRequest;
using varpulis::v1::CheckpointPipelineResponse;
using varpulis::v1::DeployPipelineRequest;
using varpulis::v1::DeployPipelineResponse;
using varpulis::v1::DrainRequest;
using varpulis::v1::DrainResponse;
using varpulis::v1::OkResponse;
using varpulis::v1::PingRequest;
using varpulis::v1::PingResponse;
using varpulis::v1::UndeployPipelineRequest;
using varpulis::v1::WorkerInjectBatchRequest;
using varpulis::v1::WorkerInjectBatchResponse;
using varpulis::v1::WorkerInjectRequest;
using varpulis::v1::WorkerInjectResponse;

CommandService::CommandService(Options options, PipelineHost& host)
    : options_(std::move(options)), host_(host) {}

absl::StatusOr<std::unique_ptr<CommandService>> CommandService::Start(Options options,
                                                                      transport::Bus& bus,
                                                                      PipelineHost& host) {
  auto service = std::unique_ptr<CommandService>(new CommandService(std::move(options), host));
  const Options& chosen = service->options_;
  ASSIGN_OR_RETURN(
      service->service_,
      transport::Service::Start(bus, {.name = "varpulis-worker",
                                      .id = chosen.incarnation,
                                      .version = chosen.version,
                                      .description = "Runs pipelines for a Varpulis coordinator",
                                      .metadata = {{"worker_id", chosen.worker_id}}}));
  RETURN_IF_ERROR(service->Serve(host.subjects()));
  return service;
}

absl::Status CommandService::Serve(const transport::Subjects& subjects) {
  auto serve = [&](const std::string& verb, auto method) {
    return Serve(subjects.Command(options_.worker_id, verb), method);
  };
  RETURN_IF_ERROR(serve("deploy", &CommandService::OnDeploy));
  RETURN_IF_ERROR(serve("undeploy", &CommandService::OnUndeploy));
  RETURN_IF_ERROR(serve("checkpoint", &CommandService::OnCheckpoint));
  RETURN_IF_ERROR(serve("inject", &CommandService::OnInject));
  RETURN_IF_ERROR(serve("inject_batch", &CommandService::OnInjectBatch));
  RETURN_IF_ERROR(serve("ping", &CommandService::OnPing));
  RETURN_IF_ERROR(serve("drain", &CommandService::OnDrain));
  return absl::OkStatus();
}

template <typename Request, typename Reply>
absl::Status CommandService::Serve(const std::string& subject,
                                   void (CommandService::*method)(Request, Replier<Reply>)) {
  using Message = std::remove_cvref_t<Request>;
  const std::string verb = subject.substr(subject.rfind('.') + 1);
  return service_->Serve<Message, Reply>(
      subject, verb,
      [this, method](const transport::RequestContext&, Message request, Replier<Reply> reply) {
        if (const absl::Status admitted = host_.AdmitLeader(request.leader_epoch());
            !admitted.ok()) {
          return reply.Fail(admitted);
        }
        (this->*method)(std::move(request), std::move(reply));
      });
}

void CommandService::OnDeploy(DeployPipelineRequest request,
                              Replier<DeployPipelineResponse> reply) {
  host_.Deploy(std::move(request), AnswerTo(std::move(reply)));
}

void CommandService::OnUndeploy(UndeployPipelineRequest request, Replier<OkResponse> reply) {
  host_.Undeploy(std::move(request), AnswerTo(std::move(reply)));
}

void CommandService::OnCheckpoint(const CheckpointPipelineRequest& request,
                                  Replier<CheckpointPipelineResponse> reply) {
  host_.Checkpoint(request, AnswerTo(std::move(reply)));
}

void CommandService::OnInject(WorkerInjectRequest request, Replier<WorkerInjectResponse> reply) {
  std::optional<uint64_t> epoch;
  if (request.has_placement_epoch()) epoch = request.placement_epoch();
  InjectEvent(host_, PipelineId(request.pipeline_id()), epoch, std::move(*request.mutable_event()),
              request.event_id(), AnswerTo(std::move(reply)));
}

void CommandService::OnInjectBatch(WorkerInjectBatchRequest request,
                                   Replier<WorkerInjectBatchResponse> reply) {
  std::optional<uint64_t> epoch;
  if (request.has_placement_epoch()) epoch = request.placement_epoch();
  InjectEvents(host_, PipelineId(request.pipeline_id()), epoch,
               std::move(*request.mutable_events()), AnswerTo(std::move(reply)));
}

void CommandService::OnPing(const PingRequest& request, Replier<PingResponse> reply) {
  if (options_.on_ping) options_.on_ping();
  PingResponse response;
  response.set_worker_id(options_.worker_id);
  response.set_incarnation(options_.incarnation);
  response.set_draining(host_.draining());
  response.set_brief(request.brief());
  if (!request.brief()) {
    for (auto& placement : host_.Placements()) *response.add_pipelines() = std::move(placement);
  }
  reply.Reply(response);
}

void CommandService::OnDrain(const DrainRequest& /*request*/, Replier<DrainResponse> reply) {
  host_.RefuseDeploys();
  host_.WhenProcessed(options_.drain_timeout,
                      [this, answer = AnswerTo(std::move(reply))](bool processed) {
                        DrainResponse response;
                        host_.CheckpointChanged();
                        response.set_ok(processed);
                        response.set_pipelines_running(host_.size());
                        answer(std::move(response));
                      });
}

}  // namespace varpulis::worker
