#include "cli/discover.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "proto/cluster.pb.h"

#include "base/status_macros.h"
#include "transport/json_codec.h"

namespace varpulis::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr char kPath[] = "/api/v1/cluster/transport";

struct HostPort {
  std::string host, port;
};

absl::StatusOr<HostPort> ParseHttpUrl(absl::string_view url) {
  const std::string given(url);
  if (absl::StartsWith(url, "https://")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--coordinator ", given,
        ": https is not supported here; name the broker itself, as in nats://host:4222"));
  }
  if (!absl::ConsumePrefix(&url, "http://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--coordinator ", given, ": expected http://host:port or nats://host:port"));
  }
  url = url.substr(0, url.find('/'));
  HostPort result{std::string(url), "9100"};
  if (const size_t colon = url.rfind(':');
      colon != absl::string_view::npos && !absl::EndsWith(url, "]")) {
    result.host = std::string(url.substr(0, colon));
    result.port = std::string(url.substr(colon + 1));
  }
  if (absl::StartsWith(result.host, "[") && absl::EndsWith(result.host, "]")) {
    result.host = result.host.substr(1, result.host.size() - 2);
  }
  int port = 0;
  if (result.host.empty() || !absl::SimpleAtoi(result.port, &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--coordinator ", given, ": no host and port in it"));
  }
  return result;
}

// One GET, asynchronous inside so that `timeout` bounds the whole of it.
absl::StatusOr<http::response<http::string_body>> Get(const HostPort& target,
                                                      absl::Duration timeout) {
  asio::io_context io;
  asio::ip::tcp::resolver resolver(io);
  beast::tcp_stream stream(io);
  stream.expires_after(absl::ToChronoMilliseconds(timeout));
  beast::flat_buffer buffer;
  http::request<http::empty_body> request(http::verb::get, kPath, 11);
  request.set(http::field::host, absl::StrCat(target.host, ":", target.port));
  request.set(http::field::connection, "close");
  http::response<http::string_body> response;
  error_code failure = asio::error::timed_out;

  resolver.async_resolve(target.host, target.port, [&](error_code error, auto endpoints) {
    if (error) {
      failure = error;
      return;
    }
    stream.async_connect(endpoints, [&](error_code connect_error, const auto&) {
      if (connect_error) {
        failure = connect_error;
        return;
      }
      http::async_write(stream, request, [&](error_code write_error, size_t) {
        if (write_error) {
          failure = write_error;
          return;
        }
        http::async_read(stream, buffer, response,
                         [&](error_code read_error, size_t) { failure = read_error; });
      });
    });
  });
  io.run_for(absl::ToChronoMilliseconds(timeout));
  if (failure) return absl::UnavailableError(failure.message());
  return response;
}

}  // namespace

absl::StatusOr<ClusterTransport> DiscoverTransport(const std::string& coordinator_url,
                                                   absl::Duration timeout) {
  ASSIGN_OR_RETURN(const HostPort target, ParseHttpUrl(coordinator_url));
  ASSIGN_OR_RETURN(const http::response<http::string_body> response, Get(target, timeout));
  if (response.result() != http::status::ok) {
    return absl::UnavailableError(
        absl::StrCat("HTTP ", response.result_int(), " from ", coordinator_url, kPath));
  }
  varpulis::v1::TransportResponse reply;
  RETURN_IF_ERROR(transport::FromJson(response.body(), &reply), Annotate(coordinator_url, kPath));
  if (reply.transport() != "nats" || reply.urls().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(coordinator_url, " does not speak NATS"));
  }
  return ClusterTransport{{reply.urls().begin(), reply.urls().end()}, reply.subject_prefix()};
}

}  // namespace varpulis::cli
