#include "transport/nats_jetstream.h"

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "rapidjson/pointer.h"
#include "transport/nats_ensure_stream.h"
#include "transport/request_mux.h"

namespace varpulis::transport {
namespace {

// err_code of the JetStream API (nats-server errors.json).
constexpr int kInsufficientResources = 10023;
constexpr int kNoSuitablePeers = 10005;  // fewer brokers than replicas, or with too little room
constexpr int kMemoryExceeded = 10028;
constexpr int kNotEnabled = 10076;
constexpr int kNotEnabledForAccount = 10039;
constexpr int kStorageExceeded = 10047;
constexpr int kStreamNameInUse = 10058;
constexpr int kStreamStoreFailed = 10077;
constexpr int kWrongLastMessageId = 10070;
constexpr int kWrongLastSequence = 10071;

constexpr absl::Duration kPeersTimeout = absl::Seconds(10);
constexpr absl::Duration kPeersPoll = absl::Milliseconds(100);

constexpr char kDisabled[] = "JetStream is not enabled on the broker (start nats-server with -js)";

absl::Status ErrorOf(const rapidjson::Document& reply, absl::string_view action) {
  const auto error = reply.FindMember("error");
  if (error == reply.MemberEnd() || !error->value.IsObject()) return absl::OkStatus();
  const auto number = [&](const char* name) {
    const auto member = error->value.FindMember(name);
    return member != error->value.MemberEnd() && member->value.IsInt() ? member->value.GetInt() : 0;
  };
  const auto description = error->value.FindMember("description");
  const std::string text =
      absl::StrCat(action, ": ",
                   description != error->value.MemberEnd() && description->value.IsString()
                       ? description->value.GetString()
                       : "refused",
                   " (", number("err_code"), ")");
  switch (number("err_code")) {
    case kWrongLastMessageId:
    case kWrongLastSequence:
      return absl::AbortedError(text);
    case kInsufficientResources:
    case kNoSuitablePeers:
    case kMemoryExceeded:
    case kStorageExceeded:
    case kStreamStoreFailed:
      return absl::ResourceExhaustedError(text);
    case kNotEnabled:
    case kNotEnabledForAccount:
      return absl::FailedPreconditionError(kDisabled);
    case kStreamNameInUse:
      return absl::AlreadyExistsError(text);
    default:
      break;
  }
  switch (number("code")) {
    case 400:
      return absl::InvalidArgumentError(text);
    case 404:
      return absl::NotFoundError(text);
    case 503:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

absl::StatusOr<std::shared_ptr<rapidjson::Document>> ParseReply(
    const absl::StatusOr<InboundMessage>& reply, absl::string_view action) {
  if (!reply.ok()) return reply.status();
  auto document = std::make_shared<rapidjson::Document>();
  document->Parse(reply->payload().data(), reply->payload().size());
  if (document->HasParseError() || !document->IsObject()) {
    return absl::InternalError(absl::StrCat(action, ": the broker's answer is not JSON"));
  }
  RETURN_IF_ERROR(ErrorOf(*document, action));
  return document;
}

bool IsToken(absl::string_view token, absl::string_view also) {
  return !token.empty() && std::all_of(token.begin(), token.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           also.find(c) != absl::string_view::npos;
  });
}

}  // namespace

void CallJetStream(const JetStreamContext& context, const std::string& verb, std::string json,
                   ApiCallback done) {
  OutgoingMessage message;
  message.subject = absl::StrCat("$JS.API.", verb);
  message.payload = std::move(json);
  context.request(std::move(message), kJetStreamTimeout,
                  [verb, done = std::move(done)](absl::StatusOr<InboundMessage> reply) {
                    if (!reply.ok() && IsNoResponders(reply.status())) {
                      return done(absl::FailedPreconditionError(kDisabled));
                    }
                    done(ParseReply(reply, verb));
                  });
}

void StoreInStream(const JetStreamContext& context, OutgoingMessage message, StoredCallback done,
                   absl::Duration timeout) {
  const std::string subject = message.subject;
  context.request(std::move(message), timeout,
                  [subject, done = std::move(done)](absl::StatusOr<InboundMessage> reply) {
                    auto document = ParseReply(reply, absl::StrCat("storing ", subject));
                    if (!document.ok()) return done(document.status());
                    const rapidjson::Document& ack = **document;
                    const auto sequence = ack.FindMember("seq");
                    if (sequence == ack.MemberEnd() || !sequence->value.IsUint64()) {
                      return done(absl::InternalError(absl::StrCat(
                          "storing ", subject, ": an acknowledgement without a sequence")));
                    }
                    const auto duplicate = ack.FindMember("duplicate");
                    done(EventStreams::Stored{
                        .sequence = sequence->value.GetUint64(),
                        .duplicate = duplicate != ack.MemberEnd() && duplicate->value.IsTrue()});
                  });
}

void PublishToStream(const JetStreamContext& context, OutgoingMessage message, AckCallback done) {
  StoreInStream(context, std::move(message),
                [done = std::move(done)](const absl::StatusOr<EventStreams::Stored>& stored) {
                  if (!stored.ok()) return done(stored.status());
                  done(stored->sequence);
                });
}

void GetLastMessage(const JetStreamContext& context, const std::string& stream,
                    const std::string& subject, ApiCallback done) {
  CallJetStream(
      context, absl::StrCat("STREAM.INFO.", stream), "",
      [context, stream, subject,
       done = std::move(done)](absl::StatusOr<std::shared_ptr<rapidjson::Document>> info) {
        if (!info.ok()) return done(std::move(info));
        const rapidjson::Value* messages = rapidjson::Pointer("/state/messages").Get(**info);
        if (messages == nullptr || !messages->IsUint64()) {
          return done(absl::InternalError("the broker does not tell what the stream holds"));
        }
        if (messages->GetUint64() == 0) {
          return done(absl::NotFoundError(absl::StrCat("stream ", stream, " is empty")));
        }
        CallJetStream(context, absl::StrCat("STREAM.MSG.GET.", stream),
                      absl::StrCat(R"({"last_by_subj":")", subject, R"("})"), done);
      });
}

void ReadLastMessage(const JetStreamContext& context, const std::string& stream,
                     const std::string& subject,
                     std::function<void(absl::StatusOr<EventStreams::LastMessage>)> done) {
  GetLastMessage(
      context, stream, subject,
      [done = std::move(done)](absl::StatusOr<std::shared_ptr<rapidjson::Document>> reply) {
        if (!reply.ok()) return done(reply.status());
        const rapidjson::Document& answer = **reply;
        const auto message = answer.FindMember("message");
        if (message == answer.MemberEnd() || !message->value.IsObject() ||
            !message->value.HasMember("seq") || !message->value["seq"].IsUint64()) {
          return done(absl::InternalError("the broker's answer holds no message"));
        }
        EventStreams::LastMessage last{.sequence = message->value["seq"].GetUint64(),
                                       .payload = {}};
        const auto data = message->value.FindMember("data");
        if (data != message->value.MemberEnd() &&
            (!data->value.IsString() ||
             !absl::Base64Unescape(data->value.GetString(), &last.payload))) {
          return done(absl::InternalError("the broker's answer holds an unreadable message"));
        }
        done(std::move(last));
      });
}

void EnsureBucket(const JetStreamContext& context, const KeyValueOptions& options,
                  std::function<void(absl::Status)> done) {
  int64_t max_age = 0;
  if (options.ttl != absl::InfiniteDuration()) {
    max_age = std::max<int64_t>(absl::ToInt64Nanoseconds(options.ttl), 100'000'000);
  }
  const int64_t two_minutes = absl::ToInt64Nanoseconds(absl::Minutes(2));
  const std::string stream = StreamOf(options);
  std::string json = absl::StrCat(
      R"({"name":")", stream, R"(","subjects":["$KV.)", options.bucket,
      R"(.>"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,)",
      R"("max_msgs_per_subject":1,"max_msg_size":-1,"max_age":)", max_age, R"(,"storage":")",
      options.memory_storage ? "memory" : "file", R"(","discard":"new","num_replicas":)",
      options.replicas, R"(,"duplicate_window":)",
      max_age == 0 ? two_minutes : std::min(max_age, two_minutes),
      R"(,"deny_delete":true,"allow_rollup_hdrs":true,"allow_direct":true})");
  EnsureStream(context, stream, std::move(json), options.replicas,
               [done = std::move(done)](const auto& ensured) { done(ensured.status()); });
}

