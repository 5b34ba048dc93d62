#include "worker/local_service.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/pipeline.h"
#include "proto/checkpoint.pb.h"
#include "transport/error_reply.h"
#include "worker/inject.h"

namespace varpulis::worker {

using transport::MakeError;
using transport::Replier;
using varpulis::checkpoint::v1::PipelineCheckpoint;
using varpulis::v1::DeleteWorkerPipelineResponse;
using varpulis::v1::DeployPipelineResponse;
using varpulis::v1::DeployWorkerPipelineRequest;
using varpulis::v1::Empty;
using varpulis::v1::InjectBatchWorkerPipelineRequest;
using varpulis::v1::InjectWorkerPipelineRequest;
using varpulis::v1::ListRequest;
using varpulis::v1::ListWorkerPipelinesResponse;
using varpulis::v1::OkResponse;
using varpulis::v1::ReloadWorkerPipelineRequest;
using varpulis::v1::ReloadWorkerPipelineResponse;
using varpulis::v1::WorkerCheckpoint;
using varpulis::v1::WorkerCheckpointResponse;
using varpulis::v1::WorkerHealthResponse;
using varpulis::v1::WorkerInjectBatchResponse;
using varpulis::v1::WorkerInjectResponse;
using varpulis::v1::WorkerPipelineInfo;
using varpulis::v1::WorkerPipelineMetrics;
using varpulis::v1::WorkerPipelineRequest;
using varpulis::v1::WorkerReadyResponse;
using varpulis::v1::WorkerRestoreRequest;
using varpulis::v1::WorkerRestoreResponse;
using varpulis::v1::WorkerUsageResponse;

namespace {

constexpr uint64_t kDefaultLimit = 50;
constexpr uint64_t kMaxLimit = 1000;

absl::Status NotFound(const std::string& id) {
  return MakeError("pipeline_not_found", absl::StrCat("no pipeline ", id, " on this server"));
}

// An event as people write it (InjectedEvent, InjectWorkerPipelineRequest) as one of ours.
template <typename Written>
varpulis::v1::Event ToEvent(Written& written) {
  varpulis::v1::Event event;
  event.set_event_type(written.event_type());
  if (written.has_timestamp_ns()) event.set_timestamp_ns(written.timestamp_ns());
  event.mutable_fields()->Swap(written.mutable_fields());
  return event;
}

WorkerCheckpoint Wrap(const PipelineCheckpoint& checkpoint) {
  WorkerCheckpoint wrapped;
  wrapped.set_version(checkpoint.version());
  wrapped.set_program_fingerprint(checkpoint.program_fingerprint());
  wrapped.set_events_processed(checkpoint.events_in());
  wrapped.set_output_events_emitted(checkpoint.events_out());
  wrapped.set_state(absl::Base64Escape(checkpoint.SerializeAsString()));
  return wrapped;
}

absl::StatusOr<PipelineHost::CheckpointPtr> Unwrap(const WorkerCheckpoint& wrapped) {
  std::string bytes;
  absl::StatusOr<PipelineHost::CheckpointPtr> checkpoint = absl::DataLossError("not base64");
  if (absl::Base64Unescape(wrapped.state(), &bytes)) {
    checkpoint = engine::Pipeline::ParseCheckpoint(bytes);
  }
  if (!checkpoint.ok()) {
    return MakeError("invalid_request", "checkpoint.state: not a pipeline's checkpoint");
  }
  if ((*checkpoint)->version() != wrapped.version()) {
    return MakeError("invalid_request", "checkpoint.version: not that of its state");
  }
  return checkpoint;
}

}  // namespace

LocalService::LocalService(Options options, PipelineHost& host)
    : options_(std::move(options)), host_(host), started_(Now()) {}

absl::Time LocalService::Now() const { return absl::FromUnixNanos(host_.options().now()); }

absl::StatusOr<std::unique_ptr<LocalService>> LocalService::Start(Options options,
                                                                  transport::Bus& bus,
                                                                  PipelineHost& host) {
  auto service = std::unique_ptr<LocalService>(new LocalService(std::move(options), host));
  ASSIGN_OR_RETURN(service->service_,
                   transport::Service::Start(bus, {.name = "varpulis-server",
                                                   .id = "",
                                                   .version = service->options_.version,
                                                   .description = "A worker's own API",
                                                   .metadata = {}}));
  RETURN_IF_ERROR(service->Serve(transport::Subjects()));
  return service;
}

absl::Status LocalService::Serve(const transport::Subjects& subjects) {
  auto serve = [&](const std::string& resource, const std::string& verb, auto method) {
    return Serve(subjects.Api(resource, verb), absl::StrCat(resource, "-", verb), method);
  };
  RETURN_IF_ERROR(serve("pipelines", "deploy", &LocalService::OnDeploy));
  RETURN_IF_ERROR(serve("pipelines", "list", &LocalService::OnList));
  RETURN_IF_ERROR(serve("pipelines", "get", &LocalService::OnGet));
  RETURN_IF_ERROR(serve("pipelines", "delete", &LocalService::OnDelete));
  RETURN_IF_ERROR(serve("pipelines", "reload", &LocalService::OnReload));
  RETURN_IF_ERROR(serve("pipelines", "metrics", &LocalService::OnMetrics));
  RETURN_IF_ERROR(serve("pipelines", "checkpoint", &LocalService::OnCheckpoint));
  RETURN_IF_ERROR(serve("pipelines", "restore", &LocalService::OnRestore));
  RETURN_IF_ERROR(serve("pipelines", "inject", &LocalService::OnInject));
  RETURN_IF_ERROR(serve("pipelines", "inject_batch", &LocalService::OnInjectBatch));
  RETURN_IF_ERROR(serve("pipelines", "usage", &LocalService::OnUsage));
  RETURN_IF_ERROR(serve("worker", "health", &LocalService::OnHealth));
  RETURN_IF_ERROR(serve("worker", "ready", &LocalService::OnReady));
  return absl::OkStatus();
}

template <typename Request, typename Reply>
absl::Status LocalService::Serve(const std::string& subject, const std::string& endpoint,
                                 void (LocalService::*method)(Request, Replier<Reply>)) {
  using Message = std::remove_cvref_t<Request>;
  return service_->Serve<Message, Reply>(
      subject, endpoint,
      [this, method](const transport::RequestContext&, Message request, Replier<Reply> reply) {
        (this->*method)(std::move(request), std::move(reply));
      });
}

// ---------------------------------------------------------------- pipelines

void LocalService::OnDeploy(const DeployWorkerPipelineRequest& request,
                            Replier<DeployPipelineResponse> reply) {
  host_.DeployLocal(request.name(), request.source(), AnswerTo(std::move(reply)));
}

WorkerPipelineInfo LocalService::Describe(const HostedPipeline& hosted) const {
  WorkerPipelineInfo info;
  info.set_id(hosted.placement.id.str());
  info.set_name(hosted.placement.name);
  info.set_status(PipelineHost::StatusOf(hosted));
  info.set_source(host_.SourceOf(hosted));
  info.set_uptime_secs(std::max<int64_t>(0, absl::ToInt64Seconds(Now() - hosted.started)));
  info.set_group_id(hosted.placement.group.str());
  info.set_replica(hosted.placement.replica);
  info.set_placement_epoch(hosted.placement.epoch);
  return info;
}

void LocalService::OnList(const ListRequest& request, Replier<ListWorkerPipelinesResponse> reply) {
  const uint64_t limit = request.has_limit() ? request.limit() : kDefaultLimit;
  if (limit == 0 || limit > kMaxLimit) {
    return reply.Fail(MakeError("invalid_limit", absl::StrCat("limit must be 1 to ", kMaxLimit)));
  }
  const auto all = host_.All();
  const uint64_t begin = std::min<uint64_t>(request.offset(), all.size());
  const uint64_t end = begin + std::min<uint64_t>(limit, all.size() - begin);
  ListWorkerPipelinesResponse response;
  for (uint64_t i = begin; i < end; ++i) *response.add_pipelines() = Describe(*all[i]);
  response.set_total(all.size());
  response.mutable_pagination()->set_total(all.size());
  response.mutable_pagination()->set_limit(limit);
  response.mutable_pagination()->set_offset(request.offset());
  response.mutable_pagination()->set_has_more(end < all.size());
  reply.Reply(response);
}

void LocalService::OnGet(const WorkerPipelineRequest& request, Replier<WorkerPipelineInfo> reply) {
  const auto hosted = host_.Find(PipelineId(request.pipeline_id()));
  if (hosted == nullptr) return reply.Fail(NotFound(request.pipeline_id()));
  reply.Reply(Describe(*hosted));
}

void LocalService::OnDelete(const WorkerPipelineRequest& request,
                            Replier<DeleteWorkerPipelineResponse> reply) {
  host_.Remove(PipelineId(request.pipeline_id()),
               [answer = AnswerTo(std::move(reply))](const absl::StatusOr<OkResponse>& result) {
                 if (!result.ok()) return answer(result.status());
                 DeleteWorkerPipelineResponse response;
                 response.set_deleted(true);
                 answer(std::move(response));
               });
}

void LocalService::OnReload(const ReloadWorkerPipelineRequest& request,
                            Replier<ReloadWorkerPipelineResponse> reply) {
  host_.Reload(PipelineId(request.pipeline_id()), request.source(),
               [answer = AnswerTo(std::move(reply))](const absl::StatusOr<OkResponse>& result) {
                 if (!result.ok()) return answer(result.status());
                 ReloadWorkerPipelineResponse response;
                 response.set_reloaded(true);
                 answer(std::move(response));
               });
}

void LocalService::OnMetrics(const WorkerPipelineRequest& request,
                             Replier<WorkerPipelineMetrics> reply) {
  const auto hosted = host_.Find(PipelineId(request.pipeline_id()));
  if (hosted == nullptr) return reply.Fail(NotFound(request.pipeline_id()));
  const PipelineRunner::Stats stats = hosted->runner->stats();
  WorkerPipelineMetrics metrics;
  metrics.set_pipeline_id(request.pipeline_id());
  metrics.set_events_processed(stats.events_in);
  metrics.set_output_events_emitted(stats.events_out);
  reply.Reply(metrics);
}

// ---------------------------------------------------------------- state

void LocalService::OnCheckpoint(const WorkerPipelineRequest& request,
                                Replier<WorkerCheckpointResponse> reply) {
  const auto hosted = host_.Find(PipelineId(request.pipeline_id()));
  auto answer = AnswerTo(std::move(reply));
  const bool posted =
      hosted != nullptr &&
      hosted->runner->Post([id = request.pipeline_id(), answer](PipelineRunner::EnginePtr& engine) {
        const auto checkpoint = engine->Save();
        WorkerCheckpointResponse response;
        response.set_pipeline_id(id);
        *response.mutable_checkpoint() = Wrap(*checkpoint);
        response.set_events_processed(checkpoint->events_in());
        answer(std::move(response));
      });
  if (!posted) answer(NotFound(request.pipeline_id()));
}

void LocalService::OnRestore(const WorkerRestoreRequest& request,
                             Replier<WorkerRestoreResponse> reply) {
  absl::StatusOr<PipelineHost::CheckpointPtr> checkpoint = Unwrap(request.checkpoint());
  if (!checkpoint.ok()) return reply.Fail(checkpoint.status());
  const uint64_t events = (*checkpoint)->events_in();
  host_.Restore(PipelineId(request.pipeline_id()), std::move(*checkpoint),
                [id = request.pipeline_id(), events,
                 answer = AnswerTo(std::move(reply))](const absl::StatusOr<OkResponse>& result) {
                  if (!result.ok()) return answer(result.status());
                  WorkerRestoreResponse response;
                  response.set_pipeline_id(id);
                  response.set_restored(true);
                  response.set_events_restored(events);
                  answer(std::move(response));
                });
}

// ---------------------------------------------------------------- events

void LocalService::OnInject(InjectWorkerPipelineRequest request,
                            Replier<WorkerInjectResponse> reply) {
  InjectEvent(host_, PipelineId(request.pipeline_id()), /*epoch=*/{}, ToEvent(request),
              request.event_id(), AnswerTo(std::move(reply)));
}

void LocalService::OnInjectBatch(InjectBatchWorkerPipelineRequest request,
                                 Replier<WorkerInjectBatchResponse> reply) {
  google::protobuf::RepeatedPtrField<varpulis::v1::Event> events;
  for (auto& written : *request.mutable_events()) *events.Add() = ToEvent(written);
  InjectEvents(host_, PipelineId(request.pipeline_id()), /*epoch=*/{}, std::move(events),
               AnswerTo(std::move(reply)));
}

// ---------------------------------------------------------------- the server

void LocalService::OnUsage(const Empty& /*request*/, Replier<WorkerUsageResponse> reply) {
  WorkerUsageResponse usage;
  usage.set_tenant_id("default");
  usage.set_events_processed(host_.totals().events_in);
  usage.set_output_events_emitted(host_.totals().events_out);
  usage.set_active_pipelines(host_.size());
  usage.mutable_quota()->set_max_pipelines(host_.options().max_pipelines);
  reply.Reply(usage);
}

void LocalService::OnHealth(const Empty& /*request*/, Replier<WorkerHealthResponse> reply) {
  WorkerHealthResponse health;
  health.set_status("healthy");
  health.set_uptime_seconds(absl::ToDoubleSeconds(Now() - started_));
  health.set_version(options_.version);
  reply.Reply(health);
}

void LocalService::OnReady(const Empty& /*request*/, Replier<WorkerReadyResponse> reply) {
  WorkerReadyResponse ready;
  if (const std::string reason = options_.not_ready_reason(); !reason.empty()) {
    ready.set_status("not_ready");
    ready.set_reason(reason);
    return reply.Reply(ready);
  }
  ready.set_status("ready");
  ready.set_engine_loaded(true);
  ready.set_streams_count(host_.stream_count());
  ready.set_events_processed(host_.totals().events_in);
  ready.set_output_events_emitted(host_.totals().events_out);
  reply.Reply(ready);
}

}  // namespace varpulis::worker
