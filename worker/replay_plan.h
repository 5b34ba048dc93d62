#pragma once

#include <cstdint>
#include <optional>

#include "proto/checkpoint.pb.h"

namespace varpulis::worker {

// Finds the input that crashes its workers. A copy that takes over does the inputs between its
// checkpoint and the end of its stream again, in turns, and leaves a mark of each before it begins;
// within the mark of a copy that died its successor takes smaller turns, down to single inputs.
// Such turns are exclusive: nothing else that is suspected runs on the worker meanwhile, so it is
// they that it dies of. An input that two copies died of exclusively is poison. By then at least
// three have died, as the first of all left no mark.
//
// Pure; one owner.
class ReplayPlan {
 public:
  using Mark = varpulis::checkpoint::v1::ReplayMark;
  struct Turn {
    uint64_t first = 0;
    uint64_t last = 0;
    bool exclusive = false;
  };

  ReplayPlan() = default;  // nothing is done again
  // `restored`: the checkpoint's position. `end`: the stream's last when the copy was deployed.
  // `left`: by the copy before.
  ReplayPlan(uint64_t restored, uint64_t end, const Mark& left);

  uint64_t end() const { return end_; }
  bool IsPoison(uint64_t position) const;
  // The turn that begins here; nothing when this is part of one, or beyond the end.
  std::optional<Turn> Enter(uint64_t position);

  Mark Begun(const Turn& turn) const;  // to be left while a turn lasts
  Mark Over() const;                   // after an exclusive turn, and after the end

 private:
  void Blame(const Mark& left);

  uint64_t end_ = 0;
  uint64_t turn_end_ = 0;
  uint64_t suspect_first_ = 0, suspect_last_ = 0;  // none: both 0
  Mark known_;                                     // its `blamed`, `deaths` and `skipped`
};

}  // namespace varpulis::worker
