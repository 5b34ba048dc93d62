#include "worker/stored_delivery.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "base/ids.h"
#include "transport/error_reply.h"
#include "transport/message.h"
#include "worker/event_batch.h"
#include "worker/source_mark.h"
#include "worker/stored_outputs.h"

namespace varpulis::worker {
namespace {

using transport::EventStreamOptions;
using transport::MakeError;
using varpulis::v1::DeployPipelineRequest;
using varpulis::v1::EventBatch;

// Travels with an injected message, to find who waits for its outputs.
constexpr char kInjectHeader[] = "Varpulis-Inject";
// An inject whose outputs take longer is answered without them.
constexpr absl::Duration kOutputsWithin = absl::Seconds(1);

// Of a coordinator that does not say: 1.
int ReplicasOf(const DeployPipelineRequest& request) {
  return std::max<int>(static_cast<int>(request.stream_replicas()), 1);
}

EventStreamOptions InputOf(const DeployPipelineRequest& request, const StoredDelivery::Deps& deps) {
  const auto stream = deps.subjects.InputStream(request.group_id(), request.name());
  EventStreamOptions options;
  options.name = stream.name;
  options.subject = stream.subject;
  options.max_bytes = deps.options.max_input_bytes;
  options.replicas = ReplicasOf(request);
  return options;
}

EventStreamOptions OutboxOf(const DeployPipelineRequest& request,
                            const StoredDelivery::Deps& deps) {
  const auto stream =
      deps.subjects.OutboxStream(request.group_id(), request.name(), request.replica());
  EventStreamOptions options;
  options.name = stream.name;
  options.subject = stream.subject;
  options.max_age = deps.options.output_max_age;
  options.discard_oldest = true;
  options.republish_to = deps.subjects.Output(request.group_id(), request.name());
  options.replicas = ReplicasOf(request);
  return options;
}

EventStreamOptions MarksOf(const DeployPipelineRequest& request, const StoredDelivery::Deps& deps) {
  const auto stream = deps.subjects.ReplayStream();
  EventStreamOptions options;
  options.name = stream.name;
  options.subject = stream.subject;
  options.newest_only = true;
  options.replicas = ReplicasOf(request);
  return options;
}

ReplayGuard::Options GuardOf(const DeployPipelineRequest& request,
                             const StoredDelivery::Deps& deps) {
  const auto letters = deps.subjects.DeadLetterStream();
  ReplayGuard::Options options;
  options.mark_subject =
      deps.subjects.Replay(request.group_id(), request.name(), request.replica());
  options.dead_letters.name = letters.name;
  options.dead_letters.subject = letters.subject;
  options.dead_letters.replicas = ReplicasOf(request);
  options.dead_letter_subject = deps.subjects.DeadLetter(request.group_id(), request.name());
  options.copy = absl::StrCat(
      request.group_id(), "/",
      transport::Subjects::Writer(request.name(), request.replica(), request.replicas()));
  return options;
}

StoredOutputs::Options OutputsOf(const DeployPipelineRequest& request,
                                 const StoredDelivery::Deps& deps, const EventStreamOptions& outbox,
                                 std::function<void()> on_superseded) {
  StoredOutputs::Options options;
  for (const auto& route : request.routes()) {
    options.routes.push_back(
        {.event_types = {route.event_types().begin(), route.event_types().end()},
         .subject = route.subject(),
         .columns = true});  // only pipelines listen there
  }
  options.stream_of_route = [subjects = deps.subjects,
                             group = request.group_id()](const std::string& subject) {
    return subjects.InputStream(group, subject.substr(subject.rfind('.') + 1)).name;
  };
  options.fallback = {outbox.subject, outbox.name};
  options.fallback_columns = request.columnar_output();
  options.writer =
      transport::Subjects::Writer(request.name(), request.replica(), request.replicas());
  options.placement_epoch = request.placement_epoch();
  options.replica = request.replica();
  options.on_superseded = std::move(on_superseded);
  return options;
}

absl::Status NotStored(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) {
    return MakeError("worker_unavailable",
                     absl::StrCat("the pipeline's input stream is full: ", status.message()));
  }
  if (absl::IsDeadlineExceeded(status)) return MakeError("worker_timeout", status.message());
  return MakeError("worker_unavailable", status.message());
}

}  // namespace

