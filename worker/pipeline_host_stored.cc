// Pipelines of exactly-once groups: the half of PipelineHost that prepares their streams and lets
// go of what these no longer need.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "transport/error_reply.h"
#include "worker/pipeline_host.h"

namespace varpulis::worker {

using transport::MakeError;
using varpulis::v1::DeployPipelineRequest;

absl::Status PipelineHost::CheckStored(const DeployPipelineRequest& request) const {
  if (streams_ == nullptr || !store_->present()) {
    return MakeError("deploy_failed",
                     "exactly_once needs a broker with JetStream (start nats-server with -js)");
  }
  if (request.extra_input_subjects().empty()) return absl::OkStatus();
  return MakeError("invalid_request",
                   "an exactly-once pipeline reads its own stream only, not custom subjects");
}

void PipelineHost::PrepareStored(const DeployRequestPtr& request, PipelineRunner::EnginePtr engine,
                                 const CheckpointPtr& state, const DeployDone& done) {
  const Key key = KeyOf(*request);
  const uint64_t epoch = request->placement_epoch();
  auto shared = std::make_shared<PipelineRunner::EnginePtr>(std::move(engine));
  const auto on_superseded = [this, strand = strand_, key, epoch] {
    strand->Post([this, key, epoch] { OnSuperseded(key, epoch); });
  };
  StoredDelivery::Prepare(
      *request, {*cluster_, *streams_, stored_timers_, subjects_, options_.stored, exclusive_turn_},
      on_superseded,
      [this, strand = strand_, request, shared, state,
       finish = Occupy(key, done)](const absl::StatusOr<StoredDeliveryPtr>& stored) {
        strand->Post([this, request, shared, state, stored, finish] {
          if (stopping_all_) return finish(MakeError("worker_draining", "this worker is stopping"));
          if (absl::IsAborted(stored.status())) {
            return finish(MakeError("stale_epoch", stored.status().message()));
          }
          if (!stored.ok()) return finish(MakeError("deploy_failed", stored.status().message()));
          BeginWith(request, std::move(*shared), state, *stored, finish);
        });
      });
}

void PipelineHost::OnSuperseded(const Key& key, uint64_t epoch) {
  const HostedPtr hosted = FindByKey(key);
  if (hosted == nullptr || hosted->placement.epoch != epoch) return;
  // The coordinator removes it when it hears of it.
  hosted->runner->SetHold(PipelineRunner::Hold::kCutOff, true);
}

void PipelineHost::ForgetStreams(const varpulis::v1::UndeployPipelineRequest& request) {
  if (streams_ == nullptr) return;
  streams_->Forget(subjects_.ReplayStream().name,
                   subjects_.Replay(request.group_id(), request.name(), request.replica()),
                   [](const absl::Status& status) {
                     LOG_IF(WARNING, !status.ok() && !absl::IsFailedPrecondition(status))
                         << "marks of a recovery remain: " << status.message();
                   });
  for (const std::string& stream :
       {subjects_.OutboxStream(request.group_id(), request.name(), request.replica()).name,
        subjects_.InputStream(request.group_id(), request.name()).name}) {
    streams_->Delete(stream, [stream](const absl::Status& status) {
      if (!status.ok() && !absl::IsFailedPrecondition(status)) {
        LOG(WARNING) << "stream " << stream << " remains: " << status.message();
      }
    });
  }
}

void PipelineHost::TrimInput(const HostedPipeline& hosted) {
  struct Lowest {
    Mutex mutex;
    uint32_t left ABSL_GUARDED_BY(mutex) = 0;
    uint64_t position ABSL_GUARDED_BY(mutex) = UINT64_MAX;
  };
  const Placement& placement = hosted.placement;
  auto lowest = std::make_shared<Lowest>();
  {
    MutexLock lock(lowest->mutex);
    lowest->left = placement.replicas;
  }
  for (uint32_t replica = 0; replica < placement.replicas; ++replica) {
    store_->OldestPosition(
        placement.group.str(), placement.name, replica,
        [lowest, stored = hosted.stored](const absl::StatusOr<uint64_t>& position) {
          uint64_t all = 0;
          {
            MutexLock lock(lowest->mutex);
            // A replica that has stored nothing begins from the beginning.
            lowest->position = std::min(lowest->position, position.value_or(0));
            if (--lowest->left > 0) return;
            all = lowest->position;
          }
          if (all > 0) stored->Trim(all + 1);
        });
  }
}

}  // namespace varpulis::worker
