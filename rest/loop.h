#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

#include "base/mutex.h"

namespace varpulis::rest {

using SteadyTime = std::chrono::steady_clock::time_point;

// One io thread and the connections that live on it. Deadlines are looked at once per tick instead
// of costing every connection a timer, so an idle one is a socket and a few hundred bytes.
//
// Post is thread-safe; all else runs on the loop's thread. Sessions and replies under way share the
// ownership: a reply that comes in after Stop finds a loop that refuses it.
class Loop : public std::enable_shared_from_this<Loop> {
 public:
  class Connection {
   public:
    virtual ~Connection() = default;
    virtual SteadyTime deadline() const = 0;
    virtual void OnDeadline() = 0;
    virtual void FinishUp() = 0;  // close when idle, else after the answer under way
    virtual void Abort() = 0;     // close now
  };

  explicit Loop(absl::Duration tick);

  boost::asio::io_context& context() { return context_; }
  bool stopping() const { return stopping_; }

  void Start(std::vector<std::function<void()>> first_tasks);
  bool Post(std::function<void()> task);
  void After(absl::Duration delay, std::function<void()> task);

  void Add(std::shared_ptr<Connection> connection);
  void Remove(Connection* connection);

  // From another thread, in this order. `FinishUp` returns at once; `Stop` aborts what is left,
  // takes no more tasks and joins.
  void FinishUp();
  void Stop();

 private:
  void RunPosted();
  void Tick();

  const std::chrono::nanoseconds tick_;
  boost::asio::io_context context_{1};  // one thread runs it
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer ticker_;
  std::unordered_set<std::shared_ptr<boost::asio::steady_timer>> timers_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  bool stopping_ = false;

  // Replies that arrive together wake the loop once.
  Mutex mutex_;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace varpulis::rest