absl::Status EnsureBucketAndWait(const JetStreamContext& context, const KeyValueOptions& options) {
  const absl::Time deadline = absl::Now() + kPeersTimeout;
  absl::Status ensured;
  while (true) {
    auto result = std::make_shared<std::promise<absl::Status>>();
    EnsureBucket(context, options,
                 [result](absl::Status status) { result->set_value(std::move(status)); });
    ensured = result->get_future().get();
    // Brokers that have just been started have yet to find each other.
    const bool may_change = options.replicas > 1 && absl::IsResourceExhausted(ensured);
    if (!may_change || absl::Now() >= deadline) break;
    absl::SleepFor(kPeersPoll);
  }
  RETURN_IF_ERROR(std::move(ensured), Annotate("opening bucket ", options.bucket));
  WaitForReplicas(context, StreamOf(options), options.replicas);
  return absl::OkStatus();
}

absl::Status CheckBucketName(absl::string_view bucket) {
  if (IsToken(bucket, "_-")) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a bucket's name is made of [A-Za-z0-9_-]: \"", bucket, "\""));
}

absl::Status CheckKey(absl::string_view key) {
  for (const absl::string_view token : absl::StrSplit(key, '.')) {
    if (IsToken(token, "_=/-")) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("a key is made of dots and [A-Za-z0-9_=/-]: \"", key, "\""));
  }
  return absl::OkStatus();
}

absl::Status CheckKeyPattern(absl::string_view pattern) {
  for (const absl::string_view token : absl::StrSplit(pattern, '.')) {
    if (token == "*" || token == ">" || IsToken(token, "_=/-")) continue;
    return absl::InvalidArgumentError(absl::StrCat("not a pattern of keys: \"", pattern, "\""));
  }
  return absl::OkStatus();
}

std::string StreamOf(const KeyValueOptions& options) { return absl::StrCat("KV_", options.bucket); }

std::string SubjectOfKey(const KeyValueOptions& options, absl::string_view key) {
  return absl::StrCat("$KV.", options.bucket, ".", key);
}

std::string KeyOfSubject(const KeyValueOptions& options, absl::string_view subject) {
  absl::ConsumePrefix(&subject, absl::StrCat("$KV.", options.bucket, "."));
  return std::string(subject);
}

bool IsRemoval(absl::string_view kv_operation) {
  return kv_operation == "DEL" || kv_operation == "PURGE";
}

KeyValueEntry EntryOf(const KeyValueOptions& options, const StoredMessage& message) {
  return {.key = KeyOfSubject(options, message.message.subject()),
          .value = std::string(message.message.payload()),
          .revision = message.sequence,
          .deleted = message.message.payload().empty() &&
                     IsRemoval(message.message.Header(kKvOperationHeader).value_or(""))};
}

}  // namespace varpulis::transport
