#include "test/rest/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace varpulis::rest {

HttpClient::HttpClient(uint16_t port) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd_);
    fd_ = -1;
  }
}

HttpClient::~HttpClient() {
  if (fd_ >= 0) close(fd_);
}

HttpClient::HttpClient(HttpClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), input_(std::move(other.input_)) {}

bool HttpClient::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool HttpClient::Fill() {
  char buffer[16384];
  const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  input_.append(buffer, static_cast<size_t>(got));
  return true;
}

std::string HttpClient::ReadUntil(absl::string_view mark) {
  size_t at;
  while ((at = input_.find(std::string(mark))) == std::string::npos) {
    if (!Fill()) return std::exchange(input_, "");
  }
  std::string text = input_.substr(0, at + mark.size());
  input_.erase(0, at + mark.size());
  return text;
}

bool HttpClient::AtEnd() {
  char byte;
  return input_.empty() && recv(fd_, &byte, 1, 0) == 0;
}

HttpReply HttpClient::ReadReply(bool head_only) {
  HttpReply reply;
  const std::string head = ReadUntil("\r\n\r\n");
  if (!absl::EndsWith(head, "\r\n\r\n")) return reply;
  const std::vector<std::string> lines = absl::StrSplit(head, "\r\n", absl::SkipEmpty());
  const std::vector<std::string> status = absl::StrSplit(lines[0], ' ');
  if (status.size() < 2 || !absl::SimpleAtoi(status[1], &reply.status)) return reply;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(lines[i], absl::MaxSplits(": ", 1));
    reply.headers[absl::AsciiStrToLower(parts.first)] = parts.second;
  }
  size_t length = 0;
  if (head_only || !reply.headers.contains("content-length") ||
      !absl::SimpleAtoi(reply.headers["content-length"], &length)) {
    return reply;
  }
  while (input_.size() < length && Fill()) {
  }
  reply.body = input_.substr(0, length);
  input_.erase(0, std::min(length, input_.size()));
  return reply;
}

std::string HttpClient::Text(const std::string& method, const std::string& target,
                             const std::string& body, const std::vector<std::string>& headers) {
  std::string text = absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: localhost\r\n");
  for (const std::string& header : headers) absl::StrAppend(&text, header, "\r\n");
  if (!body.empty()) {
    absl::StrAppend(&text, "Content-Type: application/json\r\nContent-Length: ", body.size(),
                    "\r\n");
  }
  absl::StrAppend(&text, "\r\n", body);
  return text;
}

HttpReply HttpClient::Request(const std::string& method, const std::string& target,
                              const std::string& body, const std::vector<std::string>& headers) {
  Send(Text(method, target, body, headers));
  return ReadReply(/*head_only=*/method == "HEAD");
}

}  // namespace varpulis::rest