StoredDelivery::StoredDelivery(const DeployPipelineRequest& request, Deps deps)
    : deps_(std::move(deps)),
      input_(InputOf(request, deps_)),
      outbox_(OutboxOf(request, deps_)),
      tick_subject_(deps_.subjects.Pipeline(request.group_id(), transport::kTick, request.name())),
      inject_subject_(
          deps_.subjects.Pipeline(request.group_id(), transport::kExternal, request.name())),
      guard_options_(GuardOf(request, deps_)) {}

void StoredDelivery::Prepare(
    const DeployPipelineRequest& request, Deps deps, std::function<void()> on_superseded,
    std::function<void(absl::StatusOr<std::shared_ptr<StoredDelivery>>)> done) {
  std::shared_ptr<StoredDelivery> delivery(new StoredDelivery(request, std::move(deps)));
  auto options = OutputsOf(request, delivery->deps_, delivery->outbox_, std::move(on_superseded));
  transport::EventStreams& streams = delivery->deps_.streams;
  const auto open_outputs = [delivery, options, done] {
    StoredOutputs::Open(options,
                        {delivery->deps_.bus, delivery->deps_.streams, delivery->deps_.timers},
                        [delivery, done](absl::StatusOr<std::unique_ptr<Outputs>> outputs) {
                          if (!outputs.ok()) return done(outputs.status());
                          delivery->outputs_ = *std::move(outputs);
                          done(delivery);
                        });
  };
  const auto ensure_outbox = [delivery, open_outputs, done](const absl::Status& looked) {
    if (!looked.ok()) return done(looked);
    delivery->deps_.streams.Ensure(delivery->outbox_, [open_outputs, done](const auto& range) {
      if (!range.ok()) return done(range.status());
      open_outputs();
    });
  };
  streams.Ensure(delivery->input_, [delivery, request, ensure_outbox, done](const auto& range) {
    if (!range.ok()) return done(range.status());
    delivery->range_ = *range;
    if (range->last == 0) return ensure_outbox(absl::OkStatus());  // nothing to do again
    delivery->LookBack(request, ensure_outbox);
  });
}

void StoredDelivery::LookBack(const DeployPipelineRequest& request,
                              std::function<void(absl::Status)> done) {
  const EventStreamOptions marks = MarksOf(request, deps_);
  deps_.streams.Ensure(marks, [self = shared_from_this(), stream = marks.name,
                               done = std::move(done)](const auto& range) {
    if (!range.ok()) return done(range.status());
    const std::string& subject = self->guard_options_.mark_subject;
    self->deps_.streams.Last(stream, subject, [self, done](const auto& last) {
      if (absl::IsNotFound(last.status())) return done(absl::OkStatus());
      if (last.ok() && !self->left_.ParseFromString(last->payload)) {
        LOG(ERROR) << "unreadable mark of a recovery on " << self->guard_options_.mark_subject;
        self->left_.Clear();
      }
      done(last.status());
    });
  });
}

absl::Status StoredDelivery::CheckPosition(uint64_t position) const {
  if (range_.last < position) {
    return absl::FailedPreconditionError(
        absl::StrCat("the input stream ", input_.name, " ends at ", range_.last,
                     ", before the checkpoint's position ", position,
                     ": it has been deleted or restored from an older copy"));
  }
  if (range_.first > position + 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the input stream ", input_.name, " begins at ", range_.first,
        ", but the newest checkpoint is of position ", position, ": the inputs between are gone"));
  }
  return absl::OkStatus();
}

PipelineRunner::Stored StoredDelivery::RunnerOptions(const Placement& placement) {
  return {.placement = placement,
          .publish_tick = [self = shared_from_this()] { self->PublishTick(); },
          .waiters = waiters_};
}

