#include "transport/local_bus.h"

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/wait.h"
#include "transport/subject_match.h"

namespace varpulis::transport {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using varpulis::testing::Result;

TEST(SubjectMatchTest, FollowsTheRulesOfNats) {
  const struct {
    const char* pattern;
    const char* subject;
    bool matches;
  } rows[] = {
      {"a.b", "a.b", true},    {"a.b", "a.c", false},      {"a.*", "a.b", true},
      {"a.*", "a.b.c", false}, {"a.*", "a", false},        {"a.>", "a.b", true},
      {"a.>", "a.b.c", true},  {"a.>", "a", false},        {">", "a", true},
      {">", "a.b.c", true},    {"*", "a", true},           {"*", "a.b", false},
      {"*.b", "a.b", true},    {"a.*.c", "a.b.c", true},   {"a.*.c", "a.b.d", false},
      {"a*", "ab", false},     {"a.b.c", "a.b", false},    {"*.*.>", "a.b", false},
      {"a.b", "A.b", false},   {"*.*.>", "a.b.c.d", true},
  };
  for (const auto& [pattern, subject, matches] : rows) {
    EXPECT_EQ(SubjectMatches(pattern, subject), matches) << pattern << " " << subject;
  }
  EXPECT_TRUE(HasWildcard("a.*"));
  EXPECT_TRUE(HasWildcard("a.>"));
  EXPECT_FALSE(HasWildcard("a*.b>"));
  for (const char* bad : {"", ".", "a..b", "a.", ".a", "a b", "a\r\nb"}) {
    EXPECT_EQ(CheckSubject(bad).code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(CheckPattern(bad).code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(CheckSubject("a.*").ok());
  EXPECT_TRUE(CheckPattern("a.*.>").ok());
  EXPECT_FALSE(CheckPattern("a.>.b").ok());
}

// A bus with named subscribers that note what they hear.
class LocalBusTest : public ::testing::Test {
 protected:
  std::unique_ptr<Subscription> Listen(std::string name, std::string subject,
                                       std::string queue_group = "") {
    SubscribeOptions options;
    options.subject = std::move(subject);
    options.queue_group = std::move(queue_group);
    return bus_
        ->Subscribe(std::move(options),
                    [this, name](InboundMessage message) {
                      heard_.push_back(absl::StrCat(name, ":", message.payload()));
                    })
        .value();
  }

  void Publish(std::string subject, std::string payload) {
    EXPECT_TRUE(bus_->Publish({std::move(subject), std::move(payload), {}, ""}).ok());
  }

  // All handlers run on one thread, and Flush orders them before the reading here.
  std::vector<std::string> Heard() {
    EXPECT_TRUE(bus_->Flush(absl::Seconds(10)).ok());
    return std::exchange(heard_, {});
  }

  absl::StatusOr<InboundMessage> Ask(OutgoingMessage message,
                                     absl::Duration timeout = absl::Seconds(10)) {
    Result<absl::StatusOr<InboundMessage>> reply;
    bus_->Request(std::move(message), timeout, reply.Callback());
    return std::move(reply.Get());
  }

  std::vector<std::string> heard_;
  std::unique_ptr<Bus> bus_ = NewLocalBus();
};

TEST_F(LocalBusTest, DeliversInOrderToEveryMatchingSubscriber) {
  const auto exact = Listen("exact", "a.b");
  const auto star = Listen("star", "a.*");
  const auto rest = Listen("rest", "a.>");
  const auto other = Listen("other", "b.*");
  Publish("a.b", "1");
  Publish("a.b.c", "2");
  Publish("a.c", "3");
  EXPECT_THAT(Heard(), ElementsAre("exact:1", "star:1", "rest:1", "rest:2", "star:3", "rest:3"));
}

TEST_F(LocalBusTest, AQueueGroupSharesTheWork) {
  const auto a = Listen("a", "work", "q");
  const auto b = Listen("b", "work", "q");
  const auto c = Listen("c", "wor*", "other");
  const auto all = Listen("all", "work");
  for (int i = 0; i < 10; ++i) Publish("work", "");
  const auto heard = Heard();
  EXPECT_EQ(heard.size(), 20u);  // no token wildcard in "wor*"
  const auto count = [&heard](const char* who) {
    return std::count(heard.begin(), heard.end(), std::string(who));
  };
  EXPECT_EQ(count("a:"), 5);
  EXPECT_EQ(count("b:"), 5);
  EXPECT_EQ(count("c:"), 0);
  EXPECT_EQ(count("all:"), 10);
}

TEST_F(LocalBusTest, AQueueGroupIsOneGroupAcrossPatterns) {
  const auto a = Listen("a", "work.x", "q");
  const auto b = Listen("b", "work.*", "q");
  for (int i = 0; i < 10; ++i) Publish("work.x", "");
  EXPECT_EQ(Heard().size(), 10u);
}

TEST_F(LocalBusTest, ADestroyedSubscriptionHearsNothing) {
  auto a = Listen("a", "x");
  auto b = Listen("b", "*");
  Publish("x", "1");
  EXPECT_THAT(Heard(), ElementsAre("a:1", "b:1"));
  a.reset();
  b.reset();
  Publish("x", "2");
  EXPECT_THAT(Heard(), IsEmpty());
}

TEST_F(LocalBusTest, TheDestructorWaitsForARunningHandler) {
  Result<bool> entered;
  Result<bool> leave;
  std::atomic<bool> left = false;
  SubscribeOptions options;
  options.subject = "x";
  auto subscription = bus_->Subscribe(options,
                                      [&](InboundMessage) {
                                        entered.Set(true);
                                        leave.Get();
                                        left = true;
                                      })
                          .value();
  Publish("x", "1");
  Publish("x", "2");  // waits behind the first, and is never delivered
  entered.Get();
  std::thread opener([&] { leave.Set(true); });
  subscription.reset();
  EXPECT_TRUE(left);
  opener.join();
  EXPECT_TRUE(bus_->Flush(absl::Seconds(10)).ok());
}

TEST_F(LocalBusTest, AHandlerMayDestroyAnotherSubscription) {
  auto victim = Listen("victim", "x.>");
  SubscribeOptions options;
  options.subject = "x.y";
  const auto killer = bus_->Subscribe(options, [&](InboundMessage) { victim.reset(); }).value();
  Publish("x.y", "1");
  EXPECT_THAT(Heard(), IsEmpty());  // exact ones come first
}

TEST_F(LocalBusTest, CountsWhatASlowSubscriberMissed) {
  Result<bool> go;
  SubscribeOptions options;
  options.subject = "x";
  options.max_pending_messages = 2;
  int delivered = 0;
  Result<bool> entered;
  const auto subscription = bus_->Subscribe(options,
                                            [&](InboundMessage) {
                                              if (delivered++ == 0) {
                                                entered.Set(true);
                                                go.Get();
                                              }
                                            })
                                .value();
  Publish("x", "");
  entered.Get();
  for (int i = 0; i < 5; ++i) Publish("x", "");
  go.Set(true);
  EXPECT_THAT(Heard(), IsEmpty());
  EXPECT_EQ(delivered, 3);
  EXPECT_EQ(subscription->dropped(), 3u);
}

TEST_F(LocalBusTest, RequestsAreAnsweredWithHeaders) {
  SubscribeOptions options;
  options.subject = "ask";
  const auto server =
      bus_->Subscribe(options,
                      [&](InboundMessage message) {
                        EXPECT_TRUE(bus_->Reply(std::string(message.reply_to()),
                                                absl::StrCat("re:", message.payload()),
                                                {{"H", *message.Header("Q")}})
                                        .ok());
                        // A second answer goes nowhere.
                        bus_->Reply(std::string(message.reply_to()), "again", {}).IgnoreError();
                      })
          .value();
  const auto reply = Ask({"ask", "hello", {{"Q", "v"}}, ""});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->payload(), "re:hello");
  EXPECT_EQ(reply->Header("H"), "v");
  EXPECT_EQ(reply->Header("h"), std::nullopt);
}

TEST_F(LocalBusTest, NobodyThereIsSaidAtOnce) {
  EXPECT_EQ(Ask({"nobody", "", {}, ""}, absl::InfiniteDuration()).status().code(),
            StatusCode::kUnavailable);
}

TEST_F(LocalBusTest, SilenceEndsInADeadline) {
  const auto silent = Listen("silent", "x");
  EXPECT_EQ(Ask({"x", "", {}, ""}, absl::Milliseconds(1)).status().code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Ask({"x", "", {}, ""}, absl::Seconds(-1)).status().code(),
            StatusCode::kDeadlineExceeded);
}

TEST_F(LocalBusTest, ClosingCancelsOpenRequests) {
  auto silent = Listen("silent", "x");
  Result<absl::StatusOr<InboundMessage>> reply;
  bus_->Request({"x", "", {}, ""}, absl::InfiniteDuration(), reply.Callback());
  bus_.reset();
  EXPECT_EQ(reply.Get().status().code(), StatusCode::kCancelled);
  silent.reset();  // may outlive the bus
}

TEST_F(LocalBusTest, RefusesBadSubjects) {
  EXPECT_EQ(bus_->Publish({"a.*", "", {}, ""}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(bus_->Subscribe({"a..b"}, [](InboundMessage) {}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Ask({"", "", {}, ""}).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(LocalBusTest, IsAlwaysConnected) {
  EXPECT_EQ(bus_->state(), ConnectionState::kConnected);
  EXPECT_EQ(bus_->max_payload(), 64 << 20);
  EXPECT_NE(bus_->AddConnectionListener([](ConnectionState) { FAIL(); }), nullptr);
}

TEST_F(LocalBusTest, ManyThreadsPublishAskSubscribeAndLeave) {
  SubscribeOptions options;
  options.subject = "echo";
  const auto server = bus_->Subscribe(options,
                                      [&](InboundMessage message) {
                                        bus_->Reply(std::string(message.reply_to()),
                                                    std::string(message.payload()), {})
                                            .IgnoreError();
                                      })
                          .value();
  constexpr int kThreads = 4;
  constexpr int kRounds = 300;
  std::atomic<int> echoed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<int> in_order;  // touched by one subscription's handler only
      SubscribeOptions own;
      own.subject = absl::StrCat("own.", t);
      for (int i = 0; i < kRounds; ++i) {
        auto subscription =
            bus_->Subscribe(own,
                            [&](InboundMessage message) {
                              in_order.push_back(std::stoi(std::string(message.payload())));
                            })
                .value();
        bus_->Publish({own.subject, absl::StrCat(i), {}, ""}).IgnoreError();
        const std::string text = absl::StrCat(t, "/", i);
        const auto reply = Ask({"echo", text, {}, ""});
        if (reply.ok() && reply->payload() == text) ++echoed;
      }  // the handler never runs after its subscription
      EXPECT_EQ(in_order.size(), static_cast<size_t>(kRounds));
      EXPECT_TRUE(std::is_sorted(in_order.begin(), in_order.end()));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(echoed, kThreads * kRounds);
}

}  // namespace
}  // namespace varpulis::transport
