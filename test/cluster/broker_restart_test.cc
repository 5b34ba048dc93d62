// The broker goes away and comes back, again and again: no subscription may stay silent.

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

class BrokerRestartTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.Start());
    group_ = cluster_.Deploy(R"json({
      "name": "chain",
      "pipelines": [
        {"name": "a", "source": "stream A = X .emit(v: v)", "worker_affinity": "worker-0"},
        {"name": "b", "source": "stream B = A .emit(v: v)", "worker_affinity": "worker-1"}
      ],
      "routes": [
        {"from_pipeline": "_external", "to_pipeline": "a", "event_types": ["X"]},
        {"from_pipeline": "a", "to_pipeline": "b", "event_types": ["A"]}
      ]
    })json");
    ASSERT_FALSE(group_.empty());
    auto outputs = cluster_.bus().Subscribe({.subject = cluster_.subjects().Output(group_, "b")},
                                            [this](transport::InboundMessage) { ++outputs_seen_; });
    ASSERT_TRUE(outputs.ok());
    outputs_ = *std::move(outputs);
    ASSERT_TRUE(Works(absl::Seconds(10)));
  }
  void TearDown() override { outputs_.reset(); }

  // One event through HTTP, the coordinator, both workers and the test's own subscription. Every
  // link of it is a connection that had to come back.
  bool Works(absl::Duration deadline) {
    const int before = outputs_seen_;
    const std::string inject = "/pipeline-groups/" + group_ + "/inject";
    return WaitUntil(
        [&] {
          if (outputs_seen_ > before) return true;
          const HttpReply reply =
              cluster_.Post(inject, R"({"event_type": "X", "fields": {"v": 1}})");
          return reply.status == 200 &&
                 WaitUntil([&] { return outputs_seen_ > before; }, absl::Milliseconds(20));
        },
        deadline);
  }

  void RestartBroker(int signal, int times, const char* what) {
    std::vector<double> back_ms;
    for (int i = 0; i < times; ++i) {
      ASSERT_TRUE(cluster_.broker().Kill(signal).ok());
      ASSERT_TRUE(cluster_.broker().Restart().ok());
      const absl::Time listening = absl::Now();
      ASSERT_TRUE(Works(absl::Seconds(20))) << what << " number " << i;
      back_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - listening));
    }
    std::sort(back_ms.begin(), back_ms.end());
    std::cout << what << ": " << times << " restarts, traffic back after p50 "
              << back_ms[back_ms.size() / 2] << " ms, max " << back_ms.back() << " ms\n";
  }

  Cluster cluster_;
  std::string group_;
  std::atomic<int> outputs_seen_ = 0;
  std::unique_ptr<transport::Subscription> outputs_;
};

TEST_F(BrokerRestartTest, KilledAHundredTimes) { RestartBroker(SIGKILL, 100, "kill -9"); }

TEST_F(BrokerRestartTest, StoppedAHundredTimes) { RestartBroker(SIGTERM, 100, "SIGTERM"); }

TEST_F(BrokerRestartTest, LameDuckAFewTimes) {
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(cluster_.broker().Signal(SIGUSR2).ok());
    ASSERT_TRUE(cluster_.broker().Kill(SIGTERM).ok());
    ASSERT_TRUE(cluster_.broker().Restart().ok());
    ASSERT_TRUE(Works(absl::Seconds(20))) << "lame duck number " << i;
  }
}

}  // namespace
}  // namespace varpulis::testing
