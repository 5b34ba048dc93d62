#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "transport/bus.h"

namespace varpulis::transport {

// Header names of JetStream.
inline constexpr char kMessageIdHeader[] = "Nats-Msg-Id";
inline constexpr char kExpectedLastSubjectSequenceHeader[] = "Nats-Expected-Last-Subject-Sequence";

// A message as its stream has it.
struct StoredMessage {
  const InboundMessage& message;
  uint64_t sequence = 0;     // from 1
  int64_t stored_at_ns = 0;  // by the broker's clock, since the Unix epoch
};

inline constexpr uint32_t kMostReplicas = 5;  // that JetStream makes of a stream

struct EventStreamOptions {
  std::string name;
  std::string subject;     // what it stores; may have wildcards, unless republished
  uint64_t max_bytes = 0;  // 0: as much as the broker gives
  absl::Duration max_age = absl::InfiniteDuration();
  bool discard_oldest = false;  // when full; else the newest is refused
  bool newest_only = false;     // of each subject
  // A subject without wildcards, on which the broker publishes again what it has stored. Empty: it
  // does not.
  std::string republish_to;
  absl::Duration duplicate_window = absl::Seconds(30);  // in which a message id is known again
  int replicas = 1;
};

// Streams of events that the broker stores. Thread-safe, asynchronous: `done` is called exactly
// once, on any thread. FAILED_PRECONDITION: the broker stores nothing (no JetStream).
class EventStreams {
 public:
  struct Range {
    uint64_t first = 0;  // the oldest sequence that is there, or the next when there is none
    uint64_t last = 0;   // the newest ever given
  };
  struct Stored {
    uint64_t sequence = 0;
    bool duplicate = false;  // the broker knew the message's id: `sequence` is the earlier one's
  };
  struct LastMessage {
    uint64_t sequence = 0;
    std::string payload;
  };

  virtual ~EventStreams() = default;

  // Creates the stream unless it is there. An existing one of another configuration is used as it
  // is, but gets more replicas when it has fewer.
  virtual void Ensure(EventStreamOptions options,
                      std::function<void(absl::StatusOr<Range>)> done) = 0;
  // Of an unknown stream: ok.
  virtual void Delete(const std::string& stream, std::function<void(absl::Status)> done) = 0;

  // Publishes `message` to be stored. ABORTED: what its headers expect does not hold;
  // RESOURCE_EXHAUSTED: the stream is full; UNAVAILABLE: no stream listens, or the connection is
  // lost; DEADLINE_EXCEEDED. After the last two it may have been stored.
  virtual void Publish(OutgoingMessage message,
                       std::function<void(absl::StatusOr<Stored>)> done) = 0;
  // The newest message on `subject`. NOT_FOUND: there is none.
  virtual void Last(const std::string& stream, const std::string& subject,
                    std::function<void(absl::StatusOr<LastMessage>)> done) = 0;
  // Removes what is on `subject`. Of an unknown stream: ok.
  virtual void Forget(const std::string& stream, const std::string& subject,
                      std::function<void(absl::Status)> done) = 0;
  // Removes what is below `first`.
  virtual void Trim(const std::string& stream, uint64_t first,
                    std::function<void(absl::Status)> done) = 0;

  // Delivers every message above `start_after`, in order and once, now and in future, on a thread
  // of its own; a callback that takes its time holds the broker up. Reads on through reconnects. A
  // stream that is gone is waited for, not made again: its sequences would be others. The handle's
  // destruction waits for the callback that is running.
  virtual std::unique_ptr<Subscription> Read(
      const EventStreamOptions& stream, uint64_t start_after,
      std::function<void(const StoredMessage&)> on_message) = 0;
};

}  // namespace varpulis::transport
