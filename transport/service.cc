#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"

#include "base/ids.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "transport/body_codec.h"
#include "transport/chunking.h"
#include "transport/error_reply.h"
#include "transport/rpc.h"
#include "transport/service_info.h"
#include "transport/utf8.h"

namespace varpulis::transport {
namespace {

constexpr size_t kMaxErrorHeaderBytes = 512;

// What one endpoint has done. Shared with the repliers of requests still being worked on, which may
// outlive the service. Thread-safe.
class EndpointStats {
 public:
  EndpointStats(std::string name, std::string subject) {
    report_.name = std::move(name);
    report_.subject = std::move(subject);
  }

  void Answered(absl::Duration took) {
    MutexLock lock(mutex_);
    ++report_.num_requests;
    report_.processing_time += took;
  }

  void Failed(absl::Duration took, std::string error) {
    MutexLock lock(mutex_);
    ++report_.num_requests;
    ++report_.num_errors;
    report_.processing_time += took;
    report_.last_error = std::move(error);
  }

  EndpointReport Report() const {
    MutexLock lock(mutex_);
    return report_;
  }

 private:
  mutable Mutex mutex_;
  EndpointReport report_ ABSL_GUARDED_BY(mutex_);
};

bool IsServiceWord(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-';
  });
}

// MAJOR.MINOR.PATCH and perhaps -pre or +build, which clients of the protocol insist on.
bool IsSemVer(absl::string_view text) {
  const absl::string_view core = text.substr(0, text.find_first_of("-+"));
  int dots = 0;
  bool digit_before = false;
  for (const char c : core) {
    if (c == '.') {
      if (!digit_before) return false;
      ++dots;
      digit_before = false;
    } else if (absl::ascii_isdigit(c)) {
      digit_before = true;
    } else {
      return false;
    }
  }
  return dots == 2 && digit_before;
}

absl::Duration TimeoutOf(const InboundMessage& request) {
  const std::optional<std::string> header = request.Header(kTimeoutHeader);
  int64_t milliseconds = 0;
  if (!header.has_value() || !absl::SimpleAtoi(*header, &milliseconds) || milliseconds <= 0) {
    return kAssumedRequestTimeout;
  }
  return absl::Milliseconds(milliseconds);
}

}  // namespace

// ---------------------------------------------------------------- RawReplier

struct RawReplier::State {
  Bus* bus;
  std::string subject;
  std::string reply_to;
  BodyEncoding encoding;
  std::chrono::steady_clock::time_point arrived;
  std::shared_ptr<EndpointStats> stats;

  absl::Duration Took() const {
    return absl::FromChrono(std::chrono::steady_clock::now() - arrived);
  }

  void Send(std::string payload, Headers headers) const {
    if (reply_to.empty()) return;
    const absl::Status sent = bus->Reply(reply_to, std::move(payload), std::move(headers));
    LOG_IF(WARNING, !sent.ok()) << "answering " << subject << ": " << sent;
  }
};

RawReplier::RawReplier(std::unique_ptr<State> state) : state_(std::move(state)) {}
RawReplier::RawReplier(RawReplier&&) noexcept = default;

RawReplier& RawReplier::operator=(RawReplier&& other) noexcept {
  RawReplier owed(std::move(state_));  // answers what this one still owed
  state_ = std::move(other.state_);
  return *this;
}

RawReplier::~RawReplier() {
  if (state_ != nullptr) Fail(MakeError("internal", "the request was dropped without an answer"));
}

void RawReplier::Reply(const google::protobuf::Message& reply) {
  LOG_IF(DFATAL, state_ == nullptr) << "answered twice";
  if (state_ == nullptr) return;
  const std::unique_ptr<State> state = std::move(state_);
  state->stats->Answered(state->Took());
  state->Send(EncodeBody(reply, state->encoding), HeadersOf(state->encoding));
}

void RawReplier::Fail(const absl::Status& status) {
  LOG_IF(DFATAL, state_ == nullptr) << "answered twice";
  if (state_ == nullptr) return;
  const std::unique_ptr<State> state = std::move(state_);
  varpulis::v1::ErrorReply error = ToErrorReply(status);
  std::string line = OneLine(error.error(), kMaxErrorHeaderBytes);
  if (line.empty()) line = error.code();
  if (!IsValidUtf8(error.error())) error.set_error(line);  // protobuf takes no other text
  const std::string http = absl::StrCat(HttpStatus(status));
  state->stats->Failed(state->Took(), absl::StrCat(http, ":", line));
  Headers headers = HeadersOf(state->encoding);
  headers.emplace_back(kServiceErrorCodeHeader, http);
  headers.emplace_back(kServiceErrorHeader, std::move(line));
  state->Send(EncodeBody(error, state->encoding), std::move(headers));
}

// ---------------------------------------------------------------- Service

struct Service::Impl {
  explicit Impl(Bus& b) : bus(b) {}

  Bus& bus;
  ServiceIdentity identity;  // constant after Start
  Mutex mutex;
  std::vector<std::shared_ptr<EndpointStats>> endpoints ABSL_GUARDED_BY(mutex);
  // Last: gone before anything that the handlers use. Touched by the owner's thread only.
  std::vector<std::unique_ptr<Subscription>> subscriptions;

