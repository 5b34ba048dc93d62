#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include "transport/message.h"

namespace varpulis::transport {

// Requests and replies larger than the broker's max_payload travel in several messages, each with
// the header `Varpulis-Chunk: "{id} {index} {count}"`:
//
//   index 0     subject, reply subject and headers of the whole message, first part of the payload
//   index 1…    subject, next part
//
// Only the first names a reply subject, so that nobody answers a part. Chunks of one message are
// sent to one subscriber: never to a queue group.

// Bytes that `message` takes of a max_payload: payload and header block.
int64_t WireSize(const OutgoingMessage& message);

// `message` as it is when it fits, else its chunks in order. `max_payload` must leave room for the
// headers; what does not fit nevertheless is refused by the broker client.
std::vector<OutgoingMessage> CutIntoChunks(OutgoingMessage message, int64_t max_payload);

// INVALID_ARGUMENT (invalid_request): `message` has a chunk header that cannot be read. Whoever
// owes an answer says so; an assembler drops such a message.
absl::Status CheckChunkHeader(const InboundMessage& message);

// Puts chunks back together. Bounded: beyond the limits the oldest unfinished message is dropped.
// Thread-compatible: one assembler per subscription handler, or guarded by the owner.
class ChunkAssembler {
 public:
  struct Options {
    size_t max_unfinished = 256;
    size_t max_total_bytes = 64 << 20;          // of all unfinished messages together
    absl::Duration expiry = absl::Seconds(30);  // after the last chunk that arrived
    // Told of everything dropped, with the id ("" when unreadable) and the reason.
    std::function<void(absl::string_view id, absl::string_view reason)> on_dropped;
  };

  ChunkAssembler() : ChunkAssembler(Options()) {}
  explicit ChunkAssembler(Options options) : options_(std::move(options)) {}

  // The whole message once its last chunk is here; an unchunked message at once; nothing while
  // chunks are missing and for duplicates and garbage.
  std::optional<InboundMessage> Add(InboundMessage message) {
    return Add(std::move(message), absl::Now());
  }
  std::optional<InboundMessage> Add(InboundMessage message, absl::Time now);

  size_t unfinished() const { return unfinished_.size(); }
  size_t buffered_bytes() const { return buffered_bytes_; }
  uint64_t dropped() const { return dropped_; }  // messages and unreadable chunks

 private:
  struct Assembly {
    std::vector<std::optional<InboundMessage>> chunks;
    size_t missing = 0;
    size_t bytes = 0;
    absl::Time last_arrival;
  };

  void Drop(const std::string& id, absl::string_view reason);
  void DropExpired(absl::Time now);
  bool Remembered(const std::string& id) const;
  void Remember(std::string id);

  const Options options_;
  std::map<std::string, Assembly> unfinished_;
  std::deque<std::string> finished_;  // the last ones, so that a late duplicate starts nothing
  size_t buffered_bytes_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace varpulis::transport
