#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/cluster_state.h"
#include "counters.h"
#include "scheduler.h"
#include "trace.h"
#include "transport/record_log.h"

namespace varpulis::simulation {

// What really happened, from the outside, and what must never happen: the safety half of the
// invariants (convergence.h has the other). Told of everything at once, it finds the first
// violation at the step that makes it.
class Ledger {
 public:
  Ledger(Scheduler& scheduler, Trace& trace, Counters& counters)
      : scheduler_(scheduler), trace_(trace), counters_(counters) {}

  const std::string& violation() const { return violation_; }  // the first one; empty: none
  void Violated(std::string what);

  // ---- the store
  // A write of `writer`, a process's life, has been accepted.
  void OnStored(const std::string& writer, const transport::RecordWrite& write, uint64_t sequence);

  // ---- coordinators
  // Something is sent or stored in the name of the lease.
  void OnAct(const std::string& coordinator, bool holds_lease);
  void OnDeploySent(const coordinator::PlacementKey& key, uint64_t epoch);
  void OnSecondAnswer(coordinator::ReplyToken token);
  // The state of a leader, after a step.
  void CheckState(const coordinator::ClusterState& state);

  // ---- what clients ask and are told
  void OnDeleteAsked(const std::string& group) { delete_asked_.insert(group); }
  void OnDeployAnswered(const std::string& request_id, const std::string& group);
  void OnDeleteAnswered(const std::string& group);
  void OnGroupDenied(const std::string& group);
  void OnDrained(const std::string& worker, bool empty);

  // ---- workers
  void OnCopyStarted(const std::string& worker, const coordinator::PlacementKey& key,
                     uint64_t epoch);
  void OnCopyEnded(const std::string& worker, const coordinator::PlacementKey& key);
  void OnObeyed(const std::string& process, uint64_t leader_epoch);

 private:
  void OnGroupStored(const transport::RecordWrite& write);
  void OnPlacementStored(const transport::RecordWrite& write);
  void OnMigrationStored(const transport::RecordWrite& write);

  struct StoredGroup {
    bool present = false;
    bool deleted = false;
  };

  Scheduler& scheduler_;
  Trace& trace_;
  Counters& counters_;
  std::string violation_;

  uint64_t last_sequence_ = 0;
  std::string leader_;  // who wrote the last barrier
  std::map<std::string, StoredGroup> groups_;
  std::map<std::string, std::string> group_of_request_;
  std::map<coordinator::PlacementKey, uint64_t> stored_epochs_;
  std::set<std::string> delete_asked_, delete_acknowledged_;
  std::map<std::string, std::string> acknowledged_;  // group by request id
  std::map<coordinator::PlacementKey, std::vector<std::pair<std::string, uint64_t>>> live_;
  std::map<std::string, uint64_t> obeyed_;
};

}  // namespace varpulis::simulation
