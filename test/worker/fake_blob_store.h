#pragma once

#include <atomic>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"

#include "base/mutex.h"
#include "transport/blob_store.h"

#include "test/worker/recorder.h"

namespace varpulis::worker {

// Versions in memory, and the failures that the test asks for. Thread-safe.
class FakeBlobStore : public transport::BlobStore {
 public:
  void Save(const std::string& name, transport::Blob blob, SaveCallback done) override {
    absl::Status status;
    {
      MutexLock lock(mutex_);
      status = save_status_;
      auto& newest = blobs_[name];
      if (status.ok() && newest.rank > blob.rank) {
        status = absl::AbortedError("a version of a higher rank is stored");
      }
      if (status.ok()) newest = blob;
    }
    saves.Add(name);
    done(status);
  }
  void Load(const std::string& name, uint64_t min_rank, LoadCallback done) override {
    absl::StatusOr<transport::Blob> result = absl::NotFoundError("none");
    {
      MutexLock lock(mutex_);
      const auto found = blobs_.find(name);
      if (!load_status_.ok()) {
        result = load_status_;
      } else if (found != blobs_.end() && found->second.rank >= min_rank) {
        result = found->second;
      }
    }
    loads.Add(name);
    done(std::move(result));
  }
  void OldestMark(const std::string& name, MarkCallback done) override {
    absl::StatusOr<uint64_t> mark = absl::NotFoundError("none");
    {
      MutexLock lock(mutex_);
      const auto found = blobs_.find(name);
      if (found != blobs_.end()) mark = found->second.mark;
    }
    done(mark);
  }
  void Forget(const std::string& name, SaveCallback done) override {
    absl::Status status;
    {
      MutexLock lock(mutex_);
      status = forget_status_;
      if (status.ok()) blobs_.erase(name);
    }
    forgotten.Add(name);
    done(status);
  }

  void SetReplicas(int given) override { replicas = given; }

  void FailSaves(absl::Status status) {
    MutexLock lock(mutex_);
    save_status_ = std::move(status);
  }
  void FailLoads(absl::Status status) {
    MutexLock lock(mutex_);
    load_status_ = std::move(status);
  }
  void FailForgets(absl::Status status) {
    MutexLock lock(mutex_);
    forget_status_ = std::move(status);
  }
  void Put(const std::string& name, transport::Blob blob) {
    MutexLock lock(mutex_);
    blobs_[name] = std::move(blob);
  }
  transport::Blob Get(const std::string& name) {
    MutexLock lock(mutex_);
    return blobs_[name];
  }

  Recorder<std::string> saves, loads, forgotten;
  std::atomic<int> replicas{0};  // as last asked for

 private:
  Mutex mutex_;
  absl::Status save_status_ ABSL_GUARDED_BY(mutex_);
  absl::Status load_status_ ABSL_GUARDED_BY(mutex_);
  absl::Status forget_status_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, transport::Blob> blobs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace varpulis::worker
