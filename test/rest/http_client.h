#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace varpulis::rest {

struct HttpReply {
  int status = 0;                              // 0: the connection ended first
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// A plain socket that sees every byte: what a test of an HTTP server wants. Blocking, with a
// deadline of 10 s on everything.
class HttpClient {
 public:
  explicit HttpClient(uint16_t port);
  ~HttpClient();
  HttpClient(HttpClient&& other) noexcept;

  bool connected() const { return fd_ >= 0; }
  // False once the other side takes no more.
  bool Send(absl::string_view bytes);
  HttpReply ReadReply(bool head_only = false);
  std::string ReadUntil(absl::string_view mark);  // what came, the mark included
  bool AtEnd();                                   // waits; true when the server has closed

  // "GET", "/path", {"x-api-key: k"}, body: adds Host and Content-Length.
  HttpReply Request(const std::string& method, const std::string& target,
                    const std::string& body = "", const std::vector<std::string>& headers = {});
  static std::string Text(const std::string& method, const std::string& target,
                          const std::string& body = "",
                          const std::vector<std::string>& headers = {});

 private:
  bool Fill();

  int fd_ = -1;
  std::string input_;
};

}  // namespace varpulis::rest
