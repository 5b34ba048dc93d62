#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/nats_server.h"
#include "transport/chunking.h"

namespace varpulis::transport {
namespace {

using testing::Result;
using testing::WaitUntil;

class NatsConnectionTest : public testing::NatsServerTest {
 protected:
  static OutgoingMessage Message(std::string subject, std::string payload) {
    OutgoingMessage message;
    message.subject = std::move(subject);
    message.payload = std::move(payload);
    return message;
  }
  static std::unique_ptr<Subscription> Listen(Bus& bus, const std::string& subject,
                                              Bus::Handler handler) {
    SubscribeOptions options;
    options.subject = subject;
    auto subscription = bus.Subscribe(options, std::move(handler));
    EXPECT_TRUE(subscription.ok()) << subscription.status();
    return *std::move(subscription);
  }
};

TEST_F(NatsConnectionTest, DeliversSubjectReplyHeadersAndPayload) {
  const auto bus = Connect();
  Result<InboundMessage> received;
  const auto subscription = Listen(*bus, "a.*", received.Callback());
  OutgoingMessage message = Message("a.b", std::string("x\0y", 3));
  message.reply_to = "re.ply";
  message.headers = {{"Varpulis-Request-Id", "42"}, {"Empty", ""}};
  ASSERT_TRUE(bus->Publish(message).ok());
  const InboundMessage& got = received.Get();
  EXPECT_EQ(got.subject(), "a.b");
  EXPECT_EQ(got.reply_to(), "re.ply");
  EXPECT_EQ(got.payload(), absl::string_view("x\0y", 3));
  EXPECT_EQ(got.Header("Varpulis-Request-Id"), "42");
  EXPECT_EQ(got.Header("None"), std::nullopt);
}

TEST_F(NatsConnectionTest, KeepsTheOrderOfABurst) {
  constexpr int kMessages = 200'000;
  const auto publisher = Connect();
  const auto subscriber = Connect();
  std::atomic<int> next{0};
  std::atomic<int> out_of_order{0};
  const auto subscription = Listen(*subscriber, "burst", [&](InboundMessage message) {
    const int n = std::stoi(std::string(message.payload()));
    if (n != next.fetch_add(1)) ++out_of_order;
  });
  ASSERT_TRUE(subscriber->Flush(absl::Seconds(5)).ok());
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(publisher->Publish(Message("burst", absl::StrCat(i))).ok());
  }
  ASSERT_TRUE(publisher->Flush(absl::Seconds(20)).ok());
  EXPECT_TRUE(WaitUntil([&] { return next == kMessages; })) << next;
  EXPECT_EQ(out_of_order, 0);
  EXPECT_EQ(subscription->dropped(), 0u);
}

TEST_F(NatsConnectionTest, RefusesWhatWouldBreakTheProtocol) {
  const auto bus = Connect();
  for (const char* subject : {"", "a b", "a..b", ".a", "a.", "a.*", ">", "a\r\nPUB x"}) {
    EXPECT_EQ(bus->Publish(Message(subject, "x")).code(), absl::StatusCode::kInvalidArgument)
        << subject;
  }
  OutgoingMessage forged = Message("a", "x");
  forged.headers = {{"A", "b\r\nStatus: 503"}};
  EXPECT_EQ(bus->Publish(forged).code(), absl::StatusCode::kInvalidArgument);
  SubscribeOptions options;
  options.subject = "a b";
  EXPECT_EQ(bus->Subscribe(options, [](InboundMessage) {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(bus->Publish(Message("a*b.c>", "x")).ok());
  EXPECT_TRUE(bus->Flush(absl::Seconds(5)).ok());
}

TEST_F(NatsConnectionTest, RefusesToPublishMoreThanMaxPayload) {
  const auto bus = Connect();
  EXPECT_EQ(bus->max_payload(), 1 << 20);
  EXPECT_TRUE(bus->Publish(Message("a", std::string(1 << 20, 'x'))).ok());
  const absl::Status status = bus->Publish(Message("a", std::string((1 << 20) + 1, 'x')));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("max_payload is 1048576"));
}

TEST_F(NatsConnectionTest, NobodyServingIsKnownAtOnce) {
  const auto bus = Connect();
  // The broker's word, and not the end of the time to wait.
  const auto reply = Ask(*bus, "nobody.here", "x", absl::Seconds(30));
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kUnavailable) << reply.status();
}

TEST_F(NatsConnectionTest, SilenceEndsAtTheDeadline) {
  const auto bus = Connect();
  const auto subscription = Listen(*bus, "silent", [](InboundMessage) {});
  const absl::Time start = absl::Now();
  const auto reply = Ask(*bus, "silent", "x", absl::Milliseconds(50));
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(50));
}

TEST_F(NatsConnectionTest, ClosingCancelsWhatIsPending) {
  auto bus = Connect();
  const auto other = Connect();
  const auto subscription = Listen(*other, "silent", [](InboundMessage) {});
  ASSERT_TRUE(other->Flush(absl::Seconds(5)).ok());
  Result<absl::StatusOr<InboundMessage>> result;
  bus->Request(Message("silent", "x"), absl::Seconds(60), result.Callback());
  bus.reset();
  EXPECT_EQ(result.Get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(result.calls(), 1);
}

TEST_F(NatsConnectionTest, AThousandRequestsAtOnceAreEachAnsweredOnce) {
  const auto client = Connect();
  const auto server = Connect();
  const auto echo = Echo(*server, "echo");
  ASSERT_TRUE(server->Flush(absl::Seconds(5)).ok());
  std::vector<Result<absl::StatusOr<InboundMessage>>> results(1000);
  for (size_t i = 0; i < results.size(); ++i) {
    client->Request(Message("echo", absl::StrCat(i)), absl::Seconds(30), results[i].Callback());
  }
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i].Get().ok()) << results[i].Get().status();
    EXPECT_EQ(results[i].Get()->payload(), absl::StrCat(i));
    EXPECT_EQ(results[i].calls(), 1);
  }
}

