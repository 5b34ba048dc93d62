#include "worker/pipeline_host.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "base/status_macros.h"
#include "transport/error_reply.h"
#include "worker/output_router.h"

namespace varpulis::worker {
namespace {

using transport::MakeError;
using varpulis::v1::DeployPipelineRequest;
using varpulis::v1::DeployPipelineResponse;
using varpulis::v1::OkResponse;
using varpulis::v1::UndeployPipelineRequest;
using EnginePtr = PipelineRunner::EnginePtr;

absl::Status NotFound(const PipelineId& id) {
  return MakeError("pipeline_not_found", absl::StrCat("no pipeline ", id.str(), " on this worker"));
}

absl::Status BelongsToGroup() {
  return MakeError("conflict", "this pipeline belongs to a group: change it at the coordinator");
}

OkResponse Ok() {
  OkResponse response;
  response.set_ok(true);
  return response;
}

DeployPipelineResponse Deployed(const HostedPipeline& hosted) {
  DeployPipelineResponse response;
  response.set_id(hosted.placement.id.str());
  response.set_name(hosted.placement.name);
  response.set_status(PipelineHost::StatusOf(hosted));
  return response;
}

Placement PlacementOf(const DeployPipelineRequest& request) {
  Placement placement{.id = PipelineId(NewUuid()),
                      .group = GroupId(request.group_id()),
                      .name = request.name(),
                      .replica = request.replica(),
                      .replicas = std::max(request.replicas(), 1u),
                      .partition_key = {},
                      .epoch = request.placement_epoch()};
  if (request.has_partition_key()) placement.partition_key = request.partition_key();
  return placement;
}

OutputRouter::Options OutputsOf(const DeployPipelineRequest& request,
                                const transport::Subjects& subjects) {
  OutputRouter::Options options{
      .routes = {},
      .fallback_subject = subjects.Output(request.group_id(), request.name()),
      .fallback_columns = request.columnar_output(),
      .placement_epoch = request.placement_epoch(),
      .replica = request.replica()};
  for (const auto& route : request.routes()) {
    options.routes.push_back(
        {.event_types = {route.event_types().begin(), route.event_types().end()},
         .subject = route.subject(),
         // Only pipelines listen there. A route's own subject is anybody's.
         .columns = subjects.ParsePipeline(route.subject()).has_value()});
  }
  return options;
}

}  // namespace

PipelineHost::PipelineHost(Options options, Deps deps)
    : options_(std::move(options)),
      local_(deps.local),
      cluster_(deps.cluster),
      streams_(deps.stores.streams),
      subjects_(options_.subjects),
      store_(std::make_shared<CheckpointStore>(deps.stores.checkpoints, options_.subjects)) {
  if (cluster_ != nullptr) strand_->Post([this] { CheckpointsDue(); });
}

PipelineHost::~PipelineHost() { StopAll(absl::ZeroDuration()); }

void PipelineHost::Join(transport::Bus& cluster, transport::Subjects subjects, Stores stores) {
  cluster_ = &cluster;
  streams_ = stores.streams;
  subjects_ = std::move(subjects);
  store_ = std::make_shared<CheckpointStore>(stores.checkpoints, subjects_);
  strand_->Post([this] { CheckpointsDue(); });
}

PipelineHost::Key PipelineHost::KeyOf(const Placement& placement) {
  // Local pipelines may share a name: each is a placement of its own.
  if (placement.local()) return {placement.group, placement.id.str(), 0};
  return {placement.group, placement.name, placement.replica};
}

PipelineHost::Key PipelineHost::KeyOf(const DeployPipelineRequest& request) {
  return {GroupId(request.group_id()), request.name(), request.replica()};
}

absl::StatusOr<EnginePtr> PipelineHost::CompileSource(const std::string& source) {
  auto engine = engine::Pipeline::Compile(source);
  if (!engine.ok()) return MakeError("parse_error", engine.status().message());
  return std::move(*engine);
}

absl::Status PipelineHost::AdmitLeader(uint64_t leader_epoch) {
  uint64_t highest = leader_epoch_;
  while (leader_epoch > highest && !leader_epoch_.compare_exchange_weak(highest, leader_epoch)) {
  }
  if (leader_epoch >= highest) return absl::OkStatus();
  return MakeError("stale_epoch",
                   absl::StrCat("leader epoch ", leader_epoch, " is below ", highest));
}

// ---------------------------------------------------------------- deploy

absl::Status PipelineHost::CheckDeploy(const DeployPipelineRequest& request) const {
  RETURN_IF_ERROR(transport::ValidateGroupId(request.group_id()));
  RETURN_IF_ERROR(transport::ValidatePipelineName(request.name()));
  if (request.replica() >= std::max(request.replicas(), 1u)) {
    return MakeError("invalid_request", "replica is not below replicas");
  }
  if (request.stream_replicas() > transport::kMostReplicas) {
    return MakeError("invalid_request", "the broker takes fewer stream_replicas");
  }
  for (const auto& route : request.routes()) {
    if (route.subject().empty()) return MakeError("invalid_request", "route without a subject");
  }
  if (request.delivery() == varpulis::v1::DELIVERY_EXACTLY_ONCE) return CheckStored(request);
  return absl::OkStatus();
}

absl::Status PipelineHost::CheckCapacity() const {
  if (draining_) return MakeError("worker_draining", "this worker is draining");
  if (size() < options_.max_pipelines) return absl::OkStatus();
  return MakeError("quota_exceeded", absl::StrCat("this worker runs its maximum of ",
                                                  options_.max_pipelines, " pipelines"));
}

std::vector<std::string> PipelineHost::InputSubjects(const DeployPipelineRequest& request) const {
  std::vector<std::string> subjects{subjects_.AnyIntoPipeline(request.group_id(), request.name())};
  for (const std::string& extra : request.extra_input_subjects()) {
    if (std::find(subjects.begin(), subjects.end(), extra) == subjects.end()) {
      subjects.push_back(extra);
    }
  }
  return subjects;
}

void PipelineHost::Deploy(DeployPipelineRequest request, const Done<DeployPipelineResponse>& done) {
  if (cluster_ == nullptr) {
    return done(absl::FailedPreconditionError("this server belongs to no cluster"));
  }
  if (const absl::Status valid = CheckDeploy(request); !valid.ok()) return done(valid);
  auto shared = std::make_shared<DeployPipelineRequest>(std::move(request));
  if (!strand_->Post([this, shared, done] { DeployNow(shared, done); })) {
    done(MakeError("worker_draining", "this worker is stopping"));
  }
}

void PipelineHost::DeployNow(const std::shared_ptr<DeployPipelineRequest>& request,
                             const Done<DeployPipelineResponse>& done) {
  const Key key = KeyOf(*request);
  if (const auto busy = stopping_.find(key); busy != stopping_.end()) {
    busy->second.push_back([this, request, done] { DeployNow(request, done); });
    return;
  }
  const uint64_t epoch = request->placement_epoch();
  store_->SetReplicas(std::max<int>(request->stream_replicas(), 1));
  const auto seen = least_epoch_.find(key);
  if (seen != least_epoch_.end() && epoch < seen->second) {
    return done(MakeError("stale_epoch", absl::StrCat("placement epoch ", epoch, " is below ",
                                                      seen->second, ", the least accepted here")));
  }
  const HostedPtr running = FindByKey(key);
  if (running != nullptr && running->placement.epoch == epoch) {
    running->runner->SetHold(PipelineRunner::Hold::kPaused, request->paused());
    return done(Deployed(*running));
  }
  // A copy is replaced here also while its worker drains: that is how a move is given up.
  const bool replaces = running != nullptr || remains_.contains(key);
  if (stopping_all_ || !replaces) {
    if (const absl::Status capacity = CheckCapacity(); !capacity.ok()) return done(capacity);
  }
  absl::StatusOr<EnginePtr> engine = CompileSource(request->source());
  if (!engine.ok()) return done(engine.status());
  least_epoch_[key] = epoch;
  if (running != nullptr) {
    // The compiled engine is dropped and made again: rare, and the path stays one.
    LOG(INFO) << "pipeline " << running->placement.DisplayName() << " of group "
              << request->group_id() << ": epoch " << epoch << " replaces "
              << running->placement.epoch;
    return StopOne(running, [this, key, running, request, done] {
      // Outputs of a stored pipeline may be given up when it ends: its successor begins from what
      // was stored, which tells which.
      EnginePtr left = running->runner->TakeEngine();
      if (left != nullptr && running->stored == nullptr) {
        remains_[key] = {running->placement.epoch, running->source, std::move(left),
                         running->runner->TakeMemory()};
      }
      DeployNow(request, done);
    });
  }
  const bool stored = request->delivery() == varpulis::v1::DELIVERY_EXACTLY_ONCE;
  if (!request->restore() && !stored) {
    remains_.erase(key);
    return Begin(request, std::move(*engine), nullptr, done);
  }
  const auto remains = remains_.find(key);
  if (remains == remains_.end()) return LoadThenBegin(request, 0, done);
  // Between them there may have been a copy elsewhere, which has gone further.
  if (remains->second.epoch + 1 < epoch) {
    return LoadThenBegin(request, remains->second.epoch + 1, done);
  }
  Begin(request, std::move(*engine), nullptr, done);
}

absl::StatusOr<PipelineHost::HostedPtr> PipelineHost::Start(const DeployPipelineRequest& request,
                                                            EnginePtr engine,
                                                            PipelineRunner::Memory memory,
                                                            const StoredDeliveryPtr& stored) {
  Placement placement = PlacementOf(request);
  std::unique_ptr<Outputs> outputs =
      stored != nullptr ? stored->TakeOutputs()
                        : std::make_unique<OutputRouter>(OutputsOf(request, subjects_), *cluster_);
  PipelineRunner::Options options{.paused = request.paused(),
                                  .batch_linger = options_.batch_linger,
                                  .may_process = options_.may_process};
  if (stored != nullptr) options.stored = stored->RunnerOptions(placement);
  HostedPtr hosted = MakeHosted(std::move(placement), request.source(), std::move(engine),
                                std::move(outputs), std::move(options));
  hosted->stored = stored;
  const uint64_t position = memory.progress.position();
  hosted->checkpoint.saved_at = memory.events_in + memory.events_out + position;
  hosted->runner->Remember(std::move(memory));
  if (stored != nullptr) {
    stored->Start(*hosted->runner, position);
  } else if (const absl::Status started = StartInputs(request, *hosted); !started.ok()) {
    return started;
  }
  Adopt(hosted);
  return hosted;
}

absl::Status PipelineHost::StartInputs(const DeployPipelineRequest& request,
                                       HostedPipeline& hosted) {
  auto inputs = PipelineInputs::Start(hosted.placement,
                                      {.subjects = InputSubjects(request), .now = options_.now},
                                      *cluster_, *hosted.runner);
  if (inputs.ok()) {
    hosted.inputs = std::move(*inputs);
    return absl::OkStatus();
  }
  if (request.restore()) {  // what it has taken over is not lost
    hosted.runner->Close([] {});
    hosted.runner->Join();
    remains_[KeyOf(hosted.placement)] = {hosted.placement.epoch, hosted.source,
                                         hosted.runner->TakeEngine(), hosted.runner->TakeMemory()};
  }
  return inputs.status();
}

PipelineHost::HostedPtr PipelineHost::MakeHosted(Placement placement, std::string source,
                                                 EnginePtr engine, std::unique_ptr<Outputs> outputs,
                                                 PipelineRunner::Options options) {
  auto hosted = std::make_shared<HostedPipeline>();
  hosted->placement = std::move(placement);
  hosted->source = std::move(source);
  hosted->started = absl::FromUnixNanos(options_.now());
  hosted->stream_count = engine->stream_count();
  options.name = absl::StrCat("p-", hosted->placement.DisplayName());
  options.max_in_flight_events = options_.max_in_flight_events;
  hosted->runner = std::make_unique<PipelineRunner>(std::move(options), std::move(engine),
                                                    std::move(outputs), totals_);
  return hosted;
}

void PipelineHost::Adopt(HostedPtr hosted) {
  // Spread out, so that the pipelines of a group do not all store at once.
  const double part =
      static_cast<double>(std::hash<std::string>()(hosted->placement.id.str()) % 1024) / 1024;
  hosted->checkpoint.due = std::chrono::steady_clock::now() +
                           absl::ToChronoNanoseconds(part * options_.checkpoint_interval);
  LOG(INFO) << "pipeline " << hosted->placement.DisplayName() << " runs as " << hosted->placement.id
            << (hosted->placement.local() ? "" : " for group ") << hosted->placement.group;
  MutexLock lock(mutex_);
  pipelines_.emplace(hosted->placement.id, std::move(hosted));
}

void PipelineHost::DeployLocal(std::string name, std::string source,
                               const Done<DeployPipelineResponse>& done) {
  if (const absl::Status valid = transport::ValidatePipelineName(name); !valid.ok()) {
    return done(valid);
  }
  const bool posted =
      strand_->Post([this, name = std::move(name), source = std::move(source), done] {
        if (const absl::Status capacity = CheckCapacity(); !capacity.ok()) return done(capacity);
        absl::StatusOr<EnginePtr> engine = CompileSource(source);
        if (!engine.ok()) return done(engine.status());
        Placement placement{
            .id = PipelineId(NewUuid()), .group = {}, .name = name, .partition_key = {}};
        OutputRouter::Options outputs{
            .routes = {},
            .fallback_subject = transport::Subjects().Output("local", placement.id.str())};
        HostedPtr hosted =
            MakeHosted(std::move(placement), source, std::move(*engine),
                       std::make_unique<OutputRouter>(std::move(outputs), local_), {});
        Adopt(hosted);
        done(Deployed(*hosted));
      });
  if (!posted) done(MakeError("worker_draining", "this worker is stopping"));
}

// ---------------------------------------------------------------- removal

void PipelineHost::Undeploy(UndeployPipelineRequest request, const Done<OkResponse>& done) {
  auto shared = std::make_shared<UndeployPipelineRequest>(std::move(request));
  // When nothing can be posted all are being stopped.
  if (!strand_->Post([this, shared, done] { UndeployNow(shared, done); })) done(Ok());
}

void PipelineHost::UndeployNow(const std::shared_ptr<UndeployPipelineRequest>& request,
                               const Done<OkResponse>& done) {
  const uint64_t epoch = request->placement_epoch();
  const bool by_name = !request->name().empty();
  const Key key{GroupId(request->group_id()), request->name(), request->replica()};
  if (by_name) {
    // A deploy that comes late, after what was to remove it, is refused.
    uint64_t& least = least_epoch_[key];
    least = std::max(least, epoch + 1);
  }
  auto named = [&](const Placement& placement) {
    if (placement.local()) return false;
    // An id names one copy, so that nobody who gives only the id has to know its epoch.
    if (placement.id.str() == request->pipeline_id()) {
      return placement.epoch <= epoch || (epoch == 0 && !by_name);
    }
    return by_name && KeyOf(placement) == key && placement.epoch <= epoch;
  };
  if (const auto busy = stopping_.find(key); by_name && busy != stopping_.end()) {
    // A copy ends or begins: afterwards.
    busy->second.push_back([this, request, done] { UndeployNow(request, done); });
    return;
  }
  if (const auto left = remains_.find(key);
      by_name && left != remains_.end() && left->second.epoch <= epoch) {
    remains_.erase(left);
  }
  std::vector<HostedPtr> removed;
  std::vector<HostedPtr> ending;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, hosted] : pipelines_) {
      if (named(hosted->placement)) removed.push_back(hosted);
    }
    for (const auto& [id, hosted] : ending_) {
      if (named(hosted->placement)) ending.push_back(hosted);
    }
  }
  if (!ending.empty()) {  // a retry: answer when that has ended
    stopping_[KeyOf(ending.front()->placement)].push_back(
        [this, request, done] { UndeployNow(request, done); });
    return;
  }
  StopEach(std::move(removed), [this, request, by_name, done] {
    if (!request->forget() || !by_name) return done(Ok());
    ForgetStreams(*request);
    store_->Forget(request->group_id(), request->name(), request->replica(),
                   [done](const absl::Status& forgotten) {
                     if (!forgotten.ok()) return done(forgotten);  // to be told again
                     done(Ok());
                   });
  });
}

