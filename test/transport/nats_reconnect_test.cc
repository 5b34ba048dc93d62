#include <signal.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/support/nats_server.h"

namespace varpulis::transport {
namespace {

using testing::WaitUntil;

class NatsReconnectTest : public testing::NatsServerTest {
 protected:
  static constexpr int kSubscriptions = 20;

  void SetUp() override {
    client_ = Connect("client");
    server_ = Connect("server");
    echo_ = Echo(*server_, "echo");
    for (int i = 0; i < kSubscriptions; ++i) {
      SubscribeOptions options;
      options.subject = absl::StrCat("sub.", i);
      auto subscription =
          server_->Subscribe(options, [this, i](const InboundMessage&) { ++received_[i]; });
      ASSERT_TRUE(subscription.ok());
      subscriptions_.push_back(*std::move(subscription));
    }
    ASSERT_TRUE(server_->Flush(absl::Seconds(5)).ok());
  }

  // Kills and restarts `rounds` times. Every subscription and the way of requests must work after
  // each.
  void RestartManyTimes(int rounds, int signal) {
    std::vector<double> back_ms;
    for (int round = 0; round < rounds; ++round) {
      SCOPED_TRACE(absl::StrCat("round ", round));
      ASSERT_TRUE(broker_->Kill(signal).ok());
      ASSERT_TRUE(WaitUntil([&] { return client_->state() != ConnectionState::kConnected; }));
      EXPECT_FALSE(
          client_->Publish({.subject = "sub.0", .payload = "stale", .headers = {}, .reply_to = ""})
              .ok());
      const uint64_t before = client_->reconnects() + server_->reconnects();
      ASSERT_TRUE(broker_->Restart().ok());
      const absl::Time listening = absl::Now();
      // A request fails at once until both are back; the first that is answered ends the outage.
      ASSERT_TRUE(WaitUntil([&] { return Ask(*client_, "echo", "x", absl::Seconds(5)).ok(); }));
      back_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - listening));
      for (auto& count : received_) count = 0;
      for (int i = 0; i < kSubscriptions; ++i) {
        ASSERT_TRUE(client_
                        ->Publish({.subject = absl::StrCat("sub.", i),
                                   .payload = "",
                                   .headers = {},
                                   .reply_to = ""})
                        .ok());
      }
      ASSERT_TRUE(WaitUntil([&] {
        return std::all_of(received_.begin(), received_.end(),
                           [](const auto& n) { return n == 1; });
      })) << "a subscription is silent after the reconnect";
      ASSERT_TRUE(
          WaitUntil([&] { return client_->reconnects() + server_->reconnects() >= before + 2; }));
    }
    std::sort(back_ms.begin(), back_ms.end());
    std::cout << "broker listens → traffic is back, " << rounds << " restarts by signal " << signal
              << ": p50 " << back_ms[back_ms.size() / 2] << " ms, max " << back_ms.back()
              << " ms\n";
    EXPECT_LT(back_ms[back_ms.size() / 2], 5000);
  }

  std::unique_ptr<NatsConnection> client_;
  std::unique_ptr<NatsConnection> server_;
  std::vector<std::atomic<int>> received_ = std::vector<std::atomic<int>>(kSubscriptions);
  std::unique_ptr<Subscription> echo_;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;

  void TearDown() override {
    echo_.reset();
    subscriptions_.clear();
    client_.reset();
    server_.reset();
  }
};

TEST_F(NatsReconnectTest, EverythingWorksAfterAHundredKills) { RestartManyTimes(100, SIGKILL); }

TEST_F(NatsReconnectTest, EverythingWorksAfterTwentyShutdowns) { RestartManyTimes(20, SIGTERM); }

