#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "google/protobuf/arena.h"

namespace varpulis::engine {

// An empty message on an arena of its own: what it comes to hold is made and freed together. Blocks
// are of `largest_block` bytes at most; the first is of `expected` bytes, within limits.
template <typename Message>
std::shared_ptr<Message> NewOnArena(size_t expected, size_t largest_block) {
  constexpr size_t kSmallestBlock = 1024;
  google::protobuf::ArenaOptions options;
  options.start_block_size = std::clamp(expected, kSmallestBlock, largest_block);
  options.max_block_size = largest_block;
  auto arena = std::make_shared<google::protobuf::Arena>(options);
  auto* const message = google::protobuf::Arena::CreateMessage<Message>(arena.get());
  return {std::move(arena), message};
}

}  // namespace varpulis::engine
