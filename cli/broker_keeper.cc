#include "cli/broker_keeper.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"

namespace varpulis::cli {
namespace {

constexpr int kFirstPauseMs = 100;
constexpr int kLongestPauseMs = 10'000;
constexpr absl::Duration kStable = absl::Seconds(30);

}  // namespace

BrokerKeeper::BrokerKeeper(std::unique_ptr<transport::BrokerProcess> broker)
    : broker_(std::move(broker)),
      url_(broker_->url()),
      stop_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

BrokerKeeper::~BrokerKeeper() {
  const uint64_t one = 1;
  if (write(stop_, &one, sizeof(one)) < 0) PLOG(FATAL) << "eventfd";
  thread_.join();
  close(stop_);
}

bool BrokerKeeper::WaitForEndOf(pid_t pid) {
  // Readable when the child ends. It fails for one that is gone already.
  const int child = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (child < 0) return true;
  pollfd polls[] = {{stop_, POLLIN, 0}, {child, POLLIN, 0}};
  while (poll(polls, 2, -1) < 0) {
  }
  close(child);
  return polls[0].revents == 0;
}

bool BrokerKeeper::Pause(int milliseconds) {
  pollfd stop = {stop_, POLLIN, 0};
  return poll(&stop, 1, milliseconds) <= 0;
}

void BrokerKeeper::Run() {
  int pause_ms = 0;
  absl::Time started = absl::Now();
  while (WaitForEndOf(broker_->pid())) {
    if (absl::Now() - started > kStable) pause_ms = 0;
    LOG(ERROR) << "the embedded broker has ended by itself; starting it again on " << url_;
    absl::Status restarted;
    do {
      if (!Pause(pause_ms)) return;
      pause_ms = std::clamp(pause_ms * 2, kFirstPauseMs, kLongestPauseMs);
      started = absl::Now();
      restarted = broker_->Restart();
      if (!restarted.ok()) {
        LOG(ERROR) << "the embedded broker does not start: " << restarted.message()
                   << "; trying again in " << pause_ms << " ms";
      }
    } while (!restarted.ok());
    LOG(WARNING) << "the embedded broker is back on " << url_;
  }
}

}  // namespace varpulis::cli
