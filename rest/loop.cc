#include "rest/loop.h"

#include <utility>

#include <boost/asio/post.hpp>

namespace varpulis::rest {

Loop::Loop(absl::Duration tick)
    : tick_(absl::ToChronoNanoseconds(tick)),
      work_(boost::asio::make_work_guard(context_)),
      ticker_(context_) {}

void Loop::Start(std::vector<std::function<void()>> first_tasks) {
  for (std::function<void()>& task : first_tasks) Post(std::move(task));
  boost::asio::post(context_, [this] { Tick(); });
  thread_ = std::thread([this] { context_.run(); });
}

bool Loop::Post(std::function<void()> task) {
  bool wake;
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    wake = posted_.empty();
    posted_.push_back(std::move(task));
    // Under the lock, so that Stop cannot end the loop between the two.
    if (wake) boost::asio::post(context_, [this] { RunPosted(); });
  }
  return true;
}

void Loop::RunPosted() {
  std::vector<std::function<void()>> tasks;
  {
    MutexLock lock(mutex_);
    tasks.swap(posted_);
  }
  for (std::function<void()>& task : tasks) task();
}

void Loop::After(absl::Duration delay, std::function<void()> task) {
  if (!work_.owns_work()) return;  // stopped
  auto timer = std::make_shared<boost::asio::steady_timer>(context_);
  timer->expires_after(absl::ToChronoNanoseconds(delay));
  timers_.insert(timer);
  timer->async_wait([this, timer, task = std::move(task)](boost::system::error_code error) {
    timers_.erase(timer);
    if (!error) task();
  });
}

void Loop::Add(std::shared_ptr<Connection> connection) {
  connections_.insert(std::move(connection));
}

void Loop::Remove(Connection* connection) {
  // Not owned here: a key for the look-up only.
  connections_.erase(std::shared_ptr<Connection>(std::shared_ptr<Connection>(), connection));
}

void Loop::Tick() {
  if (!work_.owns_work()) return;  // stopped before it began
  const SteadyTime now = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<Connection>> late;
  for (const std::shared_ptr<Connection>& connection : connections_) {
    if (connection->deadline() <= now) late.push_back(connection);
  }
  for (const std::shared_ptr<Connection>& connection : late) connection->OnDeadline();
  ticker_.expires_after(tick_);
  ticker_.async_wait([this](boost::system::error_code error) {
    if (!error) Tick();
  });
}

void Loop::FinishUp() {
  Post([this] {
    stopping_ = true;
    const auto connections = connections_;  // FinishUp removes
    for (const std::shared_ptr<Connection>& connection : connections) connection->FinishUp();
  });
}

void Loop::Stop() {
  Post([this] {
    stopping_ = true;
    const auto connections = connections_;
    for (const std::shared_ptr<Connection>& connection : connections) connection->Abort();
    const auto timers = timers_;
    for (const auto& timer : timers) timer->cancel();
    ticker_.cancel();
    work_.reset();
  });
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  // With every socket closed and every timer cancelled the loop runs out of work by itself, which
  // leaves no handler behind that would keep a session, and with it this loop, alive.
  if (thread_.joinable()) thread_.join();
}

}  // namespace varpulis::rest
