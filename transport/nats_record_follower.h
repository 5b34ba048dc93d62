#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "transport/nats_jetstream.h"
#include "transport/nats_ordered_reader.h"
#include "transport/record_log.h"

namespace varpulis::transport {

// A copy of the records in a bucket's stream that keeps up with it, for a coordinator that may have
// to lead at any moment.
//
// The copy is what one consumer has delivered without a gap since the stream's beginning; whenever
// there is another consumer (a reconnect, a gap, silence, a stream that is gone), the copy is begun
// anew. What such a consumer cannot tell is that messages were removed without a message (`nats
// stream purge`) and that the stream is another one of the same name. Hence Take() compares: each
// message of the stream was delivered and each key has one message, so as many keys as the stream
// has messages means that they are the same ones.
//
// Thread-safe.
class NatsRecordFollower {
 public:
  // What the broker tells of the stream.
  struct End {
    std::string created;  // when it was made, which tells it from others of its name
    uint64_t last_sequence = 0;
    uint64_t messages = 0;
  };
  using TakeCallback = std::function<void(absl::StatusOr<std::vector<Record>>)>;

  NatsRecordFollower(const JetStreamContext& context, const KeyValueOptions& bucket);
  // `done` of a Take under way is not called. Not from inside it.
  ~NatsRecordFollower();

  // Waits until the copy has reached `barrier`, a message that was stored when the stream was as
  // `end` says, and gives it away: the live records in order of sequence, barrier included. An
  // error when it cannot be shown that a reader of the whole stream would have got the same, or
  // when the barrier does not come in time. `done` runs on a thread of the follower's own, which
  // follows no more by then. Called once at most.
  void Take(End end, uint64_t barrier, TakeCallback done);
  // Follows no more. As for Take's `done`, likewise from inside it.
  void Quit();

 private:
  class Following;
  const std::shared_ptr<Following> following_;
  const std::unique_ptr<NatsOrderedReader> reader_;
};

}  // namespace varpulis::transport
