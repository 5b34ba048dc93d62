#include "coordinator/records.h"

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "coordinator/remembered_calls.h"

namespace varpulis::coordinator {
namespace {

using varpulis::state::v1::BarrierRecord;
using varpulis::state::v1::CallRecord;
using varpulis::state::v1::GroupRecord;
using varpulis::state::v1::MigrationRecord;
using varpulis::state::v1::PlacementRecord;
using varpulis::state::v1::SourceRecord;
using varpulis::state::v1::WorkerRecord;

std::string WorkerKey(const WorkerId& worker) { return absl::StrCat("worker.", worker.str()); }
std::string GroupKey(const GroupId& group) { return absl::StrCat("group.", group.str()); }
std::string SourceKey(const GroupId& group, const std::string& pipeline) {
  return absl::StrCat("source.", group.str(), ".", pipeline);
}
std::string KeyOf(const PlacementKey& key) {
  return absl::StrCat("placement.", key.group.str(), ".", key.pipeline, ".", key.replica);
}

std::string MigrationKey(const std::string& id) { return absl::StrCat("migration.", id); }
std::string CallKey(uint64_t number) { return absl::StrCat("call.", number % kMaxRememberedCalls); }

template <typename Message>
absl::StatusOr<Message> Parse(const StoredRecord& record) {
  Message message;
  if (!message.ParseFromString(record.value)) {
    return absl::DataLossError(absl::StrCat("state record ", record.key, " cannot be read"));
  }
  return message;
}

Worker WorkerOf(const WorkerRecord& record, absl::Time now) {
  Worker worker;
  worker.id = WorkerId(record.worker_id());
  worker.address = record.address();
  worker.cpu_cores = record.capacity().cpu_cores();
  worker.max_pipelines = record.capacity().max_pipelines();
  worker.incarnation = record.incarnation();
  worker.by_hand = record.by_hand() || record.incarnation().empty();
  worker.version = record.version();
  worker.draining = record.draining();
  worker.last_seen = now;
  return worker;
}

Group GroupOf(const GroupRecord& record) {
  Group group;
  group.id = GroupId(record.group_id());
  group.name = record.name();
  group.request_id = record.request_id();
  group.deleted = record.deleted();
  group.created = record.created_sequence();
  group.delivery = record.delivery();
  group.routes.assign(record.routes().begin(), record.routes().end());
  for (const varpulis::v1::PipelineSpec& spec : record.pipelines()) {
    Pipeline pipeline;
    pipeline.spec = spec;
    pipeline.copies.resize(std::max<uint32_t>(1, spec.replicas()));
    group.pipelines.push_back(std::move(pipeline));
  }
  group.Index();
  return group;
}

RememberedCall CallOf(const CallRecord& record, absl::Time now) {
  RememberedCall call;
  call.kind = record.kind();
  call.request_id = record.request_id();
  call.target = record.target();
  call.placements_affected = record.placements_affected();
  call.since = now;
  return call;
}

Migration MigrationOf(const MigrationRecord& record, absl::Time now) {
  Migration migration;
  migration.id = record.id();
  migration.placement = {GroupId(record.group_id()), record.pipeline(), record.replica()};
  migration.source = WorkerId(record.source());
  migration.target = WorkerId(record.target());
  migration.reason = record.reason();
  migration.phase = record.phase();
  migration.epoch = record.epoch();
  migration.error = record.error();
  migration.elapsed = absl::Milliseconds(record.elapsed_ms());
  migration.began = now;
  if (!migration.active()) migration.ended = now;
  return migration;
}

void Fill(Placement& placement, const PlacementRecord& record, absl::Time now) {
  placement.worker = WorkerId(record.worker_id());
  placement.pipeline_id = PipelineId(record.pipeline_id());
  placement.epoch = record.epoch();
  placement.status = record.status();
  placement.error = record.error();
  placement.changed_at = now;
}

// Every copy of the tombstone is gone: the placement's record was removed with its confirmation.
bool Confirmed(const Group& group) {
  for (const Pipeline& pipeline : group.pipelines) {
    for (const Placement& copy : pipeline.copies) {
      if (!copy.worker.empty()) return false;
    }
  }
  return true;
}

// A move goes on where the predecessor left it. A source that was stopping is put back under a new
// epoch when it reports that it is paused (reconciler.cc), or when it no longer runs the copy.
void ResumeMoves(ClusterState& state, absl::Time now, std::vector<StateWrite>& repairs) {
  using varpulis::state::v1::MIGRATION_PHASE_CHECKPOINTING;
  using varpulis::state::v1::MIGRATION_PHASE_FAILED;
  std::vector<std::string> orphans;
  for (auto& [id, migration] : state.migrations) {
    if (!migration.active()) continue;
    const Group* group = state.FindVisibleGroup(migration.placement.group);
    const Placement* placement =
        group == nullptr ? nullptr : state.FindPlacement(migration.placement);
    if (placement == nullptr) {
      orphans.push_back(id);
    } else if (migration.phase == MIGRATION_PHASE_CHECKPOINTING ||
               placement->epoch != migration.epoch || placement->worker != migration.target) {
      migration.phase = MIGRATION_PHASE_FAILED;
      migration.error = "the coordinator was replaced meanwhile";
      migration.ended = now;
      repairs.push_back(StoreMigration(migration));
    } else {
      state.moving[migration.placement] = id;
    }
  }
  for (const std::string& id : orphans) {
    state.migrations.erase(id);
    repairs.push_back(ForgetMigration(id));
  }
}

// Makes due what the predecessor left unfinished.
void Resume(ClusterState& state, absl::Time now) {
  // Who asked for the drain has gone with the predecessor; the worker leaves all the same.
  for (const auto& [id, worker] : state.workers) {
    if (worker.draining) state.drains.try_emplace(id);
  }
  for (auto& [id, group] : state.groups) {
    for (Pipeline& pipeline : group.pipelines) {
      for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
        Placement& copy = pipeline.copies[replica];
        const PlacementKey key{id, pipeline.spec.name(), static_cast<uint32_t>(replica)};
        if (!group.deleted) {
          if (copy.status != varpulis::v1::PLACEMENT_STATUS_RUNNING) {
            state.ScheduleRetry(key, copy, now);
          }
        } else if (!copy.worker.empty()) {  // empty: confirmed before, its record is gone
          state.removals[{key, copy.worker}] = {.pipeline_id = copy.pipeline_id,
                                                .epoch = copy.epoch,
                                                .tombstone = true,
                                                .retry_at = now};
          ++group.removals;
          ++group.removals_untried;
        }
      }
    }
  }
}

}  // namespace

