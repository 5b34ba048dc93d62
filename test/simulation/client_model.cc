#include "client_model.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "coordinator_model.h"
#include "transport/error_reply.h"

namespace varpulis::simulation {

using varpulis::v1::DeployGroupRequest;
using varpulis::v1::DrainWorkerResponse;
using varpulis::v1::GroupInfo;

namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr int kAttempts = 4;
constexpr size_t kMostGroups = 4;
// A worker that has had no trouble for so long has done all that it was told.
constexpr absl::Duration kCalm = absl::Seconds(10);

}  // namespace

void ClientModel::Call(MakeCommand make, Replier heard, Replier done) {
  site_.network.Request(
      *this, Network::kLeader,
      [make = std::move(make), heard = std::move(heard)](Process& target, const Replier& reply) {
        if (Office* office = static_cast<CoordinatorModel&>(target).serving()) {
          office->Submit(
              make,
              [heard, reply](const Reply& answer) {
                heard(answer);
                reply(answer);
              },
              kTimeout * 4 / 5);
        }
      },
      kTimeout, std::move(done));
}

bool ClientModel::TryAgain(const Reply& reply, int attempts_left) {
  if (reply.ok() || stopped_ || attempts_left <= 1) return false;
  const std::string code = transport::ErrorCode(reply.status());
  if (code != "not_ready" && code != "not_leader" && transport::IsServiceError(reply.status())) {
    return false;
  }
  ++site_.counters.calls_retried;
  return true;
}

void ClientModel::CallSomething() {
  switch (site_.random.Below(10)) {
    case 0:
    case 1:
    case 2:
      return DeployGroup();
    case 3:
    case 4:
      return DeleteGroup();
    case 5:
    case 6:
      return Migrate();
    case 7:
    case 8:
      return Drain();
    default:
      return Rebalance();
  }
}

void ClientModel::DeployGroup() {
  if (groups_.size() >= kMostGroups) return;
  DeployGroupRequest request;
  request.set_name("app");
  const uint64_t pipelines = 1 + site_.random.Below(2);
  for (uint64_t i = 0; i < pipelines; ++i) {
    varpulis::v1::PipelineSpec& spec = *request.add_pipelines();
    spec.set_name(absl::StrCat("p", i));
    spec.set_source("stream S = E");
    spec.set_replicas(1 + static_cast<uint32_t>(site_.random.Below(2)));
    if (site_.random.Chance(200)) spec.set_worker_affinity(AnyWorker().name());
  }
  if (pipelines == 2) {
    varpulis::v1::RouteSpec& route = *request.add_routes();
    route.set_from_pipeline("p0");
    route.set_to_pipeline("p1");
    route.add_event_types("E");
  }
  Deploy(absl::StrCat("r", ++requests_made_), request, kAttempts);
}

void ClientModel::Deploy(const std::string& request_id, const DeployGroupRequest& request,
                         int attempts_left) {
  site_.Note("ask deploy", request_id);
  Call(
      [this, request_id, request](coordinator::ReplyToken token) {
        return coordinator::DeployGroup{request, GroupId(absl::StrCat("g", ++groups_made_)),
                                        request_id, token};
      },
      [this, request_id](const Reply& reply) {
        if (!reply.ok()) return;
        site_.ledger.OnDeployAnswered(request_id, static_cast<const GroupInfo&>(**reply).id());
      },
      [this, request_id, request, attempts_left](const Reply& reply) {
        site_.Note("told of deploy", request_id, reply.status().message());
        if (reply.ok()) {
          groups_.push_back({static_cast<const GroupInfo&>(**reply).id(), request});
        } else if (TryAgain(reply, attempts_left)) {
          Deploy(request_id, request, attempts_left - 1);
        }
      });
}

void ClientModel::DeleteGroup() {
  if (groups_.empty()) return;
  Group& group = groups_[site_.random.Below(groups_.size())];
  if (std::exchange(group.deleting, true)) return;
  Delete(group.id, kAttempts);
}

void ClientModel::Delete(const std::string& group, int attempts_left) {
  site_.Note("ask delete", group);
  site_.ledger.OnDeleteAsked(group);
  Call(
      [group](coordinator::ReplyToken token) {
        return coordinator::DeleteGroup{GroupId(group), token, absl::StrCat("delete-", group)};
      },
      [this, group](const Reply& reply) {
        if (reply.ok()) {
          site_.ledger.OnDeleteAnswered(group);
        } else if (transport::ErrorCode(reply.status()) == "group_not_found" &&
                   !site_.lease.WipedOfLate()) {
          site_.ledger.OnGroupDenied(group);
        }
      },
      [this, group, attempts_left](const Reply& reply) {
        site_.Note("told of delete", group, reply.status().message());
        if (TryAgain(reply, attempts_left)) return Delete(group, attempts_left - 1);
        if (reply.ok()) std::erase_if(groups_, [&](const Group& g) { return g.id == group; });
      });
}

void ClientModel::Drain() {
  WorkerModel* const worker = &AnyWorker();
  const bool wait = site_.random.Chance(700);
  const absl::Duration timeout =
      site_.random.Chance(500) ? absl::InfiniteDuration() : absl::Seconds(3);
  site_.Note("ask drain", worker->name());
  Call(
      [worker, wait, timeout](coordinator::ReplyToken token) {
        return coordinator::DrainWorker{WorkerId(worker->name()), timeout, wait, token};
      },
      [this, worker](const Reply& reply) {
        if (!reply.ok() || static_cast<const DrainWorkerResponse&>(**reply).status() != "drained") {
          return;
        }
        const bool calm = worker->listens() && !worker->frozen() &&
                          site_.scheduler.now() - worker->last_trouble() > kCalm;
        site_.ledger.OnDrained(worker->name(), !calm || worker->copies().empty());
      },
      [this, worker](const Reply& reply) {
        if (reply.ok() && site_.random.Chance(500) && !stopped_) worker->Leave();
      });
}

void ClientModel::Migrate() {
  if (groups_.empty()) return;
  const Group& group = groups_[site_.random.Below(groups_.size())];
  const auto& spec = group.request.pipelines(
      static_cast<int>(site_.random.Below(static_cast<uint64_t>(group.request.pipelines_size()))));
  const WorkerId target(AnyWorker().name());
  const std::string pipeline = absl::StrCat(spec.name(), "#", site_.random.Below(spec.replicas()));
  site_.Note("ask migrate", group.id, pipeline, target.str());
  Call(
      [id = GroupId(group.id), pipeline, target](coordinator::ReplyToken token) {
        return coordinator::MigratePipeline{id, pipeline, target, token};
      },
      [](const Reply&) {}, [](const Reply&) {});
}

void ClientModel::Rebalance() {
  site_.Note("ask rebalance");
  Call([](coordinator::ReplyToken token) { return coordinator::Rebalance{token}; },
       [](const Reply&) {}, [](const Reply&) {});
}

}  // namespace varpulis::simulation
