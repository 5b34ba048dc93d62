#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

#include "base/ids.h"
#include "proto/cluster.pb.h"
#include "proto/state.pb.h"

namespace varpulis::coordinator {

// Everything that the coordinator knows, as one value: no I/O, no clock, no locks. What is marked
// "not stored" is learnt again after a restart, from heartbeats or by trying.

using ReplyToken = uint64_t;  // who waits for an answer; the shell knows how to reach them
inline constexpr ReplyToken kNobody = 0;

// One copy of one pipeline: what is placed, moved and fenced.
struct PlacementKey {
  GroupId group;
  std::string pipeline;
  uint32_t replica = 0;

  friend auto operator<=>(const PlacementKey&, const PlacementKey&) = default;
  friend bool operator==(const PlacementKey&, const PlacementKey&) = default;
};
std::string ToString(const PlacementKey& key);  // "{group}/{pipeline}#{replica}"

struct Worker {
  WorkerId id;
  std::string address;
  uint32_t cpu_cores = 0;
  uint32_t max_pipelines = 0;
  std::string incarnation;
  bool by_hand = false;  // no process of ours: its incarnation was made by the coordinator
  std::string version;
  bool draining = false;

  // Not stored.
  bool unhealthy = false;
  bool has_reported = false;  // what it runs, to this leader
  absl::Time last_seen;
  absl::Time unreachable_since = absl::InfiniteFuture();  // nobody listens for its commands
  absl::Time pinged = absl::InfinitePast();
  bool ping_in_flight = false;
  uint64_t events_processed = 0;
  uint32_t foreign_pipelines = 0;  // runs them, but no group of ours asked for it
  std::vector<varpulis::v1::PipelineMetrics> metrics;
  std::set<std::string> reported_unknown;  // copies already complained about
};

struct Placement {
  WorkerId worker;
  PipelineId pipeline_id;  // the worker's name of the copy; empty: never known to run
  uint64_t epoch = 0;
  varpulis::v1::PlacementStatus status = varpulis::v1::PLACEMENT_STATUS_DEPLOYING;
  std::string error;

  // Not stored.
  bool in_flight = false;  // a deploy of this epoch has not been answered
  uint32_t attempts = 0;
  absl::Time retry_at = absl::InfiniteFuture();
  absl::Time changed_at;
};

struct Pipeline {
  varpulis::v1::PipelineSpec spec;  // replicas is at least 1
  std::vector<Placement> copies;    // by replica
  std::vector<size_t> outbound;     // routes from here, indices into Group::routes
  std::vector<size_t> inbound;      // routes to here
};

struct Group {
  GroupId id;
  std::string name;
  std::vector<Pipeline> pipelines;
  std::vector<varpulis::v1::RouteSpec> routes;
  std::string request_id;  // of the call that made it; may be empty
  bool deleted = false;    // a tombstone: its copies are being removed
  uint64_t created = 0;    // order of creation
  varpulis::v1::Delivery delivery = varpulis::v1::DELIVERY_AT_MOST_ONCE;

  // Not stored.
  std::map<std::string, size_t> by_name;
  std::array<size_t, varpulis::v1::PlacementStatus_ARRAYSIZE> counts{};  // copies per status
  std::vector<ReplyToken> waiting;         // deploys to answer once nothing is Deploying
  std::vector<ReplyToken> waiting_delete;  // deletes to answer after the first attempts
  size_t removals = 0;                     // copies of a tombstone not confirmed gone
  size_t removals_untried = 0;             // of these, without an answer to the first attempt

  // Fills by_name, outbound, inbound and counts from the rest.
  void Index();
  Pipeline* FindPipeline(const std::string& pipeline);
  const Pipeline* FindPipeline(const std::string& pipeline) const;
  size_t count(varpulis::v1::PlacementStatus status) const { return counts[status]; }
  size_t total() const;
  bool settled() const { return count(varpulis::v1::PLACEMENT_STATUS_DEPLOYING) == 0; }
  varpulis::v1::GroupStatus Status() const;
};

// A copy on a worker that must go: of a deleted group, or of an epoch that was replaced. Without a
// worker: only the checkpoints of a deleted group, while the copy's worker does not answer.
struct CopyKey {
  PlacementKey placement;
  WorkerId worker;

