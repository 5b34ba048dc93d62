#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "rest/routes.h"

namespace varpulis::rest {

struct HttpOptions {
  std::string bind = "127.0.0.1";
  uint16_t port = 0;                      // 0: a free one
  std::vector<std::string> cors_origins;  // "https://console.example", or "*"; default none
  std::string tls_cert, tls_key;          // PEM files; both or neither
  int io_threads = 1;
  size_t max_connections = 20'000;  // one more gets a 503

  size_t max_header = 16 << 10;
  size_t max_body = 1 << 20;
  size_t max_batch_body = 16 << 20;  // inject-batch, events-batch, restore

  absl::Duration request_timeout = absl::Seconds(30);  // first byte → whole body
  absl::Duration idle_timeout = absl::Seconds(75);     // between requests
  absl::Duration write_timeout = absl::Seconds(30);
  absl::Duration linger_timeout = absl::Seconds(2);  // for a client still sending after a refusal
};

// An HTTP/1.1 server for one table of routes. Thread-safe; sockets live on its own io threads.
class HttpServer {
 public:
  // Listens, or says why not: ALREADY_EXISTS "address in use: 127.0.0.1:9100 …".
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpOptions& options,
                                                           Routes routes);
  ~HttpServer();  // Stop without grace

  uint16_t port() const;
  size_t connections() const;

  // No new connections; idle ones close, answers under way are finished for up to `grace`.
  // Idempotent.
  void Stop(absl::Duration grace);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace varpulis::rest
