#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/strand.h"
#include "transport/bus.h"
#include "transport/event_streams.h"
#include "worker/event_routes.h"
#include "worker/outputs.h"

namespace varpulis::worker {

// The outputs of one copy of an exactly-once pipeline: each is stored once, however often it is
// made.
//
// Every message says which inputs its events come from, and is published with the sequence that the
// last message on its subject must have: so who writes next knows what is there, and the broker
// refuses everybody who does not. A copy that begins reads the last message of each of its subjects
// and leaves out what it makes again. It does the same when the broker refuses it: the other writer
// was its predecessor, and the outputs of one input are the same whoever makes them. Only a copy of
// a higher placement epoch ends it.
//
// One message per subject is on its way at a time. What is made meanwhile goes into the next, so
// the faster the outputs come the larger the messages are. (One message per input, each waiting for
// the last, would be a round trip per input; sending ahead would need to know sequences that other
// writers of the stream take.)
//
// Thread-safe. BeginInput waits while too much is unstored.
class StoredOutputs : public Outputs {
 public:
  struct Subject {
    std::string subject;
    std::string stream;  // that stores it
  };
  struct Options {
    std::vector<EventRoute> routes;
    std::function<std::string(const std::string& subject)> stream_of_route;
    Subject fallback;
    bool fallback_columns = false;  // who listens there takes the columnar form
    std::string writer;             // "p", of a replica "p#2"
    uint64_t placement_epoch = 0;
    uint32_t replica = 0;
    // A copy of a higher epoch has written: nothing of this one is published any more. Any thread.
    std::function<void()> on_superseded;
  };
  struct Deps {
    transport::Bus& bus;
    transport::EventStreams& streams;
    std::shared_ptr<Strand> timers;  // for later attempts
  };

  // Finds out how far the outputs are stored. Any thread.
  static void Open(Options options, Deps deps,
                   std::function<void(absl::StatusOr<std::unique_ptr<Outputs>>)> done);
  ~StoredOutputs() override;

  void BeginInput(uint32_t hops, uint64_t position) override;
  void Add(const engine::OutputEvent& output) override;
  void Flush() override;
  bool empty() const override;
  uint64_t TakeLost() override;
  void WhenStored(std::function<void(absl::Status)> done) override;
  void Abandon() override;

 private:
  class Core;
  explicit StoredOutputs(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  const std::shared_ptr<Core> core_;  // shared with answers under way
};

}  // namespace varpulis::worker
