#include "coordinator/views.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "transport/error_reply.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {
namespace {

using varpulis::v1::ListRequest;
using varpulis::v1::Pagination;
using varpulis::v1::TopologyLink;
using varpulis::v1::TopologyResponse;

absl::StatusOr<Pagination> Page(const ListRequest& request, size_t total) {
  Pagination page;
  page.set_total(total);
  page.set_limit(request.has_limit() ? request.limit() : 50);
  page.set_offset(request.offset());
  if (page.limit() < 1 || page.limit() > 1000) {
    return transport::MakeError("invalid_limit",
                                absl::StrCat("limit must be 1 to 1000, not ", page.limit()));
  }
  page.set_has_more(page.offset() < total && total - page.offset() > page.limit());
  return page;
}

std::string AddressOf(const ClusterState& state, const WorkerId& id) {
  const Worker* worker = state.FindWorker(id);
  return worker == nullptr ? "" : worker->address;
}

// Copies that are, or are about to be, on a worker that exists.
bool Placed(const ClusterState& state, const Placement& copy) {
  return copy.status != varpulis::v1::PLACEMENT_STATUS_FAILED &&
         state.FindWorker(copy.worker) != nullptr;
}

void AddLinks(const ClusterState& state, const Group& group, TopologyResponse& topology) {
  for (const varpulis::v1::RouteSpec& route : group.routes) {
    const Pipeline* from = group.FindPipeline(route.from_pipeline());
    const Pipeline* to = group.FindPipeline(route.to_pipeline());
    if (from == nullptr || to == nullptr) continue;  // from outside
    for (size_t i = 0; i < from->copies.size(); ++i) {
      for (size_t j = 0; j < to->copies.size(); ++j) {
        if (!Placed(state, from->copies[i]) || !Placed(state, to->copies[j])) continue;
        TopologyLink& link = *topology.add_routes();
        link.set_source_worker(from->copies[i].worker.str());
        link.set_source_pipeline(CopyName(from->spec, static_cast<uint32_t>(i)));
        link.set_target_worker(to->copies[j].worker.str());
        link.set_target_pipeline(CopyName(to->spec, static_cast<uint32_t>(j)));
        link.set_route_type("inter-pipeline");
      }
    }
  }
}

void AddGroupTopology(const ClusterState& state, const Group& group, TopologyResponse& topology) {
  varpulis::v1::TopologyGroup& out = *topology.add_groups();
  out.set_group_id(group.id.str());
  out.set_group_name(group.name);
  for (const Pipeline& pipeline : group.pipelines) {
    for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
      const Placement& copy = pipeline.copies[replica];
      varpulis::v1::TopologyPipeline& item = *out.add_pipelines();
      item.set_name(CopyName(pipeline.spec, static_cast<uint32_t>(replica)));
      item.set_worker_id(copy.worker.str());
      item.set_worker_address(AddressOf(state, copy.worker));
    }
  }
  for (const varpulis::v1::RouteSpec& route : group.routes) {
    varpulis::v1::TopologyRoute& item = *out.add_routes();
    item.set_from_pipeline(route.from_pipeline());
    item.set_to_pipeline(route.to_pipeline());
    *item.mutable_event_types() = route.event_types();
  }
}

}  // namespace

std::string CopyName(const varpulis::v1::PipelineSpec& spec, uint32_t replica) {
  return spec.replicas() > 1 ? absl::StrCat(spec.name(), "#", replica) : spec.name();
}

varpulis::v1::WorkerInfo MakeWorkerInfo(const ClusterState& state, const Worker& worker) {
  varpulis::v1::WorkerInfo info;
  info.set_id(worker.id.str());
  info.set_address(worker.address);
  info.set_status(state.StatusOf(worker));
  info.set_pipelines_running(
      static_cast<uint32_t>(worker.foreign_pipelines + state.RunningOn(worker.id)));
  info.set_max_pipelines(worker.max_pipelines);
  info.set_cpu_cores(worker.cpu_cores);
  info.set_events_processed(worker.events_processed);
  if (const auto assigned = state.assigned.find(worker.id); assigned != state.assigned.end()) {
    for (const PlacementKey& key : assigned->second) {
      const Pipeline* pipeline = state.FindGroup(key.group)->FindPipeline(key.pipeline);
      info.add_assigned_pipelines(CopyName(pipeline->spec, key.replica));
    }
  }
  std::sort(info.mutable_assigned_pipelines()->begin(), info.mutable_assigned_pipelines()->end());
  return info;
}