void PipelineHost::Remove(PipelineId id, const Done<OkResponse>& done) {
  const bool posted = strand_->Post([this, id = std::move(id), done] {
    HostedPtr hosted = Find(id);
    if (hosted == nullptr) return done(NotFound(id));
    if (!hosted->placement.local()) return done(BelongsToGroup());
    StopEach({hosted}, [done] { done(Ok()); });
  });
  if (!posted) done(MakeError("worker_draining", "this worker is stopping"));
}

void PipelineHost::StopEach(std::vector<HostedPtr> pipelines, const std::function<void()>& done) {
  if (pipelines.empty()) return done();
  auto left = std::make_shared<size_t>(pipelines.size());
  for (HostedPtr& hosted : pipelines) {
    StopOne(std::move(hosted), [left, done] {
      if (--*left == 0) done();
    });
  }
}

void PipelineHost::StopOne(HostedPtr hosted, std::function<void()> done) {
  const Key key = KeyOf(hosted->placement);
  const PipelineId id = hosted->placement.id;
  stopping_[key].push_back(std::move(done));
  {
    MutexLock lock(mutex_);
    pipelines_.erase(id);
    ending_.emplace(id, hosted);
  }
  // Runs on the runner's thread as its last task; ending_ keeps the pipeline until it is joined.
  hosted->runner->Close([this, key, id] {
    strand_->Post([this, key, id] {
      HostedPtr ended;
      {
        MutexLock lock(mutex_);
        const auto found = ending_.find(id);
        if (found == ending_.end()) return;
        ended = found->second;
      }
      ended->runner->Join();
      LOG(INFO) << "pipeline " << ended->placement.DisplayName() << " (" << id << ") has ended";
      if (stores_last_states_) StoreLastState(ended);
      {
        MutexLock lock(mutex_);
        ending_.erase(id);
        if (const auto cut = cuts_.find(id); cut != cuts_.end() && cut->second.answer.has_value()) {
          cuts_.erase(cut);
        }
        stopped_.NotifyAll();
      }
      RunWaiting(key);
    });
  });
  hosted->inputs.reset();  // after Close, which lets go of a waiting delivery
  if (hosted->stored == nullptr) return;
  hosted->stored->Stop();
  // Its input is stored, and what it made of it can be made again. Outputs may also wait for a
  // stream that has been deleted with its group.
  if (!stores_last_states_) hosted->runner->Abandon();
}

