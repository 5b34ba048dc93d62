#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "rest/cors.h"
#include "rest/loop.h"
#include "rest/routes.h"
#include "rest/server.h"

namespace boost::asio::ssl {
class context;
}

namespace varpulis::rest {

// What every session of a server reads and none changes; the count apart.
struct Shared {
  HttpOptions options;
  Routes routes;
  Cors cors;
  std::shared_ptr<boost::asio::ssl::context> tls;  // null: plain
  std::atomic<size_t> connections{0};
};

// Takes over an accepted socket, which belongs to `loop`, and counts itself until it is closed.
// Runs on the loop.
void StartSession(boost::asio::ip::tcp::socket socket, std::shared_ptr<Loop> loop,
                  std::shared_ptr<Shared> shared);

}  // namespace varpulis::rest
