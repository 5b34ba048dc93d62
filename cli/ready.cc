#include "cli/ready.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace varpulis::cli {
namespace {

constexpr char kReady[] = "READY=1";

}  // namespace

void NotifyReady() {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || (name[0] != '/' && name[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = strlen(name);
  if (length >= sizeof(address.sun_path)) return;
  memcpy(address.sun_path, name, length);
  if (name[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  // Best effort: a supervisor that does not hear it has a time-out of its own.
  [[maybe_unused]] const ssize_t sent = sendto(
      fd, kReady, sizeof(kReady) - 1, MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  close(fd);
}

absl::StatusOr<std::unique_ptr<ReadySocket>> ReadySocket::Open() {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::InternalError(absl::StrCat("socket: ", strerror(errno)));
  // Only the family: the kernel chooses a name in the abstract namespace.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t length = sizeof(address);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(sa_family_t)) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    const int error = errno;
    close(fd);
    return absl::InternalError(absl::StrCat("bind: ", strerror(error)));
  }
  const std::string name(address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
  return std::unique_ptr<ReadySocket>(new ReadySocket(fd, absl::StrCat("@", name)));
}

ReadySocket::~ReadySocket() { close(fd_); }

bool ReadySocket::Ready() {
  char text[256];
  bool ready = false;
  for (ssize_t got; (got = recv(fd_, text, sizeof(text), 0)) > 0;) {
    ready |= absl::StrContains(absl::string_view(text, static_cast<size_t>(got)), kReady);
  }
  return ready;
}

}  // namespace varpulis::cli
