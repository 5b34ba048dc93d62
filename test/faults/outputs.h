#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "proto/event.pb.h"

#include "base/mutex.h"
#include "test/faults/groups.h"
#include "test/faults/site.h"

namespace varpulis::faults {

struct Output {
  int64_t n = 0;     // the number of the event that it is about; 0: none could be read
  std::string line;  // all of it, as `varpulis simulate` prints it
  absl::Time seen;
};

// What comes out of the group: of an exactly-once group as its stream stores it, else as a plain
// subscriber hears it. Made before the first event is published. Thread-safe.
class OutputReader {
 public:
  OutputReader(Site& site, const GroupUnderTest& group, const std::string& group_id,
               bool exactly_once);

  std::vector<Output> All() const ABSL_LOCKS_EXCLUDED(mutex_);
  int64_t highest() const ABSL_LOCKS_EXCLUDED(mutex_);
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Take(absl::string_view payload) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::unique_ptr<transport::EventStreams> streams_;
  mutable Mutex mutex_;
  std::vector<Output> outputs_ ABSL_GUARDED_BY(mutex_);
  int64_t highest_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<transport::Subscription> reader_;
};

// The input of the pipeline where streams meet, in the order that the broker gave it, each event
// once: what came again, by what it says of its source, is left out. Read along, for the stream is
// trimmed. Thread-safe.
class InputReader {
 public:
  InputReader(Site& site, const std::string& group_id, const std::string& pipeline);

  // As lines for `varpulis simulate`; an error when the reader came too late for some.
  absl::StatusOr<std::vector<std::string>> Lines() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Take(const transport::StoredMessage& stored) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::unique_ptr<transport::EventStreams> streams_;
  mutable Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  // Writer, its input's position, the number of the output of that input.
  std::set<std::tuple<std::string, uint64_t, uint32_t>> taken_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t missed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<transport::Subscription> reader_;
};

// {"event_type":…,"timestamp":…,"fields":{…}}, of events whose fields are numbers and
// whose time is in milliseconds.
std::string LineOf(const v1::Event& event, bool as_output);

}  // namespace varpulis::faults
