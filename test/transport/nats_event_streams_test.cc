#include "transport/event_streams.h"

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

#include "test/support/nats_server.h"

namespace varpulis::testing {
namespace {

using transport::EventStreams;

class EventStreamsTest : public NatsServerTest {
 protected:
  void SetUp() override {
    StartBroker();
    bus_ = Connect();
    streams_ = bus_->OpenEventStreams();
  }
  static transport::EventStreamOptions Stream() { return {.name = "S", .subject = "s.x"}; }
  static absl::Status Last(EventStreams& streams, EventStreams::LastMessage* last) {
    Result<absl::StatusOr<EventStreams::LastMessage>> read;
    streams.Last("S", "s.x", read.Callback());
    if (read.Get().ok()) *last = *read.Get();
    return read.Get().status();
  }

  std::unique_ptr<transport::NatsConnection> bus_;
  std::unique_ptr<EventStreams> streams_;
};

TEST_F(EventStreamsTest, TheLastMessageIsTheNewestOne) {
  EventStreams::LastMessage last;
  EXPECT_TRUE(absl::IsNotFound(Last(*streams_, &last)));
  Result<absl::StatusOr<EventStreams::Range>> ensured;
  streams_->Ensure(Stream(), ensured.Callback());
  ASSERT_TRUE(ensured.Get().ok());
  EXPECT_TRUE(absl::IsNotFound(Last(*streams_, &last)));
  for (const char* payload : {"a", "b"}) {
    Result<absl::StatusOr<EventStreams::Stored>> stored;
    streams_->Publish({.subject = "s.x", .payload = payload, .headers = {}, .reply_to = ""},
                      stored.Callback());
    ASSERT_TRUE(stored.Get().ok());
  }
  ASSERT_TRUE(Last(*streams_, &last).ok());
  EXPECT_EQ(last.sequence, 2U);
  EXPECT_EQ(last.payload, "b");
}

// A pipeline looks at the stream of the next one while that one's worker creates it.
TEST_F(EventStreamsTest, ABrokerSurvivesTheQuestionAfterAStreamThatIsBeingCreated) {
  std::atomic<bool> done = false;
  auto other_bus = Connect("other");
  auto others = other_bus->OpenEventStreams();
  std::thread asking([&] {
    EventStreams::LastMessage last;
    while (!done) EXPECT_TRUE(absl::IsNotFound(Last(*others, &last)));
  });
  for (int i = 0; i < 300; ++i) {
    Result<absl::StatusOr<EventStreams::Range>> ensured;
    streams_->Ensure(Stream(), ensured.Callback());
    EXPECT_TRUE(ensured.Get().ok()) << ensured.Get().status();
    Result<absl::Status> deleted;
    streams_->Delete("S", deleted.Callback());
    EXPECT_TRUE(deleted.Get().ok()) << deleted.Get();
  }
  done = true;
  asking.join();
}

}  // namespace
}  // namespace varpulis::testing
