// The same worker over a real broker: what an in-process bus cannot show.
#include "absl/strings/str_cat.h"
#include "transport/broker_process.h"
#include "transport/nats_connection.h"

#include "test/support/wait.h"
#include "test/worker/cluster_fixture.h"

namespace varpulis::worker {
namespace {

constexpr char kFirst[] = "stream Mid = In .emit(n: n)";
constexpr char kSecond[] = "stream Out = Mid .emit(n: n)";

class BrokerTest : public ClusterTest {
 protected:
  void SetUp() override {
    auto broker = transport::BrokerProcess::Start({});
    ASSERT_TRUE(broker.ok()) << broker.status();
    broker_ = std::move(*broker);
    bus_ = Connect("test");
  }
  void TearDown() override {
    workers_.clear();
    connections_.clear();
    bus_.reset();
  }
  std::unique_ptr<transport::Bus> Connect(const std::string& name) {
    transport::NatsOptions options;
    options.urls = {broker_->url()};
    options.name = name;
    auto connection = transport::NatsConnection::Connect(options);
    EXPECT_TRUE(connection.ok()) << connection.status();
    return std::move(*connection);
  }
  Worker& StartConnectedWorker(const std::string& id, WorkerOptions options = {}) {
    connections_.push_back(Connect(id));
    return StartWorkerOn(*connections_.back(), id, std::move(options));
  }

  std::unique_ptr<transport::BrokerProcess> broker_;
  std::vector<std::unique_ptr<transport::Bus>> connections_;
};

TEST_F(BrokerTest, RegistersAtTheFirstAttempt) {
  ScriptedCoordinator coordinator(*bus_);
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  Worker& worker = StartConnectedWorker("w1");
  ASSERT_TRUE(coordinator.heartbeats.WaitForSize(1));
  EXPECT_EQ(coordinator.registrations.size(), 1u);
  EXPECT_EQ(backoffs_, 0);
  EXPECT_TRUE(worker.registered());
}

TEST_F(BrokerTest, AHundredThousandEventsThroughAChainOfTwoWorkers) {
  StartConnectedWorker("w1");
  StartConnectedWorker("w2");
  Deploy("w2", DeployOf("second", kSecond));
  Deploy("w1", DeployOf("first", kFirst).Route("Mid", Edge("first", "second")));
  Listener out(*bus_, Output("second"));
  auto publisher = Connect("microservice");
  for (int b = 0; b < 200; ++b) {
    varpulis::v1::EventBatch batch;
    for (int i = 0; i < 500; ++i) *batch.add_events() = MakeEvent("In", b * 500 + i);
    ASSERT_TRUE(publisher
                    ->Publish({.subject = Into("first"),
                               .payload = batch.SerializeAsString(),
                               .headers = {},
                               .reply_to = ""})
                    .ok());
  }
  ASSERT_TRUE(out.events.WaitForSize(100'000));
  const auto events = out.events.items();
  ASSERT_EQ(events.size(), 100'000u);
  for (size_t i = 0; i < events.size(); ++i) ASSERT_EQ(IntField(events[i], "n"), int64_t(i));
}

TEST_F(BrokerTest, SurvivesARestartOfTheBroker) {
  ScriptedCoordinator coordinator(*bus_);
  StartConnectedWorker("w1");
  ASSERT_TRUE(coordinator.heartbeats.WaitForSize(1));
  const std::string id = Deploy("w1", DeployOf("first", kFirst));
  ASSERT_TRUE(Inject("w1", InjectOf(id, MakeEvent("In", 1))).ok());
  ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
  ASSERT_TRUE(broker_->Restart().ok());
  ASSERT_TRUE(coordinator.registrations.WaitForSize(2));
  const auto again = coordinator.registrations.items().back();
  ASSERT_EQ(again.running_size(), 1);
  EXPECT_EQ(again.running(0).pipeline_id(), id);
  // Once the answer to that has come too.
  EXPECT_TRUE(
      testing::WaitUntil([&] { return Inject("w1", InjectOf(id, MakeEvent("In", 2))).ok(); }));
  // The data plane is back too.
  Listener out(*bus_, Output("first"));
  PublishEvent(Into("first"), MakeEvent("In", 3));
  EXPECT_TRUE(out.events.WaitForSize(1));
}

}  // namespace
}  // namespace varpulis::worker
