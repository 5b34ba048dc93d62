#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/mutex.h"

struct __natsConnection;  // NOLINT(bugprone-reserved-identifier): nats.c names it so
struct __natsOptions;     // NOLINT(bugprone-reserved-identifier): nats.c names it so

namespace varpulis::transport {

// The thread that moves the bytes of one nats.c connection.
//
// nats.c's own threads either wait 1 ms before a reply leaves or write every message with a system
// call of its own. Here a publisher only appends to the connection's buffer; the first of a burst
// wakes this thread, which writes all that has gathered meanwhile.
//
//   publisher ──append──▶ buffer        Write(true): flag and eventfd, once a burst
//   loop      ──epoll──▶ ProcessReadEvent → delivery queues; ProcessWriteEvent → socket
//
// nats.c calls Attach again with a new socket after each reconnect. The callbacks are called by any
// thread under the connection's lock, so they neither wait nor call nats.c. Thread-safe.
class EpollLoop {
 public:
  static absl::StatusOr<std::shared_ptr<EpollLoop>> Start(const std::string& thread_name);
  ~EpollLoop();
  EpollLoop(const EpollLoop&) = delete;
  EpollLoop& operator=(const EpollLoop&) = delete;

  // Makes `options` use this loop. The loop outlives every use of the connection but its
  // destruction.
  absl::Status Install(__natsOptions* options);

  // Returns once the buffer has been written out, the connection is lost, or `timeout` is over
  // (false).
  bool WaitUntilWritten(absl::Duration timeout);

  // Returns once nats.c has let go of this loop, which it does after saying that the connection is
  // closed.
  void WaitUntilDetached(absl::Duration timeout);

  // Runs `task` when no read or write of the connection is in progress: on the loop's thread, or
  // here once that has ended. For freeing what nats.c may still be looking at. Does not wait.
  void RunBetweenEvents(std::function<void()> task);

  // Joins the thread: no call into the connection is running afterwards. Idempotent.
  void Stop();

 private:
  EpollLoop(int epoll_fd, int wake_fd);

  // Called by nats.c.
  void Attach(__natsConnection* connection, int socket);
  void PollRead(bool on);
  void PollWrite(bool on);
  void Detach();

  void Run(const std::string& name);
  void HandleRead(uint64_t generation);
  void HandleWrite();
  void ArmWritable(bool on) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Wake();
  void RunTasks();

  const int epoll_fd_;
  const int wake_fd_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> want_write_{false};
  std::atomic<uint64_t> written_{
      0};  // how often the buffer became empty, or the connection was lost
  std::atomic<int> waiters_{0};

  Mutex mutex_;
  CondVar written_changed_;
  __natsConnection* connection_ ABSL_GUARDED_BY(mutex_) = nullptr;
  int socket_ ABSL_GUARDED_BY(mutex_) = -1;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;  // of the socket; 0 is the eventfd
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;  // the socket took only a part: wait for EPOLLOUT

  std::vector<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // the thread has been joined

  std::thread thread_;
};

}  // namespace varpulis::transport
