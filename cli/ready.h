#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace varpulis::cli {

// sd_notify's protocol: a process tells its supervisor, `varpulis up` or systemd (Type=notify),
// that it serves, by a datagram to the socket named by NOTIFY_SOCKET.

// Says so; nothing happens when nobody wants to know.
void NotifyReady();

// The supervisor's end. Thread-compatible.
class ReadySocket {
 public:
  static absl::StatusOr<std::unique_ptr<ReadySocket>> Open();
  ~ReadySocket();
  ReadySocket(const ReadySocket&) = delete;
  ReadySocket& operator=(const ReadySocket&) = delete;

  const std::string& address() const { return address_; }  // the child's NOTIFY_SOCKET
  int fd() const { return fd_; }                           // to poll
  bool Ready();                                            // reads what came; whether that says so

 private:
  ReadySocket(int fd, std::string address) : fd_(fd), address_(std::move(address)) {}

  const int fd_;
  const std::string address_;
};

}  // namespace varpulis::cli
