#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "transport/bus.h"
#include "worker/pipeline_runner.h"
#include "worker/placement.h"

namespace varpulis::worker {

// Nanoseconds since the Unix epoch. The only use of a clock on the data path: an event that came
// without a timestamp gets the time of its entry.
using WallClock = std::function<int64_t()>;

// The subscriptions that feed one pipeline from the bus: the group's subject and the routes' own
// subjects. Decodes, keeps a keyed replica's own share, and pushes to the runner; when the runner
// is full the delivery thread waits, so that the backlog stays where the transport counts it.
//
// Destroying it ends all input. `runner` must outlive it, and must be closed first when it may be
// full.
class PipelineInputs {
 public:
  struct Options {
    std::vector<std::string> subjects;
    WallClock now;
  };

  // Once it has returned, the broker knows the subscriptions: nothing published later is missed.
  static absl::StatusOr<std::unique_ptr<PipelineInputs>> Start(const Placement& placement,
                                                               Options options, transport::Bus& bus,
                                                               PipelineRunner& runner);

  // Messages the transport dropped because this worker was too slow.
  uint64_t dropped() const;

 private:
  PipelineInputs(const Placement& placement, WallClock now, PipelineRunner& runner);

  void OnMessage(const transport::InboundMessage& message);

  const Placement placement_;
  const WallClock now_;
  PipelineRunner& runner_;
  std::vector<std::unique_ptr<transport::Subscription>> subscriptions_;
};

}  // namespace varpulis::worker
