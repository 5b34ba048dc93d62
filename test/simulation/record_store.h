#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "process.h"
#include "transport/record_log.h"

namespace varpulis::simulation {

class Ledger;
struct Site;

// The stream of the coordinators' records, as the broker keeps it.
class RecordStore {
 public:
  struct Stored {
    std::string value;
    uint64_t sequence = 0;
  };

  explicit RecordStore(Ledger& ledger) : ledger_(ledger) {}

  // ABORTED unless `expected` is the stream's last sequence and, for what is no barrier itself,
  // nobody but the writer of `barrier` has written since.
  absl::StatusOr<uint64_t> Publish(const std::string& writer, const transport::RecordWrite& write,
                                   uint64_t expected, uint64_t barrier);
  // Somebody writes to the stream by hand: whoever leads has its next write refused.
  void WriteForeign();
  // The newest record of each key, in order.
  std::vector<transport::Record> Load() const;

  uint64_t last() const { return last_; }
  const std::map<std::string, Stored>& records() const { return records_; }

 private:
  Ledger& ledger_;
  uint64_t last_ = 0;
  uint64_t last_barrier_ = 0;  // 0: somebody else has written since
  std::map<std::string, Stored> records_;
};

// A coordinator's way to it, as transport/nats_record_log.cc goes it: find the end, write the
// barrier, load; then writes in order, each chained on the one before.
std::unique_ptr<transport::RecordLog> NewRecordLog(Site& site, Process& owner,
                                                   std::string lease_nonce);

}  // namespace varpulis::simulation
