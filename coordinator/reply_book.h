#pragma once

#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

#include "base/mutex.h"
#include "coordinator/cluster_state.h"
#include "transport/rpc.h"

namespace varpulis::coordinator {

// Who waits for an answer, by the token that travels through the state machine. Thread-safe.
class ReplyBook {
 public:
  ReplyToken Add(transport::RawReplier replier) {
    MutexLock lock(mutex_);
    const ReplyToken token = next_++;
    waiting_.emplace(token, std::move(replier));
    return token;
  }

  // Nothing if the token was answered before.
  std::optional<transport::RawReplier> Take(ReplyToken token) {
    MutexLock lock(mutex_);
    const auto found = waiting_.find(token);
    if (found == waiting_.end()) return std::nullopt;
    std::optional<transport::RawReplier> replier(std::move(found->second));
    waiting_.erase(found);
    return replier;
  }

  bool Waits(ReplyToken token) {
    MutexLock lock(mutex_);
    return waiting_.contains(token);
  }

  void FailAll(const absl::Status& status) {
    absl::flat_hash_map<ReplyToken, transport::RawReplier> all;
    {
      MutexLock lock(mutex_);
      all.swap(waiting_);
    }
    for (auto& [token, replier] : all) replier.Fail(status);
  }

 private:
  Mutex mutex_;
  ReplyToken next_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<ReplyToken, transport::RawReplier> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace varpulis::coordinator
