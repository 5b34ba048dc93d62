#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/mutex.h"
#include "base/strand.h"
#include "proto/cluster.pb.h"
#include "transport/bus.h"
#include "transport/subjects.h"
#include "worker/pipeline_inputs.h"
#include "worker/pipeline_runner.h"
#include "worker/placement.h"

namespace varpulis::worker {

// One deployed pipeline with all that belongs to it. The host owns it; others borrow the runner
// through a shared_ptr for the time of a call.
struct HostedPipeline {
  Placement placement;
  std::string source;  // guarded by the host's mutex: a reload changes it
  absl::Time started;
  size_t stream_count = 0;  // as source
  std::unique_ptr<PipelineRunner> runner;
  std::unique_ptr<PipelineInputs> inputs;  // null for local pipelines; goes before the runner
};

// What runs on this worker: deploys, replaces and removes pipelines and answers for them.
// Thread-safe. Look-ups answer at once; changes run one after another on the host's own strand,
// where a compilation or a broker's round trip may take its time without holding up heartbeats or
// events. A pipeline that is being removed drains on its own thread; only what concerns the same
// placement waits for it. Callbacks run on the host's strand or a runner's.
class PipelineHost {
 public:
  struct Options {
    transport::Subjects subjects;
    uint32_t max_pipelines = 100;
    uint64_t max_in_flight_events = 65'536;
    WallClock now;
  };
  struct Deps {
    transport::Bus* cluster = nullptr;  // null: no placements before Join, only local pipelines
    transport::Bus& local;
  };
  using HostedPtr = std::shared_ptr<HostedPipeline>;
  template <typename Reply>
  using Done = std::function<void(absl::StatusOr<Reply>)>;

  PipelineHost(Options options, Deps deps);
  ~PipelineHost();  // StopAll without grace, when that has not happened

  // Where the placements' events are, for a host that began without. Once, before the first Deploy.
  void Join(transport::Bus& cluster, transport::Subjects subjects);
  const transport::Subjects& subjects() const { return subjects_; }

  // ---- fencing
  // stale_epoch for a leader below the highest seen; a higher one is remembered.
  absl::Status AdmitLeader(uint64_t leader_epoch);
  // Makes this the highest seen, also when it is lower: the cluster's state began anew.
  void AdoptLeader(uint64_t leader_epoch) { leader_epoch_ = leader_epoch; }
  uint64_t highest_leader_epoch() const { return leader_epoch_; }

  // ---- placements of a coordinator
  // Idempotent per placement epoch: the same one gets the same id, a lower one stale_epoch, a
  // higher one replaces the copy, once that has stopped. When `done` hears of success, the
  // pipeline's subscriptions are known to the broker.
  void Deploy(varpulis::v1::DeployPipelineRequest request,
              const Done<varpulis::v1::DeployPipelineResponse>& done);
  // Removes the copies named, except those of a higher epoch; answers when their threads have
  // ended.
  void Undeploy(varpulis::v1::UndeployPipelineRequest request,
                const Done<varpulis::v1::OkResponse>& done);

  // ---- local pipelines; the others' are refused: `conflict`
  void DeployLocal(std::string name, std::string source,
                   const Done<varpulis::v1::DeployPipelineResponse>& done);
  void Remove(PipelineId id, const Done<varpulis::v1::OkResponse>& done);
  // State goes over where operators are unchanged. The engine's checkpoint is the same whichever
  // source it came from, so a restore is a reload with another state.
  void Reload(PipelineId id, std::string source, const Done<varpulis::v1::OkResponse>& done);
  void Restore(PipelineId id, varpulis::checkpoint::v1::PipelineCheckpoint checkpoint,
               const Done<varpulis::v1::OkResponse>& done);

  // ---- draining
  void RefuseDeploys() { draining_ = true; }
  bool draining() const { return draining_; }
  // `done(true)` once every input accepted so far is processed, `done(false)` after `timeout`.
  void WhenProcessed(absl::Duration timeout, std::function<void(bool)> done);
  // Ends all input, lets every pipeline finish what it accepted for at most `grace`, joins all.
  void StopAll(absl::Duration grace);

  // ---- what runs
  HostedPtr Find(const PipelineId& id) const;  // null when unknown
  std::vector<HostedPtr> All() const;          // sorted by id
  std::string SourceOf(const HostedPipeline& hosted) const;
  static std::string StatusOf(const HostedPipeline& hosted);
  std::vector<varpulis::v1::RunningPipeline> Placements() const;  // without local ones
  std::vector<varpulis::v1::PipelineMetrics> Metrics() const;     // without local ones
  size_t size() const;
  size_t stream_count() const;
  const WorkerCounters& totals() const { return totals_; }
  const Options& options() const { return options_; }

 private:
  using Key = std::tuple<GroupId, std::string, uint32_t>;  // group, name, replica

  static Key KeyOf(const Placement& placement);
  absl::Status CheckDeploy(const varpulis::v1::DeployPipelineRequest& request) const;
  absl::Status CheckCapacity() const;
  std::vector<std::string> InputSubjects(const varpulis::v1::DeployPipelineRequest& request) const;

  // On the strand.
  void DeployNow(const std::shared_ptr<varpulis::v1::DeployPipelineRequest>& request,
                 const Done<varpulis::v1::DeployPipelineResponse>& done);
  void UndeployNow(const std::shared_ptr<varpulis::v1::UndeployPipelineRequest>& request,
                   const Done<varpulis::v1::OkResponse>& done);
  absl::StatusOr<HostedPtr> Start(const varpulis::v1::DeployPipelineRequest& request,
                                  PipelineRunner::EnginePtr engine);
  HostedPtr MakeHosted(Placement placement, std::string source, PipelineRunner::EnginePtr engine,
                       OutputRouter::Options outputs, transport::Bus& bus, bool paused);
  void Adopt(HostedPtr hosted);
  // Takes the pipeline off the list and stops it; `done` runs on the strand once its thread has
  // ended.
  void StopOne(HostedPtr hosted, std::function<void()> done);
  void StopEach(std::vector<HostedPtr> pipelines, const std::function<void()>& done);
  void ReplaceEngine(const PipelineId& id, const std::string& source,
                     const varpulis::checkpoint::v1::PipelineCheckpoint* checkpoint,
                     const Done<varpulis::v1::OkResponse>& done);

  HostedPtr FindByKey(const Key& key) const ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  transport::Bus& local_;
  // Set by Join before there is anybody who deploys placements, which alone need them.
  transport::Bus* cluster_;
  transport::Subjects subjects_;
  std::atomic<uint64_t> leader_epoch_{0};
  std::atomic<bool> draining_{false};
  WorkerCounters totals_;

  // On the strand.
  std::map<Key, uint64_t> highest_epoch_;                       // ever seen, also of removed copies
  std::map<Key, std::vector<std::function<void()>>> stopping_;  // what waits for a copy to end

  mutable Mutex mutex_;
  CondVar stopped_;
  std::map<PipelineId, HostedPtr> pipelines_ ABSL_GUARDED_BY(mutex_);
  std::map<PipelineId, HostedPtr> ending_ ABSL_GUARDED_BY(mutex_);  // taken off, not yet joined

  Strand strand_{"worker-host"};  // last
};

}  // namespace varpulis::worker
