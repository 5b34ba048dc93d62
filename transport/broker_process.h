#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace varpulis::transport {

struct BrokerOptions {
  int port = 0;  // 0: a free one
  std::string host = "127.0.0.1";
  std::string store_dir;  // JetStream's; empty: a temporary folder, removed at the end
  bool jetstream = true;
  std::string server_name;                // empty: made up
  std::vector<std::string> extra_config;  // further lines of nats-server configuration
  std::string log_file;                   // empty: beside the store
};

// A nats-server child process: the embedded default of `varpulis up` and the broker of the tests.
// It dies with its parent (PR_SET_PDEATHSIG is bound to the forking *thread*, so the fork happens
// on a thread that this object keeps). Thread-compatible.
class BrokerProcess {
 public:
  // Returns once the broker accepts connections. NOT_FOUND with how to install it when the binary
  // is missing (PATH, or NATS_SERVER); UNAVAILABLE with the tail of its log when it does not start.
  static absl::StatusOr<std::unique_ptr<BrokerProcess>> Start(BrokerOptions options);
  virtual ~BrokerProcess() = default;  // SIGTERM, then SIGKILL after 5 s

  virtual std::string url() const = 0;  // nats://127.0.0.1:PORT
  virtual int port() const = 0;
  virtual pid_t pid() const = 0;

  // For tests: end it and start it again on the same port and store.
  virtual absl::Status Kill(int signal) = 0;    // waits until it is gone
  virtual absl::Status Signal(int signal) = 0;  // does not wait (SIGUSR2 = lame duck)
  virtual absl::Status Restart() = 0;           // after Kill; returns once it accepts connections
};

}  // namespace varpulis::transport
