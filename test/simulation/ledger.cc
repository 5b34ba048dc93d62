#include "ledger.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "coordinator/records.h"
#include "proto/state.pb.h"

namespace varpulis::simulation {

using coordinator::ClusterState;
using coordinator::PlacementKey;
using transport::RecordWrite;

void Ledger::Violated(std::string what) {
  if (!violation_.empty()) return;
  trace_.Note(scheduler_.now(), "VIOLATION", what);
  violation_ = std::move(what);
}

// ---------------------------------------------------------------- the store

void Ledger::OnStored(const std::string& writer, const RecordWrite& write, uint64_t sequence) {
  ++counters_.writes;
  trace_.Note(scheduler_.now(), "stored", writer, sequence, write.remove ? "-" : "+", write.key);
  if (sequence != last_sequence_ + 1) {
    Violated(absl::StrCat("the log has forked: ", sequence, " after ", last_sequence_));
  }
  last_sequence_ = sequence;
  if (write.key == coordinator::kBarrierKey) {
    leader_ = writer;
  } else if (write.key == "foreign") {
    ++counters_.foreign_writes;
  } else if (writer != leader_) {
    Violated(absl::StrCat(writer, " has written ", write.key, " in the time of ", leader_));
  } else if (absl::StartsWith(write.key, "group.")) {
    OnGroupStored(write);
  } else if (absl::StartsWith(write.key, "placement.")) {
    OnPlacementStored(write);
  } else if (absl::StartsWith(write.key, "migration.")) {
    OnMigrationStored(write);
  }
}

void Ledger::OnGroupStored(const RecordWrite& write) {
  const std::string id = write.key.substr(write.key.find('.') + 1);
  StoredGroup& group = groups_[id];
  varpulis::state::v1::GroupRecord record;
  if (!write.remove && !record.ParseFromString(write.value)) {
    return Violated(absl::StrCat("group ", id, " cannot be read"));
  }
  const bool removed = write.remove || record.deleted();
  if (removed && group.present && !delete_asked_.contains(id)) {
    Violated(absl::StrCat("group ", id, " is lost: nobody has deleted it"));
  }
  if (!removed && (group.deleted || delete_acknowledged_.contains(id))) {
    Violated(absl::StrCat("group ", id, " is back after its delete"));
  }
  if (!removed && !record.request_id().empty()) {
    const auto [first, added] = group_of_request_.emplace(record.request_id(), id);
    if (first->second != id) {
      Violated(absl::StrCat("request ", record.request_id(), " has made groups ", first->second,
                            " and ", id));
    }
  }
  group.present = !write.remove;
  group.deleted = group.deleted || removed;
}

void Ledger::OnPlacementStored(const RecordWrite& write) {
  if (write.remove) return;
  varpulis::state::v1::PlacementRecord record;
  if (!record.ParseFromString(write.value)) {
    return Violated(absl::StrCat(write.key, " cannot be read"));
  }
  const PlacementKey key{GroupId(record.group_id()), record.pipeline(), record.replica()};
  uint64_t& epoch = stored_epochs_[key];
  if (record.epoch() < epoch) {
    Violated(absl::StrCat(ToString(key), ": epoch ", record.epoch(), " after ", epoch));
  }
  epoch = record.epoch();
}

void Ledger::OnMigrationStored(const RecordWrite& write) {
  using namespace varpulis::state::v1;  // NOLINT(google-build-using-namespace): enum values only
  MigrationRecord record;
  if (write.remove) return;
  if (!record.ParseFromString(write.value)) {
    return Violated(absl::StrCat(write.key, " cannot be read"));
  }
  if (record.phase() == MIGRATION_PHASE_FAILED) ++counters_.failed_moves;
  if (record.phase() != MIGRATION_PHASE_COMPLETED) return;
  switch (record.reason()) {
    case MIGRATION_REASON_FAILOVER:
      ++counters_.failovers;
      break;
    case MIGRATION_REASON_DRAIN:
      ++counters_.drain_moves;
      break;
    case MIGRATION_REASON_REBALANCE:
      ++counters_.rebalance_moves;
      break;
    default:
      ++counters_.manual_moves;
  }
}

// ---------------------------------------------------------------- coordinators

void Ledger::OnAct(const std::string& coordinator, bool holds_lease) {
  if (!holds_lease) Violated(absl::StrCat(coordinator, " acts without the lease"));
}

void Ledger::OnDeploySent(const PlacementKey& key, uint64_t epoch) {
  const auto stored = stored_epochs_.find(key);
  if (stored == stored_epochs_.end() || stored->second < epoch) {
    Violated(
        absl::StrCat(ToString(key), " is deployed with epoch ", epoch, ", which is not stored"));
  }
}

void Ledger::OnSecondAnswer(coordinator::ReplyToken token) {
  Violated(absl::StrCat("request ", token, " is answered twice"));
}

void Ledger::CheckState(const ClusterState& state) {
  size_t assigned = 0;
  for (const auto& [worker, keys] : state.assigned) assigned += keys.size();
  size_t placed = 0;
  size_t retries = 0;
  for (const auto& [id, group] : state.groups) {
    std::array<size_t, varpulis::v1::PlacementStatus_ARRAYSIZE> counts{};
    for (const coordinator::Pipeline& pipeline : group.pipelines) {
      for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
        const coordinator::Placement& copy = pipeline.copies[replica];
        ++counts[copy.status];
        if (copy.retry_at != absl::InfiniteFuture()) ++retries;
        if (group.deleted) continue;
        ++placed;
        const auto held = state.assigned.find(copy.worker);
        const PlacementKey key{id, pipeline.spec.name(), static_cast<uint32_t>(replica)};
        if (held == state.assigned.end() || !held->second.contains(key)) {
          Violated(absl::StrCat(ToString(key), " is not assigned to its worker"));
        }
      }
    }
    if (counts != group.counts) Violated(absl::StrCat("group ", id.str(), " is miscounted"));
    if (group.removals_untried > group.removals) {
      Violated(absl::StrCat("group ", id.str(), " waits for removals that are done"));
    }
  }
  size_t removals = 0;
  for (const auto& [copy, removal] : state.removals) removals += removal.tombstone ? 1 : 0;
  for (const auto& [id, group] : state.groups) removals -= group.removals;
  if (removals != 0) Violated("removals of tombstones are miscounted");
  if (assigned != placed) Violated("workers are assigned what is not placed there");
  if (retries != state.retries.size()) Violated("a retry has no placement");
  for (const auto& [key, id] : state.moving) {
    const auto migration = state.migrations.find(id);
    if (migration == state.migrations.end() || !migration->second.active() ||
        state.FindVisibleGroup(key.group) == nullptr) {
      Violated(absl::StrCat(ToString(key), " is on no way"));
    }
  }
  for (const auto& [id, migration] : state.migrations) {
    const auto moving = state.moving.find(migration.placement);
    if (migration.active() && (moving == state.moving.end() || moving->second != id)) {
      Violated(absl::StrCat("migration ", id, " goes on for ever"));
    }
  }
}

