#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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
#include "worker/checkpoint_store.h"
#include "worker/pipeline_inputs.h"
#include "worker/pipeline_runner.h"
#include "worker/placement.h"
#include "worker/stored_delivery.h"
#include "worker/stores.h"

namespace varpulis::worker {

// One deployed pipeline with all that belongs to it. The host owns it; others borrow the runner
// through a shared_ptr for the time of a call.
struct HostedPipeline {
  Placement placement;
  std::string source;  // guarded by the host's mutex: a reload changes it
  absl::Time started;
  size_t stream_count = 0;  // as source
  std::unique_ptr<PipelineRunner> runner;
  // Null for local pipelines, and once the copy was cut; as source. Goes before the runner.
  std::unique_ptr<PipelineInputs> inputs;
  std::shared_ptr<StoredDelivery> stored;  // of an exactly-once group, which then has no `inputs`
  // Of the checkpoints at an interval; as source.
  struct {
    std::chrono::steady_clock::time_point due;
    uint64_t saved_at = 0;  // events in and out that the newest one has seen
    bool under_way = false;
  } checkpoint;
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
    absl::Duration batch_linger = absl::ZeroDuration();  // PipelineRunner::Options
    // Between two checkpoints of a placed pipeline; zero: only when asked.
    absl::Duration checkpoint_interval = absl::ZeroDuration();
    // PipelineRunner::Options, for placed pipelines.
    std::function<bool()> may_process = {};
    StoredDeliveryOptions stored = {};
  };
  struct Deps {
    transport::Bus* cluster = nullptr;  // null: no placements before Join, only local pipelines
    transport::Bus& local;
    Stores stores = {};
  };
  using HostedPtr = std::shared_ptr<HostedPipeline>;
  template <typename Reply>
  using Done = std::function<void(absl::StatusOr<Reply>)>;

  PipelineHost(Options options, Deps deps);
  ~PipelineHost();  // StopAll without grace, when that has not happened

  // Where the placements' events are, for a host that began without. Once, before the first Deploy.
  void Join(transport::Bus& cluster, transport::Subjects subjects, Stores stores = {});
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
  //
  // With `restore` it goes on from the state of the copy it replaces, else from the newest
  // checkpoint stored; when that cannot be found out the deploy fails.
  void Deploy(varpulis::v1::DeployPipelineRequest request,
              const Done<varpulis::v1::DeployPipelineResponse>& done);
  // Removes the copies named, except those of a higher epoch; answers when their threads have
  // ended.
  void Undeploy(varpulis::v1::UndeployPipelineRequest request,
                const Done<varpulis::v1::OkResponse>& done);

  // Stores the copy's state as it is between two inputs. `cut`: from there on it takes no input and
  // is "paused"; it goes on when the state cannot be stored. A second cut is answered as the first.
  void Checkpoint(const varpulis::v1::CheckpointPipelineRequest& request,
                  const Done<varpulis::v1::CheckpointPipelineResponse>& done);
  // Checkpoints what has changed since its last one, interval or not.
  void CheckpointChanged();

  // ---- cut off from the cluster
  // Holds every placed pipeline with its state. Returns the number of this suspension.
  uint64_t Suspend();
  uint64_t suspensions() const { return suspensions_; }
  // Lets them go on after `first`, unless they are `superseded` (ids). Nothing happens when there
  // has been another suspension since. Commands that have come by now take effect before.
  void Resume(uint64_t suspension, std::vector<std::string> superseded,
              std::function<void()> first = {});

  // ---- local pipelines; the others' are refused: `conflict`
  void DeployLocal(std::string name, std::string source,
                   const Done<varpulis::v1::DeployPipelineResponse>& done);
  void Remove(PipelineId id, const Done<varpulis::v1::OkResponse>& done);
  // State goes over where operators are unchanged. The engine's checkpoint is the same whichever
  // source it came from, so a restore is a reload with another state.
  void Reload(PipelineId id, std::string source, const Done<varpulis::v1::OkResponse>& done);
  using CheckpointPtr = PipelineRunner::CheckpointPtr;
  void Restore(PipelineId id, CheckpointPtr checkpoint, const Done<varpulis::v1::OkResponse>& done);

  // ---- draining
  void RefuseDeploys() { draining_ = true; }
  bool draining() const { return draining_; }
  // `done(true)` once every input accepted so far is processed, `done(false)` after `timeout`.
  void WhenProcessed(absl::Duration timeout, std::function<void(bool)> done);
  // Ends all input, lets every pipeline finish what it accepted and stores the last state of the
  // placed ones, for at most `grace`; joins all.
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
  static Key KeyOf(const varpulis::v1::DeployPipelineRequest& request);
  static absl::StatusOr<PipelineRunner::EnginePtr> CompileSource(const std::string& source);
  absl::Status CheckDeploy(const varpulis::v1::DeployPipelineRequest& request) const;
  absl::Status CheckStored(const varpulis::v1::DeployPipelineRequest& request) const;
  absl::Status CheckCapacity() const;
  std::vector<std::string> InputSubjects(const varpulis::v1::DeployPipelineRequest& request) const;

  using DeployRequestPtr = std::shared_ptr<varpulis::v1::DeployPipelineRequest>;
  using DeployDone = Done<varpulis::v1::DeployPipelineResponse>;
  using StoredDeliveryPtr = std::shared_ptr<StoredDelivery>;

