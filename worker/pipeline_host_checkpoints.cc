// State that outlives a copy: the half of PipelineHost that saves it, takes it over, and holds the
// copies of a worker that is cut off.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "transport/error_reply.h"
#include "worker/pipeline_host.h"

namespace varpulis::worker {
namespace {

using transport::MakeError;
using varpulis::v1::CheckpointPipelineRequest;
using varpulis::v1::CheckpointPipelineResponse;
using varpulis::v1::DeployPipelineResponse;
using EnginePtr = PipelineRunner::EnginePtr;
using SteadyClock = std::chrono::steady_clock;

constexpr int kIntervalSavesAtOnce = 2;
// A state that takes long to save is saved more rarely: at most this share of the time goes to it.
constexpr int kSavingShare = 20;
// Of the interval, where there turned out to be no store.
constexpr int kWithoutStore = 10;

absl::Status NotFound(const PipelineId& id) {
  return MakeError("pipeline_not_found", absl::StrCat("no pipeline ", id.str(), " on this worker"));
}

uint64_t Progress(const PipelineRunner::Stats& stats) {
  return stats.events_in + stats.events_out + stats.position;
}

}  // namespace

// ---------------------------------------------------------------- save

void PipelineHost::SaveState(const HostedPipeline& hosted, bool cut, const SaveDone& done) {
  const Placement& placement = hosted.placement;
  PipelineRunner* const runner = hosted.runner.get();
  // The callback may come after this host has gone; the strand, shared, then drops the task.
  auto finish = [strand = strand_, done](absl::StatusOr<CheckpointPipelineResponse> result,
                                         uint64_t progress) {
    strand->Post([done, result = std::move(result), progress] { done(result, progress); });
  };
  const bool posted = runner->Post(
      [runner, cut, placement, store = store_, finish](EnginePtr&) {
        if (cut) runner->SetHold(PipelineRunner::Hold::kCut, true);
        const CheckpointPtr state = runner->Save();
        CheckpointPipelineResponse response;
        response.set_pipeline_id(placement.id.str());
        response.set_events_processed(state->events_in());
        const uint64_t progress = Progress(runner->stats());
        // Who begins from it makes no output of the inputs before it.
        runner->WhenOutputsStored([=](const absl::Status& outputs) {
          if (!outputs.ok()) return finish(outputs, 0);
          store->Save(
              placement.group.str(), placement.name, placement.replica, placement.epoch, state,
              [response, progress, finish](absl::StatusOr<CheckpointStore::Saved> saved) mutable {
                if (!saved.ok()) return finish(saved.status(), 0);
                response.set_bytes(saved->bytes);
                response.set_stored(saved->stored);
                finish(response, progress);
              });
        });
      },
      [finish](const absl::Status& refused) { finish(refused, 0); });
  if (!posted) finish(NotFound(placement.id), 0);
}

void PipelineHost::Checkpoint(const CheckpointPipelineRequest& request,
                              const Done<CheckpointPipelineResponse>& done) {
  const PipelineId id(request.pipeline_id());
  const HostedPtr hosted = Find(id);
  if (hosted == nullptr) return done(NotFound(id));
  const Placement& placement = hosted->placement;
  if (placement.local()) {
    return done(MakeError("conflict", "this pipeline belongs to no group"));
  }
  if (request.placement_epoch() != placement.epoch) {
    return done(MakeError("stale_epoch", absl::StrCat("this copy has epoch ", placement.epoch,
                                                      ", not ", request.placement_epoch())));
  }
  if (!request.cut()) {
    return SaveState(*hosted, /*cut=*/false,
                     [done](const auto& result, uint64_t) { done(result); });
  }
  std::optional<CheckpointPipelineResponse> earlier;
  {
    MutexLock lock(mutex_);
    Cut& cut = cuts_[id];
    if (cut.answer.has_value()) {
      earlier = cut.answer;
    } else {
      cut.waiting.push_back(done);
      if (cut.waiting.size() > 1) return;  // under way
    }
  }
  if (earlier.has_value()) return done(*earlier);
  SaveState(*hosted, /*cut=*/true,
            [this, id](const auto& result, uint64_t) { FinishCut(id, result); });
}

void PipelineHost::FinishCut(const PipelineId& id,
                             absl::StatusOr<CheckpointPipelineResponse> result) {
  std::vector<Done<CheckpointPipelineResponse>> waiting;
  const HostedPtr hosted = Find(id);
  {
    MutexLock lock(mutex_);
    const auto cut = cuts_.find(id);
    if (cut == cuts_.end()) return;
    waiting.swap(cut->second.waiting);
    if (result.ok() && hosted != nullptr) {
      cut->second.answer = *result;
    } else {
      cuts_.erase(cut);
    }
  }
  if (hosted != nullptr) {
    if (result.ok()) {
      LOG(INFO) << "pipeline " << hosted->placement.DisplayName() << " (" << id << ") is cut after "
                << result->events_processed() << " events, " << result->bytes() << " bytes of state"
                << (result->stored() ? "" : ", which cannot be stored");
      EndInputs(id);
    } else {
      LOG(WARNING) << "pipeline " << hosted->placement.DisplayName() << " (" << id
                   << ") goes on: its state cannot be saved: " << result.status().message();
      hosted->runner->SetHold(PipelineRunner::Hold::kCut, false);
    }
  }
  for (const auto& answer : waiting) answer(result);
}

void PipelineHost::EndInputs(const PipelineId& id) {
  const HostedPtr hosted = Find(id);
  if (hosted == nullptr) return;
  hosted->runner->RefuseInput();  // lets go of a waiting delivery
  if (hosted->stored != nullptr) hosted->stored->Stop();
  std::unique_ptr<PipelineInputs> inputs;
  {
    MutexLock lock(mutex_);
    inputs.swap(hosted->inputs);
  }
  if (inputs != nullptr) hosted->runner->CountDropped(inputs->dropped());
}

// ---------------------------------------------------------------- at an interval, at the end

void PipelineHost::CheckpointsDue() {
  if (options_.checkpoint_interval <= absl::ZeroDuration()) return;
  if (store_->present()) {
    const auto now = SteadyClock::now();
    for (const HostedPtr& hosted : All()) {
      if (interval_saves_ >= kIntervalSavesAtOnce) break;
      if (hosted->checkpoint.due <= now) SaveForInterval(hosted);
    }
  }
  const absl::Duration tick =
      std::clamp(options_.checkpoint_interval / 16, absl::Milliseconds(2), absl::Milliseconds(500));
  strand_->After(tick, [this] { CheckpointsDue(); });
}

void PipelineHost::CheckpointChanged() {
  strand_->Post([this] {
    for (const HostedPtr& hosted : All()) SaveForInterval(hosted);
  });
}

void PipelineHost::SaveForInterval(const HostedPtr& hosted) {
  if (hosted->placement.local() || hosted->runner->held() || hosted->checkpoint.under_way) return;
  const auto began = SteadyClock::now();
  if (Progress(hosted->runner->stats()) == hosted->checkpoint.saved_at) {
    hosted->checkpoint.due = began + absl::ToChronoNanoseconds(options_.checkpoint_interval);
    return;
  }
  hosted->checkpoint.under_way = true;
  ++interval_saves_;
  SaveState(*hosted, /*cut=*/false,
            [this, id = hosted->placement.id, began](const auto& result, uint64_t progress) {
              --interval_saves_;
              const HostedPtr saved = Find(id);
              if (saved == nullptr) return;
              saved->checkpoint.under_way = false;
              const auto now = SteadyClock::now();
              auto pause = absl::ToChronoNanoseconds(options_.checkpoint_interval);
              pause = std::max<decltype(pause)>(pause, kSavingShare * (now - began));
              if (!result.ok()) {
                LOG_EVERY_N(WARNING, 10)
                    << "no checkpoint of pipeline " << saved->placement.DisplayName() << ": "
                    << result.status().message();
              } else if (result->stored()) {
                saved->checkpoint.saved_at = progress;
                if (saved->stored != nullptr) TrimInput(*saved);
              } else {
                pause *= kWithoutStore;
              }
              saved->checkpoint.due = now + pause;
            });
}

void PipelineHost::StoreLastState(const HostedPtr& ended) {
  const Placement& placement = ended->placement;
  if (placement.local() || !store_->present() || ended->runner->engine() == nullptr ||
      ended->runner->held(PipelineRunner::Hold::kCut) ||
      Progress(ended->runner->stats()) == ended->checkpoint.saved_at) {
    return;
  }
  const CheckpointPtr state = ended->runner->Save();
  {
    MutexLock lock(mutex_);
    ++last_states_;
  }
  const auto finish = [this, strand = strand_, ended](const absl::Status& saved) {
    if (!saved.ok()) {
      LOG(WARNING) << "the last state of pipeline " << ended->placement.DisplayName()
                   << " is not stored: " << saved.message();
    }
    strand->Post([this] {
      MutexLock lock(mutex_);
      --last_states_;
      stopped_.NotifyAll();
    });
  };
  ended->runner->WhenOutputsStored([store = store_, placement, finish,
                                    state](const absl::Status& outputs) {
    if (!outputs.ok()) return finish(outputs);
    store->Save(
        placement.group.str(), placement.name, placement.replica, placement.epoch, state,
        [finish](const absl::StatusOr<CheckpointStore::Saved>& saved) { finish(saved.status()); });
  });
}

// ---------------------------------------------------------------- take over

PipelineHost::DeployDone PipelineHost::Occupy(const Key& key, const DeployDone& done) {
  if (!stopping_.try_emplace(key).second) return done;  // by an earlier step of the same deploy
  return [this, key, done](absl::StatusOr<DeployPipelineResponse> result) {
    done(std::move(result));
    RunWaiting(key);
  };
}

void PipelineHost::LoadThenBegin(const DeployRequestPtr& request, uint64_t min_epoch,
                                 const DeployDone& done) {
  store_->LoadNewest(
      request->group_id(), request->name(), request->replica(), min_epoch,
      [this, strand = strand_, request,
       finish = Occupy(KeyOf(*request), done)](const absl::StatusOr<CheckpointPtr>& checkpoint) {
        strand->Post([this, request, checkpoint, finish] { Loaded(request, checkpoint, finish); });
      });
}

void PipelineHost::Loaded(const DeployRequestPtr& request,
                          const absl::StatusOr<CheckpointPtr>& checkpoint, const DeployDone& done) {
  if (!checkpoint.ok()) {
    return done(MakeError("deploy_failed", absl::StrCat("the checkpoint cannot be loaded: ",
                                                        checkpoint.status().message())));
  }
  if (least_epoch_[KeyOf(*request)] > request->placement_epoch()) {
    return done(MakeError("stale_epoch", "a higher placement epoch has come meanwhile"));
  }
  if (stopping_all_ || !remains_.contains(KeyOf(*request))) {
    if (const absl::Status capacity = CheckCapacity(); !capacity.ok()) return done(capacity);
  }
  absl::StatusOr<EnginePtr> engine = CompileSource(request->source());
  if (!engine.ok()) return done(engine.status());
  Begin(request, std::move(*engine), *checkpoint, done);
}

void PipelineHost::Begin(const DeployRequestPtr& request, EnginePtr engine,
                         const CheckpointPtr& state, const DeployDone& done) {
  if (request->delivery() == varpulis::v1::DELIVERY_EXACTLY_ONCE) {
    return PrepareStored(request, std::move(engine), state, done);
  }
  BeginWith(request, std::move(engine), state, nullptr, done);
}

void PipelineHost::BeginWith(const DeployRequestPtr& request, EnginePtr engine, CheckpointPtr state,
                             const StoredDeliveryPtr& stored, const DeployDone& done) {
  PipelineRunner::Memory memory;
  const auto remains = remains_.find(KeyOf(*request));
  if (remains != remains_.end() && state == nullptr) {
    if (remains->second.source == request->source()) {
      engine = std::move(remains->second.engine);
    } else {
      state = remains->second.engine->Save();
    }
    memory = std::move(remains->second.memory);
  }
  if (state != nullptr) {
    const bool same = engine->Save()->program_fingerprint() == state->program_fingerprint();
    if (const absl::Status restored = engine->Restore(*state);
        absl::IsDataLoss(restored) && stored == nullptr) {
      LOG(ERROR) << "pipeline " << request->name() << " begins afresh: " << restored.message();
    } else if (!restored.ok()) {  // of a newer build: it is kept for one
      return done(MakeError("deploy_failed", restored.message()));
    } else {
      LOG(INFO) << "pipeline " << request->name() << " of group " << request->group_id()
                << " goes on after " << state->events_in() << " events"
                << (same ? "" : "; its program has changed, and what does not fit begins afresh");
      memory.events_in = state->events_in();
      memory.events_out = state->events_out();
      if (stored != nullptr) memory.progress = StoredProgress::Restore(*state);
    }
  }
  if (stored != nullptr) {
    const absl::Status there = stored->CheckPosition(memory.progress.position());
    if (!there.ok()) return done(MakeError("deploy_failed", there.message()));
  }
  if (remains != remains_.end()) remains_.erase(remains);
  const absl::StatusOr<HostedPtr> started =
      Start(*request, std::move(engine), std::move(memory), stored);
  if (!started.ok()) return done(started.status());
  DeployPipelineResponse response;
  response.set_id((*started)->placement.id.str());
  response.set_name((*started)->placement.name);
  response.set_status(StatusOf(**started));
  done(std::move(response));
}

// ---------------------------------------------------------------- cut off

uint64_t PipelineHost::Suspend() {
  MutexLock lock(suspend_mutex_);
  for (const HostedPtr& hosted : All()) {
    if (!hosted->placement.local()) {
      hosted->runner->SetHold(PipelineRunner::Hold::kCutOff, true);
    }
  }
  return ++suspensions_;
}

void PipelineHost::Resume(uint64_t suspension, std::vector<std::string> superseded,
                          std::function<void()> first) {
  strand_->Post([this, suspension, superseded = std::move(superseded), first = std::move(first)] {
    MutexLock lock(suspend_mutex_);
    if (suspension != suspensions_) return;
    if (first) first();
    for (const HostedPtr& hosted : All()) {
      if (hosted->placement.local()) continue;
      if (std::find(superseded.begin(), superseded.end(), hosted->placement.id.str()) !=
          superseded.end()) {
        continue;  // its undeploy is on the way
      }
      hosted->runner->SetHold(PipelineRunner::Hold::kCutOff, false);
    }
  });
}

}  // namespace varpulis::worker
