#include "coordinator/inject_service.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/mutex.h"
#include "base/status_macros.h"
#include "coordinator/live_events.h"
#include "coordinator/runtime.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

using transport::MakeError;
using transport::Replier;
using transport::RequestContext;

constexpr int kMaxOutputs = 1000;
constexpr int kMaxErrors = 100;

// Counts a request from its arrival to its answer.
class UnderWay {
 public:
  explicit UnderWay(std::shared_ptr<std::atomic<size_t>> count) : count_(std::move(count)) {
    ++*count_;
  }
  ~UnderWay() { --*count_; }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

 private:
  const std::shared_ptr<std::atomic<size_t>> count_;
};

absl::Status NotRunning(const Target& target) {
  return MakeError("worker_unavailable",
                   absl::StrCat("pipeline ", target.copy_name, " on worker ", target.worker.str(),
                                " does not run", target.error.empty() ? "" : ": ", target.error));
}

// The answers of one batch, gathered from several workers. Answers when the last reference goes.
// Thread-safe.
class Gathering {
 public:
  Gathering(Replier<v1::InjectBatchResponse> reply, std::shared_ptr<std::atomic<size_t>> count)
      : under_way_(std::move(count)), reply_(std::move(reply)) {}

  ~Gathering() {
    MutexLock lock(mutex_);  // nobody else is left; the analysis cannot know
    response_.set_processing_time_us(
        static_cast<uint64_t>(absl::ToInt64Microseconds(Runtime::Now() - started_)));
    response_.set_truncated(response_.output_count() >
                            static_cast<uint64_t>(response_.output_events_size()));
    reply_.Reply(response_);
  }

  void Fail(uint64_t events, const std::string& why) {
    MutexLock lock(mutex_);
    response_.set_events_failed(response_.events_failed() + events);
    if (response_.errors_size() < kMaxErrors) response_.add_errors(why);
  }

  void Add(const Target& target, const std::vector<size_t>& positions,
           v1::WorkerInjectBatchResponse answer) {
    const uint64_t accepted = std::min<uint64_t>(answer.accepted(), positions.size());
    MutexLock lock(mutex_);
    response_.set_events_sent(response_.events_sent() + accepted);
    response_.set_events_failed(response_.events_failed() + positions.size() - accepted);
    for (const v1::RejectedEvent& rejected : answer.rejected()) {
      if (response_.errors_size() >= kMaxErrors) break;
      const size_t event =
          rejected.index() < positions.size() ? positions[rejected.index()] + 1 : 0;
      response_.add_errors(
          absl::StrCat("event ", event, " to ", target.copy_name, ": ",
                       rejected.message().empty() ? rejected.code() : rejected.message()));
    }
    response_.set_output_count(
        response_.output_count() +
        std::max<uint64_t>(answer.output_count(), answer.output_events_size()));
    if (answer.pending()) response_.set_pending(true);
    for (v1::Event& output : *answer.mutable_output_events()) {
      if (response_.output_events_size() >= kMaxOutputs) break;
      *response_.add_output_events() = std::move(output);
    }
  }

