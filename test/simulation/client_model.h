#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "process.h"
#include "proto/cluster.pb.h"
#include "site.h"
#include "worker_model.h"

namespace varpulis::simulation {

// Everybody who calls the cluster's API. Calls that were not answered are made again under the same
// request id, as the HTTP shim's callers do.
class ClientModel : public Process {
 public:
  ClientModel(Site& site, std::vector<WorkerModel*> workers)
      : Process(site.scheduler, "client"), site_(site), workers_(std::move(workers)) {}

  // One call, of a kind that is drawn.
  void CallSomething();
  void Stop() { stopped_ = true; }  // nothing is asked for any more

 private:
  struct Group {
    std::string id;
    varpulis::v1::DeployGroupRequest request;
    bool deleting = false;
  };
  using MakeCommand = std::function<coordinator::Command(coordinator::ReplyToken)>;

  void OnStart() override {}
  void OnCrash() override {}
  void OnConnection(bool) override {}

  void DeployGroup();
  void Deploy(const std::string& request_id, const varpulis::v1::DeployGroupRequest& request,
              int attempts_left);
  void DeleteGroup();
  void Delete(const std::string& group, int attempts_left);
  void Drain();
  void Migrate();
  void Rebalance();
  // `heard` is told of the answer as the coordinator sends it, `done` as it comes, if it comes.
  void Call(MakeCommand make, Replier heard, Replier done);
  bool TryAgain(const Reply& reply, int attempts_left);
  WorkerModel& AnyWorker() { return *workers_[site_.random.Below(workers_.size())]; }

  Site& site_;
  const std::vector<WorkerModel*> workers_;
  bool stopped_ = false;
  uint64_t requests_made_ = 0;
  uint64_t groups_made_ = 0;
  std::vector<Group> groups_;  // acknowledged ones
};

}  // namespace varpulis::simulation
