#include "cli/shutdown.h"

#include <csignal>
#include <cstdlib>

#include <unistd.h>

#include "base/mutex.h"
#include "glog/logging.h"

namespace varpulis::cli {
namespace {

struct Requested {
  Mutex mutex;
  bool set ABSL_GUARDED_BY(mutex) = false;
  absl::Status reason ABSL_GUARDED_BY(mutex);
};

Requested& TheRequest() {
  static auto& requested = *new Requested();
  return requested;
}

sigset_t ShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

void BlockShutdownSignals() {
  const sigset_t signals = ShutdownSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

absl::Status WaitForShutdown() {
  absl::Status reason = WaitForShutdownRequest();
  LetNextSignalEnd();
  return reason;
}

absl::Status WaitForShutdownRequest() {
  const sigset_t signals = ShutdownSignals();
  int signal = 0;
  sigwait(&signals, &signal);
  absl::Status reason;
  {
    MutexLock lock(TheRequest().mutex);
    if (TheRequest().set) {
      reason = TheRequest().reason;
    } else {
      LOG(INFO) << "got " << (signal == SIGINT ? "SIGINT" : "SIGTERM")
                << ", shutting down (once more is faster)";
    }
  }
  return reason;
}

// Whoever is impatient gets the default action back.
void LetNextSignalEnd() {
  const sigset_t signals = ShutdownSignals();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

bool SleepUnlessShutdown(absl::Duration duration) {
  const sigset_t signals = ShutdownSignals();
  const timespec timeout = absl::ToTimespec(duration);
  return sigtimedwait(&signals, nullptr, &timeout) > 0;
}

void RequestShutdown(absl::Status reason) {
  MutexLock lock(TheRequest().mutex);
  if (TheRequest().set) return;
  TheRequest().set = true;
  TheRequest().reason = std::move(reason);
  kill(getpid(), SIGTERM);  // wakes sigwait
}

}  // namespace varpulis::cli
