#include "coordinator/lease.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace varpulis::coordinator {
namespace {

using State = Lease::State;

// One lease, and a clock in milliseconds. Each step gives its actions as text: "create#1 in150",
// "renew#2@7 in150", "read#1", "remove@7", "elected", "lost: why".
class LeaseTest : public ::testing::Test {
 protected:
  absl::Time At(int ms) { return absl::UnixEpoch() + absl::Milliseconds(ms); }
  static std::string Text(const Lease::Actions& actions) {
    std::vector<std::string> parts;
    if (actions.lost) parts.push_back("lost(" + *actions.lost + ")");
    if (actions.elected) parts.push_back("elected");
    if (actions.write && actions.write->expected == 0) {
      parts.push_back(absl::StrCat("create#", actions.write->sending));
    } else if (actions.write) {
      parts.push_back(absl::StrCat("renew#", actions.write->sending, "@", actions.write->expected));
    }
    if (actions.read) parts.push_back(absl::StrCat("read#", *actions.read));
    if (actions.remove) parts.push_back(absl::StrCat("remove@", *actions.remove));
    if (actions.wake_in)
      parts.push_back(absl::StrCat("in", absl::ToInt64Milliseconds(*actions.wake_in)));
    std::string text;
    for (const std::string& part : parts) absl::StrAppend(&text, text.empty() ? "" : " ", part);
    return text;
  }
  std::string Start(int ms) { return Text(lease_->Start(At(ms))); }
  std::string Timer(int ms) { return Text(lease_->OnTimer(At(ms))); }
  std::string Stored(uint64_t sending, uint64_t revision, int ms) {
    return Text(lease_->OnWritten(sending, revision, At(ms)));
  }
  std::string Failed(uint64_t sending, absl::Status status, int ms) {
    return Text(lease_->OnWritten(sending, std::move(status), At(ms)));
  }
  std::string Read(uint64_t read, const absl::StatusOr<LeaseEntry>& entry, int ms) {
    return Text(lease_->OnRead(read, entry, At(ms)));
  }
  std::string Heard(const LeaseEntry& entry, int ms) {
    return Text(lease_->OnHeard(entry, At(ms)));
  }
  std::string HeardRemoval(int ms) { return Text(lease_->OnHeard(std::nullopt, At(ms))); }
  static LeaseEntry Own(uint64_t sending, uint64_t revision) {
    return {"c1", "mine", sending, revision};
  }
  static LeaseEntry Other(uint64_t revision) { return {"c2", "theirs", revision, revision}; }
  int ValidUntil() { return static_cast<int>(absl::ToUnixMillis(lease_->valid_until())); }
  // Elected at 0 by a create stored as revision 7, which was answered at 10.
  void Lead() {
    ASSERT_EQ(Start(0), "create#1 in150");
    ASSERT_EQ(Stored(1, 7, 10), "elected in290");
    ASSERT_TRUE(lease_->leads());
  }