StateWrite StoreWorker(const Worker& worker) {
  WorkerRecord record;
  record.set_worker_id(worker.id.str());
  record.set_address(worker.address);
  record.mutable_capacity()->set_cpu_cores(worker.cpu_cores);
  record.mutable_capacity()->set_max_pipelines(worker.max_pipelines);
  record.set_incarnation(worker.incarnation);
  record.set_version(worker.version);
  record.set_draining(worker.draining);
  record.set_by_hand(worker.by_hand);
  return {WorkerKey(worker.id), record.SerializeAsString()};
}

StateWrite ForgetWorker(const WorkerId& worker) { return {WorkerKey(worker), "", true}; }

StateWrite StorePlacement(const PlacementKey& key, const Placement& placement) {
  PlacementRecord record;
  record.set_group_id(key.group.str());
  record.set_pipeline(key.pipeline);
  record.set_replica(key.replica);
  record.set_worker_id(placement.worker.str());
  record.set_pipeline_id(placement.pipeline_id.str());
  record.set_epoch(placement.epoch);
  record.set_status(placement.status);
  record.set_error(placement.error);
  return {KeyOf(key), record.SerializeAsString()};
}

StateWrite ForgetPlacement(const PlacementKey& key) { return {KeyOf(key), "", true}; }

StateWrite StoreGroup(const Group& group) {
  GroupRecord record;
  record.set_group_id(group.id.str());
  record.set_name(group.name);
  for (const Pipeline& pipeline : group.pipelines) {
    varpulis::v1::PipelineSpec& spec = *record.add_pipelines();
    spec = pipeline.spec;
    spec.clear_source();
  }
  record.mutable_routes()->Assign(group.routes.begin(), group.routes.end());
  record.set_request_id(group.request_id);
  record.set_deleted(group.deleted);
  record.set_delivery(group.delivery);
  record.set_created_sequence(group.created);
  return {GroupKey(group.id), record.SerializeAsString()};
}

std::vector<StateWrite> StoreNewGroup(const Group& group) {
  std::vector<StateWrite> writes;
  for (const Pipeline& pipeline : group.pipelines) {
    SourceRecord source;
    source.set_group_id(group.id.str());
    source.set_pipeline(pipeline.spec.name());
    source.set_source(pipeline.spec.source());
    writes.push_back({SourceKey(group.id, pipeline.spec.name()), source.SerializeAsString()});
    for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
      writes.push_back(
          StorePlacement({group.id, pipeline.spec.name(), static_cast<uint32_t>(replica)},
                         pipeline.copies[replica]));
    }
  }
  writes.push_back(StoreGroup(group));
  return writes;
}

std::vector<StateWrite> ForgetGroup(const Group& group) {
  std::vector<StateWrite> writes;
  for (const Pipeline& pipeline : group.pipelines) {
    writes.push_back({SourceKey(group.id, pipeline.spec.name()), "", true});
  }
  writes.push_back({GroupKey(group.id), "", true});
  return writes;
}

StateWrite StoreCall(uint64_t number, const RememberedCall& call) {
  CallRecord record;
  record.set_number(number);
  record.set_kind(call.kind);
  record.set_request_id(call.request_id);
  record.set_target(call.target);
  record.set_placements_affected(call.placements_affected);
  return {CallKey(number), record.SerializeAsString()};
}

