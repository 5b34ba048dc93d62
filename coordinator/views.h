#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "coordinator/cluster_state.h"
#include "proto/cluster.pb.h"

namespace varpulis::coordinator {

// State → what the API shows. Pure; lists are sorted by id.

// "name", or "name#replica" when there are several.
std::string CopyName(const varpulis::v1::PipelineSpec& spec, uint32_t replica);

varpulis::v1::WorkerInfo MakeWorkerInfo(const ClusterState& state, const Worker& worker);
varpulis::v1::GroupInfo MakeGroupInfo(const ClusterState& state, const Group& group);

// INVALID_ARGUMENT (invalid_limit) for a limit outside 1..1000.
absl::StatusOr<varpulis::v1::ListWorkersResponse> ListWorkers(
    const ClusterState& state, const varpulis::v1::ListRequest& request);
absl::StatusOr<varpulis::v1::ListGroupsResponse> ListGroups(
    const ClusterState& state, const varpulis::v1::ListRequest& request);

varpulis::v1::TopologyResponse MakeTopology(const ClusterState& state);
varpulis::v1::ClusterHealthResponse MakeHealth(const ClusterState& state,
                                               const std::string& version, bool durable);

varpulis::v1::MigrationInfo MakeMigrationInfo(const ClusterState& state, const Migration& migration,
                                              absl::Time now);
// By id.
absl::StatusOr<varpulis::v1::ListMigrationsResponse> ListMigrations(
    const ClusterState& state, const varpulis::v1::ListRequest& request, absl::Time now);

}  // namespace varpulis::coordinator
