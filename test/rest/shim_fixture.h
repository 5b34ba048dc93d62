#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "rest/coordinator_routes.h"
#include "rest/server.h"
#include "rest/worker_routes.h"
#include "test/rest/http_client.h"
#include "transport/error_reply.h"
#include "transport/local_bus.h"
#include "transport/rpc.h"

namespace varpulis::rest {

// A bus, a service whose answers a test writes, and the HTTP server in front of them.
class ShimTest : public ::testing::Test {
 protected:
  ShimTest() : bus_(transport::NewLocalBus()) {
    auto service = transport::Service::Start(
        *bus_,
        {.name = "script", .id = "1", .version = "0.1.0", .description = "", .metadata = {}});
    EXPECT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
  }
  ~ShimTest() override {
    server_.reset();
    service_.reset();
  }

  // Answers `subject` with what `fn` makes of the request.
  template <typename Request, typename Reply>
  void Script(const std::string& subject, std::function<absl::StatusOr<Reply>(const Request&)> fn) {
    Defer<Request, Reply>(
        subject, [fn = std::move(fn)](const Request& request, transport::Replier<Reply> replier) {
          replier.Answer(fn(request));
        });
  }
  // The same, with the answer given whenever the test likes.
  template <typename Request, typename Reply>
  void Defer(const std::string& subject,
             std::function<void(const Request&, transport::Replier<Reply>)> fn) {
    const absl::Status served = service_->Serve<Request, Reply>(
        subject, "e" + std::to_string(endpoints_++),
        [this, fn = std::move(fn)](transport::RequestContext context, Request request,
                                   transport::Replier<Reply> replier) {
          last_context_ = std::move(context);
          ++calls_;
          fn(request, std::move(replier));
        });
    ASSERT_TRUE(served.ok()) << served;
  }
  template <typename Request, typename Reply>
  void Fail(const std::string& subject, const std::string& code) {
    Script<Request, Reply>(subject, [code](const Request&) -> absl::StatusOr<Reply> {
      return transport::MakeError(code, "scripted");
    });
  }

  void ServeCoordinator(ApiKeys keys = {}, const HttpOptions& http = {},
                        CoordinatorShimOptions shim = {}) {
    Serve(CoordinatorRoutes(*bus_, subjects_, std::move(keys), std::move(shim)), http);
  }
  void ServeWorker(ApiKeys keys = {}, const HttpOptions& http = {}) {
    Serve(WorkerRoutes(*bus_, subjects_, std::move(keys)), http);
  }
  void Serve(Routes routes, const HttpOptions& http) {
    auto server = HttpServer::Start(http, std::move(routes));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  HttpClient Client() { return HttpClient(server_->port()); }
  HttpReply Get(const std::string& target, const std::vector<std::string>& headers = {}) {
    return Client().Request("GET", target, "", headers);
  }
  HttpReply Post(const std::string& target, const std::string& body,
                 const std::vector<std::string>& headers = {}) {
    return Client().Request("POST", target, body, headers);
  }
  HttpReply Delete(const std::string& target, const std::vector<std::string>& headers = {}) {
    return Client().Request("DELETE", target, "", headers);
  }

  // One that nobody serves is given up at once.
  static CoordinatorShimOptions NoRetry() {
    CoordinatorShimOptions options;
    options.retry_for = absl::ZeroDuration();
    return options;
  }

  const transport::Subjects subjects_;
  std::unique_ptr<transport::Bus> bus_;
  std::unique_ptr<transport::Service> service_;
  std::unique_ptr<HttpServer> server_;
  transport::RequestContext last_context_;  // of the bus's thread; read after the answer has come
  std::atomic<int> calls_{0};
  int endpoints_ = 0;
};

// A field of an error body, as {"error":…,"code":CODE…}.
MATCHER_P2(IsError, status, code, "") {
  *result_listener << "status " << arg.status << ", body " << arg.body;
  return arg.status == status &&
         arg.body.find("\"code\":\"" + std::string(code) + "\"") != std::string::npos &&
         arg.body.rfind("{\"error\":\"", 0) == 0;
}

}  // namespace varpulis::rest
