// What an office sends to workers, and what comes of it.
#include <utility>

#include "coordinator/command.h"
#include "office.h"
#include "worker_model.h"

namespace varpulis::simulation {

using coordinator::CheckIncumbent;
using coordinator::SendCheckpoint;
using coordinator::SendDeploy;
using coordinator::SendPing;
using coordinator::SendUndeploy;
using varpulis::v1::DeployPipelineResponse;
using varpulis::v1::PingResponse;

namespace {

WorkerModel& Worker(Process& target) { return static_cast<WorkerModel&>(target); }

}  // namespace

void Office::Request(const std::string& worker, Handler handler, absl::Duration timeout,
                     Replier done) {
  if (!deps_.tenure->valid()) {
    ++site_.counters.unsent_after_lease;
    process_.After(absl::ZeroDuration(), WhileHere([done = std::move(done)] {
                     done(absl::UnavailableError("the lease has run out"));
                   }));
    return;
  }
  site_.ledger.OnAct(process_.name(), site_.lease.HeldBy(deps_.nonce) || site_.lease.WipedOfLate());
  site_.network.Request(process_, worker, std::move(handler), timeout, WhileHere(std::move(done)));
}

varpulis::v1::PingRequest Office::MakePing(bool brief) const {
  varpulis::v1::PingRequest request;
  request.set_leader_epoch(state_.leader_epoch);
  request.set_brief(brief);
  return request;
}

void Office::Send(SendDeploy deploy) {
  auto shared = std::make_shared<SendDeploy>(std::move(deploy));
  const auto answer = [this, shared](absl::StatusOr<PipelineId> result) {
    Handle(coordinator::DeployAnswered{shared->placement, shared->worker,
                                       shared->request.placement_epoch(), std::move(result)});
  };
  lanes_.Enter(shared->worker, [this, shared, answer](const absl::Status& go) {
    if (!go.ok()) return answer(go);
    site_.Note("deploy", shared->worker.str(), ToString(shared->placement),
               shared->request.placement_epoch(), shared->request.leader_epoch());
    site_.ledger.OnDeploySent(shared->placement, shared->request.placement_epoch());
    Request(
        shared->worker.str(),
        [shared](Process& target, const Replier& reply) {
          Worker(target).Deploy(shared->request, reply);
        },
        site_.command_timeout,
        [this, shared, answer](const Reply& reply) {
          site_.Note("deployed", shared->worker.str(), ToString(shared->placement),
                     reply.status().message());
          answer(reply.ok() ? absl::StatusOr<PipelineId>(PipelineId(
                                  static_cast<const DeployPipelineResponse&>(**reply).id()))
                            : reply.status());
          lanes_.Finish(shared->worker, reply.status());
        });
  });
}

void Office::Send(SendUndeploy undeploy) {
  auto shared = std::make_shared<SendUndeploy>(std::move(undeploy));
  const auto answer = [this, shared](const absl::Status& result) {
    Handle(coordinator::UndeployAnswered{shared->copy, shared->request.placement_epoch(), result});
  };
  lanes_.Enter(shared->copy.worker, [this, shared, answer](const absl::Status& go) {
    if (!go.ok()) return answer(go);
    site_.Note("undeploy", shared->copy.worker.str(), ToString(shared->copy.placement),
               shared->request.placement_epoch(), shared->request.leader_epoch());
    Request(
        shared->copy.worker.str(),
        [shared](Process& target, const Replier& reply) {
          Worker(target).Undeploy(shared->request, reply);
        },
        site_.command_timeout / 2,
        [this, shared, answer](const Reply& reply) {
          site_.Note("undeployed", shared->copy.worker.str(), ToString(shared->copy.placement),
                     reply.status().message());
          answer(reply.status());
          lanes_.Finish(shared->copy.worker, reply.status());
        });
  });
}

// The broker does that, which may be away.
void Office::Send(const coordinator::ForgetCheckpoints& forget) {
  site_.Note("forget", ToString(forget.copy.placement), forget.epoch);
  const bool fails = site_.random.Chance(site_.misfortune.store_failure);
  process_.After(site_.random.Between(absl::Milliseconds(1), absl::Milliseconds(20)),
                 WhileHere([this, forget, fails] {
                   Handle(coordinator::UndeployAnswered{
                       forget.copy, forget.epoch,
                       fails ? absl::UnavailableError("the broker is away") : absl::OkStatus(),
                       /*by_leader=*/true});
                 }));
}

void Office::Send(const SendCheckpoint& checkpoint) {
  site_.Note("cut", checkpoint.worker.str(), checkpoint.migration);
  Request(
      checkpoint.worker.str(),
      [request = checkpoint.request](Process& target, const Replier& reply) {
        Worker(target).Checkpoint(request, reply);
      },
      site_.command_timeout,
      [this, id = checkpoint.migration](const Reply& reply) {
        site_.Note("has cut", id, reply.status().message());
        Handle(coordinator::CheckpointAnswered{id, reply.status()});
      });
}

void Office::Send(const SendPing& ping) {
  Request(
      ping.worker.str(),
      [request = MakePing(/*brief=*/true)](Process& target, const Replier& reply) {
        Worker(target).Ping(request, reply);
      },
      site_.ping_timeout,
      [this, ping](const Reply& reply) {
        if (reply.ok()) {
          const auto& answer = static_cast<const PingResponse&>(**reply);
          if (answer.incarnation() == ping.incarnation) {
            return Handle(coordinator::PingAnswered{answer});
          }
        }
        Handle(coordinator::PingUnanswered{ping.worker, ping.incarnation,
                                           reply.ok() || absl::IsUnavailable(reply.status())});
      });
}

void Office::AskIncumbent(const CheckIncumbent& check, int attempt) {
  Request(
      check.registration.request.worker_id(),
      [request = MakePing(/*brief=*/false)](Process& target, const Replier& reply) {
        Worker(target).Ping(request, reply);
      },
      site_.ping_timeout,
      [this, check, attempt](const Reply& reply) {
        const PingResponse* const answer =
            reply.ok() ? static_cast<const PingResponse*>(reply->get()) : nullptr;
        const bool from_new =
            answer != nullptr && answer->incarnation() == check.registration.request.incarnation();
        if (from_new && attempt < 3) return AskIncumbent(check, attempt + 1);
        coordinator::IncumbentChecked checked{check.registration, std::nullopt};
        if (answer != nullptr && !from_new) checked.answered_by = answer->incarnation();
        Handle(checked);
      });
}

}  // namespace varpulis::simulation
