#include "test/support/nats_cluster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace varpulis::testing {
namespace {

// So many ports on which nobody listens, below those that the system gives to clients.
std::vector<int> FreePorts(int count) {
  std::vector<int> ports;
  std::vector<int> taken;
  for (int port = 12'000 + getpid() * 37 % 19'000; static_cast<int>(ports.size()) < count; ++port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      ports.push_back(port);
    }
    taken.push_back(fd);
  }
  for (const int fd : taken) close(fd);
  return ports;
}

}  // namespace

absl::StatusOr<std::vector<std::unique_ptr<transport::BrokerProcess>>> StartBrokerCluster(
    int brokers, const std::string& folder) {
  const std::vector<int> ports = FreePorts(brokers);
  std::vector<std::string> routes;
  for (const int port : ports) routes.push_back(absl::StrCat("nats-route://127.0.0.1:", port));
  std::vector<std::unique_ptr<transport::BrokerProcess>> started;
  for (int i = 0; i < brokers; ++i) {
    transport::BrokerOptions options;
    options.server_name = absl::StrCat("n", i);
    options.store_dir = absl::StrCat(folder, "/jetstream-", i);
    options.log_file = absl::StrCat(folder, "/nats-server-", i, ".log");
    options.extra_config.push_back(
        absl::StrCat("cluster { name: test, listen: \"127.0.0.1:", ports[i], "\", routes: [",
                     absl::StrJoin(routes, ", "), "] }"));
    auto broker = transport::BrokerProcess::Start(std::move(options));
    if (!broker.ok()) return broker.status();
    started.push_back(*std::move(broker));
  }
  return started;
}

}  // namespace varpulis::testing
