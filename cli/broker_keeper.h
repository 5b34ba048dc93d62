#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>

#include "transport/broker_process.h"

namespace varpulis::cli {

// Owns the embedded broker and starts it again, on the same port and store, whenever it ends by
// itself: at once the first time, then after a back-off that is forgotten once the broker has
// stayed for a while. Clients reconnect by themselves. The destructor ends the broker. Thread-safe.
class BrokerKeeper {
 public:
  explicit BrokerKeeper(std::unique_ptr<transport::BrokerProcess> broker);
  ~BrokerKeeper();
  BrokerKeeper(const BrokerKeeper&) = delete;
  BrokerKeeper& operator=(const BrokerKeeper&) = delete;

  const std::string& url() const { return url_; }

 private:
  void Run();
  // False when asked to stop.
  bool WaitForEndOf(pid_t pid);
  bool Pause(int milliseconds);

  const std::unique_ptr<transport::BrokerProcess> broker_;  // of the thread, while that runs
  const std::string url_;
  const int stop_;  // an eventfd
  std::thread thread_;
};

}  // namespace varpulis::cli
