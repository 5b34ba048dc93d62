#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

#include "test/support/wait.h"
#include "transport/broker_process.h"
#include "transport/nats_connection.h"

namespace varpulis::testing {

// A broker of its own for each test, and connections to it.
class NatsServerTest : public ::testing::Test {
 protected:
  // Replaces the broker by one with these options.
  void StartBroker(transport::BrokerOptions options = {});
  std::unique_ptr<transport::NatsConnection> Connect(std::string name = "test");
  std::unique_ptr<transport::NatsConnection> Connect(transport::NatsOptions options);

  // Request and wait.
  static absl::StatusOr<std::string> Ask(transport::Bus& bus, const std::string& subject,
                                         std::string payload,
                                         absl::Duration timeout = absl::Seconds(10));
  // Serves `subject` by sending back what came.
  static std::unique_ptr<transport::Subscription> Echo(transport::Bus& bus,
                                                       const std::string& subject);

  std::unique_ptr<transport::BrokerProcess> broker_;
};

}  // namespace varpulis::testing
