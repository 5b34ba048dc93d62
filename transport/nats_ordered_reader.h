#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"

#include "transport/bus.h"
#include "transport/nats_jetstream.h"

namespace varpulis::transport {

// Reads a bucket's stream from its beginning and goes on for ever: an ephemeral consumer without
// acknowledgements, checked for gaps and heartbeats, created again after any doubt: a gap, silence,
// a reconnect, a broker that forgot it. Each stored message is delivered once, in order. A stream
// that was deleted and made again is read from its beginning.
//
// All callbacks run on the reader's own strand. Thread-safe.
class NatsOrderedReader {
 public:
  struct StoredMessage {
    std::string key;
    std::string value;
    uint64_t sequence = 0;
    bool removal = false;
  };
  struct Callbacks {
    std::function<void(StoredMessage)> on_message;
    std::function<void()> on_caught_up;  // once: what was stored at the start has been delivered
    std::function<void(absl::Status)> on_trouble;  // may be empty; the reader goes on trying
  };

  NatsOrderedReader(JetStreamContext context, KeyValueOptions bucket, const std::string& pattern,
                    Callbacks callbacks);
  // No callback is running or will run. Not from inside a callback.
  ~NatsOrderedReader();

  // Nothing is delivered after the callback that is running now. From inside a callback or outside.
  void Quit();

 private:
  class Core;
  const std::shared_ptr<Core> core_;
  std::unique_ptr<Subscription> listener_;
};

}  // namespace varpulis::transport
