#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace varpulis::transport {

struct Blob {
  std::string data;
  uint64_t rank = 0;
  uint32_t encoding = 0;  // as given to Save
  uint64_t mark = 0;      // likewise; for OldestMark
};

// The newest few versions of large values under names, each whole or not there at all: the
// checkpoints of pipelines. Thread-safe, asynchronous: `done` is called exactly once, on any
// thread.
//
// Versions are ordered by rank (a pipeline's placement epoch), then by age. A name is a subject:
// tokens of [A-Za-z0-9_-] separated by dots, under the store's own.
class BlobStore {
 public:
  using SaveCallback = std::function<void(absl::Status)>;
  using MarkCallback = std::function<void(absl::StatusOr<uint64_t>)>;
  using LoadCallback = std::function<void(absl::StatusOr<Blob>)>;

  virtual ~BlobStore() = default;

  // ABORTED when a version of a higher rank is stored, also when that happens meanwhile.
  // FAILED_PRECONDITION: the broker stores nothing (no JetStream). RESOURCE_EXHAUSTED: it is full.
  // UNAVAILABLE, DEADLINE_EXCEEDED: outcome unknown, the version may be there.
  virtual void Save(const std::string& name, Blob blob, SaveCallback done) = 0;
  // The newest version that is undamaged. NOT_FOUND: there is none, or none of `min_rank`;
  // DATA_LOSS: there are, and all are damaged.
  virtual void Load(const std::string& name, uint64_t min_rank, LoadCallback done) = 0;
  // The lowest mark of the versions that are kept. NOT_FOUND: there are none.
  virtual void OldestMark(const std::string& name, MarkCallback done) = 0;
  // Every version. Of an unknown name: ok.
  virtual void Forget(const std::string& name, SaveCallback done) = 0;
  // How many brokers are to have what is stored, from the next Save on. A store that exists gets
  // more, never fewer.
  virtual void SetReplicas(int replicas) = 0;
};

struct BlobStoreOptions {
  std::string stream;
  std::string subject;     // of the names: "{subject}.>" is the stream's
  uint64_t max_bytes = 0;  // of all that is stored; 0: as much as the broker gives
  int keep = 3;            // versions of a name
  int replicas = 1;
};

}  // namespace varpulis::transport
