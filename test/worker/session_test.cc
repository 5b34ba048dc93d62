#include "worker/session.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace varpulis::worker {
namespace {

using State = Session::State;
using Failure = Session::Failure;

class SessionTest : public ::testing::Test {
 protected:
  // Registered over attempt 1.
  void Register() {
    const uint64_t attempt = *session_.OnStarted(true).send_register;
    session_.OnRegistered(attempt, absl::ZeroDuration());
  }

  double random_ = 1.0;  // the whole cap, so that the table of caps can be read off
  Session session_{Session::Policy{}, [this] { return random_; }};
};

TEST_F(SessionTest, RegistersAtOnceWhenConnected) {
  const auto actions = session_.OnStarted(true);
  EXPECT_TRUE(actions.send_register.has_value());
  EXPECT_FALSE(actions.send_heartbeat);
  EXPECT_EQ(session_.state(), State::kConnecting);
}

TEST_F(SessionTest, WaitsForAConnectionWithoutATimer) {
  const auto actions = session_.OnStarted(false);
  EXPECT_FALSE(actions.send_register.has_value());
  EXPECT_FALSE(actions.wake_in.has_value());
  EXPECT_TRUE(session_.OnConnected().send_register.has_value());
}

TEST_F(SessionTest, HeartbeatsAtOnceAndThenEveryInterval) {
  const uint64_t attempt = *session_.OnStarted(true).send_register;
  const auto registered = session_.OnRegistered(attempt, absl::ZeroDuration());
  EXPECT_TRUE(session_.registered());
  EXPECT_TRUE(registered.send_heartbeat);
  EXPECT_EQ(registered.wake_in, absl::Seconds(5));
  const auto tick = session_.OnTimer();
  EXPECT_TRUE(tick.send_heartbeat);
  EXPECT_EQ(tick.wake_in, absl::Seconds(5));
}

TEST_F(SessionTest, TakesTheCoordinatorsInterval) {
  const uint64_t attempt = *session_.OnStarted(true).send_register;
  EXPECT_EQ(session_.OnRegistered(attempt, absl::Seconds(2)).wake_in, absl::Seconds(2));
  EXPECT_EQ(session_.OnTimer().wake_in, absl::Seconds(2));
}

TEST_F(SessionTest, BacksOffFromOneToThirtySecondsAndNeverGivesUp) {
  uint64_t attempt = *session_.OnStarted(true).send_register;
  std::vector<absl::Duration> waits;
  for (int i = 0; i < 40; ++i) {
    const auto failed = session_.OnRegisterFailed(attempt, Failure::kRefused);
    ASSERT_TRUE(failed.wake_in.has_value());
    waits.push_back(*failed.wake_in);
    const auto woken = session_.OnTimer();
    ASSERT_TRUE(woken.send_register.has_value());
    attempt = *woken.send_register;
  }
  EXPECT_THAT(
      std::vector<absl::Duration>(waits.begin(), waits.begin() + 7),
      ::testing::ElementsAre(absl::Seconds(1), absl::Seconds(2), absl::Seconds(4), absl::Seconds(8),
                             absl::Seconds(16), absl::Seconds(30), absl::Seconds(30)));
  EXPECT_EQ(waits.back(), absl::Seconds(30));
}

TEST_F(SessionTest, BackoffIsFullJitter) {
  random_ = 0.25;
  uint64_t attempt = *session_.OnStarted(true).send_register;
  EXPECT_EQ(session_.OnRegisterFailed(attempt, Failure::kRefused).wake_in, absl::Milliseconds(250));
  attempt = *session_.OnTimer().send_register;
  EXPECT_EQ(session_.OnRegisterFailed(attempt, Failure::kRefused).wake_in, absl::Milliseconds(500));
}

TEST_F(SessionTest, ForASecondItIsEagerToFindALeaderThenItBacksOff) {
  random_ = 0.5;
  uint64_t attempt = *session_.OnStarted(true).send_register;
  for (const char* connection : {"first", "second"}) {
    SCOPED_TRACE(connection);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(session_.OnRegisterFailed(attempt, Failure::kNoLeader).wake_in,
                absl::Milliseconds(50));
      attempt = *session_.OnTimer().send_register;
    }
    EXPECT_EQ(session_.OnRegisterFailed(attempt, Failure::kNoLeader).wake_in,
              absl::Milliseconds(500));
    attempt = *session_.OnTimer().send_register;
    EXPECT_EQ(session_.OnRegisterFailed(attempt, Failure::kNoLeader).wake_in, absl::Seconds(1));
    session_.OnDisconnected();
    attempt = *session_.OnConnected().send_register;
  }
}