  // What a copy that was replaced leaves, until its successor runs.
  struct Remains {
    uint64_t epoch = 0;
    std::string source;
    PipelineRunner::EnginePtr engine;
    PipelineRunner::Memory memory;
  };
  struct Cut {
    std::optional<varpulis::v1::CheckpointPipelineResponse> answer;  // none: under way
    std::vector<Done<varpulis::v1::CheckpointPipelineResponse>> waiting;
  };

  // On the strand.
  void DeployNow(const DeployRequestPtr& request, const DeployDone& done);
  // With the state that it goes on from. `state`, if any, goes before what the old copy left.
  void Begin(const DeployRequestPtr& request, PipelineRunner::EnginePtr engine,
             const CheckpointPtr& state, const DeployDone& done);
  void BeginWith(const DeployRequestPtr& request, PipelineRunner::EnginePtr engine,
                 CheckpointPtr state, const StoredDeliveryPtr& stored, const DeployDone& done);
  void PrepareStored(const DeployRequestPtr& request, PipelineRunner::EnginePtr engine,
                     const CheckpointPtr& state, const DeployDone& done);
  // What concerns the same placement waits until the result has been called.
  DeployDone Occupy(const Key& key, const DeployDone& done);
  void LoadThenBegin(const DeployRequestPtr& request, uint64_t min_epoch, const DeployDone& done);
  void Loaded(const DeployRequestPtr& request, const absl::StatusOr<CheckpointPtr>& checkpoint,
              const DeployDone& done);
  void UndeployNow(const std::shared_ptr<varpulis::v1::UndeployPipelineRequest>& request,
                   const Done<varpulis::v1::OkResponse>& done);
  absl::StatusOr<HostedPtr> Start(const varpulis::v1::DeployPipelineRequest& request,
                                  PipelineRunner::EnginePtr engine, PipelineRunner::Memory memory,
                                  const StoredDeliveryPtr& stored);
  absl::Status StartInputs(const varpulis::v1::DeployPipelineRequest& request,
                           HostedPipeline& hosted);
  HostedPtr MakeHosted(Placement placement, std::string source, PipelineRunner::EnginePtr engine,
                       std::unique_ptr<Outputs> outputs, PipelineRunner::Options options);
  // Lets go of input that no checkpoint of any replica needs any more.
  void TrimInput(const HostedPipeline& hosted);
  void OnSuperseded(const Key& key, uint64_t epoch);
  // The streams of a deleted group's pipeline, if it had any.
  void ForgetStreams(const varpulis::v1::UndeployPipelineRequest& request);
  void Adopt(HostedPtr hosted);
  // Takes the pipeline off the list and stops it; `done` runs on the strand once its thread has
  // ended.
  void StopOne(HostedPtr hosted, std::function<void()> done);
  void StopEach(std::vector<HostedPtr> pipelines, const std::function<void()>& done);
  void RunWaiting(const Key& key);
  void EndInputs(const PipelineId& id);
  void CheckpointsDue();
  void StoreLastState(const HostedPtr& ended);
  void ReplaceEngine(const PipelineId& id, const std::string& source, const CheckpointPtr& given,
                     const Done<varpulis::v1::OkResponse>& done);

  void SaveForInterval(const HostedPtr& hosted);
  void FinishCut(const PipelineId& id,
                 absl::StatusOr<varpulis::v1::CheckpointPipelineResponse> result);

  // On any thread; `done` runs on the strand. Its second argument is what to put into
  // `checkpoint.saved_at`.
  using SaveDone =
      std::function<void(absl::StatusOr<varpulis::v1::CheckpointPipelineResponse>, uint64_t)>;
  void SaveState(const HostedPipeline& hosted, bool cut, const SaveDone& done);
  HostedPtr FindByKey(const Key& key) const ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  transport::Bus& local_;
  // Set by Join before there is anybody who deploys placements, which alone need them.
  transport::Bus* cluster_;
  transport::EventStreams* streams_;
  transport::Subjects subjects_;
  std::atomic<uint64_t> leader_epoch_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_all_{false};
  std::atomic<bool> stores_last_states_{false};
  std::atomic<uint64_t> suspensions_{0};
  Mutex suspend_mutex_;  // held while pipelines are held or let go; before mutex_
  WorkerCounters totals_;

  // On the strand.
  // The least placement epoch that is accepted: the highest deployed, or above what was removed.
  std::map<Key, uint64_t> least_epoch_;
  std::map<Key, std::vector<std::function<void()>>> stopping_;  // what waits for a copy to end
  std::map<Key, Remains> remains_;
  int interval_saves_ = 0;  // under way

  mutable Mutex mutex_;
  CondVar stopped_;
  std::map<PipelineId, HostedPtr> pipelines_ ABSL_GUARDED_BY(mutex_);
  std::map<PipelineId, HostedPtr> ending_ ABSL_GUARDED_BY(mutex_);  // taken off, not yet joined

  std::map<PipelineId, Cut> cuts_ ABSL_GUARDED_BY(mutex_);
  int last_states_ ABSL_GUARDED_BY(mutex_) = 0;  // being stored while all are stopped

  // Set by Join, as cluster_. Shared with what may come back after the host has gone.
  std::shared_ptr<CheckpointStore> store_;
  const std::shared_ptr<ExclusiveTurn> exclusive_turn_ = std::make_shared<ExclusiveTurn>();
  const std::shared_ptr<Strand> stored_timers_ = std::make_shared<Strand>("stored-timers");
  const std::shared_ptr<Strand> strand_ = std::make_shared<Strand>("worker-host");  // last
};

}  // namespace varpulis::worker
