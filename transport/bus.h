#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "transport/message.h"

namespace varpulis::transport {

// RAII: while it lives the handler may be called; once the destructor has returned it is not
// running and never will. Must not be destroyed from inside its own handler.
class Subscription {
 public:
  virtual ~Subscription() = default;
  // Messages this client dropped because the handler was too slow (pending limit reached).
  virtual uint64_t dropped() const = 0;

  // For a clean end: no new messages come, and those that are under way by now are still handled,
  // for at most so long. Not from inside a handler. The wait is for a drain that has been begun.
  virtual void BeginDrain(absl::Duration /*patience*/) {}
  virtual void AwaitDrained(absl::Duration /*patience*/) {}
};

struct SubscribeOptions {
  std::string subject;
  std::string queue_group;                  // empty: every subscriber gets every message
  uint64_t max_pending_messages = 524'288;  // at most 2,097,151: nats.c overflows above
};

// kLeaving is told to listeners only: still connected, but the broker has said that it goes away
// soon (a lame duck). What follows is told as ever.
enum class ConnectionState { kConnected, kDisconnected, kClosed, kLeaving };

// Publish, subscribe, request: what the rest of the system knows of a message broker.
// Thread-safe. Handlers of one subscription run one at a time, in the order of arrival, on a
// transport thread; they decode, post to a strand and return, and never block for long.
class Bus {
 public:
  using Handler = std::function<void(InboundMessage)>;
  using ReplyCallback = std::function<void(absl::StatusOr<InboundMessage>)>;
  using ConnectionListener = std::function<void(ConnectionState)>;

  virtual ~Bus() = default;

  // Hands the message to the connection's writer; returns before it is on the wire.
  // UNAVAILABLE while disconnected (nothing is kept to be flushed later), INVALID_ARGUMENT for a
  // bad subject, RESOURCE_EXHAUSTED above max_payload().
  virtual absl::Status Publish(const OutgoingMessage& message) = 0;

  virtual absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(SubscribeOptions options,
                                                                  Handler handler) = 0;

  // Sends `message` with a reply subject of the request mux and calls `done` exactly once, on any
  // thread, perhaps before Request returns: with the reply (chunked replies reassembled),
  // UNAVAILABLE at once when nobody serves the subject or the connection is lost, DEADLINE_EXCEEDED
  // after `timeout`, CANCELLED when the bus closes first. Payloads above max_payload() are chunked.
  // A reply that carries the service error headers is a reply here; rpc.h turns it into a Status.
  virtual void Request(OutgoingMessage message, absl::Duration timeout, ReplyCallback done) = 0;

  // Answers a request, in chunks when larger than max_payload().
  virtual absl::Status Reply(const std::string& reply_to, std::string payload, Headers headers) = 0;

  // Largest payload the broker takes in one message, bytes.
  virtual int64_t max_payload() const = 0;
  virtual ConnectionState state() const = 0;
  // Returns once all that was published before has reached the broker, or DEADLINE_EXCEEDED.
  virtual absl::Status Flush(absl::Duration timeout) = 0;

  // Called on every change from now on, on a transport thread, until the handle is destroyed.
  virtual std::unique_ptr<Subscription> AddConnectionListener(ConnectionListener listener) = 0;
};

// What Bus::Request fails with when nobody serves the subject: certainly not delivered. A lost
// connection is UNAVAILABLE too, but leaves open whether the request got through.
absl::Status NoRespondersError(absl::string_view subject);
bool IsNoResponders(const absl::Status& status);

}  // namespace varpulis::transport
