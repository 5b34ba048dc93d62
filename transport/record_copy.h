#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "transport/key_value.h"
#include "transport/record_log.h"

namespace varpulis::transport {

// What the entries of a bucket amount to: the newest of each key. Thread-compatible.
class RecordCopy {
 public:
  // In the stream's order.
  void Apply(KeyValueEntry entry);
  // Removed ones included: a removal is a message, too. So there are as many keys as a stream that
  // keeps one message of each has messages.
  size_t keys() const { return newest_.size(); }
  // The live records in order of sequence, barrier included. Leaves the copy empty.
  std::vector<Record> Take();
  void Clear() { newest_ = {}; }

 private:
  struct Newest {
    std::string value;
    uint64_t sequence = 0;
    bool removed = false;
  };
  absl::flat_hash_map<std::string, Newest> newest_;
};

}  // namespace varpulis::transport
