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

EventStreamOptions InputOf(const DeployPipelineRequest& request, const StoredDelivery::Deps& deps) {
  const auto stream = deps.subjects.InputStream(request.group_id(), request.name());
  EventStreamOptions options;
  options.name = stream.name;
  options.subject = stream.subject;
  options.max_bytes = deps.options.max_input_bytes;
  options.replicas = std::max<int>(request.stream_replicas(), 1);
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
  options.replicas = std::max<int>(request.stream_replicas(), 1);
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
          deps_.subjects.Pipeline(request.group_id(), transport::kExternal, request.name())) {}

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
  const auto ensure_outbox = [delivery, open_outputs, done] {
    delivery->deps_.streams.Ensure(delivery->outbox_, [open_outputs, done](const auto& range) {
      if (!range.ok()) return done(range.status());
      open_outputs();
    });
  };
  streams.Ensure(delivery->input_, [delivery, ensure_outbox, done](const auto& range) {
    if (!range.ok()) return done(range.status());
    delivery->range_ = *range;
    ensure_outbox();
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
  reader_ = deps_.streams.Read(
      input_, position,
      [this, &runner](const transport::StoredMessage& stored) { OnMessage(stored, runner); });
}

void StoredDelivery::Stop() { reader_.reset(); }

void StoredDelivery::OnMessage(const transport::StoredMessage& stored, PipelineRunner& runner) {
  const transport::InboundMessage& message = stored.message;
  PipelineRunner::StoredInput input{.batch = nullptr,
                                    .position = stored.sequence,
                                    .stored_at_ns = stored.stored_at_ns,
                                    .inject_id = ""};
  if (message.subject() != tick_subject_) {
    input.batch = NewEventBatch(message.payload().size());
    const auto content_type = message.Header(transport::kContentTypeHeader);
    absl::Status decoded = DecodeEventBatch(
        message.payload(), content_type == transport::kContentTypeJson, input.batch.get());
    if (decoded.ok() && !input.batch->source_positions().empty()) {
      decoded = CheckSources(*input.batch);
    }
    if (!decoded.ok()) {
      runner.CountDropped(1);
      LOG_EVERY_N(WARNING, 1000) << input_.name << ": unreadable message " << stored.sequence
                                 << " from " << message.subject() << ": " << decoded.message();
      input.batch->Clear();  // the position is passed all the same
    }
    input.inject_id = message.Header(kInjectHeader).value_or("");
  }
  runner.PushStored(std::move(input));
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
