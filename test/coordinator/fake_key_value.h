#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/mutex.h"
#include "transport/key_value.h"

namespace varpulis::coordinator {

// The broker's side of a lease bucket: entries expire when the test says so. Thread-safe.
class FakeBucket {
 public:
  // What one process sees of it. `cut`: nothing it asks is done, everything fails.
  struct Link {
    std::atomic<bool> cut{false};
  };

  // The bucket must outlive what is opened here.
  std::unique_ptr<transport::KeyValue> Open(std::shared_ptr<Link> link = std::make_shared<Link>()) {
    return std::make_unique<View>(*this, std::move(link));
  }

  // As when the TTL of a key has passed, or the broker has forgotten it: no watcher hears of it.
  void Expire(const std::string& key) {
    MutexLock lock(mutex_);
    entries_.erase(key);
  }
  // As if somebody else had written.
  void Overwrite(const std::string& key, std::string value) {
    MutexLock lock(mutex_);
    Store(key, std::move(value), false);
  }
  std::string Value(const std::string& key) {
    MutexLock lock(mutex_);
    const auto found = entries_.find(key);
    return found == entries_.end() || found->second.deleted ? "" : found->second.value;
  }
  uint64_t writes() {
    MutexLock lock(mutex_);
    return revision_;
  }

 private:
  using Entry = transport::KeyValueEntry;
  struct Watch {
    std::string key;
    std::function<void(Entry)> on_entry;
  };

  class WatchHandle : public transport::Subscription {
   public:
    WatchHandle(FakeBucket& bucket, std::shared_ptr<Watch> watch)
        : bucket_(bucket), watch_(std::move(watch)) {}
    ~WatchHandle() override {
      MutexLock lock(bucket_.mutex_);
      std::erase(bucket_.watches_, watch_);
    }
    uint64_t dropped() const override { return 0; }

   private:
    FakeBucket& bucket_;
    const std::shared_ptr<Watch> watch_;
  };

  class View : public transport::KeyValue {
   public:
    View(FakeBucket& bucket, std::shared_ptr<Link> link)
        : bucket_(bucket), link_(std::move(link)) {}

    void Get(const std::string& key, EntryCallback done) override {
      if (link_->cut) return done(Cut());
      absl::StatusOr<Entry> result = absl::NotFoundError("no such key");
      {
        MutexLock lock(bucket_.mutex_);
        const auto found = bucket_.entries_.find(key);
        if (found != bucket_.entries_.end() && !found->second.deleted) result = found->second;
      }
      done(std::move(result));
    }
    void Put(const std::string& key, std::string value, RevisionCallback done) override {
      Write(key, std::move(value), false, std::nullopt, std::move(done));
    }
    void Create(const std::string& key, std::string value, RevisionCallback done) override {
      if (link_->cut) return done(Cut());
      absl::StatusOr<uint64_t> result = absl::AlreadyExistsError("key exists");
      {
        MutexLock lock(bucket_.mutex_);
        const auto found = bucket_.entries_.find(key);
        if (found == bucket_.entries_.end() || found->second.deleted) {
          result = bucket_.Store(key, std::move(value), false);
        }
      }
      done(std::move(result));
    }
    void Update(const std::string& key, std::string value, uint64_t revision,
                RevisionCallback done) override {
      Write(key, std::move(value), false, revision, std::move(done));
    }
    void Delete(const std::string& key, RevisionCallback done) override {
      Write(key, "", true, std::nullopt, std::move(done));
    }
    void Delete(const std::string& key, uint64_t revision, RevisionCallback done) override {
      Write(key, "", true, revision, std::move(done));
    }
    absl::StatusOr<std::unique_ptr<transport::Subscription>> Watch(const std::string& key,
                                                                   Watcher watcher) override {
      auto watch =
          std::make_shared<FakeBucket::Watch>(FakeBucket::Watch{key, std::move(watcher.on_entry)});
      MutexLock lock(bucket_.mutex_);
      const auto found = bucket_.entries_.find(key);
      if (found != bucket_.entries_.end()) watch->on_entry(found->second);
      bucket_.watches_.push_back(watch);
      return std::make_unique<WatchHandle>(bucket_, std::move(watch));
    }

   private:
    static absl::Status Cut() { return absl::UnavailableError("the link is cut"); }

    void Write(const std::string& key, std::string value, bool removal,
               std::optional<uint64_t> revision, RevisionCallback done) {
      if (link_->cut) return done(Cut());
      absl::StatusOr<uint64_t> result = absl::AbortedError("wrong last revision");
      {
        MutexLock lock(bucket_.mutex_);
        const auto found = bucket_.entries_.find(key);
        const uint64_t last = found == bucket_.entries_.end() ? 0 : found->second.revision;
        if (!revision.has_value() || *revision == last) {
          result = bucket_.Store(key, std::move(value), removal);
        }
      }
      done(std::move(result));
    }

    FakeBucket& bucket_;
    const std::shared_ptr<Link> link_;
  };

  uint64_t Store(const std::string& key, std::string value, bool removal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    entries_[key] = Entry{key, std::move(value), ++revision_, removal};
    for (const auto& watch : watches_) {
      if (watch->key == key) watch->on_entry(entries_[key]);
    }
    return revision_;
  }

  Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Watch>> watches_ ABSL_GUARDED_BY(mutex_);
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace varpulis::coordinator
