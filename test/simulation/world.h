#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client_model.h"
#include "coordinator_model.h"
#include "site.h"
#include "worker_model.h"

namespace varpulis::simulation {

// One run: a cluster, what befalls it, and whether it keeps its promises. Thread-compatible.
class World {
 public:
  World(uint64_t seed, Trace::Text text);

  // `steps` steps with faults, then until everything is as it should be. False: a violation.
  bool Run(int steps);

  const std::string& violation() const { return site_.ledger.violation(); }
  int step() const { return step_; }  // of the violation; beyond the last: after the faults
  const Counters& counters() const { return site_.counters; }
  const Trace& trace() const { return site_.trace; }

 private:
  // Maybe a call, maybe a fault; then time goes on.
  void Step();
  void Befall();
  void FreezeOne(bool worker);
  void CrashOne(bool worker);
  void CutOff(Process& process);
  void StopBroker();
  void Heal();
  bool Converge();
  bool Advance(absl::Duration time);
  void CheckStates();
  // `repair` some time later, unless all has been repaired by then.
  void Later(absl::Duration most, std::function<void()> repair);
  template <typename Model>
  Model& Any(const std::vector<std::unique_ptr<Model>>& all) {
    return *all[site_.random.Below(all.size())];
  }

  Site site_;
  std::vector<std::unique_ptr<CoordinatorModel>> coordinators_;
  std::vector<std::unique_ptr<WorkerModel>> workers_;
  std::unique_ptr<ClientModel> client_;
  uint32_t hostility_ = 0;  // faults per 1000 steps
  int step_ = 0;
  bool healed_ = false;
};

}  // namespace varpulis::simulation