TEST_F(NatsReconnectTest, ALostConnectionFailsPendingRequestsAndTellsListeners) {
  SubscribeOptions options;
  options.subject = "silent";
  const auto silent = server_->Subscribe(options, [](InboundMessage) {});
  ASSERT_TRUE(silent.ok());
  ASSERT_TRUE(server_->Flush(absl::Seconds(5)).ok());
  Mutex mutex;
  std::vector<ConnectionState> states;
  auto listener = client_->AddConnectionListener([&](ConnectionState state) {
    MutexLock lock(mutex);
    states.push_back(state);
  });
  testing::Result<absl::StatusOr<InboundMessage>> pending;
  client_->Request({.subject = "silent", .payload = "", .headers = {}, .reply_to = ""},
                   absl::Seconds(60), pending.Callback());
  ASSERT_TRUE(client_->Flush(absl::Seconds(5)).ok());
  ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
  EXPECT_EQ(pending.Get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Ask(*client_, "echo", "x").status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(broker_->Restart().ok());
  EXPECT_TRUE(WaitUntil([&] {
    MutexLock lock(mutex);
    return states == std::vector<ConnectionState>{ConnectionState::kDisconnected,
                                                  ConnectionState::kConnected};
  }));
  listener.reset();
  EXPECT_EQ(pending.calls(), 1);
}

TEST_F(NatsReconnectTest, TellsThatTheBrokerIsAboutToGo) {
  std::atomic<bool> told = false;
  const auto listener = client_->AddConnectionListener([&](ConnectionState state) {
    if (state == ConnectionState::kLeaving) told = true;
  });
  ASSERT_TRUE(broker_->Signal(SIGUSR2).ok());
  EXPECT_TRUE(WaitUntil([&] { return told.load(); }));
  EXPECT_EQ(client_->state(), ConnectionState::kConnected);
}

TEST_F(NatsReconnectTest, WhatIsPublishedDuringAnOutageIsRefusedAndNeverDelivered) {
  std::atomic<int> stale{0};
  std::atomic<int> fresh{0};
  SubscribeOptions options;
  options.subject = "outage";
  const auto subscription = server_->Subscribe(
      options, [&](InboundMessage message) { ++(message.payload() == "stale" ? stale : fresh); });
  ASSERT_TRUE(subscription.ok());
  ASSERT_TRUE(server_->Flush(absl::Seconds(5)).ok());
  for (int round = 0; round < 10; ++round) {
    fresh = 0;
    ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
    ASSERT_TRUE(WaitUntil([&] { return client_->state() != ConnectionState::kConnected; }));
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(
          client_->Publish({.subject = "outage", .payload = "stale", .headers = {}, .reply_to = ""})
              .code(),
          absl::StatusCode::kUnavailable);
    }
    ASSERT_TRUE(broker_->Restart().ok());
    ASSERT_TRUE(WaitUntil([&] { return Ask(*client_, "echo", "x").ok(); }));
    ASSERT_TRUE(
        client_->Publish({.subject = "outage", .payload = "fresh", .headers = {}, .reply_to = ""})
            .ok());
    ASSERT_TRUE(WaitUntil([&] { return fresh == 1; }));
  }
  EXPECT_EQ(stale, 0);
}

TEST_F(NatsReconnectTest, SubscriptionsMadeAndEndedDuringAnOutageAreRight) {
  ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
  ASSERT_TRUE(WaitUntil([&] { return server_->state() != ConnectionState::kConnected; }));
  std::atomic<int> received{0};
  SubscribeOptions options;
  options.subject = "made.during";
  const auto made = server_->Subscribe(options, [&](InboundMessage) { ++received; });
  ASSERT_TRUE(made.ok()) << made.status();
  subscriptions_.clear();
  ASSERT_TRUE(broker_->Restart().ok());
  ASSERT_TRUE(WaitUntil([&] { return Ask(*client_, "echo", "x").ok(); }));
  ASSERT_TRUE(
      client_->Publish({.subject = "made.during", .payload = "", .headers = {}, .reply_to = ""})
          .ok());
  ASSERT_TRUE(WaitUntil([&] { return received == 1; }));
  EXPECT_EQ(Ask(*client_, "sub.0", "x").status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace varpulis::transport