  absl::Status Subscribe(const std::string& subject, Bus::Handler handler) {
    SubscribeOptions options;
    options.subject = subject;
    ASSIGN_OR_RETURN(std::unique_ptr<Subscription> subscription,
                     bus.Subscribe(std::move(options), std::move(handler)));
    subscriptions.push_back(std::move(subscription));
    return absl::OkStatus();
  }

  void AnswerDiscovery(DiscoveryVerb verb, const InboundMessage& request) {
    if (request.reply_to().empty()) return;
    std::vector<EndpointReport> reports;
    {
      MutexLock lock(mutex);
      for (const auto& endpoint : endpoints) reports.push_back(endpoint->Report());
    }
    const absl::Status sent =
        bus.Reply(std::string(request.reply_to()), DiscoveryResponse(verb, identity, reports), {});
    LOG_IF(WARNING, !sent.ok()) << "answering " << request.subject() << ": " << sent;
  }
};

Service::Service(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Service::~Service() = default;

absl::StatusOr<std::unique_ptr<Service>> Service::Start(Bus& bus, ServiceOptions options) {
  if (options.id.empty()) options.id = NewUuid();
  if (!IsServiceWord(options.name) || !IsServiceWord(options.id)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "service name and id must be of A-Z a-z 0-9 _ -: ", options.name, " ", options.id));
  }
  if (!IsSemVer(options.version)) {
    return absl::InvalidArgumentError(
        absl::StrCat("service version must be MAJOR.MINOR.PATCH: ", options.version));
  }
  auto impl = std::make_unique<Impl>(bus);
  impl->identity = {options.name,        options.id,       options.version,
                    options.description, options.metadata, absl::Now()};
  Impl* raw = impl.get();
  for (const DiscoveryVerb verb :
       {DiscoveryVerb::kPing, DiscoveryVerb::kInfo, DiscoveryVerb::kStats}) {
    for (const std::string& subject : DiscoverySubjects(verb, impl->identity)) {
      RETURN_IF_ERROR(impl->Subscribe(
          subject, [raw, verb](InboundMessage request) { raw->AnswerDiscovery(verb, request); }));
    }
  }
  return std::unique_ptr<Service>(new Service(std::move(impl)));
}

void Service::Drain(absl::Duration patience) {
  for (const auto& subscription : impl_->subscriptions) subscription->BeginDrain(patience);
  const absl::Time deadline = absl::Now() + patience;
  for (const auto& subscription : impl_->subscriptions) {
    subscription->AwaitDrained(std::max(deadline - absl::Now(), absl::Milliseconds(1)));
  }
}

absl::Status Service::ServeRaw(const std::string& subject, std::string endpoint_name,
                               std::unique_ptr<google::protobuf::Message> request_prototype,
                               RawHandler handler) {
  if (!IsServiceWord(endpoint_name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint name must be of A-Z a-z 0-9 _ -: ", endpoint_name));
  }
  auto stats = std::make_shared<EndpointStats>(std::move(endpoint_name), subject);
  // Handlers of one subscription run one at a time, so the assembler needs no lock.
  auto assembler = std::make_shared<ChunkAssembler>();
  std::shared_ptr<google::protobuf::Message> prototype = std::move(request_prototype);
  RETURN_IF_ERROR(impl_->Subscribe(subject, [bus = &impl_->bus, stats, assembler, prototype,
                                             handler = std::move(handler)](InboundMessage part) {
    const auto arrived = std::chrono::steady_clock::now();
    if (const absl::Status readable = CheckChunkHeader(part); !readable.ok()) {
      // Fails at once: no part of it will ever come.
      RawReplier(std::make_unique<RawReplier::State>(RawReplier::State{
                     bus, std::string(part.subject()), std::string(part.reply_to()),
                     EncodingOf(part), arrived, stats}))
          .Fail(readable);
      return;
    }
    std::optional<InboundMessage> whole = assembler->Add(std::move(part));
    if (!whole.has_value()) return;
    RequestContext context;
    context.subject = std::string(whole->subject());
    context.request_id = whole->Header(kRequestIdHeader).value_or("");
    context.expects_reply = !whole->reply_to().empty();
    context.timeout = TimeoutOf(*whole);
    RawReplier replier(std::make_unique<RawReplier::State>(RawReplier::State{
        bus, context.subject, std::string(whole->reply_to()), EncodingOf(*whole), arrived, stats}));
    std::unique_ptr<google::protobuf::Message> body(prototype->New());
    if (const absl::Status decoded = DecodeBody(*whole, body.get()); !decoded.ok()) {
      LOG_IF(WARNING, !context.expects_reply) << context.subject << ": " << decoded.message();
      return replier.Fail(decoded);
    }
    handler(std::move(context), std::move(body), std::move(replier));
  }));
  MutexLock lock(impl_->mutex);
  impl_->endpoints.push_back(std::move(stats));
  return absl::OkStatus();
}

}  // namespace varpulis::transport
