#include "transport/key_value.h"

#include <signal.h>

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/nats_server.h"

namespace varpulis::transport {
namespace {

using testing::Result;
using testing::WaitUntil;

class NatsKeyValueTest : public testing::NatsServerTest {
 protected:
  std::unique_ptr<KeyValue> Open(NatsConnection& bus, bool memory = false) {
    KeyValueOptions options;
    options.bucket = "TEST";
    options.memory_storage = memory;
    auto bucket = bus.OpenKeyValue(options);
    EXPECT_TRUE(bucket.ok()) << bucket.status();
    return *std::move(bucket);
  }
  static absl::StatusOr<KeyValueEntry> Get(KeyValue& bucket, const std::string& key) {
    Result<absl::StatusOr<KeyValueEntry>> result;
    bucket.Get(key, result.Callback());
    return result.Get();
  }
  static absl::StatusOr<uint64_t> Put(KeyValue& b, const std::string& key, std::string value) {
    Result<absl::StatusOr<uint64_t>> result;
    b.Put(key, std::move(value), result.Callback());
    return result.Get();
  }
  static absl::StatusOr<uint64_t> Create(KeyValue& b, const std::string& key, std::string value) {
    Result<absl::StatusOr<uint64_t>> result;
    b.Create(key, std::move(value), result.Callback());
    return result.Get();
  }
  static absl::StatusOr<uint64_t> Update(KeyValue& b, const std::string& key, std::string value,
                                         uint64_t revision) {
    Result<absl::StatusOr<uint64_t>> result;
    b.Update(key, std::move(value), revision, result.Callback());
    return result.Get();
  }
  static absl::StatusOr<uint64_t> Delete(KeyValue& b, const std::string& key) {
    Result<absl::StatusOr<uint64_t>> result;
    b.Delete(key, result.Callback());
    return result.Get();
  }
};

// What a watcher has seen so far.
class Seen {
 public:
  KeyValue::Watcher Watcher() {
    return {[this](const KeyValueEntry& entry) {
              MutexLock lock(mutex_);
              EXPECT_GT(entry.revision, last_revision_);
              last_revision_ = entry.revision;
              text_ += absl::StrCat(entry.key, entry.deleted ? " gone" : "=", entry.value, ";");
            },
            [this] {
              MutexLock lock(mutex_);
              text_ += "|";
            }};
  }
  std::string text() const {
    MutexLock lock(mutex_);
    return text_;
  }

