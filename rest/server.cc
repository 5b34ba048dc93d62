#include "rest/server.h"

#include <algorithm>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/write.hpp>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "base/mutex.h"
#include "base/status_macros.h"
#include "rest/http_error.h"
#include "rest/loop.h"
#include "rest/response_writer.h"
#include "rest/session.h"

namespace varpulis::rest {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 1024;
// With no descriptors left accept fails at once, again and again.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

absl::Duration TickOf(const HttpOptions& options) {
  const absl::Duration shortest = std::min({options.request_timeout, options.idle_timeout,
                                            options.write_timeout, options.linger_timeout});
  return std::clamp(shortest / 8, absl::Milliseconds(5), absl::Seconds(1));
}

absl::StatusOr<std::shared_ptr<asio::ssl::context>> LoadTls(const HttpOptions& options) {
  if (options.tls_cert.empty() && options.tls_key.empty()) return nullptr;
  if (options.tls_cert.empty() || options.tls_key.empty()) {
    return absl::InvalidArgumentError("TLS needs both a certificate and a key");
  }
  auto tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                   asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                   asio::ssl::context::no_tlsv1_1);
  error_code error;
  tls->use_certificate_chain_file(options.tls_cert, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("TLS certificate ", options.tls_cert, ": ", error.message()));
  }
  tls->use_private_key_file(options.tls_key, asio::ssl::context::pem, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("TLS key ", options.tls_key, ": ", error.message()));
  }
  return tls;
}

absl::Status Listen(const HttpOptions& options, tcp::acceptor& acceptor) {
  const std::string where = absl::StrCat(options.bind, ":", options.port);
  error_code error;
  const asio::ip::address address = asio::ip::make_address(
      options.bind == "localhost" ? std::string("127.0.0.1") : options.bind, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("not an IP address to bind to: ", options.bind));
  }
  const tcp::endpoint endpoint(address, options.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error == asio::error::address_in_use) {
    return absl::AlreadyExistsError(
        absl::StrCat("address in use: ", where, " (is another process listening there?)"));
  }
  if (error == asio::error::access_denied) {
    return absl::PermissionDeniedError(absl::StrCat("not allowed to listen on ", where));
  }
  if (error)
    return absl::UnavailableError(absl::StrCat("listening on ", where, ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpOptions& options, Routes routes, std::shared_ptr<asio::ssl::context> tls)
      : shared(new Shared{.options = options,
                          .routes = std::move(routes),
                          .cors = Cors(options.cors_origins),
                          .tls = std::move(tls)}) {
    for (int i = 0; i < std::max(1, options.io_threads); ++i) {
      loops.push_back(std::make_shared<Loop>(TickOf(options)));
    }
    acceptor.emplace(loops[0]->context());
  }

  // On loop 0. Connections go round the loops.
  void Accept() {
    const std::shared_ptr<Loop> loop = loops[next_loop++ % loops.size()];
    acceptor->async_accept(loop->context(), [this, loop](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor->is_open()) return;
      if (error) {
        LOG_EVERY_N(WARNING, 100) << "accepting an HTTP connection: " << error.message();
        return loops[0]->After(kAcceptPause, [this] { Accept(); });
      }
      if (shared->connections.load(std::memory_order_relaxed) >= shared->options.max_connections) {
        TurnAway(std::move(socket));
      } else {
        Hand(std::move(socket), loop);
      }
      Accept();
    });
  }

  void Hand(tcp::socket socket, const std::shared_ptr<Loop>& loop) {
    shared->connections.fetch_add(1, std::memory_order_relaxed);
    if (loop == loops[0]) return StartSession(std::move(socket), loop, shared);
    auto holder = std::make_shared<tcp::socket>(std::move(socket));
    const bool posted = loop->Post(
        [holder, loop, shared = shared] { StartSession(std::move(*holder), loop, shared); });
    if (!posted) shared->connections.fetch_sub(1, std::memory_order_relaxed);
  }

  // The socket's buffer is empty, so this write does not wait. Not over TLS: that would take a
  // handshake.
  void TurnAway(tcp::socket socket) {
    if (shared->tls) return;
    const HttpResponse response =
        ErrorResponse(503, "too_many_connections", "this server has all the connections it takes");
    const std::string text = WriteResponseHead(response, {.keep_alive = false}) + response.body;
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(text), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
  }

  std::shared_ptr<Shared> shared;
  std::vector<std::shared_ptr<Loop>> loops;
  std::optional<tcp::acceptor> acceptor;
  size_t next_loop = 0;
  uint16_t port = 0;
  bool stopped = false;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                              Routes routes) {
  ASSIGN_OR_RETURN(std::shared_ptr<asio::ssl::context> tls, LoadTls(options));
  auto impl = std::make_unique<Impl>(options, std::move(routes), std::move(tls));
  RETURN_IF_ERROR(Listen(options, *impl->acceptor));
  error_code error;
  impl->port = impl->acceptor->local_endpoint(error).port();
  Impl* self = impl.get();
  for (const std::shared_ptr<Loop>& loop : impl->loops) {
    std::vector<std::function<void()>> first;
    if (loop == impl->loops[0]) first.push_back([self] { self->Accept(); });
    loop->Start(std::move(first));
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { Stop(absl::ZeroDuration()); }

uint16_t HttpServer::port() const { return impl_->port; }

size_t HttpServer::connections() const {
  return impl_->shared->connections.load(std::memory_order_relaxed);
}

void HttpServer::Stop(absl::Duration grace) {
  if (std::exchange(impl_->stopped, true)) return;
  Impl* impl = impl_.get();
  impl->loops[0]->Post([impl] {
    error_code ignored;
    impl->acceptor->close(ignored);
  });
  for (const std::shared_ptr<Loop>& loop : impl->loops) loop->FinishUp();
  const absl::Time until = absl::Now() + grace;
  Mutex mutex;
  CondVar changed;  // nobody notifies: a poll that costs nothing beside a shutdown
  MutexLock lock(mutex);
  while (connections() > 0 && absl::Now() < until) changed.WaitFor(mutex, absl::Milliseconds(2));
  for (const std::shared_ptr<Loop>& loop : impl->loops) loop->Stop();
}

}  // namespace varpulis::rest
