// What runs on this worker: the read-only half of PipelineHost.
#include "worker/pipeline_host.h"

namespace varpulis::worker {

PipelineHost::HostedPtr PipelineHost::Find(const PipelineId& id) const {
  MutexLock lock(mutex_);
  const auto found = pipelines_.find(id);
  return found == pipelines_.end() ? nullptr : found->second;
}

PipelineHost::HostedPtr PipelineHost::FindByKey(const Key& key) const {
  MutexLock lock(mutex_);
  for (const auto& [id, hosted] : pipelines_) {
    if (!hosted->placement.local() && KeyOf(hosted->placement) == key) return hosted;
  }
  return nullptr;
}

std::vector<PipelineHost::HostedPtr> PipelineHost::All() const {
  MutexLock lock(mutex_);
  std::vector<HostedPtr> all;
  for (const auto& [id, hosted] : pipelines_) all.push_back(hosted);
  return all;
}

std::string PipelineHost::SourceOf(const HostedPipeline& hosted) const {
  MutexLock lock(mutex_);
  return hosted.source;
}

std::string PipelineHost::StatusOf(const HostedPipeline& hosted) {
  // One that is cut off may go on by itself.
  const PipelineRunner& runner = *hosted.runner;
  const bool paused =
      runner.held(PipelineRunner::Hold::kPaused) || runner.held(PipelineRunner::Hold::kCut);
  return paused ? "paused" : "running";
}

std::vector<varpulis::v1::RunningPipeline> PipelineHost::Placements() const {
  std::vector<varpulis::v1::RunningPipeline> running;
  for (const HostedPtr& hosted : All()) {
    const Placement& placement = hosted->placement;
    if (placement.local()) continue;
    auto& entry = running.emplace_back();
    entry.set_pipeline_id(placement.id.str());
    entry.set_group_id(placement.group.str());
    entry.set_name(placement.name);
    entry.set_replica(placement.replica);
    entry.set_placement_epoch(placement.epoch);
    entry.set_status(StatusOf(*hosted));
  }
  return running;
}

std::vector<varpulis::v1::PipelineMetrics> PipelineHost::Metrics() const {
  std::vector<varpulis::v1::PipelineMetrics> metrics;
  // Under the lock throughout: a pipeline's inputs may only be looked at while it is on the list.
  MutexLock lock(mutex_);
  for (const auto& [id, hosted] : pipelines_) {
    if (hosted->placement.local()) continue;
    const PipelineRunner::Stats stats = hosted->runner->stats();
    auto& entry = metrics.emplace_back();
    entry.set_pipeline_name(hosted->placement.DisplayName());
    entry.set_events_in(stats.events_in);
    entry.set_events_out(stats.events_out);
    const uint64_t too_slow = hosted->inputs == nullptr ? 0 : hosted->inputs->dropped();
    entry.set_events_dropped(stats.events_dropped + too_slow);
  }
  return metrics;
}

size_t PipelineHost::size() const {
  MutexLock lock(mutex_);
  return pipelines_.size();
}

size_t PipelineHost::stream_count() const {
  MutexLock lock(mutex_);
  size_t total = 0;
  for (const auto& [id, hosted] : pipelines_) total += hosted->stream_count;
  return total;
}

}  // namespace varpulis::worker
