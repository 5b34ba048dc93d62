#include "convergence.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

#include "coordinator/records.h"

namespace varpulis::simulation {

using coordinator::ClusterState;
using coordinator::PlacementKey;

namespace {

const WorkerModel* Find(const std::vector<std::unique_ptr<WorkerModel>>& workers,
                        const WorkerId& id) {
  for (const auto& worker : workers) {
    if (worker->name() == id.str()) return worker.get();
  }
  return nullptr;
}

bool Lives(const std::vector<std::unique_ptr<WorkerModel>>& workers, const WorkerId& id) {
  const WorkerModel* worker = Find(workers, id);
  return worker != nullptr && worker->up();
}

// What is asked of a worker that does not come back stays to be done.
std::string Unfinished(const ClusterState& state,
                       const std::vector<std::unique_ptr<WorkerModel>>& workers) {
  for (const auto& [copy, removal] : state.removals) {
    if (Lives(workers, copy.worker)) {
      return absl::StrCat(ToString(copy.placement), " is not off ", copy.worker.str());
    }
  }
  for (const auto& [id, group] : state.groups) {
    if (group.deleted && group.removals == 0) {
      return absl::StrCat("tombstone ", id.str(), " stays");
    }
  }
  if (!state.moving.empty()) {
    return absl::StrCat(ToString(state.moving.begin()->first), " is on its way");
  }
  for (const auto& [id, worker] : state.workers) {
    if (worker.draining && Lives(workers, id)) return absl::StrCat(id.str(), " still drains");
    if (!worker.unhealthy && !Lives(workers, id)) {
      return absl::StrCat(id.str(), " is dead and counts as healthy");
    }
  }
  for (const auto& [id, drain] : state.drains) {
    if (!drain.waiting.empty()) return absl::StrCat("somebody waits for the drain of ", id.str());
  }
  for (const auto& worker : workers) {
    const coordinator::Worker* known = state.FindWorker(WorkerId(worker->name()));
    if (worker->up() && !worker->leaving() && (known == nullptr || known->unhealthy)) {
      return absl::StrCat(worker->name(), " lives and does not belong");
    }
  }
  return "";
}

std::string Misplaced(const ClusterState& state, const PlacementKey& key,
                      const coordinator::Placement& placement,
                      const std::vector<std::unique_ptr<WorkerModel>>& workers) {
  const auto wrong = [&](const std::string& how) {
    return absl::StrCat(ToString(key), " on ", placement.worker.str(), ", epoch ", placement.epoch,
                        ": ", how);
  };
  if (placement.status != varpulis::v1::PLACEMENT_STATUS_RUNNING) {
    return wrong(absl::StrCat("does not run: ", placement.error));
  }
  const WorkerModel* worker = Find(workers, placement.worker);
  if (worker == nullptr || !worker->up()) return wrong("its worker is dead");
  const auto copy = worker->copies().find(key);
  if (copy == worker->copies().end()) return wrong("its worker has no copy");
  if (copy->second.epoch != placement.epoch) return wrong("its copy has another epoch");
  if (copy->second.id != placement.pipeline_id.str()) return wrong("its copy has another id");
  if (copy->second.cut) return wrong("its copy has been stopped");
  return "";
}

std::map<std::string, std::string> RecordsOf(const ClusterState& state) {
  std::map<std::string, std::string> records;
  const auto add = [&](coordinator::StateWrite write) {
    records[std::move(write.key)] = std::move(write.value);
  };
  for (const auto& [id, worker] : state.workers) add(coordinator::StoreWorker(worker));
  for (const auto& [number, call] : state.calls) add(coordinator::StoreCall(number, call));
  for (const auto& [id, migration] : state.migrations) add(coordinator::StoreMigration(migration));
  for (const auto& [id, group] : state.groups) {
    for (coordinator::StateWrite& write : coordinator::StoreNewGroup(group)) add(std::move(write));
  }
  return records;
}

std::string Difference(const std::map<std::string, std::string>& state,
                       const std::map<std::string, std::string>& records) {
  for (const auto& [key, value] : state) {
    const auto found = records.find(key);
    if (found == records.end()) return absl::StrCat(key, " is not stored");
    if (found->second != value) return absl::StrCat(key, " is stored otherwise");
  }
  for (const auto& [key, value] : records) {
    if (!state.contains(key)) return absl::StrCat(key, " is stored and unknown");
  }
  return "";
}

}  // namespace

std::string WhyNotSettled(const std::vector<std::unique_ptr<CoordinatorModel>>& coordinators,
                          const std::vector<std::unique_ptr<WorkerModel>>& workers) {
  const Office* office = nullptr;
  for (const auto& coordinator : coordinators) {
    if (coordinator->serving() == nullptr) continue;
    if (office != nullptr) return "two coordinators serve";
    office = coordinator->serving();
  }
  if (office == nullptr || !office->ready()) return "no coordinator leads";
  if (office->owed() > 0) return "somebody waits for an answer";
  const ClusterState& state = office->state();
  if (std::string why = Unfinished(state, workers); !why.empty()) return why;
  for (const auto& [id, group] : state.groups) {
    if (group.deleted) continue;
    for (const coordinator::Pipeline& pipeline : group.pipelines) {
      for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
        const PlacementKey key{id, pipeline.spec.name(), static_cast<uint32_t>(replica)};
        if (std::string why = Misplaced(state, key, pipeline.copies[replica], workers);
            !why.empty()) {
          return why;
        }
      }
    }
  }
  for (const auto& worker : workers) {
    for (const auto& [key, copy] : worker->copies()) {
      const coordinator::Placement* placement = state.FindPlacement(key);
      const coordinator::Group* group = state.FindVisibleGroup(key.group);
      if (group == nullptr || placement == nullptr || placement->worker.str() != worker->name()) {
        return absl::StrCat(worker->name(), " runs ", ToString(key), " with epoch ", copy.epoch,
                            ", which nobody wants there");
      }
    }
  }
  return "";
}

std::string WhyNotRebuilt(const ClusterState& state, const RecordStore& store) {
  std::map<std::string, std::string> stored;
  std::vector<coordinator::StoredRecord> records;
  for (const auto& [key, record] : store.records()) {
    records.push_back({key, record.value});
    if (key != coordinator::kBarrierKey && key != coordinator::kClusterKey) {
      stored[key] = record.value;
    }
  }
  for (const auto& [id, group] : state.groups) {
    if (group.deleted) return "";  // its records go one by one
  }
  if (std::string why = Difference(RecordsOf(state), stored); !why.empty()) return why;
  const absl::StatusOr<coordinator::Recovered> recovered =
      coordinator::Recover(records, state.leader_epoch, absl::UnixEpoch());
  if (!recovered.ok()) return std::string(recovered.status().message());
  if (!recovered->repairs.empty()) {
    return absl::StrCat(recovered->repairs.front().key, " is in need of repair");
  }
  return Difference(RecordsOf(recovered->state), stored);
}

}  // namespace varpulis::simulation