void PipelineHost::RunWaiting(const Key& key) {
  auto waiting = stopping_.extract(key);
  if (waiting.empty()) return;
  for (std::function<void()>& next : waiting.mapped()) next();
}

void PipelineHost::StopAll(absl::Duration grace) {
  draining_ = true;
  stopping_all_ = true;
  stores_last_states_ = grace > absl::ZeroDuration();
  strand_->Post([this] { StopEach(All(), [] {}); });
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(grace);
  std::vector<HostedPtr> late;
  {
    MutexLock lock(mutex_);
    while (!pipelines_.empty() || !ending_.empty() || last_states_ > 0) {
      if (!stopped_.WaitUntil(mutex_, deadline)) break;
    }
    for (const auto& [id, hosted] : ending_) late.push_back(hosted);
    for (const auto& [id, hosted] : pipelines_) late.push_back(hosted);
  }
  stores_last_states_ = false;
  for (const HostedPtr& hosted : late) hosted->runner->Abandon();
  late.clear();
  {
    MutexLock lock(mutex_);
    while (!pipelines_.empty() || !ending_.empty()) stopped_.Wait(mutex_);
  }
  strand_->Stop();
}

// ---------------------------------------------------------------- reload, restore

void PipelineHost::Reload(PipelineId id, std::string source, const Done<OkResponse>& done) {
  const bool posted = strand_->Post([this, id = std::move(id), source = std::move(source), done] {
    ReplaceEngine(id, source, nullptr, done);
  });
  if (!posted) done(MakeError("worker_draining", "this worker is stopping"));
}

