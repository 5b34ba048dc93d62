#include "transport/rpc.h"

#include <algorithm>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/mutex.h"
#include "transport/body_codec.h"
#include "transport/error_reply.h"

namespace varpulis::transport {
namespace {

// The Status that a failed reply stands for: its ErrorReply, or, from services other than ours,
// what the headers say.
absl::Status StatusOf(const InboundMessage& reply) {
  int http = 500;
  if (const auto number = reply.Header(kServiceErrorCodeHeader); number.has_value()) {
    int parsed = 0;
    if (absl::SimpleAtoi(*number, &parsed)) http = parsed;
  }
  varpulis::v1::ErrorReply error;
  if (!DecodeBody(reply, &error).ok()) error.Clear();
  if (error.error().empty()) error.set_error(reply.Header(kServiceErrorHeader).value_or(""));
  return FromErrorReply(error, http);
}

absl::Status DecodeReply(const InboundMessage& reply, const std::string& subject,
                         google::protobuf::Message* message) {
  if (reply.Header(kServiceErrorCodeHeader).has_value() ||
      reply.Header(kServiceErrorHeader).has_value()) {
    return StatusOf(reply);
  }
  if (absl::Status decoded = DecodeBody(reply, message); !decoded.ok()) {
    // Theirs to mend, not the caller's: never INVALID_ARGUMENT.
    return MakeError("internal",
                     absl::StrCat("undecodable reply from ", subject, ": ", decoded.message()));
  }
  return absl::OkStatus();
}

}  // namespace

void CallRaw(Bus& bus, const std::string& subject, const google::protobuf::Message& request,
             const CallOptions& options, std::unique_ptr<google::protobuf::Message> reply_prototype,
             std::function<void(absl::StatusOr<std::unique_ptr<google::protobuf::Message>>)> done) {
  OutgoingMessage message;
  message.subject = subject;
  message.payload = request.SerializeAsString();
  if (!options.request_id.empty()) {
    message.headers.emplace_back(kRequestIdHeader, options.request_id);
  }
  if (options.tells_timeout) {
    const int64_t milliseconds = std::max<int64_t>(1, absl::ToInt64Milliseconds(options.timeout));
    message.headers.emplace_back(kTimeoutHeader, absl::StrCat(milliseconds));
  }
  // Shared, because a ReplyCallback must be copyable.
  std::shared_ptr<google::protobuf::Message> prototype = std::move(reply_prototype);
  bus.Request(std::move(message), options.timeout,
              [subject, prototype = std::move(prototype),
               done = std::move(done)](absl::StatusOr<InboundMessage> reply) {
                if (!reply.ok()) return done(std::move(reply).status());
                std::unique_ptr<google::protobuf::Message> decoded(prototype->New());
                absl::Status status = DecodeReply(*reply, subject, decoded.get());
                if (!status.ok()) return done(std::move(status));
                done(std::move(decoded));
              });
}

absl::Status CallAndWaitRaw(Bus& bus, const std::string& subject,
                            const google::protobuf::Message& request, const CallOptions& options,
                            google::protobuf::Message* reply) {
  struct Waiter {
    Mutex mutex;
    CondVar changed;
    std::optional<absl::StatusOr<std::unique_ptr<google::protobuf::Message>>> result
        ABSL_GUARDED_BY(mutex);
  };
  const auto waiter = std::make_shared<Waiter>();
  CallRaw(bus, subject, request, options, std::unique_ptr<google::protobuf::Message>(reply->New()),
          [waiter](absl::StatusOr<std::unique_ptr<google::protobuf::Message>> result) {
            MutexLock lock(waiter->mutex);
            waiter->result = std::move(result);
            waiter->changed.NotifyAll();
          });
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> result;
  {
    MutexLock lock(waiter->mutex);
    while (!waiter->result.has_value()) waiter->changed.Wait(waiter->mutex);
    result = std::move(*waiter->result);  // moved: nothing is shared with the other thread
  }
  if (!result.ok()) return std::move(result).status();
  reply->GetReflection()->Swap(reply, result->get());
  return absl::OkStatus();
}

}  // namespace varpulis::transport
