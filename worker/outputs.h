#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"

#include "engine/pipeline.h"

namespace varpulis::worker {

// Where a pipeline's outputs go. Publish is called on its runner's strand, the rest from any
// thread.
class Outputs {
 public:
  virtual ~Outputs() = default;

  // Publishes `outputs`, in order per subject. The events are moved from. `hops`: pipelines passed,
  // this one included. `position`: of the input they come from, where inputs have one; several
  // calls may be made for one input, none for an earlier one. Returns how many events were lost.
  virtual uint64_t Publish(std::vector<engine::EmittedEvent>* outputs, uint32_t hops,
                           uint64_t position) = 0;
  // `done` once all that has been published so far is where it belongs, or with the reason why that
  // will not be known.
  virtual void WhenStored(std::function<void(absl::Status)> done) = 0;
  // Nothing waits for the broker any more; what it has not stored is given up.
  virtual void Abandon() = 0;
};

}  // namespace varpulis::worker