void PipelineHost::Restore(PipelineId id, CheckpointPtr checkpoint, const Done<OkResponse>& done) {
  const bool posted =
      strand_->Post([this, id = std::move(id), checkpoint = std::move(checkpoint), done] {
        const HostedPtr hosted = Find(id);
        if (hosted == nullptr) return done(NotFound(id));
        ReplaceEngine(id, SourceOf(*hosted), checkpoint, done);
      });
  if (!posted) done(MakeError("worker_draining", "this worker is stopping"));
}

void PipelineHost::ReplaceEngine(const PipelineId& id, const std::string& source,
                                 const CheckpointPtr& given, const Done<OkResponse>& done) {
  HostedPtr hosted = Find(id);
  if (hosted == nullptr) return done(NotFound(id));
  if (!hosted->placement.local()) return done(BelongsToGroup());
  absl::StatusOr<EnginePtr> compiled = CompileSource(source);
  if (!compiled.ok()) return done(compiled.status());
  auto fresh = std::make_shared<EnginePtr>(std::move(*compiled));

  // The task holds no reference to `hosted`: the last one must not go on the runner's own thread.
  PipelineRunner* const runner = hosted->runner.get();
  const bool posted = runner->Post([this, id, source, fresh, given, runner,
                                    done](EnginePtr& current) {
    const absl::Status restored = (*fresh)->Restore(given != nullptr ? *given : *current->Save());
    if (!restored.ok()) {
      const bool bad_input = given != nullptr && absl::IsInvalidArgument(restored);
      return done(MakeError(bad_input ? "invalid_request" : "engine_error", restored.message()));
    }
    if (given != nullptr) runner->SetCounters(given->events_in(), given->events_out());
    current = std::move(*fresh);
    {
      MutexLock lock(mutex_);
      if (const auto found = pipelines_.find(id); found != pipelines_.end()) {
        found->second->source = source;
        found->second->stream_count = current->stream_count();
      }
    }
    done(Ok());
  });
  if (!posted) done(NotFound(id));
}

// ---------------------------------------------------------------- drain

void PipelineHost::WhenProcessed(absl::Duration timeout, std::function<void(bool)> done) {
  struct Waiting {
    Mutex mutex;
    size_t left ABSL_GUARDED_BY(mutex) = 1;
    std::function<void(bool)> done ABSL_GUARDED_BY(mutex);
  };
  auto waiting = std::make_shared<Waiting>();
  {
    MutexLock lock(waiting->mutex);
    waiting->done = std::move(done);
  }
  auto finish = [waiting](bool processed) {
    std::function<void(bool)> answer;
    {
      MutexLock lock(waiting->mutex);
      if (processed && --waiting->left > 0) return;
      answer = std::exchange(waiting->done, nullptr);
    }
    if (answer) answer(processed);
  };
  for (const HostedPtr& hosted : All()) {
    {
      MutexLock lock(waiting->mutex);
      ++waiting->left;
    }
    if (!hosted->runner->Post([finish](EnginePtr&) { finish(true); })) finish(true);
  }
  strand_->After(timeout, [finish] { finish(false); });
  finish(true);  // the one that stood for this loop
}

}  // namespace varpulis::worker
