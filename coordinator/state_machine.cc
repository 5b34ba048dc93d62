#include "coordinator/state_machine.h"

#include <variant>

#include "coordinator/drains.h"
#include "coordinator/groups.h"
#include "coordinator/health.h"
#include "coordinator/migrations.h"
#include "coordinator/registry.h"

namespace varpulis::coordinator {
namespace {

template <typename... Fns>
struct Overloaded : Fns... {
  using Fns::operator()...;
};
template <typename... Fns>
Overloaded(Fns...) -> Overloaded<Fns...>;

}  // namespace

Effects Apply(ClusterState& state, const Command& command, absl::Time now, const Policy& policy) {
  Effects effects;
  Step step{state, policy, now, effects};
  std::visit(Overloaded{
                 [&](const RegisterWorker& c) { Register(step, c); },
                 [&](const IncumbentChecked& c) { FinishIncumbentCheck(step, c); },
                 [&](const ReceiveHeartbeat& c) { Heartbeat(step, c); },
                 [&](const DeleteWorker& c) { Deregister(step, c); },
                 [&](const PingAnswered& c) { Pinged(step, c); },
                 [&](const PingUnanswered& c) { PingFailed(step, c); },
                 [&](const DrainWorker& c) { StartDrain(step, c); },
                 [&](const MigratePipeline& c) { Migrate(step, c); },
                 [&](const Rebalance& c) { DoRebalance(step, c); },
                 [&](const CheckpointAnswered& c) { FinishCheckpoint(step, c); },
                 [&](const DeployGroup& c) { Deploy(step, c); },
                 [&](const DeployAnswered& c) { FinishDeploy(step, c); },
                 [&](const DeleteGroup& c) { Delete(step, c); },
                 [&](const AnswerDue& c) { AnswerNow(step, c); },
                 [&](const UndeployAnswered& c) { FinishUndeploy(step, c); },
                 [&](const Tick&) { OnTick(step); },
                 [&](const ConnectionRestored&) { OnConnectionRestored(step); },
                 [&](const BrokerInDoubt&) { HoldFailover(step); },
             },
             command);
  return effects;
}

}  // namespace varpulis::coordinator
