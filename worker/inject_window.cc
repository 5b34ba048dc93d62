#include "worker/inject_window.h"

namespace varpulis::worker {

const varpulis::v1::WorkerInjectResponse* InjectWindow::Find(const std::string& event_id) const {
  const auto found = answers_.find(event_id);
  return found == answers_.end() ? nullptr : &found->second.response;
}

void InjectWindow::Remember(const std::string& event_id,
                            const varpulis::v1::WorkerInjectResponse& answer) {
  const size_t bytes = answer.SpaceUsedLong() + 2 * event_id.size();
  answers_.emplace(event_id, Answer{.response = answer, .bytes = bytes});
  order_.push_back(event_id);
  bytes_ += bytes;
  // The newest stays whatever its size: it is the likeliest to be asked for again.
  while (order_.size() > kMaxAnswers || (bytes_ > kMaxBytes && order_.size() > 1)) {
    const auto oldest = answers_.find(order_.front());
    bytes_ -= oldest->second.bytes;
    answers_.erase(oldest);
    order_.pop_front();
  }
}

}  // namespace varpulis::worker
