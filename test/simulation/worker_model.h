#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"

#include "coordinator/cluster_state.h"
#include "process.h"
#include "proto/cluster.pb.h"
#include "site.h"
#include "worker/session.h"

namespace varpulis::simulation {

// A worker's process: its real session, and the rules of worker/pipeline_host.cc about leaders,
// epochs and copies, without anything that runs.
class WorkerModel : public Process {
 public:
  struct Copy {
    uint64_t epoch = 0;
    std::string id;
    bool cut = false;
  };

  WorkerModel(Site& site, std::string name)
      : Process(site.scheduler, std::move(name)), site_(site) {}

  const std::map<coordinator::PlacementKey, Copy>& copies() const { return copies_; }
  bool leaving() const { return leaving_; }
  // Stops in good order: says so, ends its copies, deregisters.
  void Leave();
  // One of its copies is removed by hand, past the coordinator.
  void LoseCopy();

  // ---- commands of a leader
  void Deploy(const varpulis::v1::DeployPipelineRequest& request, const Replier& reply);
  void Undeploy(const varpulis::v1::UndeployPipelineRequest& request, const Replier& reply);
  void Checkpoint(const varpulis::v1::CheckpointPipelineRequest& request, const Replier& reply);
  void Ping(const varpulis::v1::PingRequest& request, const Replier& reply);

 private:
  void OnStart() override;
  void OnCrash() override;
  void OnConnection(bool connected) override;

  void Perform(const worker::Session::Actions& actions);
  void SendRegister(uint64_t attempt);
  void SendHeartbeat();
  void OnRegisterReply(uint64_t attempt, const Reply& reply);
  bool AcceptLeader(uint64_t leader_epoch);

  absl::Status AdmitLeader(uint64_t leader_epoch);
  // Commands are done one after another; some take long.
  void InTurn(std::function<void()> command);
  Reply DeployNow(const varpulis::v1::DeployPipelineRequest& request);
  Reply UndeployNow(const varpulis::v1::UndeployPipelineRequest& request);
  Reply CheckpointNow(const varpulis::v1::CheckpointPipelineRequest& request);
  void End(const coordinator::PlacementKey& key);
  std::string incarnation() const;

  template <typename Field>
  void ListCopies(Field* field) const {
    for (const auto& [key, copy] : copies_) {
      varpulis::v1::RunningPipeline& entry = *field->Add();
      entry.set_pipeline_id(copy.id);
      entry.set_group_id(key.group.str());
      entry.set_name(key.pipeline);
      entry.set_replica(key.replica);
      entry.set_placement_epoch(copy.epoch);
      entry.set_status(copy.cut ? "paused" : "running");
    }
  }

  Site& site_;
  std::optional<worker::Session> session_;
  uint64_t timer_ = 0;
  int stale_answers_ = 0;
  bool leaving_ = false;
  absl::Time busy_until_;
  uint64_t leader_epoch_ = 0;
  std::map<coordinator::PlacementKey, Copy> copies_;
  std::map<coordinator::PlacementKey, uint64_t> least_epoch_;
  uint64_t copies_made_ = 0;
};

}  // namespace varpulis::simulation
