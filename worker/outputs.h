#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"

#include "engine/runtime/event.h"

namespace varpulis::worker {

// Where a pipeline's outputs go: in order per subject, collected into batches. WhenStored and
// Abandon are thread-safe, the rest lives on the runner's strand.
class Outputs {
 public:
  virtual ~Outputs() = default;

  // The outputs that follow are of this input. `hops`: pipelines that they have passed, this one
  // included. `position`: of the input, where inputs have one; never below an earlier one. May
  // wait.
  virtual void BeginInput(uint32_t hops, uint64_t position) = 0;
  virtual void Add(const engine::OutputEvent& output) = 0;
  // Publishes what has been collected, as soon as possible.
  virtual void Flush() = 0;
  virtual bool empty() const = 0;  // nothing waits for Flush
  // How many events were lost since the last call.
  virtual uint64_t TakeLost() = 0;

  // `done` once all that has been flushed is where it belongs, or with the reason why that will not
  // be known.
  virtual void WhenStored(std::function<void(absl::Status)> done) = 0;
  // Nothing waits for the broker any more; what it has not stored is given up.
  virtual void Abandon() = 0;
};

}  // namespace varpulis::worker
