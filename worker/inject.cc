#include "worker/inject.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

#include "transport/error_reply.h"
#include "worker/event_batch.h"

namespace varpulis::worker {
namespace {

using transport::MakeError;
using varpulis::v1::Event;
using varpulis::v1::EventBatch;

absl::StatusOr<PipelineHost::HostedPtr> FindTarget(const PipelineHost& host, const PipelineId& id,
                                                   std::optional<uint64_t> epoch) {
  PipelineHost::HostedPtr hosted = host.Find(id);
  if (hosted == nullptr) {
    return MakeError("pipeline_not_found",
                     absl::StrCat("no pipeline ", id.str(), " on this worker"));
  }
  if (epoch.has_value() && *epoch != hosted->placement.epoch) {
    return MakeError("stale_epoch", absl::StrCat("this copy has epoch ", hosted->placement.epoch,
                                                 ", not ", *epoch));
  }
  return hosted;
}

// What comes of the only event of a batch.
absl::StatusOr<varpulis::v1::WorkerInjectResponse> OfOneEvent(
    absl::StatusOr<varpulis::v1::WorkerInjectBatchResponse> answer) {
  if (!answer.ok()) return answer.status();
  if (!answer->rejected().empty()) {
    return MakeError("invalid_request", answer->rejected(0).message());
  }
  varpulis::v1::WorkerInjectResponse response;
  response.set_accepted(true);
  response.mutable_output_events()->Swap(answer->mutable_output_events());
  if (answer->truncated()) {
    response.set_output_count(answer->output_count());
    response.set_truncated(true);
  }
  if (answer->pending()) response.set_pending(true);
  return response;
}

// All of a stored batch is accepted when it is stored.
absl::StatusOr<varpulis::v1::WorkerInjectBatchResponse> OfStored(
    uint64_t events, absl::StatusOr<varpulis::v1::WorkerInjectBatchResponse> answer) {
  if (answer.ok() && answer->pending()) answer->set_accepted(events);
  return answer;
}

}  // namespace

void InjectEvent(PipelineHost& host, const PipelineId& id, std::optional<uint64_t> epoch,
                 Event event, std::string event_id, const PipelineRunner::InjectDone& done) {
  const auto target = FindTarget(host, id, epoch);
  if (!target.ok()) return done(target.status());
  if (event.event_type().empty()) return done(MakeError("invalid_request", "event_type: missing"));
  if ((*target)->stored != nullptr) {
    EventBatch batch;
    *batch.add_events() = std::move(event);
    return (*target)->stored->Inject(
        batch, event_id, [done](absl::StatusOr<varpulis::v1::WorkerInjectBatchResponse> answer) {
          done(OfOneEvent(std::move(answer)));
        });
  }
  if (!event.has_timestamp_ns()) event.set_timestamp_ns(host.options().now());
  (*target)->runner->Inject(std::move(event), std::move(event_id), done);
}

void InjectEvents(PipelineHost& host, const PipelineId& id, std::optional<uint64_t> epoch,
                  google::protobuf::RepeatedPtrField<Event> events,
                  PipelineRunner::InjectBatchDone done) {
  const auto target = FindTarget(host, id, epoch);
  if (!target.ok()) return done(target.status());
  EventBatch batch;
  std::vector<uint32_t> index_of;
  std::vector<uint32_t> untyped;
  for (int i = 0; i < events.size(); ++i) {
    if (events[i].event_type().empty()) {
      untyped.push_back(i);
      continue;
    }
    index_of.push_back(i);
    *batch.add_events() = std::move(events[i]);
  }
  const uint64_t count = index_of.size();
  PipelineRunner::InjectBatchDone finish =
      [done = std::move(done), untyped = std::move(untyped)](
          absl::StatusOr<varpulis::v1::WorkerInjectBatchResponse> answer) {
        if (answer.ok() && !untyped.empty()) {
          for (const uint32_t index : untyped) {
            auto* rejected = answer->add_rejected();
            rejected->set_index(index);
            rejected->set_code("invalid_request");
            rejected->set_message("event_type: missing");
          }
          std::sort(answer->mutable_rejected()->begin(), answer->mutable_rejected()->end(),
                    [](const auto& a, const auto& b) { return a.index() < b.index(); });
        }
        done(std::move(answer));
      };
  if ((*target)->stored != nullptr) {
    return (*target)->stored->Inject(
        batch, "",
        [count, index_of = std::move(index_of), finish = std::move(finish)](
            absl::StatusOr<varpulis::v1::WorkerInjectBatchResponse> answer) {
          if (answer.ok()) {
            for (auto& rejected : *answer->mutable_rejected()) {
              rejected.set_index(index_of[rejected.index()]);
            }
          }
          finish(OfStored(count, std::move(answer)));
        });
  }
  StampMissing(host.options().now(), &batch);
  (*target)->runner->InjectBatch(std::move(batch), std::move(index_of), std::move(finish));
}

}  // namespace varpulis::worker
