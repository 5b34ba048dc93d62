#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "transport/bus.h"

namespace varpulis::transport {

struct KeyValueEntry {
  std::string key;
  std::string value;
  uint64_t revision = 0;  // the stream's sequence
  bool deleted = false;
};

struct KeyValueOptions {
  std::string bucket;
  absl::Duration ttl = absl::InfiniteDuration();  // of every entry
  bool memory_storage = false;                    // a full disk cannot touch it
  int replicas = 1;
};

// One JetStream key-value bucket. Thread-safe, asynchronous: `done` is called exactly once, on any
// thread. There is no read-after-write: use the revision that a write returns.
// Keys: tokens of [A-Za-z0-9_=/-] separated by dots.
class KeyValue {
 public:
  using RevisionCallback = std::function<void(absl::StatusOr<uint64_t>)>;
  using EntryCallback = std::function<void(absl::StatusOr<KeyValueEntry>)>;

  virtual ~KeyValue() = default;

  virtual void Get(const std::string& key, EntryCallback done) = 0;  // NOT_FOUND
  virtual void Put(const std::string& key, std::string value, RevisionCallback done) = 0;
  virtual void Create(const std::string& key, std::string value,
                      RevisionCallback done) = 0;  // ALREADY_EXISTS
  // ABORTED when the key's last revision is not `revision`.
  virtual void Update(const std::string& key, std::string value, uint64_t revision,
                      RevisionCallback done) = 0;
  virtual void Delete(const std::string& key, RevisionCallback done) = 0;
  // ABORTED as for Update.
  virtual void Delete(const std::string& key, uint64_t revision, RevisionCallback done) = 0;

  struct Watcher {
    std::function<void(KeyValueEntry)> on_entry;
    std::function<void()> on_snapshot_done;  // all that was stored at the start has been delivered
  };
  // Every entry whose key matches `pattern` (NATS wildcards), first the stored ones, then changes,
  // in order. Expiry by TTL is not reported by the broker.
  virtual absl::StatusOr<std::unique_ptr<Subscription>> Watch(const std::string& pattern,
                                                              Watcher watcher) = 0;
};

}  // namespace varpulis::transport
