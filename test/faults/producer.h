#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"

#include "base/mutex.h"
#include "test/faults/groups.h"
#include "test/faults/site.h"

namespace varpulis::faults {

struct Load {
  int64_t events = 3000;
  double per_second = 1000;  // 0: as fast as they are taken
  int per_message = 1;
  bool exactly_once = true;
};

// Publishes events `Raw {n: 1}`, `Raw {n: 2}`, … in order, from a thread of its own. Exactly once:
// each message is stored, tried again under its id until the broker has acknowledged it, before the
// next is sent. At most once: each is published as soon as there is a connection, and not again.
class Producer {
 public:
  Producer(Site& site, GroupUnderTest group, std::string group_id, Load load);
  ~Producer();  // ends early

  // It stops before this event until released: the rest is for when the damage is mended.
  void HoldBefore(int64_t n) ABSL_LOCKS_EXCLUDED(mutex_);
  void Release() { HoldBefore(INT64_MAX); }
  int64_t taken() const { return taken_; }        // by the broker
  bool held() const ABSL_LOCKS_EXCLUDED(mutex_);  // all that came before that event is taken

 private:
  void Work();
  bool MayGoOn(int64_t n) ABSL_LOCKS_EXCLUDED(mutex_);
  void Store(const std::string& entry, int64_t last, const std::string& payload);
  void PublishOnce(const std::string& entry, const std::string& payload);

  Site& site_;
  const GroupUnderTest group_;
  const std::string group_id_;
  const Load load_;
  const std::unique_ptr<transport::EventStreams> streams_;
  std::atomic<int64_t> taken_{0};
  std::atomic<bool> ending_{false};
  mutable Mutex mutex_;
  CondVar changed_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t hold_before_ ABSL_GUARDED_BY(mutex_) = INT64_MAX;
  std::thread thread_;
};

}  // namespace varpulis::faults
