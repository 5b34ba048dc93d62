#pragma once

#include "transport/blob_store.h"
#include "transport/event_streams.h"

namespace varpulis::worker {

// What the broker stores for a cluster's pipelines; null: nothing. They outlive who is given them.
struct Stores {
  transport::BlobStore* checkpoints = nullptr;
  transport::EventStreams* streams = nullptr;  // of exactly-once groups
};

}  // namespace varpulis::worker
