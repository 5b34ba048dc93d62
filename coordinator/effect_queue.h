#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "coordinator/effect.h"

namespace varpulis::coordinator {

// Effects in the order of their transitions, each held back until its writes, and those of all
// before it, are stored: nothing is sent or answered that a crash could take back. Lives on the
// strand.
class EffectQueue {
 public:
  // The number to give back to Stored once `effects`' writes are; without writes they are ready.
  uint64_t Add(Effects effects) {
    const uint64_t number = next_++;
    const bool stored = effects.writes.empty();
    waiting_.push_back({number, std::move(effects), stored});
    return number;
  }

  void Stored(uint64_t number) {
    for (Waiting& waiting : waiting_) {
      if (waiting.number == number) waiting.stored = true;
      if (waiting.number >= number) return;
    }
  }

  // The next that may be carried out.
  std::optional<Effects> TakeReady() {
    if (waiting_.empty() || !waiting_.front().stored) return std::nullopt;
    std::optional<Effects> effects(std::move(waiting_.front().effects));
    waiting_.pop_front();
    return effects;
  }

  bool empty() const { return waiting_.empty(); }
  void Clear() { waiting_.clear(); }

 private:
  struct Waiting {
    uint64_t number;
    Effects effects;
    bool stored;
  };

  std::deque<Waiting> waiting_;
  uint64_t next_ = 1;
};

}  // namespace varpulis::coordinator
