#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varpulis::engine {

// FNV-1a: the same in every process and build.
inline uint64_t StableHash(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325ULL) {
  uint64_t hash = seed;
  for (unsigned char byte : bytes) {
    hash ^= byte;
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

// 16 hex digits.
inline std::string Fingerprint(std::string_view text) {
  const uint64_t hash = StableHash(text);
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[(hash >> shift) & 15];
  return out;
}

}  // namespace varpulis::engine
