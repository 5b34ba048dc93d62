#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "rapidjson/document.h"

#include "transport/bus.h"
#include "transport/event_streams.h"
#include "transport/key_value.h"

namespace varpulis::transport {

// JetStream over the bus's own requests: asynchronous, and with every header in our hands
// (nats.c 3.4.1 sends no expectation of 0).

inline constexpr absl::Duration kJetStreamTimeout = absl::Seconds(5);
inline constexpr char kExpectedLastSequenceHeader[] = "Nats-Expected-Last-Sequence";
inline constexpr char kKvOperationHeader[] = "KV-Operation";

// What JetStream needs of a connection. Copyable; used while the connection lives.
struct JetStreamContext {
  Bus* bus = nullptr;
  std::string inbox_prefix;
  // A request that is never chunked.
  std::function<void(OutgoingMessage, absl::Duration, Bus::ReplyCallback)> request;
};

using ApiCallback = std::function<void(absl::StatusOr<std::shared_ptr<rapidjson::Document>>)>;
using AckCallback = std::function<void(absl::StatusOr<uint64_t>)>;
using StoredCallback = std::function<void(absl::StatusOr<EventStreams::Stored>)>;

// A call of "$JS.API.{verb}". Errors in the reply become a Status; FAILED_PRECONDITION when nobody
// answers for JetStream, NOT_FOUND when the stream, consumer or message does not exist.
void CallJetStream(const JetStreamContext& context, const std::string& verb, std::string json,
                   ApiCallback done);

// Publishes into a stream and waits for its acknowledgement: the sequence. ABORTED when an
// expectation does not hold, RESOURCE_EXHAUSTED when the store is full, UNAVAILABLE when no stream
// listens.
void PublishToStream(const JetStreamContext& context, OutgoingMessage message, AckCallback done);
// The same, also telling whether the broker knew the message's id.
void StoreInStream(const JetStreamContext& context, OutgoingMessage message, StoredCallback done,
                   absl::Duration timeout = kJetStreamTimeout);

// Asks for the last message on `subject`. NOT_FOUND: there is none. nats-server 2.9 crashes when it
// is asked for a message of a stream that somebody is just creating, so it is first asked whether
// the stream holds any.
void GetLastMessage(const JetStreamContext& context, const std::string& stream,
                    const std::string& subject, ApiCallback done);

// The last message on `subject`, from the stream's leader, so own writes are seen. NOT_FOUND.
void ReadLastMessage(const JetStreamContext& context, const std::string& stream,
                     const std::string& subject,
                     std::function<void(absl::StatusOr<EventStreams::LastMessage>)> done);

// Creates the stream of a bucket (ADR-8) unless it is there. An existing one with another
// configuration is used as it is, but for replicas that it lacks (nats_ensure_stream.h).
void EnsureBucket(const JetStreamContext& context, const KeyValueOptions& options,
                  std::function<void(absl::Status)> done);
// The same, waiting, also until a bucket of several replicas takes writes.
absl::Status EnsureBucketAndWait(const JetStreamContext& context, const KeyValueOptions& options);

// INVALID_ARGUMENT unless the name fits ADR-8.
absl::Status CheckBucketName(absl::string_view bucket);
absl::Status CheckKey(absl::string_view key);  // [A-Za-z0-9_=/-] tokens
absl::Status CheckKeyPattern(absl::string_view pattern);

std::string StreamOf(const KeyValueOptions& options);  // KV_{bucket}
std::string SubjectOfKey(const KeyValueOptions& options,
                         absl::string_view key);  // $KV.{bucket}.{key}
// The key in such a subject.
std::string KeyOfSubject(const KeyValueOptions& options, absl::string_view subject);
// Whether the value of this header marks a removed key.
bool IsRemoval(absl::string_view kv_operation);
// A message of the bucket's stream.
KeyValueEntry EntryOf(const KeyValueOptions& options, const StoredMessage& message);

}  // namespace varpulis::transport
