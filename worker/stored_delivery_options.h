#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace varpulis::worker {

// How the broker stores what exactly-once groups take and give.
struct StoredDeliveryOptions {
  uint64_t max_input_bytes = 0;  // of one pipeline's input; 0: as much as the broker gives
  absl::Duration output_max_age = absl::Hours(24);
};

}  // namespace varpulis::worker
