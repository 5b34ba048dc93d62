#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/strand.h"
#include "proto/checkpoint.pb.h"
#include "transport/blob_store.h"
#include "transport/subjects.h"

namespace varpulis::worker {

// The checkpoints of placed pipelines, by group, pipeline and replica, over a blob store: encodes
// and decodes on a thread of its own, and knows what it means that there is no store. Thread-safe;
// callbacks run on that thread or the blob store's, exactly once.
class CheckpointStore {
 public:
  using Checkpoint = varpulis::checkpoint::v1::PipelineCheckpoint;

  struct Saved {
    uint64_t bytes = 0;   // of the encoded state
    bool stored = false;  // false: there is nothing to store it in
  };
  using SaveCallback = std::function<void(absl::StatusOr<Saved>)>;
  // Null: nothing is stored.
  using LoadCallback = std::function<void(absl::StatusOr<std::shared_ptr<Checkpoint>>)>;

  // `blobs` outlives it; null: nothing is ever stored, which is not an error.
  CheckpointStore(transport::BlobStore* blobs, transport::Subjects subjects);
  ~CheckpointStore() { strand_->Stop(); }

  bool present() const { return blobs_ != nullptr; }
  // stale_epoch: a copy of a higher placement epoch has stored one.
  void Save(const std::string& group, const std::string& pipeline, uint32_t replica, uint64_t epoch,
            std::shared_ptr<Checkpoint> checkpoint, SaveCallback done);
  // Of a placement epoch of at least `min_epoch`. An error: it could not be found out.
  void LoadNewest(const std::string& group, const std::string& pipeline, uint32_t replica,
                  uint64_t min_epoch, LoadCallback done);
  // The lowest input position of those that are kept. NOT_FOUND: there are none.
  void OldestPosition(const std::string& group, const std::string& pipeline, uint32_t replica,
                      transport::BlobStore::MarkCallback done);
  // Of what is saved from now on.
  void SetReplicas(int replicas) {
    if (blobs_ != nullptr) blobs_->SetReplicas(replicas);
  }
  void Forget(const std::string& group, const std::string& pipeline, uint32_t replica,
              const std::function<void(absl::Status)>& done);

 private:
  transport::BlobStore* const blobs_;
  const transport::Subjects subjects_;
  // Shared with the blob store's callbacks, which may come after this object has gone.
  const std::shared_ptr<std::atomic<bool>> said_ = std::make_shared<std::atomic<bool>>(false);
  const std::shared_ptr<Strand> strand_ = std::make_shared<Strand>("checkpoints");
};

}  // namespace varpulis::worker
