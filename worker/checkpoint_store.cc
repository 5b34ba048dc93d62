#include "worker/checkpoint_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "engine/pipeline.h"
#include "transport/error_reply.h"

namespace varpulis::worker {
namespace {

constexpr uint32_t kEncoding = 1;  // PipelineCheckpoint, protobuf

void SayOnce(std::atomic<bool>& said, const absl::Status& why) {
  if (said.exchange(true)) return;
  LOG(WARNING) << "checkpoints are not stored: a pipeline whose worker dies begins afresh"
               << (why.ok() ? "" : "; ") << why.message();
}

}  // namespace

CheckpointStore::CheckpointStore(transport::BlobStore* blobs, transport::Subjects subjects)
    : blobs_(blobs), subjects_(std::move(subjects)) {}

void CheckpointStore::Save(const std::string& group, const std::string& pipeline, uint32_t replica,
                           uint64_t epoch, std::shared_ptr<Checkpoint> checkpoint,
                           SaveCallback done) {
  // Kept by the task too, so that `done` is not lost when nothing can be posted any more.
  const bool posted = strand_->Post([this, name = subjects_.Checkpoint(group, pipeline, replica),
                                     epoch, checkpoint = std::move(checkpoint), done]() mutable {
    transport::Blob blob{.data = checkpoint->SerializeAsString(),
                         .rank = epoch,
                         .encoding = kEncoding,
                         .mark = checkpoint->input_position()};
    checkpoint.reset();
    const uint64_t bytes = blob.data.size();
    if (blobs_ == nullptr) {
      SayOnce(*said_, absl::OkStatus());
      return done(Saved{bytes, false});
    }
    blobs_->Save(name, std::move(blob), [said = said_, bytes, done](const absl::Status& status) {
      if (absl::IsFailedPrecondition(status)) {
        SayOnce(*said, status);
        return done(Saved{bytes, false});
      }
      if (absl::IsAborted(status))
        return done(transport::MakeError("stale_epoch", status.message()));
      if (!status.ok()) return done(status);
      done(Saved{bytes, true});
    });
  });
  if (!posted) done(absl::CancelledError("this worker is stopping"));
}

void CheckpointStore::LoadNewest(const std::string& group, const std::string& pipeline,
                                 uint32_t replica, uint64_t min_epoch, LoadCallback done) {
  if (blobs_ == nullptr) {
    SayOnce(*said_, absl::OkStatus());
    return done(nullptr);
  }
  const std::string name = subjects_.Checkpoint(group, pipeline, replica);
  blobs_->Load(name, min_epoch,
               [said = said_, strand = strand_, name, done](absl::StatusOr<transport::Blob> blob) {
                 if (absl::IsNotFound(blob.status())) return done(nullptr);
                 if (absl::IsFailedPrecondition(blob.status())) {
                   SayOnce(*said, blob.status());
                   return done(nullptr);
                 }
                 if (absl::IsDataLoss(blob.status())) {
                   LOG(ERROR) << blob.status().message() << ": the pipeline begins afresh";
                   return done(nullptr);
                 }
                 if (!blob.ok()) return done(blob.status());
                 auto shared = std::make_shared<transport::Blob>(*std::move(blob));
                 const bool posted = strand->Post([name, shared, done] {
                   if (shared->encoding != kEncoding) {
                     return done(absl::FailedPreconditionError(
                         absl::StrCat(name, ": the checkpoint has encoding ", shared->encoding,
                                      ", this build reads ", kEncoding)));
                   }
                   auto checkpoint = engine::Pipeline::ParseCheckpoint(shared->data);
                   if (!checkpoint.ok()) {
                     LOG(ERROR) << name
                                << ": the checkpoint cannot be decoded: the pipeline begins afresh";
                     return done(nullptr);
                   }
                   done(*std::move(checkpoint));
                 });
                 if (!posted) done(absl::CancelledError("this worker is stopping"));
               });
}

void CheckpointStore::OldestPosition(const std::string& group, const std::string& pipeline,
                                     uint32_t replica, transport::BlobStore::MarkCallback done) {
  if (blobs_ == nullptr) return done(absl::NotFoundError("there is no store"));
  blobs_->OldestMark(subjects_.Checkpoint(group, pipeline, replica), std::move(done));
}

void CheckpointStore::Forget(const std::string& group, const std::string& pipeline,
                             uint32_t replica, const std::function<void(absl::Status)>& done) {
  if (blobs_ == nullptr) return done(absl::OkStatus());
  blobs_->Forget(subjects_.Checkpoint(group, pipeline, replica), [done](absl::Status status) {
    done(absl::IsFailedPrecondition(status) ? absl::OkStatus() : std::move(status));
  });
}

}  // namespace varpulis::worker
