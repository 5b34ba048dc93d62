#include "transport/record_log.h"

#include <signal.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/nats_server.h"

namespace varpulis::transport {
namespace {

using ::testing::ElementsAre;
using testing::Result;
using testing::WaitUntil;

absl::StatusOr<RecordLog::Opened> Open(RecordLog& log, const std::string& who) {
  Result<absl::StatusOr<RecordLog::Opened>> result;
  log.Open({.key = "barrier", .value = who}, result.Callback());
  return result.Get();
}

absl::StatusOr<uint64_t> Append(RecordLog& log, std::vector<RecordWrite> writes) {
  Result<absl::StatusOr<uint64_t>> result;
  log.Append(std::move(writes), result.Callback());
  return result.Get();
}

std::vector<std::string> Text(const RecordLog::Opened& opened) {
  std::vector<std::string> text;
  for (const Record& record : opened.records) {
    text.push_back(absl::StrCat(record.key, "=", record.value));
  }
  return text;
}

class NatsRecordLogTest : public testing::NatsServerTest {
 protected:
  std::unique_ptr<RecordLog> OpenLog(NatsConnection& bus) {
    KeyValueOptions options;
    options.bucket = "STATE";
    auto log = bus.OpenRecordLog(options);
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }
};

TEST_F(NatsRecordLogTest, LoadsTheNewestOfEachLiveKeyInOrder) {
  const auto bus = Connect();
  const auto log = OpenLog(*bus);
  EXPECT_TRUE(log->durable());
  const auto first = Open(*log, "A");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(Text(*first), ElementsAre("barrier=A"));
  const auto last = Append(*log, {{.key = "x", .value = "1"},
                                  {.key = "y", .value = "1"},
                                  {.key = "x", .value = "2"},
                                  {.key = "z", .value = "1"},
                                  {.key = "y", .value = "", .remove = true}});
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(*last, first->barrier_sequence + 5);
  const auto next = OpenLog(*bus);
  const auto second = Open(*next, "B");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->barrier_sequence, *last + 1);
  EXPECT_THAT(Text(*second), ElementsAre("x=2", "z=1", "barrier=B"));
}

TEST_F(NatsRecordLogTest, ANewLeaderFencesTheOld) {
  const auto bus = Connect();
  const auto old_log = OpenLog(*bus);
  ASSERT_TRUE(Open(*old_log, "A").ok());
  ASSERT_TRUE(Append(*old_log, {{.key = "x", .value = "A"}}).ok());
  const auto new_log = OpenLog(*bus);
  ASSERT_TRUE(Open(*new_log, "B").ok());
  EXPECT_EQ(Append(*old_log, {{.key = "untouched", .value = "A"}}).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(Append(*old_log, {{.key = "x", .value = "A"}}).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_TRUE(Append(*new_log, {{.key = "x", .value = "B"}}).ok());
  // The old one may open again, and then fences in turn.
  const auto again = Open(*old_log, "A");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(Text(*again), ElementsAre("x=B", "barrier=A"));
  EXPECT_EQ(Append(*new_log, {{.key = "x", .value = "B"}}).status().code(),
            absl::StatusCode::kAborted);
}

// The second expects the very sequence that the barrier of the successor has taken.
TEST_F(NatsRecordLogTest, FencesWritesThatFollowARefusedOneAtOnce) {
  const auto bus = Connect();
  const auto old_log = OpenLog(*bus);
  ASSERT_TRUE(Open(*old_log, "A").ok());
  const auto new_log = OpenLog(*bus);
  ASSERT_TRUE(Open(*new_log, "B").ok());
  EXPECT_EQ(
      Append(*old_log,
             {{.key = "x", .value = "A"}, {.key = "y", .value = "A"}, {.key = "z", .value = "A"}})
          .status()
          .code(),
      absl::StatusCode::kAborted);
  const auto after = Open(*OpenLog(*bus), "C");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_THAT(Text(*after), ElementsAre("barrier=C"));
}

TEST_F(NatsRecordLogTest, ManyAppendsAreInFlightAtOnceAndKeepTheirOrder) {
  constexpr int kAppends = 2000;
  const auto bus = Connect();
  const auto log = OpenLog(*bus);
  const auto opened = Open(*log, "A");
  ASSERT_TRUE(opened.ok());
  std::vector<Result<absl::StatusOr<uint64_t>>> results(kAppends);
  for (int i = 0; i < kAppends; ++i) {
    log->Append({{.key = absl::StrCat("k", i % 500), .value = absl::StrCat(i)}},
                results[i].Callback());
  }
  for (int i = 0; i < kAppends; ++i) {
    ASSERT_TRUE(results[i].Get().ok()) << results[i].Get().status();
    EXPECT_EQ(*results[i].Get(), opened->barrier_sequence + i + 1);
  }
  const auto again = Open(*log, "A");
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->records.size(), 501u);
  EXPECT_EQ(again->records[0].value, "1500");
}

TEST_F(NatsRecordLogTest, RivalsOpeningAtOnceEndWithOneLeader) {
  const auto bus = Connect();
  std::vector<std::unique_ptr<RecordLog>> logs;
  std::vector<Result<absl::StatusOr<RecordLog::Opened>>> results(5);
  for (size_t i = 0; i < results.size(); ++i) logs.push_back(OpenLog(*bus));
  for (size_t i = 0; i < results.size(); ++i) {
    logs[i]->Open({.key = "barrier", .value = absl::StrCat(i)}, results[i].Callback());
  }
  int leaders = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].Get().ok()) {
      EXPECT_EQ(results[i].Get().status().code(), absl::StatusCode::kAborted);
    }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].Get().ok() && Append(*logs[i], {{.key = "x", .value = "1"}}).ok()) ++leaders;
  }
  EXPECT_EQ(leaders, 1);
}

