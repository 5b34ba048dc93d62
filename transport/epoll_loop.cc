#include "transport/epoll_loop.h"

#include <nats/nats.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"

namespace varpulis::transport {

absl::StatusOr<std::shared_ptr<EpollLoop>> EpollLoop::Start(const std::string& thread_name) {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  if (epoll_fd < 0 || wake_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) != 0) {
    const int error = errno;
    if (epoll_fd >= 0) close(epoll_fd);
    if (wake_fd >= 0) close(wake_fd);
    return absl::ResourceExhaustedError(absl::StrCat("no epoll loop: ", strerror(error)));
  }
  std::shared_ptr<EpollLoop> loop(new EpollLoop(epoll_fd, wake_fd));
  loop->thread_ = std::thread([raw = loop.get(), thread_name] { raw->Run(thread_name); });
  return loop;
}

EpollLoop::EpollLoop(int epoll_fd, int wake_fd) : epoll_fd_(epoll_fd), wake_fd_(wake_fd) {}

EpollLoop::~EpollLoop() {
  Stop();
  close(wake_fd_);
  close(epoll_fd_);
}

void EpollLoop::Stop() {
  stop_ = true;
  Wake();
  if (thread_.joinable()) thread_.join();
  {
    MutexLock lock(mutex_);
    ended_ = true;
  }
  RunTasks();
}

void EpollLoop::RunBetweenEvents(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (!ended_) tasks_.push_back(std::exchange(task, nullptr));
  }
  if (task != nullptr) return task();  // the loop has ended
  Wake();
}

void EpollLoop::RunTasks() {
  std::vector<std::function<void()>> tasks;
  {
    MutexLock lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const std::function<void()>& task : tasks) task();
}

absl::Status EpollLoop::Install(natsOptions* options) {
  const natsStatus status = natsOptions_SetEventLoop(
      options, this,
      [](void** user_data, void* loop, natsConnection* connection, natsSock socket) {
        *user_data = loop;
        static_cast<EpollLoop*>(loop)->Attach(connection, socket);
        return NATS_OK;
      },
      [](void* loop, bool on) {
        static_cast<EpollLoop*>(loop)->PollRead(on);
        return NATS_OK;
      },
      [](void* loop, bool on) {
        static_cast<EpollLoop*>(loop)->PollWrite(on);
        return NATS_OK;
      },
      [](void* loop) {
        static_cast<EpollLoop*>(loop)->Detach();
        return NATS_OK;
      });
  if (status != NATS_OK) return absl::InternalError("nats.c takes no event loop");
  return absl::OkStatus();
}

bool EpollLoop::WaitUntilWritten(absl::Duration timeout) {
  const uint64_t before = written_;
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  ++waiters_;
  bool in_time = true;
  {
    MutexLock lock(mutex_);
    while (written_ == before && want_write_ && !stop_ && in_time) {
      in_time = written_changed_.WaitUntil(mutex_, deadline);
    }
  }
  --waiters_;
  return in_time;
}

void EpollLoop::WaitUntilDetached(absl::Duration timeout) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  MutexLock lock(mutex_);
  while (connection_ != nullptr) {
    if (!written_changed_.WaitUntil(mutex_, deadline)) return;
  }
}

void EpollLoop::Attach(natsConnection* connection, int socket) {
  MutexLock lock(mutex_);
  connection_ = connection;
  socket_ = socket;
  ++generation_;
  reading_ = true;
  blocked_ = false;
  want_write_ = false;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = generation_;
  // The number may still be known from a socket that was closed a moment ago.
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, socket, &event) != 0) {
    epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, socket, &event);
  }
}

void EpollLoop::PollRead(bool on) {
  MutexLock lock(mutex_);
  if (socket_ < 0 || reading_ == on) return;
  reading_ = on;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = generation_;
  epoll_ctl(epoll_fd_, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, socket_, &event);
  blocked_ = false;
  if (!on) socket_ = -1;  // nats.c closes it next; Attach brings another
}

void EpollLoop::PollWrite(bool on) {
  if (on) {
    want_write_ = true;
    Wake();  // once per burst: nats.c asks again only after the buffer was written out
    return;
  }
  want_write_ = false;
  ++written_;
  if (waiters_ > 0) {
    MutexLock lock(mutex_);
    written_changed_.NotifyAll();
  }
}

void EpollLoop::Detach() {
  MutexLock lock(mutex_);
  if (socket_ >= 0) epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, socket_, nullptr);
  socket_ = -1;
  reading_ = false;
  blocked_ = false;
  connection_ = nullptr;
  want_write_ = false;
  ++written_;
  written_changed_.NotifyAll();
}

void EpollLoop::Run(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  epoll_event events[4];
  bool blocked = false;
  while (!stop_) {
    const int timeout_ms = (want_write_ && !blocked) || stop_ ? 0 : -1;
    const int count = epoll_wait(epoll_fd_, events, 4, timeout_ms);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == 0) {
        uint64_t ignored;
        [[maybe_unused]] const ssize_t n = read(wake_fd_, &ignored, sizeof(ignored));
        continue;
      }
      if (events[i].events & EPOLLOUT) {
        MutexLock lock(mutex_);
        if (events[i].data.u64 == generation_) ArmWritable(false);
      }
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) HandleRead(events[i].data.u64);
    }
    HandleWrite();
    RunTasks();
    MutexLock lock(mutex_);
    blocked = blocked_;
  }
  nats_ReleaseThreadMemory();
}

void EpollLoop::HandleRead(uint64_t generation) {
  natsConnection* connection = nullptr;
  {
    MutexLock lock(mutex_);
    // A socket of the past: its bytes belong to nobody, and the new one is in its handshake.
    if (!reading_ || generation != generation_) return;
    connection = connection_;
  }
  natsConnection_ProcessReadEvent(connection);
}

void EpollLoop::HandleWrite() {
  if (!want_write_) return;
  natsConnection* connection = nullptr;
  uint64_t generation = 0;
  {
    MutexLock lock(mutex_);
    if (connection_ == nullptr || !reading_ || blocked_) return;
    connection = connection_;
    generation = generation_;
  }
  const uint64_t before = written_;
  natsConnection_ProcessWriteEvent(connection);
  if (written_ != before) return;
  MutexLock lock(mutex_);
  if (generation == generation_ && reading_) ArmWritable(true);
}

void EpollLoop::ArmWritable(bool on) {
  blocked_ = on;
  if (socket_ < 0) return;
  epoll_event event{};
  event.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = generation_;
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, socket_, &event);
}

void EpollLoop::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

}  // namespace varpulis::transport
