#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace varpulis::rest {

// What the routes read of a request's head. Views into the connection's parser: they live until the
// request has been answered.
struct RequestHead {
  absl::string_view method;  // as sent; HEAD is presented as GET
  absl::string_view target;  // path and query, still percent-encoded
  absl::string_view host;
  absl::string_view content_type;
  absl::string_view idempotency_key;
  std::optional<absl::string_view> api_key;
  bool has_body = false;  // a Content-Length above zero, or chunked
};

struct HttpResponse {
  int status = 200;
  std::string body;
  const char* content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  // beyond those every response has
};

// One request being answered. Whoever holds it owes the client exactly one Answer, or one Begin and
// then Writes. Everything but Post runs on the connection's loop; Post is thread-safe.
class Exchange {
 public:
  virtual ~Exchange() = default;

  // Runs `task` on the loop. False, with the task dropped, once the server has stopped.
  virtual bool Post(std::function<void()> task) = 0;
  virtual void After(absl::Duration delay, std::function<void()> task) = 0;

  virtual void Answer(HttpResponse response) = 0;

  // A response without an end: the head now, pieces as they come. False: the piece was not taken,
  // because the client reads too slowly or is gone. `on_closed` runs once, when the client leaves
  // or the server stops, and must not destroy what is waiting for the loop.
  virtual void Begin(HttpResponse head, std::function<void()> on_closed) = 0;
  virtual bool Write(std::string piece) = 0;
};

}  // namespace varpulis::rest
