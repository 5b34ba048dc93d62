#include "base/partition_hash.h"

namespace varpulis {

uint64_t PartitionHash(absl::string_view canonical_text) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : canonical_text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  return hash;
}

uint32_t JumpConsistentHash(uint64_t hash, uint32_t buckets) {
  int64_t bucket = -1;
  int64_t next = 0;
  while (next < static_cast<int64_t>(buckets)) {
    bucket = next;
    hash = hash * 2862933555777941757ULL + 1;
    next = static_cast<int64_t>(static_cast<double>(bucket + 1) *
                                (2147483648.0 / static_cast<double>((hash >> 33) + 1)));
  }
  return static_cast<uint32_t>(bucket);
}

uint32_t PartitionOf(absl::string_view canonical_text, uint32_t replicas) {
  if (replicas < 2) return 0;
  return JumpConsistentHash(PartitionHash(canonical_text), replicas);
}

}  // namespace varpulis
