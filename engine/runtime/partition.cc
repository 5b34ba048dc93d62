#include "engine/runtime/partition.h"

#include <charconv>
#include <cstring>

namespace varpulis::engine {

// Eight bytes at a time.
uint32_t HashText(std::string_view text) {
  uint64_t hash = 0x9E3779B97F4A7C15ULL ^ text.size();
  const auto mix = [&hash](uint64_t word) {
    hash = (hash ^ word) * 0xBF58476D1CE4E5B9ULL;
    hash ^= hash >> 29;
  };
  const char* at = text.data();
  size_t size = text.size();
  if (size >= sizeof(uint64_t)) {
    uint64_t word;
    for (; size > sizeof(word); at += sizeof(word), size -= sizeof(word)) {
      std::memcpy(&word, at, sizeof(word));
      mix(word);
    }
    std::memcpy(&word, text.data() + text.size() - sizeof(word), sizeof(word));
    mix(word);  // the last bytes, some of them again
  } else if (size >= sizeof(uint32_t)) {
    uint32_t first, last;
    std::memcpy(&first, at, sizeof(first));
    std::memcpy(&last, at + size - sizeof(last), sizeof(last));
    mix((uint64_t{first} << 32) | last);
  } else if (size > 0) {
    const auto byte = [at](size_t i) { return static_cast<uint64_t>(static_cast<uint8_t>(at[i])); };
    mix(byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1));
  }
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

std::string_view PartitionText(const Value& value, std::string_view absent, std::string* buffer) {
  switch (value.kind()) {
    case ValueKind::kMissing:
      return absent;
    case ValueKind::kString:
      return value.string();
    case ValueKind::kInt: {
      constexpr size_t kDigits = 24;
      buffer->resize(kDigits);
      const auto end = std::to_chars(buffer->data(), buffer->data() + kDigits, value.integer()).ptr;
      return {buffer->data(), static_cast<size_t>(end - buffer->data())};
    }
    default:
      buffer->clear();
      AppendDisplay(value, /*quote=*/false, buffer);
      return *buffer;
  }
}

uint32_t PartitionTable::Find(const Value& key, bool* added) {
  const std::string_view text = PartitionText(key, kAbsentWindowKey, &buffer_);
  const Probe probe{text, HashText(text)};
  auto found = index_.find(probe);
  *added = found == index_.end();
  if (!*added) return *found;
  const std::string_view copy = keys_.CopyString(text);
  Entry entry{copy.data(), static_cast<uint32_t>(copy.size()), probe.hash, key.kind(), 0};
  if (key.is(ValueKind::kFloat)) {
    const double real = key.real();
    std::memcpy(&entry.bits, &real, sizeof(real));
  } else if (!key.is(ValueKind::kString)) {
    entry.bits = key.integer();
  }
  entries_.push_back(entry);
  const uint32_t index = size() - 1;
  index_.insert(index);
  return index;
}

Value PartitionTable::key(uint32_t partition) const {
  const Entry& entry = entries_[partition];
  switch (entry.kind) {
    case ValueKind::kMissing:
      return Value();
    case ValueKind::kNull:
      return Value::Null();
    case ValueKind::kBool:
      return Value::Bool(entry.bits != 0);
    case ValueKind::kInt:
      return Value::Int(entry.bits);
    case ValueKind::kFloat: {
      double real;
      std::memcpy(&real, &entry.bits, sizeof(real));
      return Value::Float(real);
    }
    case ValueKind::kTimestamp:
      return Value::Timestamp(entry.bits);
    case ValueKind::kDuration:
      return Value::Duration(entry.bits);
    default:  // text, or a list or map, of which the text is kept
      return Value::String(text(partition));
  }
}

}  // namespace varpulis::engine
