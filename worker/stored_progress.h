#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"

#include "proto/checkpoint.pb.h"
#include "proto/event.pb.h"
#include "worker/placement.h"
#include "worker/source_mark.h"

namespace varpulis::worker {

// Where in its stored input one copy of an exactly-once pipeline is, and how far it has taken what
// each upstream pipeline sent: part of its state. All of it is a function of the input alone, so
// that whoever reads the same input decides the same. Thread-compatible.
class StoredProgress {
 public:
  uint64_t position() const { return position_; }

  // Takes the message at `position`: what is left in `batch` is for this copy and new to it, with
  // all timestamps set; `stored_at_ns` is the time of entry. Returns how many events were dropped
  // that should not have come. REQUIRES: above position().
  uint64_t Take(const Placement& placement, uint64_t position, int64_t stored_at_ns,
                varpulis::v1::EventBatch* batch);

  // A message that says that time has passed. REQUIRES: as above.
  void Tick(uint64_t position) { position_ = position; }

  void Save(varpulis::checkpoint::v1::PipelineCheckpoint* checkpoint) const;
  static StoredProgress Restore(const varpulis::checkpoint::v1::PipelineCheckpoint& checkpoint);

 private:
  void DropTaken(varpulis::v1::EventBatch* batch);

  uint64_t position_ = 0;
  std::map<std::string, SourceMark> sources_;
};

}  // namespace varpulis::worker
