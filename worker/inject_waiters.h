#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"

#include "base/mutex.h"
#include "proto/cluster.pb.h"

namespace varpulis::worker {

// Those who published an event into a stored input and wait for what comes of it, by an id that
// travels with the message. An answer needs both: that the event is stored, and its outputs.
// Thread-safe; each `done` is called exactly once, without the lock.
class InjectWaiters {
 public:
  using Response = varpulis::v1::WorkerInjectBatchResponse;
  using Done = std::function<void(absl::StatusOr<Response>)>;

  ~InjectWaiters();  // whoever still waits hears `pending` if its event is stored, else an error

  void Add(const std::string& id, Done done);
  bool Knows(const std::string& id) const;
  void Stored(const std::string& id);
  void Processed(const std::string& id, Response response);
  // The time for outputs is over: `pending` if it is stored; else it goes on waiting for that.
  void Late(const std::string& id);
  void Fail(const std::string& id, const absl::Status& status);
  // Stored before, and processed or about to be.
  void Duplicate(const std::string& id);

 private:
  struct Waiter {
    Done done;
    bool stored = false;
    bool late = false;
    bool processed = false;
    Response response;
  };

  // Takes the waiter off when `change` makes it complete.
  void Change(const std::string& id, const std::function<void(Waiter&)>& change);

  std::atomic<size_t> size_{0};
  mutable Mutex mutex_;
  std::map<std::string, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace varpulis::worker
