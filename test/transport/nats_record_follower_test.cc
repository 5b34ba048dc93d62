// A log that follows, opened after all that may happen to a stream meanwhile: it must give what a
// log that reads everything gives.

#include <signal.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidjson/document.h"
#include "rapidjson/pointer.h"
#include "test/support/nats_server.h"
#include "transport/record_log.h"

namespace varpulis::transport {
namespace {

using ::testing::ElementsAre;
using testing::Result;
using testing::WaitUntil;

class NatsRecordFollowerTest : public testing::NatsServerTest {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    BrokerOptions options;
    options.store_dir = folder_ / "store";
    StartBroker(options);
    bus_ = Connect();
    NatsOptions follower;
    follower.inbox_prefix = "FOLLOWER";  // tells its consumers from others
    followers_bus_ = Connect(follower);
    writer_ = NewLog();
    ASSERT_TRUE(Open(*writer_).ok());
  }

  ~NatsRecordFollowerTest() override {
    writer_.reset();
    broker_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::unique_ptr<RecordLog> NewLog() { return NewLog(*bus_); }
  static std::unique_ptr<RecordLog> NewLog(NatsConnection& bus) {
    absl::StatusOr<std::unique_ptr<RecordLog>> log;
    EXPECT_TRUE(WaitUntil([&] {  // the broker may be on its way back
      log = bus.OpenRecordLog({.bucket = "STATE"});
      return log.ok();
    })) << log.status();
    return *std::move(log);
  }
  std::unique_ptr<RecordLog> NewFollower() {
    auto log = NewLog(*followers_bus_);
    log->Follow();
    return log;
  }
  static absl::StatusOr<RecordLog::Opened> Open(RecordLog& log) {
    Result<absl::StatusOr<RecordLog::Opened>> result;
    log.Open({.key = "barrier", .value = "b"}, result.Callback());
    return result.Get();
  }
  // After a broker was away, until it serves.
  static absl::StatusOr<RecordLog::Opened> OpenAtLast(RecordLog& log) {
    absl::StatusOr<RecordLog::Opened> opened;
    WaitUntil([&] {
      opened = Open(log);
      return opened.ok();
    });
    return opened;
  }
  static absl::StatusOr<uint64_t> Append(RecordLog& log, std::vector<RecordWrite> writes) {
    Result<absl::StatusOr<uint64_t>> result;
    log.Append(std::move(writes), result.Callback());
    return result.Get();
  }
  // Key, value and sequence of all but the barrier.
  static std::vector<std::string> Text(const absl::StatusOr<RecordLog::Opened>& opened) {
    if (!opened.ok()) return {opened.status().ToString()};
    std::vector<std::string> text;
    for (const Record& record : opened->records) {
      if (record.key == "barrier") continue;
      text.push_back(absl::StrCat(record.key, "=", record.value, "@", record.sequence));
    }
    return text;
  }
  std::vector<std::string> ReadAnew() { return Text(OpenAtLast(*NewLog())); }

  rapidjson::Document Api(const std::string& verb, const std::string& json = "") {
    rapidjson::Document document;
    const auto reply = Ask(*bus_, absl::StrCat("$JS.API.", verb), json);
    if (reply.ok()) document.Parse(reply->data(), reply->size());
    return document;
  }
  // Whether the newest message was delivered to a follower.
  bool FollowerHasCaughtUp() {
    const rapidjson::Document stream = Api("STREAM.INFO.KV_STATE");
    const rapidjson::Value* last = rapidjson::Pointer("/state/last_seq").Get(stream);
    const rapidjson::Document list = Api("CONSUMER.LIST.KV_STATE");
    const rapidjson::Value* consumers = rapidjson::Pointer("/consumers").Get(list);
    if (last == nullptr || consumers == nullptr || !consumers->IsArray()) return false;
    for (const auto& consumer : consumers->GetArray()) {
      const rapidjson::Value* inbox = rapidjson::Pointer("/config/deliver_subject").Get(consumer);
      const rapidjson::Value* bound = rapidjson::Pointer("/push_bound").Get(consumer);
      const rapidjson::Value* delivered = rapidjson::Pointer("/delivered/stream_seq").Get(consumer);
      if (inbox != nullptr && absl::StartsWith(inbox->GetString(), "FOLLOWER") &&
          bound != nullptr && bound->IsTrue() && delivered != nullptr && *delivered == *last) {
        return true;
      }
    }
    return false;
  }
  void WriteAndLetFollow(std::vector<RecordWrite> writes) {
    const auto stored = Append(*writer_, std::move(writes));
    ASSERT_TRUE(stored.ok()) << stored.status();
    ASSERT_TRUE(WaitUntil([&] { return FollowerHasCaughtUp(); }));
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / absl::StrCat("record-follower-", getpid());
  std::unique_ptr<NatsConnection> bus_, followers_bus_;
  std::unique_ptr<RecordLog> writer_;
};

TEST_F(NatsRecordFollowerTest, GivesWhatWasWrittenBeforeAndAfterItBegan) {
  ASSERT_TRUE(Append(*writer_, {{.key = "x", .value = "1"},
                                {.key = "y", .value = "1"},
                                {.key = "gone", .value = "1"}})
                  .ok());
  const auto follower = NewFollower();
  WriteAndLetFollow({{.key = "x", .value = "2"},
                     {.key = "z", .value = "1"},
                     {.key = "gone", .value = "", .remove = true},
                     {.key = "empty", .value = ""}});
  const auto opened = Open(*follower);
  EXPECT_THAT(Text(opened), ElementsAre("y=1@3", "x=2@5", "z=1@6", "empty=@8"));
  EXPECT_TRUE(opened->followed);
  EXPECT_EQ(opened->barrier_sequence, 9u);
  EXPECT_EQ(opened->records.back().key, "barrier");
  EXPECT_EQ(Append(*writer_, {{.key = "x", .value = "3"}}).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(*Append(*follower, {{.key = "x", .value = "4"}}), 10u);
  // Opened again it reads everything, as its copy is given away.
  const auto again = Open(*follower);
  EXPECT_THAT(Text(again), ElementsAre("y=1@3", "z=1@6", "empty=@8", "x=4@10"));
  EXPECT_FALSE(again->followed);
}

TEST_F(NatsRecordFollowerTest, OpenedAtOnceItGivesTheSame) {
  ASSERT_TRUE(Append(*writer_, {{.key = "x", .value = "1"}}).ok());
  EXPECT_THAT(Text(Open(*NewFollower())), ElementsAre("x=1@2"));
}

TEST_F(NatsRecordFollowerTest, WhatWasPurgedIsNotGiven) {
  const auto follower = NewFollower();
  WriteAndLetFollow({{.key = "x", .value = "1"}, {.key = "y", .value = "1"}});
  Api("STREAM.PURGE.KV_STATE", R"({"filter":"$KV.STATE.x"})");
  const auto opened = Open(*follower);
  EXPECT_THAT(Text(opened), ElementsAre("y=1@3"));
  EXPECT_FALSE(opened->followed);
  EXPECT_TRUE(Append(*follower, {{.key = "x", .value = "2"}}).ok());
}

TEST_F(NatsRecordFollowerTest, APurgeOfEverythingIsNoticedAndWhatCameAfterItIsGiven) {
  const auto follower = NewFollower();
  WriteAndLetFollow({{.key = "x", .value = "1"}, {.key = "y", .value = "1"}});
  Api("STREAM.PURGE.KV_STATE");
  WriteAndLetFollow({{.key = "y", .value = "2"}});
  EXPECT_THAT(Text(Open(*follower)), ElementsAre("y=2@4"));
}

// As `nats kv purge` does: a message that removes those before it.
TEST_F(NatsRecordFollowerTest, ARemovalByRollupIsARemoval) {
  const auto follower = NewFollower();
  WriteAndLetFollow({{.key = "x", .value = "1"}, {.key = "y", .value = "1"}});
  ASSERT_TRUE(bus_->Publish({.subject = "$KV.STATE.x",
                             .headers = {{"KV-Operation", "PURGE"}, {"Nats-Rollup", "sub"}}})
                  .ok());
  ASSERT_TRUE(WaitUntil([&] {
    const rapidjson::Document stream = Api("STREAM.INFO.KV_STATE");
    return rapidjson::Pointer("/state/last_seq").Get(stream)->GetUint64() == 4;
  }));
  ASSERT_TRUE(WaitUntil([&] { return FollowerHasCaughtUp(); }));
  const auto opened = Open(*follower);
  EXPECT_THAT(Text(opened), ElementsAre("y=1@3"));
  EXPECT_TRUE(opened->followed);
}

TEST_F(NatsRecordFollowerTest, OfAStreamMadeAgainItGivesTheNewRecords) {
  auto early = NewFollower();
  const auto late = NewFollower();
  WriteAndLetFollow({{.key = "x", .value = "old"}, {.key = "y", .value = "old"}});
  // Not by a delete: nats-server 2.9 removes the files later, and those of the next stream with
  // them.
  ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
  std::filesystem::remove_all(folder_ / "store/jetstream");
  ASSERT_TRUE(broker_->Restart().ok());
  for (const auto* bus : {bus_.get(), followers_bus_.get()}) {
    ASSERT_TRUE(WaitUntil([&] { return bus->state() == ConnectionState::kConnected; }));
  }
  writer_ = NewLog();
  ASSERT_TRUE(OpenAtLast(*writer_).ok());
  // As many keys, and the same sequences.
  ASSERT_TRUE(Append(*writer_, {{.key = "x", .value = "new"}, {.key = "z", .value = "new"}}).ok());
  EXPECT_THAT(Text(Open(*early)), ElementsAre("x=new@2", "z=new@3"));
  early.reset();
  writer_ = NewLog();
  ASSERT_TRUE(Open(*writer_).ok());
  WriteAndLetFollow({{.key = "z", .value = "newer"}});
  const auto opened = Open(*late);
  EXPECT_THAT(Text(opened), ElementsAre("x=new@2", "z=newer@6"));
  EXPECT_TRUE(opened->followed) << "it has found the new stream";
}

TEST_F(NatsRecordFollowerTest, FollowsOnWhenTheBrokerIsBack) {
  auto follower = NewFollower();
  WriteAndLetFollow({{.key = "x", .value = "1"}, {.key = "y", .value = "1"}});
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
    ASSERT_TRUE(broker_->Restart().ok());
    ASSERT_TRUE(OpenAtLast(*writer_).ok());
    WriteAndLetFollow({{.key = "x", .value = absl::StrCat("after ", round)}});
  }
  const auto opened = Open(*follower);
  EXPECT_TRUE(opened->followed);
  EXPECT_EQ(Text(opened), ReadAnew());

  follower = NewFollower();
  writer_ = NewLog();
  ASSERT_TRUE(Open(*writer_).ok());
  WriteAndLetFollow({{.key = "z", .value = "1"}});
  ASSERT_TRUE(broker_->Kill(SIGTERM).ok());
  ASSERT_TRUE(broker_->Restart().ok());
  const auto at_once = OpenAtLast(*follower);
  EXPECT_EQ(Text(at_once), ReadAnew());
}

// What was written after the last write to the disk is gone, and others have taken its sequences.
TEST_F(NatsRecordFollowerTest, OfAStreamThatHasGoneBackItGivesWhatIsThere) {
  const auto follower = NewFollower();
  WriteAndLetFollow({{.key = "x", .value = "1"}, {.key = "y", .value = "1"}});
  ASSERT_TRUE(broker_->Kill(SIGTERM).ok());
  std::filesystem::copy(folder_ / "store", folder_ / "old",
                        std::filesystem::copy_options::recursive);
  ASSERT_TRUE(broker_->Restart().ok());
  ASSERT_TRUE(OpenAtLast(*writer_).ok());
  WriteAndLetFollow({{.key = "x", .value = "lost"}, {.key = "y", .value = "lost"}});

  ASSERT_TRUE(broker_->Kill(SIGTERM).ok());
  std::filesystem::remove_all(folder_ / "store");
  std::filesystem::rename(folder_ / "old", folder_ / "store");
  ASSERT_TRUE(broker_->Restart().ok());
  ASSERT_TRUE(OpenAtLast(*writer_).ok());
  WriteAndLetFollow({{.key = "y", .value = "2"}, {.key = "y", .value = "3"}});
  const auto opened = Open(*follower);
  EXPECT_THAT(Text(opened), ElementsAre("x=1@2", "y=3@6"));
  EXPECT_TRUE(opened->followed);
}

// Leaders take turns amid each other's writes, removals and an operator's purges.
TEST_F(NatsRecordFollowerTest, WhateverHappensItGivesWhatReadingGives) {
  std::mt19937 random(1);
  const auto below = [&](int limit) { return static_cast<int>(random() % limit); };
  int followed = 0;
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    const auto follower = NewFollower();
    std::vector<Result<absl::StatusOr<uint64_t>>> results(below(40));
    for (auto& result : results) {
      const bool remove = below(4) == 0;
      writer_->Append({{.key = absl::StrCat("k", below(30)),
                        .value = remove ? "" : absl::StrCat(random()),
                        .remove = remove}},
                      result.Callback());
    }
    // Else the barrier meets writes under way.
    if (below(3) > 0) {
      for (auto& result : results) ASSERT_TRUE(result.Get().ok()) << result.Get().status();
      ASSERT_TRUE(WaitUntil([&] { return FollowerHasCaughtUp(); }));
      if (below(6) == 0) {
        Api("STREAM.PURGE.KV_STATE", absl::StrCat(R"({"filter":"$KV.STATE.k)", below(30), "\"}"));
      }
    }
    const auto opened = OpenAtLast(*follower);
    ASSERT_TRUE(opened.ok()) << opened.status();
    if (opened->followed) ++followed;
    for (auto& result : results) result.Get();
    writer_ = NewLog();
    const auto read = Open(*writer_);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_FALSE(read->followed);
    EXPECT_EQ(read->barrier_sequence, opened->barrier_sequence + 1);
    ASSERT_EQ(Text(opened), Text(read));
  }
  EXPECT_GT(followed, 20);
}

TEST(VolatileRecordLogTest, TakesItThatItShallFollow) {
  const auto log = NewVolatileRecordLog();
  log->Follow();
  Result<absl::StatusOr<RecordLog::Opened>> opened;
  log->Open({.key = "barrier", .value = "b"}, opened.Callback());
  EXPECT_EQ(opened.Get()->records.size(), 1u);
}

}  // namespace
}  // namespace varpulis::transport