TEST_F(SessionTest, RegistersAtOnceWhenTheLeaderItWaitsForIsHeard) {
  Register();
  EXPECT_FALSE(session_.OnLeaderHeard().send_register.has_value());
  session_.OnDisconnected();
  EXPECT_FALSE(session_.OnLeaderHeard().send_register.has_value());
  const uint64_t attempt = *session_.OnConnected().send_register;
  EXPECT_FALSE(session_.OnLeaderHeard().send_register.has_value());  // it is being asked
  session_.OnRegisterFailed(attempt, Failure::kNoLeader);
  EXPECT_TRUE(session_.OnLeaderHeard().send_register.has_value());
}

TEST_F(SessionTest, ALeaderThatRefusesItDoesNotHurryItByBeingHeard) {
  const uint64_t attempt = *session_.OnStarted(true).send_register;
  session_.OnRegisterFailed(attempt, Failure::kRefused);
  EXPECT_FALSE(session_.OnLeaderHeard().send_register.has_value());
}

TEST_F(SessionTest, ATimerDoesNotRegisterTwice) {
  session_.OnStarted(true);
  EXPECT_FALSE(session_.OnTimer().send_register.has_value());
}

TEST_F(SessionTest, OutcomesOfAnEarlierConnectionAreIgnored) {
  const uint64_t old_attempt = *session_.OnStarted(true).send_register;
  session_.OnDisconnected();
  const uint64_t attempt = *session_.OnConnected().send_register;
  EXPECT_NE(attempt, old_attempt);
  EXPECT_FALSE(session_.OnRegistered(old_attempt, absl::ZeroDuration()).send_heartbeat);
  EXPECT_FALSE(session_.registered());
  EXPECT_FALSE(session_.OnRegisterFailed(old_attempt, Failure::kRefused).wake_in.has_value());
  EXPECT_TRUE(session_.OnRegistered(attempt, absl::ZeroDuration()).send_heartbeat);
}

TEST_F(SessionTest, LosesItsRegistrationWithTheConnectionAndRegistersOnReconnect) {
  Register();
  session_.OnDisconnected();
  EXPECT_EQ(session_.state(), State::kLost);
  EXPECT_FALSE(session_.OnTimer().send_heartbeat);  // the old timer fires into nothing
  EXPECT_TRUE(session_.OnConnected().send_register.has_value());
}

TEST_F(SessionTest, ReconnectForgetsTheBackoff) {
  uint64_t attempt = *session_.OnStarted(true).send_register;
  for (int i = 0; i < 6; ++i) {
    session_.OnRegisterFailed(attempt, Failure::kRefused);
    attempt = *session_.OnTimer().send_register;
  }
  session_.OnDisconnected();
  attempt = *session_.OnConnected().send_register;
  EXPECT_EQ(session_.OnRegisterFailed(attempt, Failure::kRefused).wake_in, absl::Seconds(1));
}

TEST_F(SessionTest, RegistersAgainWhenAHeartbeatIsRefused) {
  Register();
  session_.OnTimer();
  const auto refused = session_.OnHeartbeatRefused();
  EXPECT_TRUE(refused.send_register.has_value());
  EXPECT_EQ(session_.state(), State::kLost);
}

TEST_F(SessionTest, DoesNotSpinWhenEveryHeartbeatIsRefused) {
  Register();
  const uint64_t attempt = *session_.OnHeartbeatRefused().send_register;
  session_.OnRegistered(attempt, absl::ZeroDuration());
  const auto again = session_.OnHeartbeatRefused();
  EXPECT_FALSE(again.send_register.has_value());
  EXPECT_EQ(again.wake_in, absl::Seconds(2));
  EXPECT_TRUE(session_.OnTimer().send_register.has_value());
}

TEST_F(SessionTest, StaysRegisteredWithoutALeaderAndAsksMoreOften) {
  Register();
  const auto unheard = session_.OnHeartbeatUnheard();
  EXPECT_TRUE(session_.registered());
  EXPECT_FALSE(unheard.send_register.has_value());
  EXPECT_EQ(unheard.wake_in, absl::Seconds(1));
  EXPECT_TRUE(session_.OnTimer().send_heartbeat);
}

TEST_F(SessionTest, DrainingOnlyHeartbeats) {
  Register();
  EXPECT_TRUE(session_.OnLeaving().send_heartbeat);
  EXPECT_EQ(session_.state(), State::kDraining);
  EXPECT_FALSE(session_.OnHeartbeatRefused().send_register.has_value());
  session_.OnDisconnected();
  const auto reconnected = session_.OnConnected();
  EXPECT_FALSE(reconnected.send_register.has_value());
  EXPECT_TRUE(reconnected.send_heartbeat);
}

TEST_F(SessionTest, DrainingIgnoresALateRegistration) {
  const uint64_t attempt = *session_.OnStarted(true).send_register;
  session_.OnLeaving();
  session_.OnRegistered(attempt, absl::ZeroDuration());
  EXPECT_EQ(session_.state(), State::kDraining);
}

}  // namespace
}  // namespace varpulis::worker