  const absl::Status taken_ = absl::AlreadyExistsError("taken");
  const absl::Status refused_ = absl::AbortedError("wrong last sequence");
  const absl::Status away_ = absl::UnavailableError("not connected");
  std::optional<Lease> lease_{std::in_place, Lease::Policy(), "mine", [] { return 0.5; }};
};

TEST_F(LeaseTest, CountsFromTheSendingLessTheMargin) {
  Lead();
  EXPECT_EQ(ValidUntil(), 900);
  EXPECT_EQ(Timer(300), "renew#2@7 in150");
  EXPECT_EQ(ValidUntil(), 900) << "nothing is gained by sending alone";
  EXPECT_EQ(Stored(2, 8, 420), "in180");
  EXPECT_EQ(ValidUntil(), 1200);
  EXPECT_EQ(Timer(600), "renew#3@8 in150");
}

TEST_F(LeaseTest, ACreateAnsweredTooLateIsNoLease) {
  EXPECT_EQ(Start(0), "create#1 in150");
  EXPECT_EQ(Timer(150), "in125");
  EXPECT_EQ(Stored(1, 7, 900), "") << "it may expire any moment";
  EXPECT_FALSE(lease_->leads());
}

TEST_F(LeaseTest, ACreateAnsweredLateCountsFromItsSending) {
  EXPECT_EQ(Start(0), "create#1 in150");
  EXPECT_EQ(Timer(150), "in125");
  EXPECT_EQ(Timer(275), "create#2 in150");
  EXPECT_EQ(Stored(1, 7, 300), "elected in0") << "its renewal is due";
  EXPECT_EQ(ValidUntil(), 900);
  EXPECT_EQ(Failed(2, taken_, 310), "") << "taken by ourselves";
  EXPECT_EQ(Timer(310), "renew#3@7 in150");
}

TEST_F(LeaseTest, ACreateWhoseAnswerIsLostIsHeardOf) {
  EXPECT_EQ(Start(0), "create#1 in150");
  EXPECT_EQ(Heard(Own(1, 7), 200), "elected in100");
  EXPECT_EQ(ValidUntil(), 900);
}

TEST_F(LeaseTest, OldNewsOfOurOwnIsNoLease) {
  EXPECT_EQ(Start(0), "create#1 in150");
  EXPECT_EQ(Heard(Own(1, 7), 950), "");
  EXPECT_FALSE(lease_->leads());
}

TEST_F(LeaseTest, RunsOutWhenNoRenewalIsAnswered) {
  Lead();
  EXPECT_EQ(Timer(300), "renew#2@7 in150");
  EXPECT_EQ(Timer(450), "read#1 in150");
  EXPECT_EQ(Timer(600), "read#2 in150");
  EXPECT_EQ(Timer(750), "read#3 in150");
  EXPECT_EQ(Timer(899), "in1");
  EXPECT_EQ(Timer(900), "lost(the lease has run out) in125");
  EXPECT_FALSE(lease_->leads());
  EXPECT_EQ(Stored(2, 8, 901), "") << "too late, although it was stored";
  EXPECT_FALSE(lease_->leads());
  EXPECT_EQ(Timer(1025), "create#3 in150");
}

// As after SIGSTOP: whatever comes first, the lease is over.
TEST_F(LeaseTest, APauseBeyondTheLeaseEndsItWhateverIsHeardFirst) {
  const std::string lost = "lost(the lease has run out) in125";
  const std::vector<std::pair<std::string, std::function<std::string()>>> firsts = {
      {"timer", [&] { return Timer(5000); }},
      {"the answer to a renewal", [&] { return Stored(2, 8, 5000); }},
      {"a refused renewal", [&] { return Failed(2, refused_, 5000); }},
      {"another leads", [&] { return Heard(Other(9), 5000); }},
      {"a read", [&] { return Read(1, Own(2, 8), 5000); }}};
  for (const auto& [what, first] : firsts) {
    lease_.emplace(Lease::Policy(), "mine", [] { return 0.5; });
    Lead();
    EXPECT_EQ(Timer(300), "renew#2@7 in150");
    EXPECT_EQ(first(), lost) << what;
    EXPECT_FALSE(lease_->leads()) << what;
    EXPECT_EQ(Stored(2, 8, 5001), "") << what;
    EXPECT_EQ(Read(1, Own(2, 8), 5001), "") << what;
    EXPECT_FALSE(lease_->leads()) << what;
  }
}

TEST_F(LeaseTest, APauseWithinTheLeaseHarmsNothing) {
  Lead();
  EXPECT_EQ(Timer(890), "renew#2@7 in10");
  EXPECT_EQ(Stored(2, 8, 899), "in291");
  EXPECT_EQ(ValidUntil(), 1790);
}

TEST_F(LeaseTest, AFailedRenewalIsReadBack) {
  struct Case {
    const char* name;
    absl::StatusOr<LeaseEntry> read;
    std::string then;
    int valid_until;  // 0: lost
  };
  const Case cases[] = {
      {"it was stored", Own(2, 8), "in170", 1200},
      {"it was not stored", Own(1, 7), "in170", 900},
      {"another has it", Other(8), "lost(coordinator c2 holds the lease) in125", 0},
      {"the broker has forgotten it", absl::NotFoundError("no key"), "create#3 in150", 900},
      {"it cannot be read", away_, "in50", 900},
  };
  for (const Case& c : cases) {
    lease_.emplace(Lease::Policy(), "mine", [] { return 0.5; });
    Lead();
    EXPECT_EQ(Timer(300), "renew#2@7 in150");
    EXPECT_EQ(Failed(2, away_, 420), "read#1 in150") << c.name;
    EXPECT_EQ(Read(1, c.read, 430), c.then) << c.name;
    EXPECT_EQ(lease_->leads() ? ValidUntil() : 0, c.valid_until) << c.name;
  }
}

TEST_F(LeaseTest, WhatTheBrokerHasForgottenIsCreatedAgainUnlessAnotherWasFaster) {
  for (const bool faster : {true, false}) {
    lease_.emplace(Lease::Policy(), "mine", [] { return 0.5; });
    Lead();
    EXPECT_EQ(Timer(300), "renew#2@7 in150");
    EXPECT_EQ(Failed(2, refused_, 310), "read#1 in150");
    EXPECT_EQ(Read(1, absl::NotFoundError("no key"), 320), "create#3 in150");
    if (faster) {
      EXPECT_EQ(Stored(3, 1, 330), "in290");
      EXPECT_EQ(ValidUntil(), 1220);
      EXPECT_EQ(Timer(620), "renew#4@1 in150");
    } else {
      EXPECT_EQ(Failed(3, taken_, 330), "read#2 in150");
      EXPECT_EQ(Read(2, Other(1), 340), "lost(coordinator c2 holds the lease) in125");
    }
  }
}

TEST_F(LeaseTest, ALateRenewalIsRepeatedAndItsFirstSendingStillCounts) {
  Lead();
  EXPECT_EQ(Timer(300), "renew#2@7 in150");
  EXPECT_EQ(Timer(450), "read#1 in150");
  EXPECT_EQ(Read(1, Own(1, 7), 460), "renew#3@7 in150") << "not stored yet";
  EXPECT_EQ(Stored(2, 8, 470), "in140") << "it was merely slow";
  EXPECT_EQ(ValidUntil(), 1200);
  EXPECT_EQ(Failed(3, refused_, 480), "read#2 in150") << "the first one was in its way";
  EXPECT_EQ(Read(2, Own(2, 8), 490), "in270");
  EXPECT_EQ(ValidUntil(), 1200);
  EXPECT_EQ(Timer(760), "renew#4@8 in150");
}

TEST_F(LeaseTest, AnOlderAnswerDoesNotShortenTheLease) {
  Lead();
  EXPECT_EQ(Timer(300), "renew#2@7 in150");
  EXPECT_EQ(Timer(450), "read#1 in150");
  EXPECT_EQ(Read(1, Own(1, 7), 460), "renew#3@7 in150");
  EXPECT_EQ(Stored(3, 8, 470), "in290");
  EXPECT_EQ(ValidUntil(), 1360);
  EXPECT_EQ(Stored(2, 9, 480), "") << "settled with its successor";
  EXPECT_EQ(ValidUntil(), 1360);
}

TEST_F(LeaseTest, WhatALeaderHearsIsCheckedBeforeItIsBelieved) {
  Lead();
  EXPECT_EQ(HeardRemoval(20), "read#1 in150") << "the predecessor's, heard late";
  EXPECT_EQ(Read(1, Own(1, 7), 30), "in270");
  EXPECT_TRUE(lease_->leads());
  EXPECT_EQ(Heard(Own(1, 7), 40), "");
  EXPECT_EQ(Heard(Other(1), 50), "read#2 in150") << "of a broker that began again";
  EXPECT_EQ(Read(2, Other(1), 60), "lost(coordinator c2 holds the lease) in125");
}

TEST_F(LeaseTest, FollowersPollUntilTheyHearRenewals) {
  EXPECT_EQ(Start(0), "create#1 in150");
  EXPECT_EQ(Failed(1, taken_, 10), "in125");
  EXPECT_EQ(Heard(Other(5), 20), "") << "perhaps the last sign of a dead one";
  EXPECT_FALSE(lease_->follows());
  EXPECT_EQ(Timer(135), "create#2 in150");
  EXPECT_EQ(Failed(2, taken_, 145), "in125");
  EXPECT_EQ(Heard(Other(6), 200), "in1020") << "1 s, 10 ms for the broker, 10 ms of chance";
  EXPECT_TRUE(lease_->follows());
  EXPECT_EQ(lease_->holder(), "c2");
  EXPECT_EQ(Heard(Other(7), 500), "in1020");
  EXPECT_EQ(Timer(1520), "create#3 in150") << "no renewal since";
  EXPECT_EQ(Stored(3, 9, 1525), "elected in295");
  EXPECT_FALSE(lease_->follows());
}

TEST_F(LeaseTest, FollowersTryAtOnceWhenTheLeaseIsGivenBack) {
  EXPECT_EQ(Start(0), "create#1 in150");
  EXPECT_EQ(Failed(1, taken_, 10), "in125");
  Heard(Other(5), 20);
  Heard(Other(6), 200);
  EXPECT_EQ(HeardRemoval(300), "create#2 in150");
  EXPECT_EQ(Heard(Other(8), 305), "") << "another was faster";
  EXPECT_EQ(Failed(2, taken_, 310), "in125");
}

TEST_F(LeaseTest, WithoutABrokerItGoesOnTrying) {
  EXPECT_EQ(Start(0), "create#1 in150");
  EXPECT_EQ(Failed(1, away_, 1), "in125");
  EXPECT_EQ(Timer(126), "create#2 in150");
  EXPECT_EQ(Timer(276), "in125") << "no answer";
  EXPECT_EQ(Timer(401), "create#3 in150");
}

TEST_F(LeaseTest, LeavingGivesItBack) {
  Lead();
  EXPECT_EQ(Text(lease_->Leave(At(100))), "remove@7 in300");
  EXPECT_FALSE(lease_->leads());
  EXPECT_EQ(Text(lease_->OnRemoved(At(110))), "");
  EXPECT_EQ(lease_->state(), State::kLeft);
  EXPECT_EQ(HeardRemoval(111), "");
  EXPECT_EQ(Timer(400), "");
}

TEST_F(LeaseTest, LeavingWaitsForTheRevisionToRemove) {
  Lead();
  EXPECT_EQ(Timer(300), "renew#2@7 in150");
  EXPECT_EQ(Text(lease_->Leave(At(310))), "in300");
  EXPECT_FALSE(lease_->leads());
  EXPECT_EQ(Stored(2, 8, 320), "remove@8 in290");
  EXPECT_EQ(Text(lease_->OnRemoved(At(330))), "");
  EXPECT_EQ(lease_->state(), State::kLeft);
}

TEST_F(LeaseTest, LeavingWaitsNoLongerThanItIsWorth) {
  Lead();
  EXPECT_EQ(Timer(300), "renew#2@7 in150");
  EXPECT_EQ(Text(lease_->Leave(At(310))), "in300");
  EXPECT_EQ(Timer(610), "");
  EXPECT_EQ(lease_->state(), State::kLeft);
}

TEST_F(LeaseTest, AFollowerThatLeavesGivesBackWhatItMayGetYet) {
  EXPECT_EQ(Start(0), "create#1 in150");
  EXPECT_EQ(Text(lease_->Leave(At(5))), "in300");
  EXPECT_EQ(Stored(1, 7, 10), "remove@7 in295");
  EXPECT_EQ(Text(lease_->OnRemoved(At(20))), "");
  EXPECT_EQ(lease_->state(), State::kLeft);
}

TEST_F(LeaseTest, WhatHasRunOutIsNotGivenBack) {
  Lead();
  EXPECT_EQ(Text(lease_->Resign(absl::Milliseconds(500), At(900))), "in500");
  EXPECT_EQ(lease_->state(), State::kFollowing);
  EXPECT_EQ(Text(lease_->Leave(At(950))), "");
  EXPECT_EQ(lease_->state(), State::kLeft);
}

TEST_F(LeaseTest, ResigningPausesAndCompetesAgain) {
  Lead();
  EXPECT_EQ(Text(lease_->Resign(absl::Milliseconds(500), At(100))), "remove@7 in300");
  EXPECT_FALSE(lease_->leads());
  EXPECT_EQ(Text(lease_->OnRemoved(At(110))), "in490");
  EXPECT_EQ(HeardRemoval(120), "in480") << "others first";
  EXPECT_EQ(Timer(600), "create#2 in150");
}

}  // namespace
}  // namespace varpulis::coordinator
