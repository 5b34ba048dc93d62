#include "test/support/nats_server.h"

namespace varpulis::testing {

void NatsServerTest::StartBroker(transport::BrokerOptions options) {
  broker_.reset();
  auto broker = transport::BrokerProcess::Start(std::move(options));
  ASSERT_TRUE(broker.ok()) << broker.status();
  broker_ = *std::move(broker);
}

std::unique_ptr<transport::NatsConnection> NatsServerTest::Connect(std::string name) {
  transport::NatsOptions options;
  options.name = std::move(name);
  return Connect(std::move(options));
}

std::unique_ptr<transport::NatsConnection> NatsServerTest::Connect(transport::NatsOptions options) {
  if (broker_ == nullptr) StartBroker();
  options.urls = {broker_->url()};
  auto connection = transport::NatsConnection::Connect(std::move(options));
  EXPECT_TRUE(connection.ok()) << connection.status();
  return connection.ok() ? *std::move(connection) : nullptr;
}

absl::StatusOr<std::string> NatsServerTest::Ask(transport::Bus& bus, const std::string& subject,
                                                std::string payload, absl::Duration timeout) {
  Result<absl::StatusOr<transport::InboundMessage>> result;
  transport::OutgoingMessage message;
  message.subject = subject;
  message.payload = std::move(payload);
  bus.Request(std::move(message), timeout, result.Callback());
  auto& reply = result.Get();
  if (!reply.ok()) return reply.status();
  return std::string(reply->payload());
}

std::unique_ptr<transport::Subscription> NatsServerTest::Echo(transport::Bus& bus,
                                                              const std::string& subject) {
  transport::SubscribeOptions options;
  options.subject = subject;
  auto subscription = bus.Subscribe(options, [&bus](transport::InboundMessage message) {
    bus.Reply(std::string(message.reply_to()), std::string(message.payload()), {})
        .IgnoreError();  // the requester's deadline tells
  });
  EXPECT_TRUE(subscription.ok()) << subscription.status();
  return subscription.ok() ? *std::move(subscription) : nullptr;
}

}  // namespace varpulis::testing
