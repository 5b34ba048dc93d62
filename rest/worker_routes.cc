#include "rest/worker_routes.h"

#include <utility>

#include "proto/cluster.pb.h"
#include "proto/worker_api.pb.h"

#include "rest/http_error.h"
#include "rest/log_stream.h"
#include "transport/json_codec.h"

namespace varpulis::rest {
namespace {

using Retry = Route::Retry;

// A worker that is not ready says so in a successful reply; a probe looks at the HTTP status.
HttpResponse FormatReady(const RequestHead&, const Route::Reply& reply) {
  if (!reply.ok()) return ErrorResponse(reply.status());
  const auto& ready = static_cast<const v1::WorkerReadyResponse&>(**reply);
  HttpResponse response;
  response.status = ready.status() == "ready" ? 200 : 503;
  response.body = transport::ToJson(ready);
  return response;
}

template <typename Request, typename Reply>
Route LocalEndpoint(const char* method, const char* path, Role role, std::string subject) {
  Route route = Endpoint<Request, Reply>(method, path, role, std::move(subject));
  // The local bus has no leader to wait for; what changes something carries a request id all the
  // same.
  if (route.method != "GET") route.retry = Retry::kWithRequestId;
  return route;
}

Route WithBody(Route route) {
  route.takes_body = true;
  return route;
}

Route Large(Route route) {
  route.large_body = true;
  return route;
}

Route ById(Route route) {
  route.id_field = "pipeline_id";
  route.validate_id = transport::ValidatePipelineId;
  return route;
}

Route Event(Route route) {
  route.retry = Retry::kUndelivered;
  return route;
}

void AddPipelines(const transport::Subjects& subjects, Routes& routes) {
  const auto api = [&](const char* verb) { return subjects.Api("pipelines", verb); };

  Route deploy =
      WithBody(LocalEndpoint<v1::DeployWorkerPipelineRequest, v1::DeployPipelineResponse>(
          "POST", "/api/v1/pipelines", Role::kOperator, api("deploy")));
  deploy.success = 201;
  routes.Add(std::move(deploy));
  Route list = LocalEndpoint<v1::ListRequest, v1::ListWorkerPipelinesResponse>(
      "GET", "/api/v1/pipelines", Role::kViewer, api("list"));
  list.query_fields = {"limit", "offset"};
  routes.Add(std::move(list));
  routes.Add(ById(LocalEndpoint<v1::WorkerPipelineRequest, v1::WorkerPipelineInfo>(
      "GET", "/api/v1/pipelines/{id}", Role::kViewer, api("get"))));
  routes.Add(ById(LocalEndpoint<v1::WorkerPipelineRequest, v1::DeleteWorkerPipelineResponse>(
      "DELETE", "/api/v1/pipelines/{id}", Role::kAdmin, api("delete"))));
  routes.Add(ById(
      WithBody(LocalEndpoint<v1::ReloadWorkerPipelineRequest, v1::ReloadWorkerPipelineResponse>(
          "POST", "/api/v1/pipelines/{id}/reload", Role::kOperator, api("reload")))));
  routes.Add(ById(LocalEndpoint<v1::WorkerPipelineRequest, v1::WorkerPipelineMetrics>(
      "GET", "/api/v1/pipelines/{id}/metrics", Role::kViewer, api("metrics"))));
  routes.Add(ById(LocalEndpoint<v1::WorkerPipelineRequest, v1::WorkerCheckpointResponse>(
      "POST", "/api/v1/pipelines/{id}/checkpoint", Role::kOperator, api("checkpoint"))));
  routes.Add(ById(Large(WithBody(LocalEndpoint<v1::WorkerRestoreRequest, v1::WorkerRestoreResponse>(
      "POST", "/api/v1/pipelines/{id}/restore", Role::kOperator, api("restore"))))));
  routes.Add(LocalEndpoint<v1::Empty, v1::WorkerUsageResponse>("GET", "/api/v1/usage",
                                                               Role::kViewer, api("usage")));
}

void AddEvents(const transport::Subjects& subjects, Routes& routes) {
  routes.Add(
      Event(ById(WithBody(LocalEndpoint<v1::InjectWorkerPipelineRequest, v1::WorkerInjectResponse>(
          "POST", "/api/v1/pipelines/{id}/events", Role::kOperator,
          subjects.Api("pipelines", "inject"))))));
  routes.Add(Event(ById(Large(
      WithBody(LocalEndpoint<v1::InjectBatchWorkerPipelineRequest, v1::WorkerInjectBatchResponse>(
          "POST", "/api/v1/pipelines/{id}/events-batch", Role::kOperator,
          subjects.Api("pipelines", "inject_batch")))))));
}

void AddProbes(const transport::Subjects& subjects, Routes& routes) {
  Route health = LocalEndpoint<v1::Empty, v1::WorkerHealthResponse>(
      "GET", "/health", Role::kViewer, subjects.Api("worker", "health"));
  health.needs_key = false;
  routes.Add(std::move(health));
  Route ready = LocalEndpoint<v1::Empty, v1::WorkerReadyResponse>("GET", "/ready", Role::kViewer,
                                                                  subjects.Api("worker", "ready"));
  ready.needs_key = false;
  ready.format = FormatReady;
  routes.Add(std::move(ready));
}

}  // namespace

Routes WorkerRoutes(transport::Bus& local, const transport::Subjects& subjects, ApiKeys keys) {
  Routes routes(local, std::move(keys),
                {.unknown_key_code = "invalid_api_key",
                 .nobody_serves = "the worker is starting or stopping"});
  AddPipelines(subjects, routes);
  AddEvents(subjects, routes);
  AddProbes(subjects, routes);

  Route logs = ById(LocalEndpoint<v1::WorkerPipelineRequest, v1::WorkerPipelineInfo>(
      "GET", "/api/v1/pipelines/{id}/logs", Role::kViewer, subjects.Api("pipelines", "get")));
  logs.stream = [&local, subjects](const std::string& id,
                                   const std::shared_ptr<Exchange>& exchange) {
    StreamLogs(local, subjects, id, exchange);
  };
  routes.Add(std::move(logs));
  return routes;
}

}  // namespace varpulis::rest
