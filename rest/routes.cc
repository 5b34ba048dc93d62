#include "rest/routes.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "glog/logging.h"

#include "base/ids.h"
#include "base/mutex.h"
#include "rest/http_error.h"
#include "transport/error_reply.h"
#include "transport/json_codec.h"

namespace varpulis::rest {
namespace {

constexpr absl::string_view kIdSegment = "{id}";
constexpr absl::string_view kNameSegment = "{name}";
constexpr size_t kMaxIdempotencyKey = 128;
constexpr absl::Duration kMaxBackoff = absl::Milliseconds(80);

bool IsJson(absl::string_view content_type) {
  const absl::string_view type =
      absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';')));
  return type.empty() || absl::EqualsIgnoreCase(type, "application/json") ||
         absl::EndsWithIgnoreCase(type, "+json");
}

// It becomes a NATS header: printable ASCII of a sensible length.
bool IsIdempotencyKey(absl::string_view key) {
  return key.size() <= kMaxIdempotencyKey && std::all_of(key.begin(), key.end(), [](char c) {
           return absl::ascii_isprint(static_cast<unsigned char>(c));
         });
}

bool HasEventId(const google::protobuf::Message& request) {
  const auto* event_id = request.GetDescriptor()->FindFieldByName("event_id");
  return event_id != nullptr && request.GetReflection()->HasField(request, event_id);
}

// Whether sending the request a second time does no harm, whatever became of the first.
bool MaySendTwice(const Route& route, const google::protobuf::Message& request) {
  return route.retry != Route::Retry::kUndelivered || HasEventId(request);
}

// Whether sending the request again may succeed and does no harm.
bool MayRetry(const Route& route, const google::protobuf::Message& request,
              const absl::Status& status) {
  if (!absl::IsUnavailable(status)) return false;
  const std::string code = transport::ErrorCode(status);
  if (code == "no_workers_available") return false;  // an answer, and a lasting one
  if (MaySendTwice(route, request) || transport::IsNoResponders(status)) return true;
  // The coordinator says worker_unavailable only of an event that reached no worker; but a Status
  // of the bus itself has the same text by default.
  return transport::IsServiceError(status);
}

// A retry of an inject is one of its event, which is known by its id.
void SetEventId(absl::string_view idempotency_key, google::protobuf::Message* request) {
  const auto* event_id = request->GetDescriptor()->FindFieldByName("event_id");
  if (idempotency_key.empty() || event_id == nullptr) return;
  const auto* reflection = request->GetReflection();
  if (reflection->HasField(*request, event_id)) return;
  reflection->SetString(request, event_id, std::string(idempotency_key));
}

// One request on its way through NATS. Lives on the exchange's loop; the transport's thread only
// hands the reply over.
class PendingCall : public std::enable_shared_from_this<PendingCall> {
 public:
  struct Parts {
    transport::Bus* bus;
    std::shared_ptr<const Route> route;
    RequestHead head;
    std::unique_ptr<google::protobuf::Message> request;
    std::string subject;
    transport::CallOptions options;
    absl::Duration backoff;
    absl::Duration retry_for;
    absl::Time deadline;
    std::string nobody_serves;
    std::shared_ptr<Exchange> exchange;
  };
  explicit PendingCall(Parts parts)
      : parts_(std::move(parts)), retry_until_(absl::Now() + parts_.retry_for) {}

  void Send() {
    transport::CallOptions options = parts_.options;
    if (attempt_ > 0) {
      options.timeout = std::max(parts_.deadline - absl::Now(), absl::Milliseconds(1));
    }
    std::unique_ptr<google::protobuf::Message> reply(parts_.route->reply->New());
    transport::CallRaw(
        *parts_.bus, parts_.subject, *parts_.request, options, std::move(reply),
        [self = shared_from_this(), attempt = ++attempt_](Route::Reply result) {
          auto shared = std::make_shared<Route::Reply>(std::move(result));
          // False: the server is gone, and so is whoever asked.
          self->parts_.exchange->Post([self, attempt, shared] { self->OnReply(attempt, *shared); });
        });
  }

  // Another coordinator leads now. Thread-safe.
  void OnNewLeader() {
    parts_.exchange->Post([self = shared_from_this()] {
      if (self->answered_ || !MaySendTwice(*self->parts_.route, *self->parts_.request)) return;
      self->retry_until_ = absl::Now() + self->parts_.retry_for;
      self->Send();
    });
  }

