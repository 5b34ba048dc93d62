#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <vector>

namespace varpulis::engine {

// Bump allocator for what lives as long as one input event. Reset keeps the first block and frees
// the rest, so memory stays bounded by the largest single event only while that event is in work.
// Thread-compatible.
class Arena {
 public:
  explicit Arena(size_t first_block = size_t{64} << 10) : block_size_(first_block) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  template <typename T>
  T* Allocate(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    static_assert(alignof(T) <= 8);
    return reinterpret_cast<T*>(AllocateBytes(count * sizeof(T)));
  }
  std::string_view CopyString(std::string_view text) {
    if (text.empty()) return {};
    char* copy = Allocate<char>(text.size());
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
  }
  // Growing in place, for what a loop makes longer and longer: `bytes` of an allocation that ends
  // there are free behind `end`. Only the few that grew last are remembered, each with a number of
  // the caller's: what is in the allocation.
  void KeepRoom(const void* end, size_t bytes, uint64_t content = 0) {
    if (rooms_ == nullptr) rooms_ = std::make_unique<Rooms>();
    rooms_->next = (rooms_->next + 1) % kRooms;
    rooms_->rooms[rooms_->next] = {static_cast<const char*>(end), bytes, content};
  }
  // True when `bytes` behind `end` were free; they no longer are. `*content`, of what comes there,
  // becomes that of the whole allocation.
  bool TakeRoom(const void* end, size_t bytes, uint64_t* content = nullptr) {
    if (rooms_ == nullptr) return false;
    for (Room& room : rooms_->rooms) {
      if (room.end != end || room.bytes < bytes) continue;
      room.end += bytes;
      room.bytes -= bytes;
      if (content != nullptr) *content = room.content += *content;
      return true;
    }
    return false;
  }
  // Handed out since Reset. Exact: what is left of blocks does not count.
  size_t used() const { return used_before_ + static_cast<size_t>(next_ - start_); }
  void Reset() {
    if (rooms_ != nullptr) *rooms_ = {};
    used_before_ = 0;
    if (blocks_.size() > 1) blocks_.resize(1);
    if (!blocks_.empty()) {
      start_ = next_ = blocks_[0].get();
      end_ = next_ + block_size_;
    }
  }
  // What is allocated after Here is freed by BackTo.
  struct Place {
    size_t blocks, used_before;
    char *start, *next, *end;
  };
  Place Here() const { return {blocks_.size(), used_before_, start_, next_, end_}; }
  void BackTo(const Place& place) {
    if (rooms_ != nullptr) *rooms_ = {};
    if (place.blocks == 0) return Reset();
    blocks_.resize(place.blocks);
    used_before_ = place.used_before;
    start_ = place.start;
    next_ = place.next;
    end_ = place.end;
  }

 private:
  static constexpr size_t kRooms = 4;
  struct Room {
    const char* end = nullptr;
    size_t bytes = 0;
    uint64_t content = 0;
  };
  struct Rooms {
    Room rooms[kRooms];
    size_t next = 0;
  };

  char* AllocateBytes(size_t bytes) {
    bytes = (bytes + 7) & ~size_t{7};
    if (static_cast<size_t>(end_ - next_) < bytes) return AllocateSlow(bytes);
    char* result = next_;
    next_ += bytes;
    return result;
  }
  char* AllocateSlow(size_t bytes) {
    // The first block always has the standard size, because Reset goes back to it.
    if (blocks_.empty()) AddBlock(block_size_);
    if (static_cast<size_t>(end_ - next_) < bytes)
      AddBlock(bytes > block_size_ ? bytes : block_size_);
    char* result = next_;
    next_ += bytes;
    return result;
  }
  void AddBlock(size_t bytes) {
    blocks_.push_back(std::unique_ptr<char[]>(new char[bytes]));
    used_before_ = used();
    start_ = next_ = blocks_.back().get();
    end_ = next_ + bytes;
  }

  size_t block_size_;
  size_t used_before_ = 0;  // in the blocks before the last
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* start_ = nullptr;  // of the last block
  char* next_ = nullptr;
  char* end_ = nullptr;
  std::unique_ptr<Rooms> rooms_;  // null until something grows
};

}  // namespace varpulis::engine