TEST_F(NatsRecordLogTest, ARecordThatIsTooLargeIsRefusedAndTheChainStaysWhole) {
  const auto bus = Connect();
  const auto log = OpenLog(*bus);
  ASSERT_TRUE(Open(*log, "A").ok());
  EXPECT_EQ(Append(*log, {{.key = "x", .value = std::string(2 << 20, 'x')}}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Append(*log, {{.key = "x", .value = "1"}}).ok());
}

TEST_F(NatsRecordLogTest, StateSurvivesTheBroker) {
  const auto bus = Connect();
  const auto log = OpenLog(*bus);
  uint64_t last_epoch = 0;
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE(round);
    absl::StatusOr<RecordLog::Opened> opened;
    ASSERT_TRUE(WaitUntil([&] {
      opened = Open(*log, "A");
      return opened.ok();
    })) << opened.status();
    EXPECT_GT(opened->barrier_sequence, last_epoch);
    last_epoch = opened->barrier_sequence;
    EXPECT_EQ(opened->records.size(), static_cast<size_t>(round) + 1);
    ASSERT_TRUE(Append(*log, {{.key = absl::StrCat("k", round), .value = "1"}}).ok());
    ASSERT_TRUE(broker_->Kill(SIGTERM).ok());
    EXPECT_EQ(Append(*log, {{.key = "lost", .value = "1"}}).status().code(),
              absl::StatusCode::kUnavailable);
    ASSERT_TRUE(broker_->Restart().ok());
    // The chain is broken: the outcome of what was in flight is unknown.
    EXPECT_EQ(Append(*log, {{.key = "lost", .value = "1"}}).status().code(),
              absl::StatusCode::kUnavailable);
  }
}

TEST_F(NatsRecordLogTest, WithoutJetStreamItSaysSo) {
  BrokerOptions options;
  options.jetstream = false;
  StartBroker(options);
  const auto bus = Connect();
  KeyValueOptions bucket;
  bucket.bucket = "STATE";
  const absl::Status status = bus->OpenRecordLog(bucket).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("JetStream is not enabled"));
}

TEST(VolatileRecordLogTest, KeepsTheSameContract) {
  const auto log = NewVolatileRecordLog();
  EXPECT_FALSE(log->durable());
  EXPECT_EQ(Append(*log, {}).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto opened = Open(*log, "A");
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(*Append(*log, {{.key = "x", .value = "1"}, {.key = "y", .value = "2"}}),
            opened->barrier_sequence + 2);
  ASSERT_TRUE(Append(*log, {{.key = "x", .value = "", .remove = true}}).ok());
  EXPECT_THAT(Text(*Open(*log, "A")), ElementsAre("y=2", "barrier=A"));
}

}  // namespace
}  // namespace varpulis::transport
