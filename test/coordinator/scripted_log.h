#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "transport/record_log.h"

namespace varpulis::coordinator {

// The store behind several logs, as a broker keeps it. Thread-safe.
class ScriptedStore {
 public:
  // Appends fail like this until it is OK again.
  void FailAppendsWith(absl::Status status) {
    MutexLock lock(mutex_);
    failure_ = std::move(status);
  }
  bool Has(const std::string& key) {
    MutexLock lock(mutex_);
    return records_.contains(key);
  }
  uint64_t sequence() {
    MutexLock lock(mutex_);
    return sequence_;
  }
  size_t opens() {
    MutexLock lock(mutex_);
    return opens_;
  }
  size_t follows() {  // logs that were told to
    MutexLock lock(mutex_);
    return follows_;
  }
  size_t followed_opens() {  // of such logs
    MutexLock lock(mutex_);
    return followed_opens_;
  }
  std::unique_ptr<transport::RecordLog> NewLog() { return std::make_unique<Log>(*this); }

 private:
  class Log : public transport::RecordLog {
   public:
    explicit Log(ScriptedStore& store) : store_(store) {}

    void Follow() override {
      MutexLock lock(store_.mutex_);
      follows_ = true;
      ++store_.follows_;
    }
    void Open(transport::RecordWrite barrier,
              std::function<void(absl::StatusOr<Opened>)> done) override {
      Opened opened;
      {
        MutexLock lock(store_.mutex_);
        ++store_.opens_;
        owner_ = ++store_.owner_;
        store_.Put(barrier);
        opened.barrier_sequence = store_.sequence_;
        for (const auto& [key, record] : store_.records_) opened.records.push_back(record);
        opened.followed = follows_;
        if (follows_) ++store_.followed_opens_;
      }
      done(std::move(opened));
    }

    void Append(std::vector<transport::RecordWrite> writes,
                std::function<void(absl::StatusOr<uint64_t>)> done) override {
      absl::StatusOr<uint64_t> result = uint64_t{0};
      {
        MutexLock lock(store_.mutex_);
        if (store_.owner_ != owner_) {
          result = absl::AbortedError("wrong last sequence");
        } else if (!store_.failure_.ok()) {
          result = store_.failure_;
        } else {
          for (const auto& write : writes) store_.Put(write);
          result = store_.sequence_;
        }
      }
      done(std::move(result));
    }

    bool durable() const override { return true; }

   private:
    ScriptedStore& store_;
    uint64_t owner_ = 0;
    bool follows_ = false;
  };

  void Put(const transport::RecordWrite& write) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++sequence_;
    if (write.remove) {
      records_.erase(write.key);
    } else {
      records_[write.key] = {write.key, write.value, sequence_};
    }
  }

  Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, transport::Record> records_ ABSL_GUARDED_BY(mutex_);
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t owner_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t opens_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t follows_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t followed_opens_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace varpulis::coordinator
