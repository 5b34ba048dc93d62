#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "coordinator/cluster_state.h"
#include "coordinator/effect.h"
#include "proto/state.pb.h"

namespace varpulis::coordinator {

// State ⇄ stored records, one record per key:
//
//   barrier                                   who leads since when
//   cluster                                   id and format of the cluster, written once
//   worker.{id}
//   source.{group}.{pipeline}
//   placement.{group}.{pipeline}.{replica}
//   migration.{id}
//   call.{n}                                  n < kMaxRememberedCalls, used in turn
//   group.{id}                                written last: without it its sources and placements
//   do not count
//
// A group too large for one atomic write is thus there as a whole or not at all.

inline constexpr uint32_t kStateFormatVersion = 1;
inline constexpr char kBarrierKey[] = "barrier";
inline constexpr char kClusterKey[] = "cluster";

StateWrite StoreWorker(const Worker& worker);
StateWrite ForgetWorker(const WorkerId& worker);
StateWrite StorePlacement(const PlacementKey& key, const Placement& placement);
StateWrite ForgetPlacement(const PlacementKey& key);
StateWrite StoreGroup(const Group& group);                  // without sources and placements
std::vector<StateWrite> StoreNewGroup(const Group& group);  // with them, the group last
std::vector<StateWrite> ForgetGroup(const Group& group);    // what is left of it, the group last
StateWrite StoreCall(uint64_t number, const RememberedCall& call);
StateWrite ForgetCall(uint64_t number);
StateWrite StoreMigration(const Migration& migration);
StateWrite ForgetMigration(const std::string& id);
StateWrite StoreBarrier(const std::string& coordinator_id);
StateWrite StoreCluster(const std::string& cluster_id);

struct StoredRecord {
  std::string key;
  std::string value;
};

struct Recovered {
  ClusterState state;
  std::string cluster_id;  // empty: a fresh store
  // To be written first: what is left of groups that were never completed goes, and moves that do
  // not go on have ended.
  std::vector<StateWrite> repairs;
};

// The state as of `now`: every worker gets the grace of a full heartbeat timeout, unfinished
// deploys and removals are due. DATA_LOSS for a record that cannot be read, FAILED_PRECONDITION for
// a newer format.
absl::StatusOr<Recovered> Recover(const std::vector<StoredRecord>& records, uint64_t leader_epoch,
                                  absl::Time now);

}  // namespace varpulis::coordinator
