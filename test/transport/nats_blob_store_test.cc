#include "transport/blob_store.h"

#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "test/support/nats_server.h"

namespace varpulis::transport {
namespace {

using testing::Result;
using testing::WaitUntil;

constexpr char kName[] = "x.checkpoint.g.p.0";

absl::Status Save(BlobStore& store, std::string data, uint64_t rank,
                  const std::string& name = kName) {
  Result<absl::Status> result;
  store.Save(name, {.data = std::move(data), .rank = rank, .encoding = 7}, result.Callback());
  return result.Get();
}

absl::StatusOr<Blob> Load(BlobStore& store, uint64_t min_rank = 0,
                          const std::string& name = kName) {
  Result<absl::StatusOr<Blob>> result;
  store.Load(name, min_rank, result.Callback());
  return result.Get();
}

std::string Noise(size_t bytes) {
  std::string data(bytes, '\0');
  std::mt19937_64 random(bytes);
  for (size_t i = 0; i + 8 <= bytes; i += 8) {
    const uint64_t word = random();
    data.replace(i, 8, reinterpret_cast<const char*>(&word), 8);
  }
  return data;
}

class NatsBlobStoreTest : public testing::NatsServerTest {
 protected:
  static std::unique_ptr<BlobStore> Open(NatsConnection& bus, uint64_t max_bytes = 0) {
    return bus.OpenBlobStore(
        {.stream = "BLOBS", .subject = "x.checkpoint", .max_bytes = max_bytes});
  }
  // What the broker says of the stream: for one filter, its messages per subject.
  std::string Info(NatsConnection& bus, const std::string& filter) {
    const auto reply = Ask(bus, "$JS.API.STREAM.INFO.BLOBS",
                           absl::StrCat(R"({"subjects_filter":")", filter, R"("})"));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.value_or("");
  }
  int Subjects(NatsConnection& bus, const std::string& filter) {
    const std::string info = Info(bus, filter);
    int found = 0;
    for (size_t at = 0; (at = info.find("x.checkpoint.g.p.0.", at)) != std::string::npos; ++at) {
      ++found;
    }
    return found;
  }
  // Overwrites nothing: makes one chunk of the newest version disappear.
  void LoseAChunk(NatsConnection& bus, uint64_t sequence) {
    const auto reply =
        Ask(bus, "$JS.API.STREAM.MSG.DELETE.BLOBS", absl::StrCat(R"({"seq":)", sequence, "}"));
    ASSERT_TRUE(reply.ok()) << reply.status();
    ASSERT_NE(reply->find(R"("success":true)"), std::string::npos) << *reply;
  }
};

TEST_F(NatsBlobStoreTest, GivesBackTheNewestVersion) {
  const auto bus = Connect();
  const auto store = Open(*bus);
  EXPECT_TRUE(absl::IsNotFound(Load(*store).status()));
  ASSERT_TRUE(Save(*store, "one", 1).ok());
  ASSERT_TRUE(Save(*store, "two", 1).ok());
  ASSERT_TRUE(Save(*store, "", 1, "x.checkpoint.g.q.0").ok());
  const auto loaded = Load(*store);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->data, "two");
  EXPECT_EQ(loaded->rank, 1u);
  EXPECT_EQ(loaded->encoding, 7u);
  EXPECT_EQ(Load(*store, 0, "x.checkpoint.g.q.0")->data, "");
  EXPECT_TRUE(absl::IsNotFound(Load(*store, 2).status()));
}

TEST_F(NatsBlobStoreTest, AHigherRankWinsAndALowerOneMayNotReplaceIt) {
  const auto bus = Connect();
  const auto store = Open(*bus);
  const auto zombie = Open(*bus);
  ASSERT_TRUE(Save(*store, "one", 1).ok());
  ASSERT_TRUE(Save(*store, "two", 2).ok());
  EXPECT_TRUE(absl::IsAborted(Save(*zombie, "late", 1)));
  EXPECT_EQ(Load(*zombie)->data, "two");
}

TEST_F(NatsBlobStoreTest, OfManyWritersAtOnceNoHigherRankIsLost) {
  const auto bus = Connect();
  const auto store = Open(*bus);
  std::vector<Result<absl::Status>> results(8);
  for (uint64_t rank = 1; rank <= 8; ++rank) {
    store->Save(kName, {.data = absl::StrCat(rank), .rank = rank}, results[rank - 1].Callback());
  }
  EXPECT_TRUE(results[7].Get().ok()) << results[7].Get();
  for (auto& result : results) EXPECT_TRUE(result.Get().ok() || absl::IsAborted(result.Get()));
  EXPECT_EQ(Load(*store)->data, "8");
}

TEST_F(NatsBlobStoreTest, FallsBackToAnOlderVersionThatIsWhole) {
  const auto bus = Connect();
  const auto store = Open(*bus);
  ASSERT_TRUE(Save(*store, "one", 1).ok());  // chunk 1, manifest 2
  ASSERT_TRUE(Save(*store, "two", 1).ok());  // 3, 4
  LoseAChunk(*bus, 3);
  const auto loaded = Load(*store);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->data, "one");
  LoseAChunk(*bus, 1);
  EXPECT_TRUE(absl::IsDataLoss(Load(*store).status()));
}