TEST_F(NatsConnectionTest, LargeRequestsAndRepliesAreChunked) {
  const auto client = Connect();
  const auto server = Connect();
  std::string large(10 << 20, 'x');
  for (size_t i = 0; i < large.size(); i += 1000)
    large[i] = static_cast<char>('a' + (i / 1000) % 26);

  ChunkAssembler assembler;
  const auto service = Listen(*server, "large", [&](InboundMessage message) {
    std::optional<InboundMessage> whole = assembler.Add(std::move(message));
    if (!whole.has_value()) return;
    EXPECT_TRUE(
        server->Reply(std::string(whole->reply_to()), std::string(whole->payload()), {{"K", "v"}})
            .ok());
  });
  ASSERT_TRUE(server->Flush(absl::Seconds(5)).ok());
  Result<absl::StatusOr<InboundMessage>> result;
  client->Request(Message("large", large), absl::Seconds(30), result.Callback());
  ASSERT_TRUE(result.Get().ok()) << result.Get().status();
  EXPECT_TRUE(result.Get()->payload() == large);
  EXPECT_EQ(result.Get()->Header("K"), "v");
}

TEST_F(NatsConnectionTest, RepliesComeWhileEveryHandlerIsBusy) {
  const auto bus = Connect();
  const auto server = Connect();
  const auto echo = Echo(*server, "echo");
  ASSERT_TRUE(server->Flush(absl::Seconds(5)).ok());
  std::atomic<int> busy{0};
  std::vector<Result<absl::StatusOr<InboundMessage>>> results(16);  // outlives the handlers
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  // The echo shares the pool with these, so it is asked before the last thread is taken: what must
  // not depend on the pool is the way back.
  for (size_t i = 0; i < results.size(); ++i) {
    subscriptions.push_back(Listen(*bus, absl::StrCat("busy.", i), [&, i](InboundMessage) {
      ++busy;
      bus->Request(Message("nobody", ""), absl::Seconds(30), results[i].Callback());
      results[i].Get();  // a handler that waits for a reply, which handlers should not do
    }));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(bus->Publish(Message(absl::StrCat("busy.", i), "")).ok());
  }
  for (auto& result : results) {
    EXPECT_EQ(result.Get().status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(busy, 16);
}

TEST_F(NatsConnectionTest, NoHandlerRunsAfterItsSubscriptionIsGone) {
  const auto publisher = Connect();
  const auto subscriber = Connect();
  std::atomic<bool> stop{false};
  std::thread traffic([&] {
    while (!stop) {
      for (int i = 0; i < 100; ++i) publisher->Publish(Message("race", "x")).IgnoreError();
      publisher->Flush(absl::Seconds(5)).IgnoreError();
    }
  });
  for (int round = 0; round < 300; ++round) {
    auto alive = std::make_unique<std::atomic<bool>>(true);
    std::atomic<int> calls{0};
    auto subscription = Listen(*subscriber, "race", [&calls, alive = alive.get()](InboundMessage) {
      EXPECT_TRUE(*alive);
      ++calls;
    });
    if (round % 3 != 0) {
      EXPECT_TRUE(WaitUntil([&] { return calls > 0; }));
    }
    subscription.reset();
    *alive = false;
    alive.reset();  // under ASan a late call is an error
  }
  stop = true;
  traffic.join();
}

TEST_F(NatsConnectionTest, ADrainHandsOverWhatIsUnderWay) {
  const auto publisher = Connect();
  const auto subscriber = Connect();
  const auto other = Connect();
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> handled{0};
    auto first = Listen(*subscriber, "drained", [&](InboundMessage) { ++handled; });
    auto second = Listen(*other, "drained", [&](InboundMessage) {});
    ASSERT_TRUE(subscriber->Flush(absl::Seconds(5)).ok() && other->Flush(absl::Seconds(5)).ok());
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(publisher->Publish(Message("drained", "")).ok());
    ASSERT_TRUE(publisher->Flush(absl::Seconds(5)).ok());  // with the broker, on its way to both
    first->BeginDrain(absl::Seconds(5));
    first->AwaitDrained(absl::Seconds(5));
    EXPECT_EQ(handled, 200);
    first.reset();
    second.reset();
  }
}

TEST_F(NatsConnectionTest, AHandlerMayDestroyAnotherSubscription) {
  const auto bus = Connect();
  for (int round = 0; round < 20; ++round) {  // some pairs share a delivery thread
    auto victim = Listen(*bus, "victim", [](InboundMessage) {});
    std::atomic<bool> done{false};
    const auto killer = Listen(*bus, "killer", [&](InboundMessage) {
      victim.reset();
      done = true;
    });
    ASSERT_TRUE(bus->Publish(Message("killer", "")).ok());
    ASSERT_TRUE(WaitUntil([&] { return done.load(); }));
  }
}

TEST_F(NatsConnectionTest, AThousandSubscriptionsAreNotAThousandThreads) {
  const auto bus = Connect();
  std::atomic<int> received{0};
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  for (int i = 0; i < 1000; ++i) {
    subscriptions.push_back(
        Listen(*bus, absl::StrCat("many.", i), [&](InboundMessage) { ++received; }));
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(bus->Publish(Message(absl::StrCat("many.", i), "")).ok());
  }
  EXPECT_TRUE(WaitUntil([&] { return received == 1000; }));
  FILE* status = fopen("/proc/self/status", "r");
  char line[256];
  int threads = 0;
  while (fgets(line, sizeof(line), status) != nullptr) sscanf(line, "Threads: %d", &threads);
  fclose(status);
  EXPECT_LT(threads, 30);
}

TEST_F(NatsConnectionTest, ASlowSubscriberLosesCountedMessages) {
  const auto publisher = Connect();
  const auto subscriber = Connect();
  Result<bool> release;
  std::atomic<int> received{0};
  SubscribeOptions options;
  options.subject = "slow";
  options.max_pending_messages = 10;
  auto subscription = subscriber->Subscribe(options, [&](InboundMessage) {
    ++received;
    release.Get();
  });
  ASSERT_TRUE(subscription.ok());
  ASSERT_TRUE(subscriber->Flush(absl::Seconds(5)).ok());
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(publisher->Publish(Message("slow", "")).ok());
  ASSERT_TRUE(publisher->Flush(absl::Seconds(5)).ok());
  EXPECT_TRUE(WaitUntil([&] { return (*subscription)->dropped() >= 900; }));
  EXPECT_TRUE(WaitUntil([&] { return subscriber->slow_consumer_events() > 0; }));
  release.Set(true);
  EXPECT_TRUE(WaitUntil(
      [&] { return static_cast<uint64_t>(received) + (*subscription)->dropped() == 1000; }));
}

TEST_F(NatsConnectionTest, DestructionDeliversWhatWasPublished) {
  const auto subscriber = Connect();
  std::atomic<int> received{0};
  const auto subscription = Listen(*subscriber, "last.words", [&](InboundMessage) { ++received; });
  ASSERT_TRUE(subscriber->Flush(absl::Seconds(5)).ok());
  for (int round = 1; round <= 10; ++round) {
    auto publisher = Connect();
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(publisher->Publish(Message("last.words", std::string(500, 'x'))).ok());
    }
    publisher.reset();
    EXPECT_TRUE(WaitUntil([&] { return received == round * 1000; })) << received;
  }
}

