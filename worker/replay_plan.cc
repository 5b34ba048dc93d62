#include "worker/replay_plan.h"

#include <algorithm>

namespace varpulis::worker {
namespace {

// A turn of its own costs an input about half a millisecond. So few are worth it before anybody is
// suspected, and so many once somebody is.
constexpr uint64_t kFewInputs = 16;
constexpr uint64_t kTurns = 256;
constexpr uint32_t kDeathsOfPoison = 2;

}  // namespace

ReplayPlan::ReplayPlan(uint64_t restored, uint64_t end, const Mark& left)
    : end_(std::max(restored, end)), turn_end_(restored) {
  for (const uint64_t position : left.skipped()) {
    if (position > restored) known_.add_skipped(position);
  }
  if (left.last() > restored) {  // else the copy before was through, or has saved what it did
    suspect_first_ = std::max(left.first(), restored + 1);
    suspect_last_ = left.last();
    if (suspect_first_ == suspect_last_ && left.exclusive()) Blame(left);
  } else if (end_ - restored <= kFewInputs) {
    suspect_first_ = restored + 1;
    suspect_last_ = end_;
  }
}

void ReplayPlan::Blame(const Mark& left) {
  known_.set_blamed(suspect_first_);
  known_.set_deaths(left.blamed() == suspect_first_ ? left.deaths() + 1 : 1);
  if (known_.deaths() < kDeathsOfPoison) return;
  known_.add_skipped(suspect_first_);
  suspect_first_ = suspect_last_ = 0;
}

bool ReplayPlan::IsPoison(uint64_t position) const {
  return std::find(known_.skipped().begin(), known_.skipped().end(), position) !=
         known_.skipped().end();
}

std::optional<ReplayPlan::Turn> ReplayPlan::Enter(uint64_t position) {
  if (position <= turn_end_ || position > end_) return std::nullopt;
  Turn turn{.first = position, .last = end_};
  if (position < suspect_first_) {
    turn.last = suspect_first_ - 1;
  } else if (position <= suspect_last_) {
    const uint64_t suspects = suspect_last_ - suspect_first_ + 1;
    turn.last = std::min(suspect_last_, position + (suspects + kTurns - 1) / kTurns - 1);
    turn.exclusive = true;
  }
  turn_end_ = turn.last;
  return turn;
}

ReplayPlan::Mark ReplayPlan::Begun(const Turn& turn) const {
  Mark mark = known_;
  mark.set_first(turn.first);
  mark.set_last(turn.last);
  mark.set_exclusive(turn.exclusive);
  return mark;
}

ReplayPlan::Mark ReplayPlan::Over() const { return known_; }

}  // namespace varpulis::worker
