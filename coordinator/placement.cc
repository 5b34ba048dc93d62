#include "coordinator/placement.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"

#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

struct Candidate {
  WorkerId id;
  size_t load = 0;
  size_t max = 0;
  uint32_t cores = 1;

  bool HasRoom() const { return load < max; }
};

// Those who can take at least one, sorted by id.
std::vector<Candidate> Candidates(const ClusterState& state) {
  std::vector<Candidate> candidates;
  for (const auto& [id, worker] : state.workers) {
    if (!state.Available(worker)) continue;
    candidates.push_back(
        {id, state.Load(worker), worker.max_pipelines, std::max<uint32_t>(1, worker.cpu_cores)});
  }
  return candidates;
}

using Taken = std::set<size_t>;  // candidates that already hold a replica of the pipeline

// The next in turn that has room and no replica yet, else the next that has room.
std::optional<size_t> NextInTurn(const std::vector<Candidate>& candidates, const Taken& taken,
                                 uint64_t& turn) {
  for (const bool allow_taken : {false, true}) {
    for (size_t skipped = 0; skipped < candidates.size(); ++skipped) {
      const size_t index = (turn + skipped) % candidates.size();
      if (!candidates[index].HasRoom() || (!allow_taken && taken.contains(index))) continue;
      turn += skipped + 1;
      return index;
    }
  }
  return std::nullopt;
}

// Fewest pipelines; then fewest per core; then the smaller id. Without a replica before with one.
std::optional<size_t> LeastLoaded(const std::vector<Candidate>& candidates, const Taken& taken) {
  const auto rank = [&](size_t index) {
    const Candidate& candidate = candidates[index];
    return std::make_tuple(taken.contains(index), candidate.load,
                           static_cast<double>(candidate.load) / candidate.cores, index);
  };
  std::optional<size_t> best;
  for (size_t index = 0; index < candidates.size(); ++index) {
    if (!candidates[index].HasRoom()) continue;
    if (!best.has_value() || rank(index) < rank(*best)) best = index;
  }
  return best;
}

std::optional<size_t> WithAffinity(const std::vector<Candidate>& candidates,
                                   const std::string& worker) {
  const auto found = std::lower_bound(
      candidates.begin(), candidates.end(), worker,
      [](const Candidate& candidate, const std::string& id) { return candidate.id.str() < id; });
  if (found == candidates.end() || found->id.str() != worker || !found->HasRoom()) {
    return std::nullopt;
  }
  return found - candidates.begin();
}

}  // namespace

absl::StatusOr<PlacementPlan> PlanPlacements(
    const ClusterState& state, const std::vector<varpulis::v1::PipelineSpec>& pipelines,
    PlacementStrategy strategy) {
  std::vector<Candidate> candidates = Candidates(state);
  if (candidates.empty()) {
    return transport::MakeError("no_workers_available", "no worker is ready to take a pipeline");
  }
  PlacementPlan plan;
  plan.round_robin = state.round_robin;
  size_t placed = 0;
  for (const varpulis::v1::PipelineSpec& spec : pipelines) {
    const uint32_t replicas = std::max<uint32_t>(1, spec.replicas());
    std::vector<WorkerId> workers;
    Taken taken;
    bool warned = false;
    for (uint32_t replica = 0; replica < replicas; ++replica) {
      std::optional<size_t> pick;
      if (spec.has_worker_affinity() && !spec.worker_affinity().empty()) {
        pick = WithAffinity(candidates, spec.worker_affinity());
        if (!pick.has_value() && !std::exchange(warned, true)) {
          plan.warnings.push_back(absl::StrCat("pipeline ", spec.name(), " prefers worker ",
                                               spec.worker_affinity(),
                                               ", which is not available: placed elsewhere"));
        }
      }
      if (!pick.has_value()) {
        pick = strategy == PlacementStrategy::kLeastLoaded
                   ? LeastLoaded(candidates, taken)
                   : NextInTurn(candidates, taken, plan.round_robin);
      }
      if (!pick.has_value()) {
        return transport::MakeError(
            "no_workers_available",
            absl::StrCat("the available workers have room for ", placed, " more pipelines only"));
      }
      ++candidates[*pick].load;
      taken.insert(*pick);
      workers.push_back(candidates[*pick].id);
      ++placed;
    }
    plan.workers.push_back(std::move(workers));
  }
  return plan;
}

std::optional<WorkerId> PickTarget(const ClusterState& state, const PlacementKey& key) {
  const Pipeline& pipeline = *state.FindGroup(key.group)->FindPipeline(key.pipeline);
  const WorkerId& current = pipeline.copies[key.replica].worker;
  std::vector<Candidate> candidates = Candidates(state);
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.id == current; });
  Taken taken;
  for (const Placement& copy : pipeline.copies) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].id == copy.worker) taken.insert(i);
    }
  }
  std::optional<size_t> pick;
  if (pipeline.spec.has_worker_affinity()) {
    pick = WithAffinity(candidates, pipeline.spec.worker_affinity());
  }
  if (!pick.has_value()) pick = LeastLoaded(candidates, taken);
  if (!pick.has_value()) return std::nullopt;
  return candidates[*pick].id;
}

}  // namespace varpulis::coordinator
