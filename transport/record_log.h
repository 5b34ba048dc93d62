#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace varpulis::transport {

// The coordinator's durable state: records under keys, each write chained on the last.
//
// Compare-and-set per key does not fence a deposed leader, which may write a key that its successor
// has not touched. So every write names the *stream's* last sequence, and a new leader first writes
// a barrier record: from then on every write of its predecessor fails. The barrier's sequence is
// the leader epoch (design.md §4).
//
//   seq  41  worker.w0        written by A
//        42  barrier          written by B; B now loads everything up to 42
//        43  group.g1         B, expecting 42
//         ×  placement.p      A, expecting 41: refused, A stands down
struct Record {
  std::string key;
  std::string value;
  uint64_t sequence = 0;
};

struct RecordWrite {
  std::string key;
  std::string value;
  bool remove = false;  // the key disappears; `value` is ignored
};

// Thread-compatible: Follow or not, Open once, then Append from one strand. `done` runs on any
// thread, exactly once.
class RecordLog {
 public:
  struct Opened {
    uint64_t barrier_sequence = 0;  // the leader epoch
    std::vector<Record>
        records;            // newest value of each live key, in order of sequence, barrier included
    bool followed = false;  // they are from the copy that Follow has kept
  };

  virtual ~RecordLog() = default;

  // Keeps a copy of the records from now on, through whatever happens to the broker, so that Open
  // has only to wait until the copy has reached the barrier. Open gives the copy away, and reads
  // everything where the copy cannot be shown to be the same. At most once, before Open.
  virtual void Follow() = 0;

  // Writes `barrier` under its key and loads the state up to it.
  // UNAVAILABLE: broker gone or JetStream not enabled.
  virtual void Open(RecordWrite barrier, std::function<void(absl::StatusOr<Opened>)> done) = 0;

  // Stores `writes` in order, all chained. `done` gets the last sequence once every one of them is
  // stored. ABORTED: another coordinator has written; this log is dead and every later Append fails
  // the same way. UNAVAILABLE or DEADLINE_EXCEEDED: outcome unknown, open the log again.
  // Appends may be issued without waiting for earlier ones.
  virtual void Append(std::vector<RecordWrite> writes,
                      std::function<void(absl::StatusOr<uint64_t>)> done) = 0;

  // False: kept in memory only, gone with the process.
  virtual bool durable() const = 0;
};

}  // namespace varpulis::transport