 private:
  // The first answer counts, and the failure of the last attempt.
  void OnReply(uint64_t attempt, const Route::Reply& reply) {
    if (answered_ || (!reply.ok() && attempt != attempt_)) return;
    const absl::Time again = absl::Now() + parts_.backoff;
    if (!reply.ok() && MayRetry(*parts_.route, *parts_.request, reply.status()) &&
        again < std::min(retry_until_, parts_.deadline)) {
      const absl::Duration wait = parts_.backoff;
      parts_.backoff = std::min(2 * parts_.backoff, kMaxBackoff);
      parts_.exchange->After(wait, [self = shared_from_this(), attempt] {
        if (!self->answered_ && attempt == self->attempt_) self->Send();
      });
      return;
    }
    answered_ = true;
    if (!reply.ok() && transport::IsNoResponders(reply.status())) {
      return parts_.exchange->Answer(
          Format(transport::MakeError("not_ready", parts_.nobody_serves)));
    }
    parts_.exchange->Answer(Format(reply));
  }

  HttpResponse Format(const Route::Reply& reply) const {
    if (parts_.route->format) return parts_.route->format(parts_.head, reply);
    if (!reply.ok()) return ErrorResponse(reply.status());
    HttpResponse response;
    response.status = parts_.route->success;
    response.body = transport::ToJson(**reply);
    return response;
  }

  // On the exchange's loop.
  Parts parts_;
  absl::Time retry_until_;
  uint64_t attempt_ = 0;
  bool answered_ = false;
};

HttpResponse MethodNotAllowed(absl::string_view allowed) {
  HttpResponse response =
      ErrorResponse(405, "method_not_allowed", absl::StrCat("this path allows ", allowed));
  response.headers.emplace_back("Allow", std::string(allowed));
  return response;
}

}  // namespace

// Thread-safe.
class Routes::CallsUnderWay {
 public:
  void Add(const std::shared_ptr<PendingCall>& call) {
    MutexLock lock(mutex_);
    if (calls_.size() >= sweep_at_) {
      std::erase_if(calls_, [](const auto& old) { return old.expired(); });
      sweep_at_ = std::max<size_t>(64, 2 * calls_.size());
    }
    calls_.push_back(call);
  }

  void OnNewLeader() {
    std::vector<std::weak_ptr<PendingCall>> calls;
    {
      MutexLock lock(mutex_);
      calls = calls_;
    }
    for (const auto& weak : calls) {
      if (const std::shared_ptr<PendingCall> call = weak.lock()) call->OnNewLeader();
    }
  }

 private:
  Mutex mutex_;
  std::vector<std::weak_ptr<PendingCall>> calls_ ABSL_GUARDED_BY(mutex_);
  size_t sweep_at_ ABSL_GUARDED_BY(mutex_) = 64;
};

Routes::Routes(transport::Bus& bus, ApiKeys keys, RoutesOptions options)
    : bus_(&bus),
      keys_(std::move(keys)),
      options_(std::move(options)),
      calls_(std::make_shared<CallsUnderWay>()) {
  if (options_.leader_notice.empty()) return;
  auto notices = bus.Subscribe(
      {.subject = options_.leader_notice, .queue_group = ""},
      [calls = calls_](const transport::InboundMessage& /*notice*/) { calls->OnNewLeader(); });
  if (notices.ok()) {
    leader_notices_ = *std::move(notices);
  } else {
    LOG(WARNING) << "new leaders will not be heard of: " << notices.status();
  }
}

Routes::~Routes() = default;
Routes::Routes(Routes&&) noexcept = default;

void Routes::Add(Route route) {
  Row row;
  row.segments = absl::StrSplit(absl::StripPrefix(route.path, "/"), '/');
  row.route = std::make_shared<const Route>(std::move(route));
  rows_.push_back(std::move(row));
}

bool Routes::Matches(const Row& row, const Uri& uri) {
  return std::equal(row.segments.begin(), row.segments.end(), uri.segments.begin(),
                    uri.segments.end(), [](const std::string& own, const std::string& given) {
                      return own == given ||
                             ((own == kIdSegment || own == kNameSegment) && !given.empty());
                    });
}

std::string Routes::AllowedMethods(absl::string_view target) const {
  const std::optional<Uri> uri = ParseTarget(target);
  std::vector<std::string> methods;
  for (const Row& row : rows_) {
    if (!uri || !Matches(row, *uri)) continue;
    methods.push_back(row.route->method);
    if (row.route->method == "GET") methods.push_back("HEAD");
  }
  if (!methods.empty()) methods.push_back("OPTIONS");
  return absl::StrJoin(methods, ", ");
}

