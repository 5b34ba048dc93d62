#include "worker/inject_waiters.h"

#include <utility>

#include "transport/error_reply.h"

namespace varpulis::worker {
namespace {

InjectWaiters::Response Pending() {
  InjectWaiters::Response response;
  response.set_pending(true);
  return response;
}

}  // namespace

InjectWaiters::~InjectWaiters() {
  std::map<std::string, Waiter> left;
  {
    MutexLock lock(mutex_);
    left.swap(waiters_);
  }
  for (const auto& [id, waiter] : left) {
    if (waiter.stored) {
      waiter.done(Pending());
    } else {
      waiter.done(transport::MakeError("worker_unavailable", "the pipeline is being removed"));
    }
  }
}

void InjectWaiters::Add(const std::string& id, Done done) {
  MutexLock lock(mutex_);
  waiters_[id].done = std::move(done);
  size_ = waiters_.size();
}

bool InjectWaiters::Knows(const std::string& id) const {
  if (id.empty() || size_ == 0) return false;
  MutexLock lock(mutex_);
  return waiters_.contains(id);
}

void InjectWaiters::Change(const std::string& id, const std::function<void(Waiter&)>& change) {
  Waiter complete;
  {
    MutexLock lock(mutex_);
    const auto found = waiters_.find(id);
    if (found == waiters_.end()) return;
    Waiter& waiter = found->second;
    change(waiter);
    if (!waiter.stored || !(waiter.processed || waiter.late)) return;
    complete = std::move(waiter);
    waiters_.erase(found);
    size_ = waiters_.size();
  }
  complete.done(complete.processed ? std::move(complete.response) : Pending());
}

void InjectWaiters::Stored(const std::string& id) {
  Change(id, [](Waiter& waiter) { waiter.stored = true; });
}

void InjectWaiters::Processed(const std::string& id, Response response) {
  Change(id, [&](Waiter& waiter) {
    waiter.stored = true;  // or it would not have been read
    waiter.processed = true;
    waiter.response = std::move(response);
  });
}

void InjectWaiters::Late(const std::string& id) {
  Change(id, [](Waiter& waiter) { waiter.late = true; });
}

void InjectWaiters::Duplicate(const std::string& id) {
  Change(id, [](Waiter& waiter) { waiter.stored = waiter.late = true; });
}

void InjectWaiters::Fail(const std::string& id, const absl::Status& status) {
  Done done;
  {
    MutexLock lock(mutex_);
    const auto found = waiters_.find(id);
    if (found == waiters_.end()) return;
    done = std::move(found->second.done);
    waiters_.erase(found);
    size_ = waiters_.size();
  }
  done(status);
}

}  // namespace varpulis::worker
