#include "bench/inject/http_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

namespace varpulis::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  int fd = -1;
  std::string input;
  Clock::time_point sent;
};

int Connect(const std::string& host, uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

// Bytes of the first whole answer in `input`, 0 while it is incomplete.
size_t WholeAnswer(const std::string& input) {
  const size_t head = input.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  static const char kLength[] = "Content-Length: ";
  const size_t at = input.find(kLength);
  const size_t body = at == std::string::npos || at > head
                          ? 0
                          : std::strtoull(input.c_str() + at + sizeof(kLength) - 1, nullptr, 10);
  return input.size() >= head + 4 + body ? head + 4 + body : 0;
}

class Load {
 public:
  Load(const std::string& request, const std::string& expected)
      : request_(request), expected_(expected) {}

  LoadResult Run(const std::string& host, uint16_t port, int connections, double seconds,
                 uint64_t requests) {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    connections_.resize(static_cast<size_t>(connections));
    for (Connection& connection : connections_) {
      connection.fd = Connect(host, port);
      if (connection.fd < 0) {
        Error("cannot connect");
        continue;
      }
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &connection;
      epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd, &event);
    }
    const Clock::time_point start = Clock::now();
    const auto end =
        start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    for (Connection& connection : connections_) Send(connection);
    epoll_event events[64];
    while (Clock::now() < end && (requests == 0 || result_.answered < requests) && open_ > 0) {
      const int ready = epoll_wait(epoll, events, 64, 100);
      for (int i = 0; i < ready; ++i) Read(*static_cast<Connection*>(events[i].data.ptr));
    }
    result_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    for (Connection& connection : connections_) {
      if (connection.fd >= 0) close(connection.fd);
    }
    close(epoll);
    return std::move(result_);
  }

 private:
  void Send(Connection& connection) {
    if (connection.fd < 0) return;
    if (!connection.input.empty()) connection.input.clear();
    if (connection.sent == Clock::time_point()) ++open_;
    connection.sent = Clock::now();
    if (send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size())) {
      Drop(connection, "cannot send");
    }
  }

  void Read(Connection& connection) {
    char buffer[16384];
    const ssize_t got = recv(connection.fd, buffer, sizeof(buffer), 0);
    if (got <= 0) return Drop(connection, "connection closed");
    connection.input.append(buffer, static_cast<size_t>(got));
    if (WholeAnswer(connection.input) == 0) return;
    const double us =
        std::chrono::duration<double, std::micro>(Clock::now() - connection.sent).count();
    if (connection.input.compare(0, 13, "HTTP/1.1 200 ") == 0 &&
        connection.input.find(expected_) != std::string::npos) {
      ++result_.answered;
      result_.latencies_us.push_back(us);
    } else {
      Error(connection.input);
    }
    Send(connection);
  }

  void Drop(Connection& connection, const char* why) {
    Error(why);
    close(connection.fd);
    connection.fd = -1;
    --open_;
  }

  void Error(const std::string& text) {
    if (result_.errors++ == 0) result_.first_error = text;
  }

  const std::string& request_;
  const std::string& expected_;
  std::vector<Connection> connections_;
  int open_ = 0;
  LoadResult result_;
};

}  // namespace

LoadResult RunLoad(const std::string& host, uint16_t port, const std::string& request,
                   const std::string& expected, int connections, double seconds,
                   uint64_t requests) {
  return Load(request, expected).Run(host, port, connections, seconds, requests);
}

}  // namespace varpulis::bench
