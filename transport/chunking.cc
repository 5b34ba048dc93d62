#include "transport/chunking.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/ids.h"
#include "transport/error_reply.h"
#include "transport/utf8.h"

namespace varpulis::transport {
namespace {

constexpr int64_t kHeaderBlock = 12;  // "NATS/1.0\r\n" and the empty line
constexpr int64_t kPerHeader = 4;     // ": " and "\r\n"
constexpr size_t kMaxChunks = size_t{64} * 1024;
constexpr size_t kFinishedRemembered = 64;

struct ChunkPosition {
  std::string id;
  uint32_t index = 0;
  uint32_t count = 0;
};

std::optional<ChunkPosition> ParsePosition(absl::string_view header) {
  const std::vector<absl::string_view> parts = absl::StrSplit(header, ' ');
  ChunkPosition position;
  if (parts.size() != 3 || parts[0].empty() || parts[0].size() > 64 ||
      !absl::SimpleAtoi(parts[1], &position.index) ||
      !absl::SimpleAtoi(parts[2], &position.count) || position.count == 0 ||
      position.count > kMaxChunks || position.index >= position.count) {
    return std::nullopt;
  }
  position.id = std::string(parts[0]);
  return position;
}

// Subject, reply subject and headers of the first chunk, payload of all.
class AssembledBacking : public InboundMessage::Backing {
 public:
  AssembledBacking(InboundMessage first, std::string payload)
      : first_(std::move(first)), payload_(std::move(payload)) {}

  absl::string_view subject() const override { return first_.subject(); }
  absl::string_view reply_to() const override { return first_.reply_to(); }
  absl::string_view payload() const override { return payload_; }
  std::optional<std::string> Header(const std::string& name) const override {
    if (name == kChunkHeader) return std::nullopt;
    return first_.Header(name);
  }

 private:
  const InboundMessage first_;
  const std::string payload_;
};

}  // namespace

int64_t WireSize(const OutgoingMessage& message) {
  int64_t size = static_cast<int64_t>(message.payload.size());
  if (message.headers.empty()) return size;
  size += kHeaderBlock;
  for (const auto& [key, value] : message.headers) {
    size += static_cast<int64_t>(key.size() + value.size()) + kPerHeader;
  }
  return size;
}

std::vector<OutgoingMessage> CutIntoChunks(OutgoingMessage message, int64_t max_payload) {
  std::vector<OutgoingMessage> chunks;
  if (WireSize(message) <= max_payload) {
    chunks.push_back(std::move(message));
    return chunks;
  }
  const std::string id = NewUuid();
  const int64_t headers = WireSize(message) - static_cast<int64_t>(message.payload.size());
  const int64_t position_header =
      kHeaderBlock + kPerHeader + static_cast<int64_t>(sizeof(kChunkHeader) + id.size()) + 24;
  const size_t part =
      static_cast<size_t>(std::max<int64_t>(1, max_payload - headers - position_header));
  const size_t count = std::max<size_t>(1, (message.payload.size() + part - 1) / part);
  chunks.reserve(count);
  for (size_t index = 0; index < count; ++index) {
    OutgoingMessage& chunk = chunks.emplace_back();
    chunk.subject = message.subject;
    chunk.payload = message.payload.substr(index * part, part);
    if (index == 0) {
      chunk.headers = std::move(message.headers);
      chunk.reply_to = std::move(message.reply_to);
    }
    chunk.headers.emplace_back(kChunkHeader, absl::StrCat(id, " ", index, " ", count));
  }
  return chunks;
}

absl::Status CheckChunkHeader(const InboundMessage& message) {
  const std::optional<std::string> header = message.Header(kChunkHeader);
  if (!header.has_value() || ParsePosition(*header).has_value()) return absl::OkStatus();
  return MakeError("invalid_request", absl::StrCat("header ", kChunkHeader,
                                                   ": expected \"{id} {index} {count}\", got \"",
                                                   OneLine(*header, 64), "\""));
}

std::optional<InboundMessage> ChunkAssembler::Add(InboundMessage message, absl::Time now) {
  const std::optional<std::string> header = message.Header(kChunkHeader);
  if (!header.has_value()) return message;
  DropExpired(now);

  const std::optional<ChunkPosition> position = ParsePosition(*header);
  if (!position.has_value()) {
    Drop("", absl::StrCat("unreadable chunk header \"", header->substr(0, 100), "\""));
    return std::nullopt;
  }
  if (Remembered(position->id)) return std::nullopt;

  const auto [it, is_new] = unfinished_.try_emplace(position->id);
  Assembly& assembly = it->second;
  if (is_new) {
    assembly.chunks.resize(position->count);
    assembly.missing = position->count;
  } else if (assembly.chunks.size() != position->count) {
    Drop(position->id, "its chunks disagree about their number");
    return std::nullopt;
  }
  assembly.last_arrival = now;
  std::optional<InboundMessage>& slot = assembly.chunks[position->index];
  if (slot.has_value()) return std::nullopt;  // a duplicate

  const size_t bytes = message.payload().size();
  assembly.bytes += bytes;
  buffered_bytes_ += bytes;
  slot = std::move(message);
  if (--assembly.missing > 0) {
    while (unfinished_.size() > options_.max_unfinished ||
           buffered_bytes_ > options_.max_total_bytes) {
      const auto oldest = std::min_element(unfinished_.begin(), unfinished_.end(),
                                           [](const auto& a, const auto& b) {
                                             return a.second.last_arrival < b.second.last_arrival;
                                           });
      Drop(std::string(oldest->first), "too much is waiting for its remaining chunks");
    }
    return std::nullopt;
  }

  std::string payload;
  payload.reserve(assembly.bytes);
  for (const std::optional<InboundMessage>& chunk : assembly.chunks) {
    payload.append(chunk->payload().data(), chunk->payload().size());
  }
  InboundMessage first = *std::move(assembly.chunks.front());
  buffered_bytes_ -= assembly.bytes;
  unfinished_.erase(it);
  Remember(position->id);
  return InboundMessage(std::make_unique<AssembledBacking>(std::move(first), std::move(payload)));
}

void ChunkAssembler::Drop(const std::string& id, absl::string_view reason) {
  ++dropped_;
  const auto it = unfinished_.find(id);
  if (it != unfinished_.end()) {
    buffered_bytes_ -= it->second.bytes;
    unfinished_.erase(it);
    Remember(id);
  }
  if (options_.on_dropped) options_.on_dropped(id, reason);
}

void ChunkAssembler::DropExpired(absl::Time now) {
  std::vector<std::string> expired;
  for (const auto& [id, assembly] : unfinished_) {
    if (assembly.last_arrival + options_.expiry < now) expired.push_back(id);
  }
  for (const std::string& id : expired) Drop(id, "its remaining chunks did not come in time");
}

bool ChunkAssembler::Remembered(const std::string& id) const {
  return std::find(finished_.begin(), finished_.end(), id) != finished_.end();
}

void ChunkAssembler::Remember(std::string id) {
  finished_.push_back(std::move(id));
  if (finished_.size() > kFinishedRemembered) finished_.pop_front();
}

}  // namespace varpulis::transport
