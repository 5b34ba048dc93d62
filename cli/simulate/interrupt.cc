#include "cli/simulate/interrupt.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace varpulis::cli {
namespace {

std::atomic<int> signal_came{0};
int wakeup = -1;  // readable once a signal came

void OnSignal(int signal) {
  const int saved = errno;
  signal_came.store(signal);
  const uint64_t one = 1;
  if (write(wakeup, &one, sizeof(one)) < 0) errno = saved;  // full: it was readable already
  errno = saved;
}

// As poll, but not ended by other signals. Nothing to wait for in `fd` when it is negative.
bool Wait(int fd, const std::chrono::steady_clock::time_point* due) {
  while (signal_came.load() == 0) {
    timespec timeout = {};
    if (due != nullptr) {
      const auto left = *due - std::chrono::steady_clock::now();
      if (left <= std::chrono::nanoseconds(0)) return true;
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      timeout.tv_sec = seconds.count();
      timeout.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
    }
    pollfd fds[] = {{wakeup, POLLIN, 0}, {fd, POLLIN, 0}};
    const int ready = ppoll(fds, 2, due != nullptr ? &timeout : nullptr, nullptr);
    if (ready < 0 && errno != EINTR) return true;
    if (ready > 0 && fds[0].revents == 0) return true;
  }
  return false;
}

}  // namespace

void Interrupt::Install() {
  if (wakeup < 0) wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction old = {};
    sigaction(signal, nullptr, &old);
    if (old.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
}

int Interrupt::Signal() { return signal_came.load(); }

bool Interrupt::WaitUntil(std::chrono::steady_clock::time_point due) { return Wait(-1, &due); }

bool Interrupt::WaitReadable(int fd) { return Wait(fd, nullptr); }

}  // namespace varpulis::cli