varpulis::v1::GroupInfo MakeGroupInfo(const ClusterState& state, const Group& group) {
  varpulis::v1::GroupInfo info;
  info.set_id(group.id.str());
  info.set_name(group.name);
  info.set_status(group.Status());
  info.set_pipeline_count(static_cast<uint32_t>(group.pipelines.size()));
  info.set_delivery(group.delivery);
  for (const Pipeline& pipeline : group.pipelines) {
    for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
      const Placement& copy = pipeline.copies[replica];
      varpulis::v1::PlacementInfo& item = *info.add_placements();
      item.set_pipeline_name(CopyName(pipeline.spec, static_cast<uint32_t>(replica)));
      item.set_worker_id(copy.worker.str());
      item.set_worker_address(AddressOf(state, copy.worker));
      item.set_status(copy.status);
      item.set_epoch(copy.epoch);
      if (copy.status == varpulis::v1::PLACEMENT_STATUS_RUNNING) {
        item.set_pipeline_id(copy.pipeline_id.str());
      }
      if (!copy.error.empty()) item.set_error(copy.error);
    }
    (*info.mutable_sources())[pipeline.spec.name()] = pipeline.spec.source();
  }
  return info;
}

absl::StatusOr<varpulis::v1::ListWorkersResponse> ListWorkers(const ClusterState& state,
                                                              const ListRequest& request) {
  absl::StatusOr<Pagination> page = Page(request, state.workers.size());
  if (!page.ok()) return page.status();
  varpulis::v1::ListWorkersResponse response;
  response.set_total(page->total());
  auto worker = state.workers.begin();
  std::advance(worker, std::min<uint64_t>(page->offset(), page->total()));
  for (uint64_t n = 0; n < page->limit() && worker != state.workers.end(); ++n, ++worker) {
    *response.add_workers() = MakeWorkerInfo(state, worker->second);
  }
  *response.mutable_pagination() = *std::move(page);
  return response;
}

absl::StatusOr<varpulis::v1::ListGroupsResponse> ListGroups(const ClusterState& state,
                                                            const ListRequest& request) {
  std::vector<const Group*> visible;
  for (const auto& [id, group] : state.groups) {
    if (!group.deleted) visible.push_back(&group);
  }
  absl::StatusOr<Pagination> page = Page(request, visible.size());
  if (!page.ok()) return page.status();
  varpulis::v1::ListGroupsResponse response;
  response.set_total(page->total());
  for (uint64_t i = page->offset(); i < visible.size() && i - page->offset() < page->limit(); ++i) {
    *response.add_pipeline_groups() = MakeGroupInfo(state, *visible[i]);
  }
  *response.mutable_pagination() = *std::move(page);
  return response;
}

TopologyResponse MakeTopology(const ClusterState& state) {
  TopologyResponse topology;
  for (const auto& [id, group] : state.groups) {
    if (group.deleted) continue;
    AddGroupTopology(state, group, topology);
    AddLinks(state, group, topology);
  }
  for (const auto& [id, worker] : state.workers) {
    varpulis::v1::TopologyWorker& item = *topology.add_workers();
    item.set_id(id.str());
    item.set_address(worker.address);
    item.set_status(state.StatusOf(worker));
    std::set<std::string> names;
    if (const auto assigned = state.assigned.find(id); assigned != state.assigned.end()) {
      for (const PlacementKey& key : assigned->second) {
        names.insert(state.FindGroup(key.group)->name);
      }
    }
    for (const std::string& name : names) item.add_pipeline_groups(name);
  }
  return topology;
}