// ---------------------------------------------------------------- clients

void Ledger::OnDeployAnswered(const std::string& request_id, const std::string& group) {
  const StoredGroup& stored = groups_[group];
  if (!stored.present && !stored.deleted) {
    Violated(absl::StrCat("group ", group, " is acknowledged and not stored"));
  }
  const auto [first, added] = acknowledged_.emplace(request_id, group);
  if (added) ++counters_.groups_acknowledged;
  if (first->second != group) {
    Violated(
        absl::StrCat("request ", request_id, " is answered with ", first->second, " and ", group));
  }
}

void Ledger::OnDeleteAnswered(const std::string& group) {
  if (!groups_[group].deleted) {
    Violated(absl::StrCat("the delete of ", group, " is acknowledged and not stored"));
  }
  if (delete_acknowledged_.insert(group).second) ++counters_.deletes_acknowledged;
}

void Ledger::OnGroupDenied(const std::string& group) {
  Violated(absl::StrCat("group ", group, " is denied to the only one who deletes it"));
}

void Ledger::OnDrained(const std::string& worker, bool empty) {
  ++counters_.drains_finished;
  if (!empty) Violated(absl::StrCat("worker ", worker, " counts as drained and runs something"));
}

// ---------------------------------------------------------------- workers

void Ledger::OnCopyStarted(const std::string& worker, const PlacementKey& key, uint64_t epoch) {
  ++counters_.copies_started;
  trace_.Note(scheduler_.now(), "runs", worker, ToString(key), epoch);
  auto& live = live_[key];
  for (const auto& [other, other_epoch] : live) {
    if (other_epoch == epoch) {
      Violated(
          absl::StrCat(ToString(key), " runs with epoch ", epoch, " on ", other, " and ", worker));
    }
  }
  live.emplace_back(worker, epoch);
}

void Ledger::OnCopyEnded(const std::string& worker, const PlacementKey& key) {
  ++counters_.copies_removed;
  trace_.Note(scheduler_.now(), "ended", worker, ToString(key));
  std::erase_if(live_[key], [&](const auto& copy) { return copy.first == worker; });
}

void Ledger::OnObeyed(const std::string& process, uint64_t leader_epoch) {
  uint64_t& highest = obeyed_[process];
  if (leader_epoch < highest) {
    Violated(absl::StrCat(process, " obeys leader ", leader_epoch, " after ", highest));
  }
  highest = leader_epoch;
}

}  // namespace varpulis::simulation
