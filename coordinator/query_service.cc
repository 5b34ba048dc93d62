#include "coordinator/query_service.h"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "base/partition_hash.h"
#include "base/status_macros.h"
#include "coordinator/runtime.h"
#include "coordinator/views.h"
#include "proto/cluster.pb.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

absl::StatusOr<v1::WorkerInfo> GetWorker(const v1::WorkerRequest& request,
                                         const Runtime::Reading& reading) {
  const Worker* worker = reading.state.FindWorker(WorkerId(request.worker_id()));
  if (worker == nullptr) {
    return transport::MakeError("worker_not_found",
                                absl::StrCat("no worker ", request.worker_id()));
  }
  return MakeWorkerInfo(reading.state, *worker);
}

absl::StatusOr<v1::GroupInfo> GetGroup(const v1::GroupRequest& request,
                                       const Runtime::Reading& reading) {
  const Group* group = reading.state.FindVisibleGroup(GroupId(request.group_id()));
  if (group == nullptr) {
    return transport::MakeError("group_not_found",
                                absl::StrCat("no pipeline group ", request.group_id()));
  }
  return MakeGroupInfo(reading.state, *group);
}

// Only the leader is asked, and it knows of no other.
v1::RaftResponse MakeRaft(const CoordinatorOptions& self, const Runtime::Reading& reading) {
  v1::RaftResponse response;
  if (!reading.leased) return response;
  // A number, as clients expect it, that others can work out; exact also as a float.
  const uint64_t id = PartitionHash(self.id) >> 32;
  response.set_enabled(true);
  response.set_this_node_id(id);
  response.set_leader_id(id);
  response.set_term(reading.state.leader_epoch);
  response.set_commit_index(reading.stored);
  v1::RaftNode& node = *response.add_nodes();
  node.set_id(id);
  node.set_address(self.address);
  node.set_role("leader");
  node.set_is_current(true);
  node.set_coordinator_id(self.id);
  return response;
}

}  // namespace

template <typename Request, typename Reply, typename Fn>
absl::Status QueryService::Add(transport::Service& service, const std::string& resource,
                               const std::string& verb, Fn answer) {
  return service.Serve<Request, Reply>(
      runtime_.policy().subjects.Api(resource, verb), absl::StrCat(resource, "-", verb),
      [this, answer](const transport::RequestContext&, Request request,
                     transport::Replier<Reply> reply) {
        auto shared = std::make_shared<transport::Replier<Reply>>(std::move(reply));
        runtime_.Read(
            [answer, request = std::move(request), shared](const Runtime::Reading& reading) {
              shared->Answer(answer(request, reading));
            });
      });
}

absl::Status QueryService::Serve(transport::Service& service) {
  using Reading = Runtime::Reading;
  RETURN_IF_ERROR((Add<v1::ListRequest, v1::ListWorkersResponse>(
      service, "workers", "list", [](const v1::ListRequest& r, const Reading& reading) {
        return ListWorkers(reading.state, r);
      })));
  RETURN_IF_ERROR((Add<v1::WorkerRequest, v1::WorkerInfo>(service, "workers", "get", &GetWorker)));
  RETURN_IF_ERROR((Add<v1::ListRequest, v1::ListGroupsResponse>(
      service, "groups", "list", [](const v1::ListRequest& r, const Reading& reading) {
        return ListGroups(reading.state, r);
      })));
  RETURN_IF_ERROR((Add<v1::GroupRequest, v1::GroupInfo>(service, "groups", "get", &GetGroup)));
  RETURN_IF_ERROR((Add<v1::ListRequest, v1::ListMigrationsResponse>(
      service, "migrations", "list", [](const v1::ListRequest& r, const Reading& reading) {
        return ListMigrations(reading.state, r, Runtime::Now());
      })));
  RETURN_IF_ERROR((Add<v1::MigrationRequest, v1::MigrationInfo>(
      service, "migrations", "get",
      [](const v1::MigrationRequest& r,
         const Reading& reading) -> absl::StatusOr<v1::MigrationInfo> {
        const auto found = reading.state.migrations.find(r.migration_id());
        if (found == reading.state.migrations.end()) {
          return transport::MakeError("migration_not_found",
                                      absl::StrCat("no migration ", r.migration_id()));
        }
        return MakeMigrationInfo(reading.state, found->second, Runtime::Now());
      })));
  RETURN_IF_ERROR((Add<v1::Empty, v1::TopologyResponse>(
      service, "topology", "get",
      [](const v1::Empty&, const Reading& reading) -> absl::StatusOr<v1::TopologyResponse> {
        return MakeTopology(reading.state);
      })));
  RETURN_IF_ERROR((Add<v1::Empty, v1::ClusterHealthResponse>(
      service, "cluster", "health",
      [this](const v1::Empty&,
             const Reading& reading) -> absl::StatusOr<v1::ClusterHealthResponse> {
        return MakeHealth(reading.state, runtime_.options().version, reading.durable);
      })));
  RETURN_IF_ERROR((Add<v1::Empty, v1::TransportResponse>(
      service, "cluster", "transport",
      [this](const v1::Empty&, const Reading&) -> absl::StatusOr<v1::TransportResponse> {
        v1::TransportResponse response;
        response.set_transport("nats");
        for (const std::string& url : runtime_.options().advertised_urls) response.add_urls(url);
        response.set_subject_prefix(runtime_.options().subject_prefix);
        return response;
      })));
  RETURN_IF_ERROR((Add<v1::Empty, v1::RaftResponse>(
      service, "cluster", "raft",
      [this](const v1::Empty&, const Reading& reading) -> absl::StatusOr<v1::RaftResponse> {
        return MakeRaft(runtime_.options(), reading);
      })));
  return Add<v1::Empty, v1::Empty>(
      service, "cluster", "ready",
      [](const v1::Empty&, const Reading& reading) -> absl::StatusOr<v1::Empty> {
        if (reading.ready) return v1::Empty();
        return transport::MakeError("not_ready", "the broker does not store the state at present");
      });
}

}  // namespace varpulis::coordinator