 private:
  const UnderWay under_way_;
  const absl::Time started_ = Runtime::Now();
  Mutex mutex_;
  Replier<v1::InjectBatchResponse> reply_ ABSL_GUARDED_BY(mutex_);
  v1::InjectBatchResponse response_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status RelayedError(const absl::Status& status, const Target& target) {
  const std::string message = absl::StrCat("worker ", target.worker.str(), ": ", status.message());
  switch (transport::HttpStatus(status)) {
    case 400:
    case 429:
      return WithContext(status, absl::StrCat("worker ", target.worker.str()));
    case 503:
      return MakeError("worker_unavailable", message);
    case 504:
      return MakeError("worker_timeout", message);
    default:
      return MakeError("routing_failed", message);
  }
}

InjectService::InjectService(Runtime& runtime)
    : runtime_(runtime), under_way_(std::make_shared<std::atomic<size_t>>(0)) {}

absl::Status InjectService::Serve(transport::Service& service) {
  const transport::Subjects& s = runtime_.policy().subjects;
  RETURN_IF_ERROR((service.Serve<v1::InjectRequest, v1::InjectResponse>(
      s.AnyInject(), "inject",
      [this](const RequestContext& context, v1::InjectRequest request,
             Replier<v1::InjectResponse> reply) {
        OnInject(context, std::move(request), std::move(reply));
      })));
  return service.Serve<v1::InjectBatchRequest, v1::InjectBatchResponse>(
      s.AnyInjectBatch(), "inject_batch",
      [this](const RequestContext& context, const v1::InjectBatchRequest& request,
             Replier<v1::InjectBatchResponse> reply) {
        OnInjectBatch(context, request, std::move(reply));
      });
}

absl::StatusOr<std::shared_ptr<const GroupRouting>> InjectService::FindGroup(
    const RequestContext& context, absl::string_view kind) const {
  const std::string id = runtime_.policy().subjects.TokenAfter(kind, context.subject).value_or("");
  std::shared_ptr<const GroupRouting> group = runtime_.routing().Find(GroupId(id));
  if (group == nullptr) return MakeError("group_not_found", absl::StrCat("no pipeline group ", id));
  return group;
}

void InjectService::OnInject(const RequestContext& context, v1::InjectRequest request,
                             Replier<v1::InjectResponse> reply) {
  const auto group = FindGroup(context, "inject");
  if (!group.ok()) return reply.Fail(group.status());
  v1::WorkerInjectRequest command;
  command.set_leader_epoch(runtime_.leader_epoch());
  // A retry of the call is one of the event.
  const std::string& event_id = request.has_event_id() ? request.event_id() : context.request_id;
  if (const absl::Status valid = ValidateEventId(event_id); !valid.ok()) return reply.Fail(valid);
  if (const absl::Status valid = ValidateEventType(request.event_type()); !valid.ok()) {
    return reply.Fail(valid);
  }
  if (!event_id.empty()) command.set_event_id(event_id);
  v1::Event& event = *command.mutable_event();
  event.set_event_type(std::move(*request.mutable_event_type()));
  if (request.has_timestamp_ns()) event.set_timestamp_ns(request.timestamp_ns());
  event.mutable_fields()->Swap(request.mutable_fields());

  absl::StatusOr<GroupRouting::Choice> choice =
      (*group)->Choose(event, runtime_.policy().strict_routing, event_id);
  if (!choice.ok()) return reply.Fail(choice.status());
  if (!choice->target.running) return reply.Fail(NotRunning(choice->target));
  command.set_pipeline_id(choice->target.pipeline_id.str());
  command.set_placement_epoch(choice->target.epoch);

  struct Relay {
    Relay(GroupRouting::Choice c, Replier<v1::InjectResponse> r,
          std::shared_ptr<std::atomic<size_t>> count)
        : choice(std::move(c)), reply(std::move(r)), under_way(std::move(count)) {}
    GroupRouting::Choice choice;
    Replier<v1::InjectResponse> reply;
    UnderWay under_way;
  };
  auto relay = std::make_shared<Relay>(*std::move(choice), std::move(reply), under_way_);
  transport::Call<v1::WorkerInjectResponse>(
      runtime_.bus(),
      runtime_.policy().subjects.Command(relay->choice.target.worker.str(), "inject"), command,
      {.timeout = runtime_.TimeoutBy(Runtime::AnswerBy(context)),
       .request_id = "",
       .tells_timeout = false},
      [relay](absl::StatusOr<v1::WorkerInjectResponse> answer) {
        const Target& target = relay->choice.target;
        if (!answer.ok()) return relay->reply.Fail(RelayedError(answer.status(), target));
        v1::InjectResponse response;
        response.set_routed_to(target.copy_name);
        response.set_worker_id(target.worker.str());
        *response.mutable_worker_response() = *std::move(answer);
        if (!relay->choice.matched) response.set_matched(false);
        relay->reply.Reply(response);
      });
}

void InjectService::OnInjectBatch(const RequestContext& context,
                                  const v1::InjectBatchRequest& request,
                                  Replier<v1::InjectBatchResponse> reply) {
  const auto group = FindGroup(context, "inject_batch");
  if (!group.ok()) return reply.Fail(group.status());
  const absl::Time answer_by = Runtime::AnswerBy(context);
  absl::StatusOr<std::vector<v1::Event>> events = ParseLiveEvents(request.events_text());
  if (!events.ok()) return reply.Fail(events.status());

  struct Share {
    Target target;
    std::vector<size_t> positions;  // in the text
    v1::WorkerInjectBatchRequest command;
  };
  std::map<std::string, Share> shares;  // by copy
  auto gathering = std::make_shared<Gathering>(std::move(reply), under_way_);
  for (size_t i = 0; i < events->size(); ++i) {
    absl::StatusOr<GroupRouting::Choice> choice =
        (*group)->Choose((*events)[i], runtime_.policy().strict_routing);
    if (!choice.ok()) {
      gathering->Fail(1, absl::StrCat("event ", i + 1, ": ", choice.status().message()));
      continue;
    }
    Share& share = shares[choice->target.copy_name];
    if (share.positions.empty()) share.target = std::move(choice->target);
    share.positions.push_back(i);
    *share.command.add_events() = std::move((*events)[i]);
  }
  for (auto& [name, part] : shares) {
    auto share = std::make_shared<Share>(std::move(part));
    if (!share->target.running) {
      gathering->Fail(share->positions.size(), std::string(NotRunning(share->target).message()));
      continue;
    }
    share->command.set_leader_epoch(runtime_.leader_epoch());
    share->command.set_pipeline_id(share->target.pipeline_id.str());
    share->command.set_placement_epoch(share->target.epoch);
    transport::Call<v1::WorkerInjectBatchResponse>(
        runtime_.bus(),
        runtime_.policy().subjects.Command(share->target.worker.str(), "inject_batch"),
        share->command,
        {.timeout = runtime_.TimeoutBy(answer_by), .request_id = "", .tells_timeout = false},
        [gathering, share](absl::StatusOr<v1::WorkerInjectBatchResponse> answer) {
          if (answer.ok()) {
            gathering->Add(share->target, share->positions, *std::move(answer));
          } else {
            gathering->Fail(share->positions.size(),
                            absl::StrCat(share->target.copy_name, ": ",
                                         RelayedError(answer.status(), share->target).message()));
          }
        });
  }
}

}  // namespace varpulis::coordinator
