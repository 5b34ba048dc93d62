#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/pipeline.h"
#include "proto/event.pb.h"
#include "transport/bus.h"
#include "worker/event_routes.h"
#include "worker/outputs.h"

namespace varpulis::worker {

// Publishes the outputs of one pipeline: once per distinct subject of the routes that match an
// event's type, or on the fallback subject when none does. Lives on its runner's strand.
//
// What cannot be published (no broker, event above max_payload) is counted and gone: the delivery
// of this mode is at most once. Batches are numbered per subject, lost ones too, so that receivers
// can see the gap.
class OutputRouter : public Outputs {
 public:
  struct Options {
    std::vector<EventRoute> routes;
    std::string fallback_subject;
    uint64_t placement_epoch = 0;
    uint32_t replica = 0;
  };

  OutputRouter(Options options, transport::Bus& bus);

  // As few batches as fit max_payload.
  uint64_t Publish(std::vector<engine::EmittedEvent>* outputs, uint32_t hops,
                   uint64_t position) override;
  void WhenStored(std::function<void(absl::Status)> done) override { done(absl::OkStatus()); }
  void Abandon() override {}

 private:
  struct Target {
    explicit Target(std::string name) : subject(std::move(name)) {}
    std::string subject;
    uint64_t sequence = 0;
    varpulis::v1::EventBatch pending;
    size_t pending_bytes = 0;
  };

  uint64_t Add(Target& target, varpulis::v1::Event event, uint32_t hops);
  uint64_t Flush(Target& target, uint32_t hops);

  EventRoutes routes_;
  std::vector<Target> targets_;  // by index of routes_.subjects(), then the fallback
  uint64_t placement_epoch_;
  uint32_t replica_;
  transport::Bus& bus_;
};

}  // namespace varpulis::worker