StateWrite ForgetCall(uint64_t number) { return {CallKey(number), "", true}; }

StateWrite StoreMigration(const Migration& migration) {
  MigrationRecord record;
  record.set_id(migration.id);
  record.set_group_id(migration.placement.group.str());
  record.set_pipeline(migration.placement.pipeline);
  record.set_replica(migration.placement.replica);
  record.set_source(migration.source.str());
  record.set_target(migration.target.str());
  record.set_reason(migration.reason);
  record.set_phase(migration.phase);
  record.set_epoch(migration.epoch);
  record.set_error(migration.error);
  record.set_elapsed_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(migration.elapsed)));
  return {MigrationKey(migration.id), record.SerializeAsString()};
}

StateWrite ForgetMigration(const std::string& id) { return {MigrationKey(id), "", true}; }

StateWrite StoreBarrier(const std::string& coordinator_id) {
  BarrierRecord record;
  record.set_coordinator_id(coordinator_id);
  record.set_format_version(kStateFormatVersion);
  return {kBarrierKey, record.SerializeAsString()};
}

StateWrite StoreCluster(const std::string& cluster_id) {
  BarrierRecord record;
  record.set_cluster_id(cluster_id);
  record.set_format_version(kStateFormatVersion);
  return {kClusterKey, record.SerializeAsString()};
}

absl::StatusOr<Recovered> Recover(const std::vector<StoredRecord>& records, uint64_t leader_epoch,
                                  absl::Time now) {
  Recovered recovered;
  recovered.state.leader_epoch = leader_epoch;
  recovered.state.last_tick = now;
  recovered.state.last_sweep = now;
  std::map<GroupId, Group> groups;
  // Groups first: a source or placement without its group is a leftover.
  for (const StoredRecord& record : records) {
    if (record.key == kClusterKey) {
      ASSIGN_OR_RETURN(const BarrierRecord cluster, Parse<BarrierRecord>(record));
      if (cluster.format_version() > kStateFormatVersion) {
        return absl::FailedPreconditionError(
            absl::StrCat("the stored state has format ", cluster.format_version(),
                         ", this program reads up to ", kStateFormatVersion));
      }
      recovered.cluster_id = cluster.cluster_id();
    } else if (absl::StartsWith(record.key, "worker.")) {
      ASSIGN_OR_RETURN(const WorkerRecord worker, Parse<WorkerRecord>(record));
      recovered.state.workers[WorkerId(worker.worker_id())] = WorkerOf(worker, now);
    } else if (absl::StartsWith(record.key, "call.")) {
      ASSIGN_OR_RETURN(const CallRecord call, Parse<CallRecord>(record));
      AddCall(recovered.state, call.number(), CallOf(call, now));
    } else if (absl::StartsWith(record.key, "migration.")) {
      ASSIGN_OR_RETURN(const MigrationRecord migration, Parse<MigrationRecord>(record));
      recovered.state.migrations[migration.id()] = MigrationOf(migration, now);
    } else if (absl::StartsWith(record.key, "group.")) {
      ASSIGN_OR_RETURN(const GroupRecord group, Parse<GroupRecord>(record));
      groups[GroupId(group.group_id())] = GroupOf(group);
    }
  }
  for (const StoredRecord& record : records) {
    if (absl::StartsWith(record.key, "source.")) {
      ASSIGN_OR_RETURN(SourceRecord source, Parse<SourceRecord>(record));
      const auto group = groups.find(GroupId(source.group_id()));
      Pipeline* pipeline =
          group == groups.end() ? nullptr : group->second.FindPipeline(source.pipeline());
      if (pipeline == nullptr) {
        recovered.repairs.push_back({record.key, "", true});
      } else {
        pipeline->spec.set_source(std::move(*source.mutable_source()));
      }
    } else if (absl::StartsWith(record.key, "placement.")) {
      ASSIGN_OR_RETURN(const PlacementRecord placement, Parse<PlacementRecord>(record));
      const auto group = groups.find(GroupId(placement.group_id()));
      Pipeline* pipeline =
          group == groups.end() ? nullptr : group->second.FindPipeline(placement.pipeline());
      if (pipeline == nullptr || placement.replica() >= pipeline->copies.size()) {
        recovered.repairs.push_back({record.key, "", true});
      } else {
        Fill(pipeline->copies[placement.replica()], placement, now);
      }
    }
  }
  for (auto& [id, group] : groups) {
    if (group.deleted && Confirmed(group)) {
      for (StateWrite& write : ForgetGroup(group)) recovered.repairs.push_back(std::move(write));
    } else {
      recovered.state.AddGroup(std::move(group));
    }
  }
  ResumeMoves(recovered.state, now, recovered.repairs);
  Resume(recovered.state, now);
  return recovered;
}

}  // namespace varpulis::coordinator