Admission Routes::Admit(const RequestHead& head) const {
  Admission admission;
  std::optional<Uri> uri = ParseTarget(head.target);
  if (!uri) {
    admission.refusal = ErrorResponse(400, "invalid_request", "malformed request path");
    return admission;
  }
  const Row* found = nullptr;
  bool path_exists = false;
  for (const Row& row : rows_) {
    if (!Matches(row, *uri)) continue;
    path_exists = true;
    if (row.route->method == head.method) {
      found = &row;
      break;
    }
  }
  if (found == nullptr) {
    admission.refusal = path_exists ? MethodNotAllowed(AllowedMethods(head.target))
                                    : ErrorResponse(404, "not_found", "no such path");
    return admission;
  }
  admission.route = found->route;
  const Route& route = *found->route;
  for (size_t i = 0; i < found->segments.size(); ++i) {
    if (found->segments[i] == kIdSegment) admission.id = uri->segments[i];
    if (found->segments[i] == kNameSegment) admission.name = uri->segments[i];
  }
  admission.uri = *std::move(uri);

  if (route.needs_key) {
    const Access access = keys_.Check(head.api_key, route.role);
    if (access == Access::kUnknownKey) {
      admission.refusal = ErrorResponse(401, options_.unknown_key_code,
                                        head.api_key ? "unknown API key" : "x-api-key is missing");
      return admission;
    }
    if (access == Access::kTooWeak) {
      admission.refusal = ErrorResponse(403, "forbidden", "this API key's role may not do this");
      return admission;
    }
  }
  if (route.takes_body && head.has_body && !IsJson(head.content_type)) {
    admission.refusal =
        ErrorResponse(415, "unsupported_media_type", "the body must be application/json");
    return admission;
  }
  if (!IsIdempotencyKey(head.idempotency_key)) {
    admission.refusal = ErrorResponse(
        400, "invalid_request",
        absl::StrCat("Idempotency-Key: at most ", kMaxIdempotencyKey, " printable characters"));
    return admission;
  }
  if (route.validate_id != nullptr) {
    if (absl::Status valid = route.validate_id(admission.id); !valid.ok()) {
      admission.refusal = ErrorResponse(transport::MakeError("invalid_request", valid.message()));
    }
  }
  return admission;
}

void Routes::Handle(const Admission& admission, const RequestHead& head, const std::string& body,
                    std::shared_ptr<Exchange> exchange) const {
  const Route& route = *admission.route;
  if (route.stream) return route.stream(admission.id, std::move(exchange));

  std::unique_ptr<google::protobuf::Message> request(route.request->New());
  absl::Status valid;
  if (route.takes_body && !(route.body_optional && body.empty())) {
    transport::JsonReadOptions limits;
    limits.max_text_bytes = static_cast<int>(body.size());  // the body's own limit is passed
    valid = transport::FromJson(body, request.get(), limits);
  }
  if (valid.ok() && !route.id_field.empty()) {
    valid = transport::SetFieldFromText(route.id_field, admission.id, request.get());
  }
  if (valid.ok() && !route.name_field.empty()) {
    valid = transport::SetFieldFromText(route.name_field, admission.name, request.get());
  }
  for (const auto& [name, value] : admission.uri.query) {
    if (!valid.ok()) break;
    const auto& fields = route.query_fields;
    if (std::find(fields.begin(), fields.end(), name) == fields.end()) continue;
    valid = transport::SetFieldFromText(name, value, request.get());
    if (!valid.ok()) valid = transport::MakeError("invalid_request", valid.message());
  }
  if (!valid.ok()) return exchange->Answer(ErrorResponse(valid));

  SetEventId(head.idempotency_key, request.get());
  transport::CallOptions options;
  options.timeout = options_.timeout;
  options.request_id = std::string(head.idempotency_key);
  if (options.request_id.empty() && route.retry == Route::Retry::kWithRequestId) {
    options.request_id = NewUuid();
  }
  auto call = std::make_shared<PendingCall>(PendingCall::Parts{
      .bus = bus_,
      .route = admission.route,
      .head = head,
      .request = std::move(request),
      .subject = route.subject_of_id ? route.subject_of_id(admission.id) : route.subject,
      .options = std::move(options),
      .backoff = options_.first_backoff,
      .retry_for = options_.retry_for,
      .deadline = absl::Now() + options_.timeout,
      .nobody_serves = options_.nobody_serves,
      .exchange = std::move(exchange)});
  if (leader_notices_ != nullptr) calls_->Add(call);
  call->Send();
}

}  // namespace varpulis::rest
