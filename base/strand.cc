#include "base/strand.h"

#include <pthread.h>

namespace varpulis {

Strand::Strand(const std::string& name) : thread_([this, name] { Run(name); }) {}

Strand::~Strand() { Stop(); }

bool Strand::Post(Task task) {
  MutexLock lock(mutex_);
  if (stopping_) return false;
  queue_.push_back(std::move(task));
  if (idle_) wake_.NotifyOne();
  return true;
}

Strand::TimerId Strand::After(absl::Duration delay, Task task) {
  MutexLock lock(mutex_);
  const TimerId id = next_timer_++;
  if (stopping_) return id;
  const SteadyTime due = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(delay);
  const bool first = timers_.empty() || due < timers_.begin()->first.first;
  timers_.emplace(std::make_pair(due, id), std::move(task));
  timer_due_.emplace(id, due);
  if (first && idle_) wake_.NotifyOne();
  return id;
}

void Strand::Cancel(TimerId id) {
  Task dropped;  // destroyed outside the lock: it may own something that posts
  MutexLock lock(mutex_);
  const auto due = timer_due_.find(id);
  if (due == timer_due_.end()) return;
  const auto timer = timers_.find({due->second, id});
  dropped = std::move(timer->second);
  timers_.erase(timer);
  timer_due_.erase(due);
}

size_t Strand::queued() const {
  MutexLock lock(mutex_);
  return queue_.size();
}

void Strand::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void Strand::Run(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  std::vector<Task> batch;
  while (true) {
    {
      MutexLock lock(mutex_);
      while (true) {
        const SteadyTime now = std::chrono::steady_clock::now();
        while (!timers_.empty() && timers_.begin()->first.first <= now && !stopping_) {
          timer_due_.erase(timers_.begin()->first.second);
          queue_.push_back(std::move(timers_.begin()->second));
          timers_.erase(timers_.begin());
        }
        if (!queue_.empty()) break;
        if (stopping_) return;
        idle_ = true;
        if (timers_.empty()) {
          wake_.Wait(mutex_);
        } else {
          wake_.WaitUntil(mutex_, timers_.begin()->first.first);
        }
        idle_ = false;
      }
      batch.swap(queue_);
    }
    for (Task& task : batch) {
      task();
      task = nullptr;  // what the task owned goes before the next one runs
    }
    batch.clear();
  }
}

}  // namespace varpulis