TEST_F(NatsBlobStoreTest, KeepsTheNewestThreeAndNothingElse) {
  const auto bus = Connect();
  const auto store = Open(*bus);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(Save(*store, absl::StrCat(i), 1).ok());
  EXPECT_TRUE(WaitUntil([&] { return Subjects(*bus, "x.checkpoint.g.p.0.chunk.*") == 3; }));
  EXPECT_EQ(Load(*store)->data, "5");
  Result<absl::Status> forgotten;
  store->Forget(kName, forgotten.Callback());
  ASSERT_TRUE(forgotten.Get().ok()) << forgotten.Get();
  EXPECT_TRUE(absl::IsNotFound(Load(*store).status()));
  EXPECT_EQ(Subjects(*bus, "x.checkpoint.g.p.0.>"), 0);
}

TEST_F(NatsBlobStoreTest, LargeVersionsGoThroughInChunks) {
  const auto bus = Connect();
  const auto store = Open(*bus);
  const size_t bytes = size_t{20} << 20;
  std::string data = Noise(bytes + 5);
  const absl::Time began = absl::Now();
  ASSERT_TRUE(Save(*store, data, 1).ok());
  const absl::Time saved = absl::Now();
  const auto loaded = Load(*store);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->data == data);
  RecordProperty("save_ms", absl::FormatDuration(saved - began));
  RecordProperty("load_ms", absl::FormatDuration(absl::Now() - saved));
}

// Run by hand: --gtest_also_run_disabled_tests.
TEST_F(NatsBlobStoreTest, DISABLED_AHundredMegabytes) {
  const auto bus = Connect();
  const auto store = Open(*bus);
  const std::string data = Noise(100'000'000);
  for (int round = 0; round < 5; ++round) {
    const absl::Time began = absl::Now();
    ASSERT_TRUE(Save(*store, data, 1).ok());
    const absl::Time saved = absl::Now();
    ASSERT_TRUE(Load(*store).ok());
    std::cout << "save " << saved - began << ", load " << absl::Now() - saved << "\n";
  }
}

TEST_F(NatsBlobStoreTest, AFullStoreRefusesTheNewAndKeepsTheOld) {
  const auto bus = Connect();
  const auto store = Open(*bus, 1 << 20);
  ASSERT_TRUE(Save(*store, Noise(600'000), 1).ok());
  EXPECT_FALSE(Save(*store, Noise(800'000), 1).ok());
  EXPECT_EQ(Load(*store)->data.size(), 600'000u);
}

TEST_F(NatsBlobStoreTest, WithoutJetStreamItSaysSo) {
  StartBroker({.jetstream = false});
  const auto bus = Connect();
  const auto store = Open(*bus);
  EXPECT_TRUE(absl::IsFailedPrecondition(Save(*store, "one", 1)));
  EXPECT_TRUE(absl::IsFailedPrecondition(Load(*store).status()));
}

TEST_F(NatsBlobStoreTest, AnOperationUnderWayIsCancelledWithTheStore) {
  const auto bus = Connect();
  Result<absl::Status> saved;
  {
    const auto store = Open(*bus);
    store->Save(kName, {.data = Noise(10'000'000), .rank = 1}, saved.Callback());
  }
  saved.Get();
  EXPECT_EQ(saved.calls(), 1);
}

}  // namespace
}  // namespace varpulis::transport
