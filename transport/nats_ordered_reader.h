#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "transport/bus.h"
#include "transport/event_streams.h"
#include "transport/nats_jetstream.h"

namespace varpulis::transport {

// Reads a stream from a position on and goes on for ever: an ephemeral consumer without
// acknowledgements, checked for gaps and heartbeats, created again after any doubt: a gap, silence,
// a reconnect, a broker that forgot it. Each stored message is delivered once, in order. A stream
// that was deleted and made again is read from its beginning. With `start_over`, each new consumer
// begins where the first began.
//
// All callbacks run on the reader's own strand and may take their time: with flow control the
// broker then waits, too. Thread-safe.
class NatsOrderedReader {
 public:
  struct Options {
    std::string stream;
    std::string filter;         // subject, may have wildcards
    uint64_t start_after = 0;   // sequence; 0: from the beginning
    bool flow_control = false;  // for a stream whose rate may exceed the reader's
    bool start_over = false;    // for who must know that nothing was removed unseen
    // Makes the stream again when it is gone; `done` once that has been tried. May be empty.
    std::function<void(std::function<void(absl::Status)> done)> ensure = {};
  };
  struct Callbacks {
    std::function<void(const StoredMessage&)> on_message;
    std::function<void()> on_caught_up;  // once: what was stored at the start has been delivered
    std::function<void(absl::Status)> on_trouble;  // may be empty; the reader goes on trying
    // Before each consumer's first message; `created` is the time at which the stream was made, or
    // before, if it is being made again just now. May be empty.
    std::function<void(const std::string& created)> on_start = {};
  };

  NatsOrderedReader(JetStreamContext context, Options options, Callbacks callbacks);
  // No callback is running or will run. Not from inside a callback.
  ~NatsOrderedReader();

  // Nothing is delivered after the callback that is running now. From inside a callback or outside.
  void Quit();

  // Runs `task` among the callbacks, unless the reader has quit by then.
  void Post(std::function<void()> task);
  void After(absl::Duration delay, std::function<void()> task);

  // The reader of the keys of a bucket that match `pattern`.
  static Options OfBucket(const JetStreamContext& context, const KeyValueOptions& bucket,
                          const std::string& pattern);

 private:
  class Core;
  const std::shared_ptr<Core> core_;
  std::unique_ptr<Subscription> listener_;
};

}  // namespace varpulis::transport