TEST_F(NatsConnectionTest, DestructionRunsHandlersForWhatHasArrived) {
  const auto publisher = Connect();
  auto subscriber = Connect();
  Result<bool> draining;
  std::atomic<int> received{0};
  const auto subscription = Listen(*subscriber, "queued", [&](InboundMessage message) {
    draining.Get();
    if (message.reply_to().empty()) ++received;
  });
  ASSERT_TRUE(subscriber->Flush(absl::Seconds(5)).ok());
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(publisher->Publish(Message("queued", "")).ok());
  ASSERT_TRUE(publisher->Flush(absl::Seconds(5)).ok());
  ASSERT_TRUE(subscriber->Flush(absl::Seconds(5)).ok());  // all have arrived, none is handled
  std::thread opener([&] {
    // Destruction first ends the interest at the broker. Only then may the first handler go on.
    EXPECT_TRUE(WaitUntil([&] {
      return absl::IsUnavailable(Ask(*publisher, "queued", "", absl::Milliseconds(5)).status());
    }));
    draining.Set(true);
  });
  subscriber.reset();
  opener.join();
  EXPECT_EQ(received, 1000);
}

TEST_F(NatsConnectionTest, CredentialsAreCheckedAndNeverShown) {
  BrokerOptions options;
  options.extra_config = {R"(authorization { user: "u", password: "s3cret" })"};
  StartBroker(options);
  NatsOptions wrong;
  wrong.urls = {absl::StrCat("nats://u:guess@127.0.0.1:", broker_->port())};
  const auto refused = NatsConnection::Connect(wrong);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnauthenticated) << refused.status();
  EXPECT_THAT(refused.status().ToString(), ::testing::Not(::testing::HasSubstr("guess")));

  NatsOptions right;
  right.urls = {absl::StrCat("nats://u:s3cret@127.0.0.1:", broker_->port())};
  const auto accepted = NatsConnection::Connect(right);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ((*accepted)->connected_url(), broker_->url());
  EXPECT_THAT((*accepted)->known_urls(), ::testing::Contains(broker_->url()));

  NatsOptions apart;
  apart.user = "u";
  apart.password = "s3cret";
  EXPECT_NE(Connect(apart), nullptr);
}

TEST_F(NatsConnectionTest, TokenIsChecked) {
  BrokerOptions options;
  options.extra_config = {R"(authorization { token: "t0ken" })"};
  StartBroker(options);
  NatsOptions right;
  right.token = "t0ken";
  EXPECT_NE(Connect(right), nullptr);
  NatsOptions wrong;
  wrong.urls = {broker_->url()};
  wrong.token = "guess";
  EXPECT_EQ(NatsConnection::Connect(wrong).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(NatsConnectionTest, NobodyListeningIsUnavailable) {
  NatsOptions options;
  options.urls = {"nats://u:s3cret@127.0.0.1:1"};
  const auto connection = NatsConnection::Connect(options);
  EXPECT_EQ(connection.status().code(), absl::StatusCode::kUnavailable) << connection.status();
  EXPECT_THAT(connection.status().ToString(), ::testing::Not(::testing::HasSubstr("s3cret")));
}

}  // namespace
}  // namespace varpulis::transport
