#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

#include "transport/bus.h"

namespace varpulis::transport {

inline constexpr absl::Duration kDefaultRequestTimeout = absl::Seconds(10);
// What a caller that does not tell is taken to wait: the default of `nats req`.
inline constexpr absl::Duration kAssumedRequestTimeout = absl::Seconds(5);

struct CallOptions {
  absl::Duration timeout = kDefaultRequestTimeout;
  std::string request_id;  // idempotency key of a mutating call; empty: none
  // Told to the server, so that it can answer before nobody listens any more.
  bool tells_timeout = true;
};

// ---- client side

// Untyped core: fills `reply` on success. Callback as for Bus::Request; service errors arrive as
// Status with code, message and details of the ErrorReply.
void CallRaw(Bus& bus, const std::string& subject, const google::protobuf::Message& request,
             const CallOptions& options, std::unique_ptr<google::protobuf::Message> reply_prototype,
             std::function<void(absl::StatusOr<std::unique_ptr<google::protobuf::Message>>)> done);

template <typename Reply>
void Call(Bus& bus, const std::string& subject, const google::protobuf::Message& request,
          const CallOptions& options, std::function<void(absl::StatusOr<Reply>)> done) {
  CallRaw(bus, subject, request, options, std::make_unique<Reply>(),
          [done = std::move(done)](absl::StatusOr<std::unique_ptr<google::protobuf::Message>> raw) {
            if (!raw.ok()) return done(raw.status());
            done(std::move(static_cast<Reply&>(**raw)));
          });
}

// Blocking form, for the command line and for tests; never on a strand or a transport thread.
absl::Status CallAndWaitRaw(Bus& bus, const std::string& subject,
                            const google::protobuf::Message& request, const CallOptions& options,
                            google::protobuf::Message* reply);
template <typename Reply>
absl::StatusOr<Reply> CallAndWait(Bus& bus, const std::string& subject,
                                  const google::protobuf::Message& request,
                                  const CallOptions& options = {}) {
  Reply reply;
  absl::Status status = CallAndWaitRaw(bus, subject, request, options, &reply);
  if (!status.ok()) return status;
  return reply;
}

// ---- server side

// What a handler knows of a request besides its body.
struct RequestContext {
  std::string subject;
  std::string request_id;                           // empty: none was given
  bool expects_reply = false;                       // false: it was published, not requested
  absl::Duration timeout = kAssumedRequestTimeout;  // how long the caller waits for the answer
};

// The untyped way to answer exactly once. Move-only; thread-safe to move between threads. Destroyed
// without an answer it answers INTERNAL, so that no caller waits for a lost request. May outlive
// its Service, but not the Bus.
class RawReplier {
 public:
  struct State;
  explicit RawReplier(std::unique_ptr<State> state);
  RawReplier(RawReplier&&) noexcept;
  RawReplier& operator=(RawReplier&&) noexcept;
  ~RawReplier();

  void Reply(
      const google::protobuf::Message& reply);  // protobuf, or JSON when the request was JSON
  void Fail(const absl::Status& status);

 private:
  std::unique_ptr<State> state_;
};

template <typename ReplyMessage>
class Replier {
 public:
  explicit Replier(RawReplier raw) : raw_(std::move(raw)) {}
  void Reply(const ReplyMessage& reply) { raw_.Reply(reply); }
  void Fail(const absl::Status& status) { raw_.Fail(status); }
  void Answer(const absl::StatusOr<ReplyMessage>& result) {
    if (result.ok())
      Reply(*result);
    else
      Fail(result.status());
  }

 private:
  RawReplier raw_;
};

struct ServiceOptions {
  std::string name;     // [A-Za-z0-9_-]+, e.g. "varpulis-coordinator"
  std::string id;       // unique; empty: a UUID
  std::string version;  // SemVer
  std::string description;
  Headers metadata;  // shown by INFO
};

// A set of served subjects, discoverable with the NATS services protocol (ADR-32): answers
// $SRV.{PING,INFO,STATS}[.name[.id]] and counts requests, errors and processing time per endpoint.
// Serve and Listen are called from one thread before or after Start; handlers run on transport
// threads, hop to a strand and return. Destroying it stops all handlers.
//
// Bodies are protobuf, or JSON when Content-Type says so or the body begins with '{'; an
// undecodable body is answered with invalid_request and never reaches the handler. Chunked requests
// arrive whole.
class Service {
 public:
  using RawHandler =
      std::function<void(RequestContext, std::unique_ptr<google::protobuf::Message>, RawReplier)>;

  static absl::StatusOr<std::unique_ptr<Service>> Start(Bus& bus, ServiceOptions options);
  ~Service();

  absl::Status ServeRaw(const std::string& subject, std::string endpoint_name,
                        std::unique_ptr<google::protobuf::Message> request_prototype,
                        RawHandler handler);

  // Serve<Req, Rep>(subject, "groups-deploy", [](RequestContext, Req, Replier<Rep>) {…})
  template <typename RequestMessage, typename ReplyMessage, typename Fn>
  absl::Status Serve(const std::string& subject, const std::string& endpoint_name, Fn handler) {
    return ServeRaw(subject, endpoint_name, std::make_unique<RequestMessage>(),
                    [handler = std::move(handler)](RequestContext context,
                                                   std::unique_ptr<google::protobuf::Message> body,
                                                   RawReplier replier) {
                      handler(std::move(context), std::move(static_cast<RequestMessage&>(*body)),
                              Replier<ReplyMessage>(std::move(replier)));
                    });
  }

  // Takes no more requests, and hands those that are under way by now to their handlers, for at
  // most so long; else they would go unanswered. Before the destructor, not from inside a handler.
  void Drain(absl::Duration patience);

 private:
  struct Impl;
  explicit Service(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace varpulis::transport