varpulis::v1::ClusterHealthResponse MakeHealth(const ClusterState& state,
                                               const std::string& version, bool durable) {
  varpulis::v1::ClusterHealthResponse health;
  health.set_role("coordinator");
  health.set_version(version);
  health.set_durable(durable);
  health.set_leader_epoch(state.leader_epoch);
  varpulis::v1::WorkerCounts& counts = *health.mutable_workers();
  uint64_t events = 0;
  for (const auto& [id, worker] : state.workers) {
    counts.set_total(counts.total() + 1);
    events += worker.events_processed;
    if (worker.unhealthy) {
      counts.set_unhealthy(counts.unhealthy() + 1);
    } else if (worker.draining) {
      counts.set_draining(counts.draining() + 1);
    } else {
      counts.set_healthy(counts.healthy() + 1);
    }
  }
  health.set_total_events_processed(events);
  health.set_active_migrations(static_cast<uint32_t>(state.moving.size()));
  health.set_pipeline_groups(
      static_cast<uint32_t>(std::count_if(state.groups.begin(), state.groups.end(),
                                          [](const auto& item) { return !item.second.deleted; })));
  if (counts.total() == 0) {
    health.set_status("no_workers");
  } else if (counts.unhealthy() == 0) {
    health.set_status("healthy");
  } else {
    health.set_status(counts.healthy() > 0 ? "degraded" : "critical");
  }
  if (state.last_health_sweep.has_value()) {
    *health.mutable_last_health_sweep() = *state.last_health_sweep;
  }
  return health;
}

varpulis::v1::MigrationInfo MakeMigrationInfo(const ClusterState& state, const Migration& migration,
                                              absl::Time now) {
  using namespace varpulis::state::v1;  // NOLINT(google-build-using-namespace): enum values only
  varpulis::v1::MigrationInfo info;
  const PlacementKey& key = migration.placement;
  const Group* group = state.FindGroup(key.group);
  const Pipeline* pipeline = group == nullptr ? nullptr : group->FindPipeline(key.pipeline);
  info.set_id(migration.id);
  info.set_pipeline_name(pipeline == nullptr ? key.pipeline
                                             : CopyName(pipeline->spec, key.replica));
  info.set_group_id(key.group.str());
  info.set_source_worker(migration.source.str());
  info.set_target_worker(migration.target.str());
  switch (migration.phase) {
    case MIGRATION_PHASE_CHECKPOINTING:
      info.set_status("checkpointing");
      break;
    case MIGRATION_PHASE_DEPLOYING:
      info.set_status("deploying");
      break;
    case MIGRATION_PHASE_COMPLETED:
      info.set_status(state.removals.contains({key, migration.source}) ? "cleaning_up"
                                                                       : "completed");
      break;
    default:
      info.set_status(absl::StrCat("failed: ", migration.error));
      info.set_error(migration.error);
  }
  switch (migration.reason) {
    case MIGRATION_REASON_FAILOVER:
      info.set_reason("failover");
      break;
    case MIGRATION_REASON_REBALANCE:
      info.set_reason("rebalance");
      break;
    case MIGRATION_REASON_DRAIN:
      info.set_reason("drain");
      break;
    default:
      info.set_reason("manual");
  }
  const absl::Duration elapsed = migration.active() ? now - migration.began : migration.elapsed;
  info.set_elapsed_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(elapsed)));
  info.set_epoch(migration.epoch);
  return info;
}

absl::StatusOr<varpulis::v1::ListMigrationsResponse> ListMigrations(const ClusterState& state,
                                                                    const ListRequest& request,
                                                                    absl::Time now) {
  absl::StatusOr<Pagination> page = Page(request, state.migrations.size());
  if (!page.ok()) return page.status();
  varpulis::v1::ListMigrationsResponse response;
  response.set_total(page->total());
  auto migration = state.migrations.begin();
  std::advance(migration, std::min<uint64_t>(page->offset(), page->total()));
  for (uint64_t n = 0; n < page->limit() && migration != state.migrations.end(); ++n, ++migration) {
    *response.add_migrations() = MakeMigrationInfo(state, migration->second, now);
  }
  *response.mutable_pagination() = *std::move(page);
  return response;
}

}  // namespace varpulis::coordinator
