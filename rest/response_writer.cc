#include "rest/response_writer.h"

#include <algorithm>
#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "rest/http_error.h"

namespace varpulis::rest {
namespace {

constexpr size_t kMaxRequestId = 128;

// Formatted once a second and thread.
const std::string& DateNow() {
  static thread_local std::time_t second = 0;
  static thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != second) {
    second = now;
    std::tm parts;
    gmtime_r(&now, &parts);
    char buffer[40];
    const size_t size = std::strftime(buffer, sizeof(buffer), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    text.assign(buffer, size);
  }
  return text;
}

bool IsEchoable(absl::string_view id) {
  return !id.empty() && id.size() <= kMaxRequestId && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isprint(static_cast<unsigned char>(c));
  });
}

}  // namespace

std::string WriteResponseHead(const HttpResponse& response, const ResponseHeadOptions& options) {
  std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ", ReasonPhrase(response.status),
                                  "\r\nDate: ", DateNow(), "\r\n");
  if (response.status != 204)
    absl::StrAppend(&head, "Content-Type: ", response.content_type, "\r\n");
  if (options.chunked) {
    head.append("Transfer-Encoding: chunked\r\n");
  } else if (response.status != 204) {
    absl::StrAppend(&head, "Content-Length: ", response.body.size(), "\r\n");
  }
  head.append("Cache-Control: no-store\r\n");
  if (IsEchoable(options.request_id)) {
    absl::StrAppend(&head, "X-Request-Id: ", options.request_id, "\r\n");
  }
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  if (!options.keep_alive) {
    head.append("Connection: close\r\n");
  } else if (options.http_1_0) {
    head.append("Connection: keep-alive\r\n");
  }
  head.append("\r\n");
  return head;
}

}  // namespace varpulis::rest
