// How many brokers have what is stored, on a cluster of three.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rapidjson/document.h"
#include "rapidjson/pointer.h"
#include "test/support/nats_cluster.h"
#include "test/support/nats_server.h"

namespace varpulis::transport {
namespace {

using ::testing::HasSubstr;
using testing::Result;
using testing::WaitUntil;

class NatsReplicasTest : public testing::NatsServerTest {
 protected:
  void StartThree() {
    std::filesystem::remove_all(folder_);
    auto brokers = testing::StartBrokerCluster(3, folder_.string());
    ASSERT_TRUE(brokers.ok()) << brokers.status();
    brokers_ = *std::move(brokers);
    NatsOptions options;
    options.urls.clear();
    for (const auto& broker : brokers_) options.urls.push_back(broker->url());
    auto bus = NatsConnection::Connect(options);
    ASSERT_TRUE(bus.ok()) << bus.status();
    bus_ = *std::move(bus);
    ASSERT_TRUE(WaitUntil([&] {
      const auto names = Ask(*bus_, "$JS.API.STREAM.NAMES", "", absl::Seconds(1));
      return names.ok() && absl::StrContains(*names, "\"streams\"");
    }));
  }
  ~NatsReplicasTest() override {
    bus_.reset();
    brokers_.clear();
    std::filesystem::remove_all(folder_);
  }

  // 0: there is no such stream.
  int Replicas(const std::string& stream) {
    const auto info = Ask(*bus_, "$JS.API.STREAM.INFO." + stream, "");
    rapidjson::Document document;
    if (info.ok()) document.Parse(info->c_str());
    const rapidjson::Value* replicas = rapidjson::Pointer("/config/num_replicas").Get(document);
    return replicas == nullptr ? 0 : replicas->GetInt();
  }
  absl::Status Ensure(const std::string& stream, int replicas) {
    const auto streams = bus_->OpenEventStreams();
    Result<absl::StatusOr<EventStreams::Range>> ensured;
    streams->Ensure({.name = stream, .subject = "s." + stream, .replicas = replicas},
                    ensured.Callback());
    return ensured.Get().status();
  }
  static absl::Status Save(BlobStore& store) {
    Result<absl::Status> saved;
    store.Save("blobs.x", {.data = "x", .rank = 1}, saved.Callback());
    return saved.Get();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / absl::StrCat("replicas-test-", getpid());
  std::vector<std::unique_ptr<BrokerProcess>> brokers_;
  std::unique_ptr<NatsConnection> bus_;
};

TEST_F(NatsReplicasTest, EverythingGetsAsManyAsIsAskedForAndMoreLater) {
  StartThree();
  for (const int replicas : {1, 3, 1}) {
    SCOPED_TRACE(replicas);
    const auto log = bus_->OpenRecordLog({.bucket = "STATE", .replicas = replicas});
    ASSERT_TRUE(log.ok()) << log.status();
    const auto lease = bus_->OpenKeyValue(
        {.bucket = "LEASE", .ttl = absl::Seconds(1), .memory_storage = true, .replicas = replicas});
    ASSERT_TRUE(lease.ok()) << lease.status();
    ASSERT_TRUE(Ensure("EVENTS", replicas).ok());
    // None is taken away: an operator may have given it.
    const int most = replicas == 1 && Replicas("KV_STATE") == 3 ? 3 : replicas;
    for (const char* stream : {"KV_STATE", "KV_LEASE", "EVENTS"}) {
      EXPECT_TRUE(WaitUntil([&] { return Replicas(stream) == most; })) << stream;
    }
    // It takes writes as soon as it is opened.
    Result<absl::StatusOr<RecordLog::Opened>> opened;
    (*log)->Open({.key = "barrier", .value = "b"}, opened.Callback());
    const absl::StatusOr<RecordLog::Opened>& state = opened.Get();
    ASSERT_TRUE(state.ok()) << state.status();
    Result<absl::StatusOr<uint64_t>> stored;
    (*log)->Append({{.key = absl::StrCat("k", state->barrier_sequence), .value = "1"}},
                   stored.Callback());
    EXPECT_TRUE(stored.Get().ok()) << stored.Get().status();
  }
  EXPECT_EQ(Replicas("KV_STATE"), 3);
}

TEST_F(NatsReplicasTest, ABlobStoreThatExistsGetsMore) {
  StartThree();
  const auto store = bus_->OpenBlobStore({.stream = "BLOBS", .subject = "blobs"});
  ASSERT_TRUE(Save(*store).ok());
  EXPECT_EQ(Replicas("BLOBS"), 1);
  store->SetReplicas(3);
  EXPECT_EQ(Replicas("BLOBS"), 1) << "nothing happens until it is used";
  ASSERT_TRUE(WaitUntil([&] { return Save(*store).ok(); }));
  EXPECT_EQ(Replicas("BLOBS"), 3);
}

TEST_F(NatsReplicasTest, OneBrokerSaysThatItIsAlone) {
  StartBroker();
  bus_ = Connect();
  const absl::Status alone = bus_->OpenRecordLog({.bucket = "STATE", .replicas = 3}).status();
  EXPECT_THAT(std::string(alone.message()), HasSubstr("non-clustered mode"));
  EXPECT_FALSE(absl::IsFailedPrecondition(alone)) << "or the state would be kept in memory";
  ASSERT_TRUE(Ensure("EVENTS", 1).ok());
  EXPECT_FALSE(Ensure("EVENTS", 3).ok());
  EXPECT_TRUE(Ensure("EVENTS", 1).ok());
}

}  // namespace
}  // namespace varpulis::transport