  friend auto operator<=>(const CopyKey&, const CopyKey&) = default;
};
struct Removal {
  PipelineId pipeline_id;
  uint64_t epoch = 0;  // this one and those below
  bool tombstone = false;
  bool tried = false;  // the first attempt has been answered, or failed
  bool in_flight = false;
  uint32_t attempts = 0;
  absl::Time retry_at = absl::InfiniteFuture();
};

// A mutating call that has had its effect and whose answer is no state of its own (a deploy's is
// its group): a retry with its request id is answered and not done again. See remembered_calls.h.
struct RememberedCall {
  varpulis::state::v1::CallKind kind = varpulis::state::v1::CALL_KIND_UNSPECIFIED;
  std::string request_id;
  std::string target;                // group or worker
  uint32_t placements_affected = 0;  // what the delete of a worker was answered

  absl::Time since;  // not stored: by its own clock a coordinator remembers from its start
};

// A placement on its way to another worker: because its own is gone, or because somebody wants it.
struct Migration {
  std::string id;
  PlacementKey placement;
  WorkerId source;
  WorkerId target;
  varpulis::state::v1::MigrationReason reason = varpulis::state::v1::MIGRATION_REASON_UNSPECIFIED;
  varpulis::state::v1::MigrationPhase phase = varpulis::state::v1::MIGRATION_PHASE_UNSPECIFIED;
  uint64_t epoch = 0;      // of the copy that stops while checkpointing, then of the new one
  std::string error;       // why it failed
  absl::Duration elapsed;  // once it has ended

  // Not stored.
  absl::Time began;
  absl::Time ended = absl::InfiniteFuture();

  bool active() const {
    return phase == varpulis::state::v1::MIGRATION_PHASE_CHECKPOINTING ||
           phase == varpulis::state::v1::MIGRATION_PHASE_DEPLOYING;
  }
};

// A worker that is to leave once it is empty, and who waits for that. Not stored: the worker's
// record says `draining`.
struct Drain {
  std::vector<ReplyToken> waiting;
  absl::Time deadline = absl::InfiniteFuture();
  uint32_t moved = 0;
};

struct ClusterState {
  uint64_t leader_epoch = 0;
  std::map<WorkerId, Worker> workers;
  std::map<GroupId, Group> groups;  // tombstones included
  uint64_t next_created = 1;
  std::map<uint64_t, RememberedCall> calls;  // by number, the oldest first
  uint64_t next_call = 0;
  std::map<std::string, Migration> migrations;  // by id; ended ones for an hour

  // Indices.
  std::map<WorkerId, std::set<PlacementKey>>
      assigned;                                  // also of workers that are gone; no tombstones
  std::map<std::string, GroupId> by_request_id;  // of the groups that exist
  std::map<std::string, uint64_t> calls_by_request_id;
  std::multiset<GroupId> deleted_groups;       // that remembered calls tell of
  std::map<PlacementKey, std::string> moving;  // the active migration of each

  // Not stored.
  std::map<CopyKey, Removal> removals;
  std::set<std::pair<absl::Time, PlacementKey>> retries;
  std::map<WorkerId, Drain> drains;
  uint64_t migrations_made = 0;
  // Until then nothing is moved off a worker that is gone: it may be the broker that was.
  absl::Time hold_failover_until = absl::InfinitePast();
  absl::Time hold_began = absl::InfinitePast();
  uint64_t round_robin = 0;
  absl::Time last_tick;
  absl::Time last_sweep;
  std::optional<varpulis::v1::HealthSweep> last_health_sweep;

  Worker* FindWorker(const WorkerId& id);
  const Worker* FindWorker(const WorkerId& id) const;
  Group* FindGroup(const GroupId& id);  // tombstones included
  const Group* FindGroup(const GroupId& id) const;
  const Group* FindVisibleGroup(const GroupId& id) const;
  Placement* FindPlacement(const PlacementKey& key);
  const Placement* FindPlacement(const PlacementKey& key) const;

  // Copies this worker runs or is meant to run; what counts against max_pipelines.
  size_t Load(const Worker& worker) const;
  size_t RunningOn(const WorkerId& worker) const;
  varpulis::v1::WorkerStatus StatusOf(const Worker& worker) const;
  bool Available(const Worker& worker) const;
  Migration* MigrationOf(const PlacementKey& key);  // the active one, or null

  // The only ways to change these, so that the indices stay true.
  void AddGroup(Group group);
  void Assign(const PlacementKey& key, Placement& placement, const WorkerId& worker);
  void SetStatus(Group& group, Placement& placement, varpulis::v1::PlacementStatus status,
                 std::string error, absl::Time now);
  void ScheduleRetry(const PlacementKey& key, Placement& placement, absl::Time at);
  void CancelRetry(const PlacementKey& key, Placement& placement);
};

}  // namespace varpulis::coordinator