// ---------------------------------------------------------------- input

void StoredDelivery::Start(PipelineRunner& runner, uint64_t position) {
  guard_ =
      std::make_shared<ReplayGuard>(guard_options_, ReplayGuard::Deps{deps_.streams, deps_.turn},
                                    ReplayPlan(position, range_.last, left_));
  reader_ = deps_.streams.Read(
      input_, position,
      [this, &runner](const transport::StoredMessage& stored) { OnMessage(stored, runner); });
}

void StoredDelivery::Stop() {
  if (guard_ != nullptr) guard_->Stop();
  reader_.reset();
  if (guard_ != nullptr) guard_->Close();
}

void StoredDelivery::OnMessage(const transport::StoredMessage& stored, PipelineRunner& runner) {
  const transport::InboundMessage& message = stored.message;
  PipelineRunner::StoredInput input{.batch = nullptr,
                                    .position = stored.sequence,
                                    .stored_at_ns = stored.stored_at_ns,
                                    .inject_id = ""};
  const bool wanted = guard_->Before(stored, runner);
  if (message.subject() != tick_subject_ || !wanted) {
    input.batch = NewEventBatch(message.payload().size());
    if (!wanted || !Decode(stored, input.batch.get())) {
      runner.CountDropped(1);
      input.batch->Clear();  // the position is passed all the same
    }
    input.inject_id = message.Header(kInjectHeader).value_or("");
  }
  runner.PushStored(std::move(input));
  guard_->After(stored.sequence, runner);
}

bool StoredDelivery::Decode(const transport::StoredMessage& stored, EventBatch* batch) {
  const transport::InboundMessage& message = stored.message;
  const auto content_type = message.Header(transport::kContentTypeHeader);
  absl::Status decoded =
      DecodeEventBatch(message.payload(), content_type == transport::kContentTypeJson, batch);
  if (decoded.ok() && !batch->source_positions().empty()) decoded = CheckSources(*batch);
  if (decoded.ok()) return true;
  LOG_EVERY_N(WARNING, 1000) << input_.name << ": unreadable message " << stored.sequence
                             << " from " << message.subject() << ": " << decoded.message();
  return false;
}

void StoredDelivery::PublishTick() {
  // A lost one is made up for: the runner asks again.
  (void)deps_.bus.Publish({.subject = tick_subject_, .payload = {}, .headers = {}, .reply_to = ""});
}

void StoredDelivery::Trim(uint64_t first) {
  deps_.streams.Trim(input_.name, first, [name = input_.name](const absl::Status& status) {
    if (!status.ok() && !absl::IsNotFound(status)) {
      LOG(WARNING) << name << " is not trimmed: " << status.message();
    }
  });
}

// ---------------------------------------------------------------- inject

void StoredDelivery::Inject(const EventBatch& batch, const std::string& event_id, InjectDone done) {
  const std::string id = NewUuid();
  waiters_->Add(id, std::move(done));
  transport::OutgoingMessage message{.subject = inject_subject_,
                                     .payload = batch.SerializeAsString(),
                                     .headers = {{kInjectHeader, id}},
                                     .reply_to = ""};
  if (!event_id.empty()) {
    message.headers.emplace_back(transport::kMessageIdHeader, absl::StrCat("inject:", event_id));
  }
  deps_.timers->After(kOutputsWithin, [weak = std::weak_ptr<InjectWaiters>(waiters_), id] {
    if (const auto waiters = weak.lock(); waiters != nullptr) waiters->Late(id);
  });
  deps_.streams.Publish(std::move(message),
                        [weak = std::weak_ptr<InjectWaiters>(waiters_),
                         id](const absl::StatusOr<transport::EventStreams::Stored>& stored) {
                          const auto waiters = weak.lock();
                          if (waiters == nullptr) return;
                          if (!stored.ok()) return waiters->Fail(id, NotStored(stored.status()));
                          if (stored->duplicate) return waiters->Duplicate(id);
                          waiters->Stored(id);
                        });
}

}  // namespace varpulis::worker
