#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace varpulis {

// Which replica of a pipeline takes an event: a rule of the wire, the same on every host and
// version (cluster-api.md §3.7). The canonical text of the key's value is: a string's bytes; the
// decimal digits of an integer and of an integral float; the shortest text that reads back as the
// same float; "true" or "false"; nothing for null or a missing field.

// 64-bit FNV-1a.
uint64_t PartitionHash(absl::string_view canonical_text);

// Jump consistent hash (Lamping, Veach): a bucket in [0, buckets). `buckets` must be at least 1.
uint32_t JumpConsistentHash(uint64_t hash, uint32_t buckets);

// The two together. 0 for fewer than two replicas.
uint32_t PartitionOf(absl::string_view canonical_text, uint32_t replicas);

}  // namespace varpulis
