#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

#include "base/mutex.h"
#include "transport/bus.h"
#include "transport/chunking.h"

namespace varpulis::transport {

// Requests in flight over one wildcard subscription: "{inbox}.{token}" → callback and deadline.
// Knows no broker library: the owner sends what it Begins and feeds what arrives to OnReply.
//
// Thread-safe. Each callback is called exactly once, outside the lock: by OnReply, Fail, FailAll
// and Close on the thread that calls them, or by the deadline thread. OnReply is called by one
// thread.
class RequestMux {
 public:
  // `inbox` is unique to this client, e.g. "_INBOX.3f9c…".
  explicit RequestMux(std::string inbox);
  ~RequestMux();  // Close()
  RequestMux(const RequestMux&) = delete;
  RequestMux& operator=(const RequestMux&) = delete;

  // What to subscribe to.
  std::string inbox_wildcard() const { return inbox_ + ".*"; }

  // The reply subject for a request to `subject`; `done` is called once from now on.
  // Empty after Close, when `done` has been called with CANCELLED.
  std::string Begin(const std::string& subject, absl::Duration timeout, Bus::ReplyCallback done);

  void OnReply(InboundMessage reply);
  void Fail(const std::string& reply_subject, const absl::Status& status);
  void FailAll(const absl::Status& status);

  // Every pending and every later request is CANCELLED. Joins the deadline thread. Idempotent.
  void Close();

  size_t pending() const;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  struct Pending {
    std::string subject;
    absl::Duration timeout;
    SteadyTime deadline;
    Bus::ReplyCallback done;
  };

  uint64_t TokenOf(absl::string_view reply_subject) const;  // 0: not one of ours
  Pending Take(uint64_t token);                             // `done` is empty when it is gone
  void RunDeadlines();

  const std::string inbox_;
  ChunkAssembler assembler_;  // on the thread that calls OnReply

  mutable Mutex mutex_;
  CondVar deadline_changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_token_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, Pending> pending_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<SteadyTime, uint64_t>> deadlines_ ABSL_GUARDED_BY(mutex_);
  // When the deadline thread looks next; it is woken only for something earlier, so that a request
  // that is answered in time costs no switch to it.
  SteadyTime next_look_ ABSL_GUARDED_BY(mutex_) = SteadyTime::max();

  std::thread deadline_thread_;
};

}  // namespace varpulis::transport
