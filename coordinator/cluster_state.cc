#include "coordinator/cluster_state.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace varpulis::coordinator {

using namespace varpulis::v1;  // NOLINT(google-build-using-namespace): enum values only

std::string ToString(const PlacementKey& key) {
  return absl::StrCat(key.group.str(), "/", key.pipeline, "#", key.replica);
}

void Group::Index() {
  by_name.clear();
  counts = {};
  for (size_t i = 0; i < pipelines.size(); ++i) {
    by_name[pipelines[i].spec.name()] = i;
    pipelines[i].outbound.clear();
    pipelines[i].inbound.clear();
    for (const Placement& copy : pipelines[i].copies) ++counts[copy.status];
  }
  for (size_t i = 0; i < routes.size(); ++i) {
    if (Pipeline* from = FindPipeline(routes[i].from_pipeline())) from->outbound.push_back(i);
    if (Pipeline* to = FindPipeline(routes[i].to_pipeline())) to->inbound.push_back(i);
  }
}

const Pipeline* Group::FindPipeline(const std::string& pipeline) const {
  const auto found = by_name.find(pipeline);
  return found == by_name.end() ? nullptr : &pipelines[found->second];
}

Pipeline* Group::FindPipeline(const std::string& pipeline) {
  return const_cast<Pipeline*>(std::as_const(*this).FindPipeline(pipeline));
}

size_t Group::total() const { return std::accumulate(counts.begin(), counts.end(), size_t{0}); }

GroupStatus Group::Status() const {
  if (deleted) return GROUP_STATUS_TORN_DOWN;
  const size_t all = total();
  if (all == 0) return GROUP_STATUS_DEPLOYING;
  if (count(PLACEMENT_STATUS_RUNNING) == all) return GROUP_STATUS_RUNNING;
  if (count(PLACEMENT_STATUS_FAILED) == all) return GROUP_STATUS_FAILED;
  if (count(PLACEMENT_STATUS_RUNNING) > 0) return GROUP_STATUS_PARTIALLY_RUNNING;
  return GROUP_STATUS_DEPLOYING;
}

const Worker* ClusterState::FindWorker(const WorkerId& id) const {
  const auto found = workers.find(id);
  return found == workers.end() ? nullptr : &found->second;
}

Worker* ClusterState::FindWorker(const WorkerId& id) {
  return const_cast<Worker*>(std::as_const(*this).FindWorker(id));
}

const Group* ClusterState::FindGroup(const GroupId& id) const {
  const auto found = groups.find(id);
  return found == groups.end() ? nullptr : &found->second;
}

Group* ClusterState::FindGroup(const GroupId& id) {
  return const_cast<Group*>(std::as_const(*this).FindGroup(id));
}

const Group* ClusterState::FindVisibleGroup(const GroupId& id) const {
  const auto found = groups.find(id);
  return found == groups.end() || found->second.deleted ? nullptr : &found->second;
}

const Placement* ClusterState::FindPlacement(const PlacementKey& key) const {
  const Group* group = FindGroup(key.group);
  if (group == nullptr) return nullptr;
  const Pipeline* pipeline = group->FindPipeline(key.pipeline);
  if (pipeline == nullptr || key.replica >= pipeline->copies.size()) return nullptr;
  return &pipeline->copies[key.replica];
}

Placement* ClusterState::FindPlacement(const PlacementKey& key) {
  return const_cast<Placement*>(std::as_const(*this).FindPlacement(key));
}

size_t ClusterState::Load(const Worker& worker) const {
  const auto found = assigned.find(worker.id);
  return worker.foreign_pipelines + (found == assigned.end() ? 0 : found->second.size());
}

size_t ClusterState::RunningOn(const WorkerId& worker) const {
  const auto found = assigned.find(worker);
  if (found == assigned.end()) return 0;
  size_t running = 0;
  for (const PlacementKey& key : found->second) {
    const Placement* placement = FindPlacement(key);
    if (placement != nullptr && placement->status == PLACEMENT_STATUS_RUNNING) ++running;
  }
  return running;
}

WorkerStatus ClusterState::StatusOf(const Worker& worker) const {
  if (worker.unhealthy) return WORKER_STATUS_UNHEALTHY;
  if (worker.draining) return WORKER_STATUS_DRAINING;
  return Load(worker) >= worker.max_pipelines ? WORKER_STATUS_BUSY : WORKER_STATUS_READY;
}

bool ClusterState::Available(const Worker& worker) const {
  return StatusOf(worker) == WORKER_STATUS_READY;
}

void ClusterState::AddGroup(Group group) {
  group.Index();
  if (!group.deleted) {
    if (!group.request_id.empty()) by_request_id[group.request_id] = group.id;
    for (const Pipeline& pipeline : group.pipelines) {
      for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
        assigned[pipeline.copies[replica].worker].insert(
            {group.id, pipeline.spec.name(), static_cast<uint32_t>(replica)});
      }
    }
  }
  if (group.created >= next_created) next_created = group.created + 1;
  const GroupId id = group.id;
  groups[id] = std::move(group);
}

Migration* ClusterState::MigrationOf(const PlacementKey& key) {
  const auto found = moving.find(key);
  return found == moving.end() ? nullptr : &migrations.at(found->second);
}

void ClusterState::Assign(const PlacementKey& key, Placement& placement, const WorkerId& worker) {
  if (const auto held = assigned.find(placement.worker); held != assigned.end()) {
    held->second.erase(key);
  }
  placement.worker = worker;
  assigned[worker].insert(key);
}

void ClusterState::SetStatus(Group& group, Placement& placement, PlacementStatus status,
                             std::string error, absl::Time now) {
  --group.counts[placement.status];
  ++group.counts[status];
  placement.status = status;
  placement.error = std::move(error);
  placement.changed_at = now;
}

void ClusterState::ScheduleRetry(const PlacementKey& key, Placement& placement, absl::Time at) {
  CancelRetry(key, placement);
  placement.retry_at = at;
  if (at != absl::InfiniteFuture()) retries.insert({at, key});
}

void ClusterState::CancelRetry(const PlacementKey& key, Placement& placement) {
  if (placement.retry_at != absl::InfiniteFuture()) retries.erase({placement.retry_at, key});
  placement.retry_at = absl::InfiniteFuture();
}

}  // namespace varpulis::coordinator
