#include "rest/coordinator_routes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/cluster.pb.h"

#include "rest/http_error.h"
#include "rest/uri.h"
#include "transport/json_codec.h"

namespace varpulis::rest {
namespace {

using Retry = Route::Retry;

// A worker needs an address it can reach; a shim on another machine knows which one that is.
HttpResponse FormatTransport(const std::vector<std::string>& advertised, const RequestHead& head,
                             const Route::Reply& reply) {
  if (!reply.ok()) return ErrorResponse(reply.status());
  v1::TransportResponse transport = static_cast<const v1::TransportResponse&>(**reply);
  if (!advertised.empty()) {
    transport.mutable_urls()->Assign(advertised.begin(), advertised.end());
  } else {
    for (std::string& url : *transport.mutable_urls()) url = ReplaceLoopbackHost(url, head.host);
  }
  HttpResponse response;
  response.body = transport::ToJson(transport);
  return response;
}

// Ready means: this shim reaches a leader whose state is recovered.
HttpResponse FormatReady(const RequestHead&, const Route::Reply& reply) {
  HttpResponse response;
  if (reply.ok()) {
    response.body = R"({"status":"ready","role":"coordinator"})";
    return response;
  }
  response = ErrorResponse(reply.status());
  // {"error":…,"code":…} with the probe's own keys in front.
  response.status = 503;
  response.body = absl::StrCat(R"({"status":"not_ready","role":"coordinator",)",
                               absl::string_view(response.body).substr(1));
  return response;
}

// Done, or merely begun.
HttpResponse FormatDrain(const RequestHead&, const Route::Reply& reply) {
  if (!reply.ok()) return ErrorResponse(reply.status());
  const auto& drain = static_cast<const v1::DrainWorkerResponse&>(**reply);
  HttpResponse response;
  response.status = drain.status() == "drained" ? 200 : 202;
  response.body = transport::ToJson(drain);
  return response;
}

Route WithBody(Route route, Retry retry) {
  route.takes_body = true;
  route.retry = retry;
  return route;
}

Route WithId(Route route, const char* field, absl::Status (*validate)(absl::string_view)) {
  route.id_field = field;
  route.validate_id = validate;
  return route;
}

Route Listing(Route route) {
  route.query_fields = {"limit", "offset"};
  return route;
}

Route Open(Route route) {
  route.needs_key = false;
  return route;
}

Route Created(Route route) {
  route.success = 201;
  return route;
}

void AddWorkers(const transport::Subjects& subjects, Routes& routes) {
  const auto api = [&](const char* verb) { return subjects.Api("workers", verb); };
  const auto by_id = [](Route route) {
    return WithId(std::move(route), "worker_id", transport::ValidateWorkerId);
  };
  routes.Add(Created(
      WithBody(Endpoint<v1::RegisterWorkerRequest, v1::RegisterWorkerResponse>(
                   "POST", "/api/v1/cluster/workers/register", Role::kOperator, api("register")),
               Retry::kWithRequestId)));
  // Counters, the newest wins: sending one twice does no harm.
  routes.Add(Open(WithBody(
      by_id(Endpoint<v1::Heartbeat, v1::HeartbeatResponse>(
          "POST", "/api/v1/cluster/workers/{id}/heartbeat", Role::kViewer, api("heartbeat"))),
      Retry::kRead)));
  routes.Add(Listing(Endpoint<v1::ListRequest, v1::ListWorkersResponse>(
      "GET", "/api/v1/cluster/workers", Role::kViewer, api("list"))));
  routes.Add(by_id(Endpoint<v1::WorkerRequest, v1::WorkerInfo>(
      "GET", "/api/v1/cluster/workers/{id}", Role::kViewer, api("get"))));
  // Doing it twice does no harm: a worker that drains already is waited for.
  Route drain = by_id(Endpoint<v1::DrainWorkerRequest, v1::DrainWorkerResponse>(
      "POST", "/api/v1/cluster/workers/{id}/drain", Role::kOperator, api("drain")));
  drain.takes_body = true;
  drain.body_optional = true;
  drain.query_fields = {"wait"};
  drain.format = FormatDrain;
  routes.Add(std::move(drain));
  Route remove = by_id(Endpoint<v1::WorkerRequest, v1::DeleteWorkerResponse>(
      "DELETE", "/api/v1/cluster/workers/{id}", Role::kAdmin, api("delete")));
  remove.retry = Retry::kWithRequestId;
  routes.Add(std::move(remove));
}

void AddGroups(const transport::Subjects& subjects, Routes& routes) {
  const auto api = [&](const char* verb) { return subjects.Api("groups", verb); };
  const auto by_id = [](Route route) {
    return WithId(std::move(route), "group_id", transport::ValidateGroupId);
  };
  routes.Add(Created(
      WithBody(Endpoint<v1::DeployGroupRequest, v1::GroupInfo>(
                   "POST", "/api/v1/cluster/pipeline-groups", Role::kOperator, api("deploy")),
               Retry::kWithRequestId)));
  routes.Add(Listing(Endpoint<v1::ListRequest, v1::ListGroupsResponse>(
      "GET", "/api/v1/cluster/pipeline-groups", Role::kViewer, api("list"))));
  routes.Add(by_id(Endpoint<v1::GroupRequest, v1::GroupInfo>(
      "GET", "/api/v1/cluster/pipeline-groups/{id}", Role::kViewer, api("get"))));
  Route remove = by_id(Endpoint<v1::GroupRequest, v1::DeleteGroupResponse>(
      "DELETE", "/api/v1/cluster/pipeline-groups/{id}", Role::kAdmin, api("delete")));
  remove.retry = Retry::kWithRequestId;
  routes.Add(std::move(remove));
}

void AddMoves(const transport::Subjects& subjects, Routes& routes) {
  Route migrate = WithId(WithBody(Endpoint<v1::MigratePipelineRequest, v1::MigratePipelineResponse>(
                                      "POST", "/api/v1/cluster/pipelines/{id}/{name}/migrate",
                                      Role::kOperator, subjects.Api("pipelines", "migrate")),
                                  Retry::kUndelivered),
                         "group_id", transport::ValidateGroupId);
  migrate.name_field = "pipeline_name";
  migrate.success = 202;
  routes.Add(std::move(migrate));
  Route rebalance = Endpoint<v1::Empty, v1::RebalanceResponse>(
      "POST", "/api/v1/cluster/rebalance", Role::kOperator, subjects.Api("cluster", "rebalance"));
  rebalance.retry = Retry::kUndelivered;
  routes.Add(std::move(rebalance));
  routes.Add(Listing(Endpoint<v1::ListRequest, v1::ListMigrationsResponse>(
      "GET", "/api/v1/cluster/migrations", Role::kViewer, subjects.Api("migrations", "list"))));
  routes.Add(WithId(Endpoint<v1::MigrationRequest, v1::MigrationInfo>(
                        "GET", "/api/v1/cluster/migrations/{id}", Role::kViewer,
                        subjects.Api("migrations", "get")),
                    "migration_id", nullptr));
}

// The group is a token of the subject, not a field.
void AddInject(const transport::Subjects& subjects, Routes& routes) {
  const auto by_group = [](Route route) {
    return WithId(WithBody(std::move(route), Retry::kUndelivered), "", transport::ValidateGroupId);
  };
  Route one = by_group(Endpoint<v1::InjectRequest, v1::InjectResponse>(
      "POST", "/api/v1/cluster/pipeline-groups/{id}/inject", Role::kOperator, ""));
  one.subject_of_id = [subjects](const std::string& id) { return subjects.Inject(id); };
  routes.Add(std::move(one));

  Route batch = by_group(Endpoint<v1::InjectBatchRequest, v1::InjectBatchResponse>(
      "POST", "/api/v1/cluster/pipeline-groups/{id}/inject-batch", Role::kOperator, ""));
  batch.subject_of_id = [subjects](const std::string& id) { return subjects.InjectBatch(id); };
  batch.large_body = true;
  routes.Add(std::move(batch));
}

void AddCluster(const transport::Subjects& subjects, std::vector<std::string> advertised,
                Routes& routes) {
  routes.Add(Endpoint<v1::Empty, v1::TopologyResponse>(
      "GET", "/api/v1/cluster/topology", Role::kViewer, subjects.Api("topology", "get")));
  routes.Add(WithBody(
      Endpoint<v1::ValidateRequest, v1::ValidateResponse>(
          "POST", "/api/v1/cluster/validate", Role::kViewer, subjects.Api("cluster", "validate")),
      Retry::kRead));
  Route transport = Open(Endpoint<v1::Empty, v1::TransportResponse>(
      "GET", "/api/v1/cluster/transport", Role::kViewer, subjects.Api("cluster", "transport")));
  transport.format = [advertised = std::move(advertised)](const RequestHead& head,
                                                          const Route::Reply& reply) {
    return FormatTransport(advertised, head, reply);
  };
  routes.Add(std::move(transport));
  routes.Add(Open(Endpoint<v1::Empty, v1::RaftResponse>(
      "GET", "/api/v1/cluster/raft", Role::kViewer, subjects.Api("cluster", "raft"))));

  routes.Add(Open(Endpoint<v1::Empty, v1::ClusterHealthResponse>(
      "GET", "/health", Role::kViewer, subjects.Api("cluster", "health"))));
  Route ready = Open(Endpoint<v1::Empty, v1::Empty>("GET", "/ready", Role::kViewer,
                                                    subjects.Api("cluster", "ready")));
  ready.format = FormatReady;
  routes.Add(std::move(ready));
}

}  // namespace

Routes CoordinatorRoutes(transport::Bus& bus, const transport::Subjects& subjects, ApiKeys keys,
                         CoordinatorShimOptions options) {
  Routes routes(bus, std::move(keys),
                {.timeout = options.timeout,
                 .retry_for = options.retry_for,
                 .leader_notice = subjects.Notice("leader_changed")});
  AddWorkers(subjects, routes);
  AddGroups(subjects, routes);
  AddMoves(subjects, routes);
  AddInject(subjects, routes);
  AddCluster(subjects, std::move(options.advertised_urls), routes);
  return routes;
}

}  // namespace varpulis::rest
