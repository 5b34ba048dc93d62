#include <optional>
#include <thread>

#include "proto/cluster.pb.h"

#include "base/mutex.h"
#include "test/rest/shim_fixture.h"

namespace varpulis::rest {
namespace {

constexpr char kTopology[] = "/api/v1/cluster/topology";

// Topology requests wait until the test answers them.
class ShutdownTest : public ShimTest {
 protected:
  using TopologyReplier = transport::Replier<v1::TopologyResponse>;

  ShutdownTest() {
    Defer<v1::Empty, v1::TopologyResponse>(subjects_.Api("topology", "get"),
                                           [this](const v1::Empty&, TopologyReplier replier) {
                                             MutexLock lock(mutex_);
                                             waiting_.emplace(std::move(replier));
                                             changed_.NotifyAll();
                                           });
  }
  TopologyReplier WaitForRequest() {
    MutexLock lock(mutex_);
    while (!waiting_) changed_.Wait(mutex_);
    TopologyReplier replier = *std::move(waiting_);
    waiting_.reset();
    return replier;
  }

  Mutex mutex_;
  CondVar changed_;
  std::optional<TopologyReplier> waiting_;
};

TEST_F(ShutdownTest, ClosesIdleConnectionsAndRefusesNewOnes) {
  ServeCoordinator();
  HttpClient idle = Client();
  EXPECT_EQ(idle.Request("GET", "/nothing").status, 404);
  server_->Stop(absl::Seconds(5));
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_FALSE(Client().connected());
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(ShutdownTest, FinishesAnAnswerUnderWay) {
  ServeCoordinator();
  HttpClient client = Client();
  client.Send(HttpClient::Text("GET", kTopology));
  TopologyReplier replier = WaitForRequest();
  std::thread stopper([&] { server_->Stop(absl::Seconds(10)); });
  while (Client().connected()) std::this_thread::yield();  // it has begun
  replier.Reply(v1::TopologyResponse());
  const HttpReply reply = client.ReadReply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(client.AtEnd());
  stopper.join();
}

TEST_F(ShutdownTest, AReplyAfterTheGraceFindsNobodyAndDoesNoHarm) {
  ServeCoordinator();
  HttpClient client = Client();
  client.Send(HttpClient::Text("GET", kTopology));
  TopologyReplier replier = WaitForRequest();
  server_->Stop(absl::ZeroDuration());
  EXPECT_EQ(client.ReadReply().status, 0);
  server_.reset();
  replier.Reply(v1::TopologyResponse());
  EXPECT_TRUE(bus_->Flush(absl::Seconds(5)).ok());
}

TEST_F(ShutdownTest, EndsARetryThatIsWaiting) {
  CoordinatorShimOptions options;
  options.retry_for = absl::Seconds(60);
  ServeCoordinator({}, {}, options);
  HttpClient client = Client();
  client.Send(HttpClient::Text("GET", "/api/v1/cluster/workers"));  // nobody serves it
  EXPECT_EQ(Client().Request("GET", "/nothing").status, 404);       // the loop has seen both
  server_->Stop(absl::ZeroDuration());
  EXPECT_EQ(client.ReadReply().status, 0);
}

TEST_F(ShutdownTest, StopsTwice) {
  ServeCoordinator();
  server_->Stop(absl::ZeroDuration());
  server_->Stop(absl::Seconds(1));
}

}  // namespace
}  // namespace varpulis::rest