 private:
  mutable Mutex mutex_;
  uint64_t last_revision_ = 0;
  std::string text_;
};

TEST_F(NatsKeyValueTest, StoresReadsAndRemoves) {
  const auto bus = Connect();
  const auto bucket = Open(*bus);
  EXPECT_EQ(Get(*bucket, "a.b").status().code(), absl::StatusCode::kNotFound);
  const auto revision = Put(*bucket, "a.b", std::string("x\0y", 3));
  ASSERT_TRUE(revision.ok()) << revision.status();
  const auto entry = Get(*bucket, "a.b");
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->value, std::string("x\0y", 3));
  EXPECT_EQ(entry->revision, *revision);
  ASSERT_TRUE(Delete(*bucket, "a.b").ok());
  EXPECT_EQ(Get(*bucket, "a.b").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Put(*bucket, "a b", "x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Put(*bucket, "a", std::string(2 << 20, 'x')).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(NatsKeyValueTest, CreateWinsOnceAndAgainAfterRemoval) {
  const auto bus = Connect();
  const auto bucket = Open(*bus);
  ASSERT_TRUE(Create(*bucket, "lease", "a").ok());
  EXPECT_EQ(Create(*bucket, "lease", "b").status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(Delete(*bucket, "lease").ok());
  const auto again = Create(*bucket, "lease", "b");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Get(*bucket, "lease")->value, "b");
}

TEST_F(NatsKeyValueTest, UpdateComparesTheRevision) {
  const auto bus = Connect();
  const auto bucket = Open(*bus);
  const auto first = Put(*bucket, "k", "1");
  const auto second = Update(*bucket, "k", "2", *first);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(Update(*bucket, "k", "3", *first).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Get(*bucket, "k")->value, "2");
  Result<absl::StatusOr<uint64_t>> stale, fresh;
  bucket->Delete("k", *first, stale.Callback());
  EXPECT_EQ(stale.Get().status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Get(*bucket, "k")->value, "2");
  bucket->Delete("k", *second, fresh.Callback());
  EXPECT_TRUE(fresh.Get().ok()) << fresh.Get().status();
  EXPECT_EQ(Get(*bucket, "k").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(NatsKeyValueTest, EntriesExpire) {
  const auto bus = Connect();
  KeyValueOptions options;
  options.bucket = "LEASES";
  options.memory_storage = true;
  options.ttl = absl::Milliseconds(300);
  const auto bucket = bus->OpenKeyValue(options);
  ASSERT_TRUE(bucket.ok()) << bucket.status();
  ASSERT_TRUE(Create(**bucket, "leader", "a").ok());
  EXPECT_EQ(Create(**bucket, "leader", "b").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(WaitUntil([&] { return Create(**bucket, "leader", "b").ok(); }));
}

TEST_F(NatsKeyValueTest, WatchTellsWhatIsStoredThenWhatChanges) {
  const auto bus = Connect();
  const auto bucket = Open(*bus);
  Seen empty;
  const auto watch_empty = bucket->Watch(">", empty.Watcher());
  EXPECT_TRUE(WaitUntil([&] { return empty.text() == "|"; })) << empty.text();
  ASSERT_TRUE(Put(*bucket, "a.1", "x").ok());
  ASSERT_TRUE(Put(*bucket, "b.1", "y").ok());
  ASSERT_TRUE(Put(*bucket, "a.1", "z").ok());
  Seen some;
  const auto watch_some = bucket->Watch("a.*", some.Watcher());
  EXPECT_TRUE(WaitUntil([&] { return some.text() == "a.1=z;|"; })) << some.text();
  ASSERT_TRUE(Delete(*bucket, "a.1").ok());
  EXPECT_TRUE(WaitUntil([&] { return some.text() == "a.1=z;|a.1 gone;"; })) << some.text();
  EXPECT_TRUE(WaitUntil([&] { return empty.text() == "|a.1=x;b.1=y;a.1=z;a.1 gone;"; }))
      << empty.text();
}

TEST_F(NatsKeyValueTest, WatchSurvivesRestartsOfTheBroker) {
  const auto bus = Connect();
  const auto bucket = Open(*bus);
  Seen seen;
  const auto watch = bucket->Watch(">", seen.Watcher());
  std::string expected = "|";
  EXPECT_TRUE(WaitUntil([&] { return seen.text() == expected; }));
  for (int round = 0; round < 10; ++round) {
    SCOPED_TRACE(round);
    ASSERT_TRUE(broker_->Kill(round % 2 == 0 ? SIGTERM : SIGKILL).ok());
    ASSERT_TRUE(broker_->Restart().ok());
    const std::string value = absl::StrCat(round);
    ASSERT_TRUE(WaitUntil([&] { return Put(*bucket, "k", value).ok(); }));
    expected += absl::StrCat("k=", value, ";");
    ASSERT_TRUE(WaitUntil([&] { return seen.text() == expected; })) << seen.text();
  }
}

TEST_F(NatsKeyValueTest, ABucketInMemoryIsMadeAgainAfterARestart) {
  const auto bus = Connect();
  const auto bucket = Open(*bus, true);
  ASSERT_TRUE(Create(*bucket, "k", "1").ok());
  ASSERT_TRUE(broker_->Kill(SIGTERM).ok());
  ASSERT_TRUE(broker_->Restart().ok());
  EXPECT_TRUE(WaitUntil([&] { return Create(*bucket, "k", "2").ok(); }));
  EXPECT_EQ(Get(*bucket, "k")->value, "2");
}

TEST_F(NatsKeyValueTest, WithoutJetStreamItSaysSo) {
  BrokerOptions options;
  options.jetstream = false;
  StartBroker(options);
  const auto bus = Connect();
  KeyValueOptions bucket;
  bucket.bucket = "TEST";
  const absl::Status status = bus->OpenKeyValue(bucket).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("JetStream is not enabled"));
}

}  // namespace
}  // namespace varpulis::transport
