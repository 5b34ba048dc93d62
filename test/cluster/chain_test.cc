// Events flow from pipeline to pipeline across workers without the coordinator.

#include <atomic>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/event.pb.h"

#include "base/mutex.h"
#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::HasSubstr;

// clean → double → label, one per worker.
constexpr char kChain[] = R"json({
  "name": "chain",
  "pipelines": [
    {"name": "clean", "source": "stream Clean = Raw .where(n >= 0) .emit(n: n)", "worker_affinity": "worker-0"},
    {"name": "twice", "source": "stream Twice = Clean .emit(n: n * 2)", "worker_affinity": "worker-1"},
    {"name": "label", "source": "stream Label = Twice .emit(n: n, label: \"done\")", "worker_affinity": "worker-2"}
  ],
  "routes": [
    {"from_pipeline": "_external", "to_pipeline": "clean", "event_types": ["Raw"]},
    {"from_pipeline": "clean", "to_pipeline": "twice", "event_types": ["Cl*"]},
    {"from_pipeline": "twice", "to_pipeline": "label", "event_types": ["*"], "nats_subject": "plant.line7.twice"}
  ]
})json";

v1::Event RawEvent(int64_t n) {
  v1::Event event;
  event.set_event_type("Raw");
  v1::Field* field = event.add_fields();
  field->set_name("n");
  field->mutable_value()->set_int_value(n);
  return event;
}

class ChainTest : public ::testing::Test {
 protected:
  ChainTest() : cluster_({.workers = 3}) {}

  void SetUp() override {
    ASSERT_TRUE(cluster_.Start());
    group_ = cluster_.Deploy(kChain);
    ASSERT_FALSE(group_.empty());
    auto outputs = cluster_.bus().Subscribe(
        {.subject = cluster_.subjects().Output(group_, "label")},
        [this](transport::InboundMessage message) {
          v1::EventBatch batch;
          MutexLock lock(mutex_);
          if (!batch.ParseFromArray(message.payload().data(),
                                    static_cast<int>(message.payload().size()))) {
            ++undecodable_;
          }
          for (v1::Event& event : *batch.mutable_events()) {
            seen_.push_back(event.fields(0).value().int_value());
          }
        });
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    outputs_ = *std::move(outputs);
    ASSERT_TRUE(cluster_.bus().Flush(absl::Seconds(5)).ok());
  }
  void TearDown() override { outputs_.reset(); }

  void Publish(const std::string& payload) {
    ASSERT_TRUE(cluster_.bus()
                    .Publish({.subject = cluster_.subjects().Pipeline(group_, "_external", "clean"),
                              .payload = payload})
                    .ok());
  }
  size_t Seen() {
    MutexLock lock(mutex_);
    return seen_.size();
  }

  Cluster cluster_;
  std::string group_;
  Mutex mutex_;
  std::vector<int64_t> seen_ ABSL_GUARDED_BY(mutex_);
  int undecodable_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<transport::Subscription> outputs_;
};

TEST_F(ChainTest, EveryEventOfAPlainPublisherArrivesOnceAndInOrder) {
  constexpr int64_t kEvents = 20'000;
  for (int64_t n = 0; n < kEvents; ++n) {
    v1::EventBatch batch;
    *batch.add_events() = RawEvent(n);
    *batch.add_events() = RawEvent(-1 - n);  // filtered by the first pipeline
    Publish(batch.SerializeAsString());
  }
  EXPECT_TRUE(WaitUntil([&] { return Seen() >= kEvents; }, absl::Seconds(60))) << Seen();
  // Whatever came too much would come in order behind this marker.
  Publish(R"({"event_type": "Raw", "fields": {"n": 1000000}})");
  ASSERT_TRUE(WaitUntil([&] { return Seen() >= kEvents + 1; }));
  MutexLock lock(mutex_);
  EXPECT_EQ(undecodable_, 0);
  ASSERT_EQ(seen_.size(), static_cast<size_t>(kEvents + 1));
  for (int64_t n = 0; n < kEvents; ++n) ASSERT_EQ(seen_[n], n * 2);
  EXPECT_EQ(seen_[kEvents], 2'000'000);
}

TEST_F(ChainTest, AnInjectedEventTravelsTheSameRoutes) {
  const HttpReply injected = cluster_.Post("/pipeline-groups/" + group_ + "/inject",
                                           R"({"event_type": "Raw", "fields": {"n": 21}})");
  ASSERT_EQ(injected.status, 200) << injected.body;
  EXPECT_THAT(injected.body, HasSubstr("\"routed_to\":\"clean\""));
  EXPECT_TRUE(WaitUntil([&] { return Seen() == 1; }));
}

TEST_F(ChainTest, ACustomSubjectIsHeardByEverybody) {
  std::atomic<int> heard = 0;
  auto tap = cluster_.bus().Subscribe({.subject = "plant.line7.>"},
                                      [&](transport::InboundMessage) { ++heard; });
  ASSERT_TRUE(tap.ok());
  ASSERT_TRUE(cluster_.bus().Flush(absl::Seconds(5)).ok());
  Publish(R"({"events": [{"event_type": "Raw", "fields": {"n": 1}}]})");
  EXPECT_TRUE(WaitUntil([&] { return heard == 1 && Seen() == 1; }));
}

TEST_F(ChainTest, TheTopologyShowsTheLinks) {
  const HttpReply topology = cluster_.Get("/topology");
  EXPECT_EQ(
      topology.At("/routes/0"),
      R"({"source_worker":"worker-0","source_pipeline":"clean","target_worker":"worker-1","target_pipeline":"twice","route_type":"inter-pipeline"})");
  EXPECT_EQ(topology.At("/routes/2"), "");
}

TEST_F(ChainTest, OneMalformedMessageLosesNothingElse) {
  Publish("{not json");
  Publish(std::string("\xff\xff\xff\xff", 4));
  Publish(R"({"event_type": "Raw", "fields": {"n": 5}})");
  EXPECT_TRUE(WaitUntil([&] { return Seen() == 1; }));
}

TEST(FanOutTest, EveryMatchingRouteGetsTheEvent) {
  Cluster cluster({.workers = 2});
  ASSERT_TRUE(cluster.Start());
  const std::string group = cluster.Deploy(R"json({
    "name": "fan-out",
    "pipelines": [
      {"name": "source", "source": "stream Temperature = T .emit(v: v)\nstream Pressure = P .emit(v: v)"},
      {"name": "left", "source": "stream L = Temperature .emit(v: v)"},
      {"name": "right", "source": "stream R = Temperature .emit(v: v)\nstream R2 = Pressure .emit(v: v)"}
    ],
    "routes": [
      {"from_pipeline": "_external", "to_pipeline": "source", "event_types": ["*"]},
      {"from_pipeline": "source", "to_pipeline": "left", "event_types": ["Temp*"]},
      {"from_pipeline": "source", "to_pipeline": "right", "event_types": ["Temperature", "P*"]}
    ]
})json");
  ASSERT_FALSE(group.empty());
  std::atomic<int> left = 0, right = 0, unrouted = 0;
  const auto count = [&](const char* pipeline, std::atomic<int>& counter) {
    auto subscription =
        cluster.bus().Subscribe({.subject = cluster.subjects().Output(group, pipeline)},
                                [&](transport::InboundMessage message) {
                                  v1::EventBatch batch;
                                  batch.ParseFromArray(message.payload().data(),
                                                       static_cast<int>(message.payload().size()));
                                  counter += batch.events_size();
                                });
    return *std::move(subscription);
  };
  const auto left_outputs = count("left", left);
  const auto right_outputs = count("right", right);
  const auto source_outputs = count("source", unrouted);
  ASSERT_TRUE(cluster.bus().Flush(absl::Seconds(5)).ok());
  const HttpReply injected =
      cluster.Post("/pipeline-groups/" + group + "/inject-batch",
                   R"({"events_text": "T { v: 1 }\nP { v: 2 }\nT { v: 3 }"})");
  ASSERT_EQ(injected.status, 200) << injected.body;
  EXPECT_EQ(injected.At("/events_sent"), "3");
  EXPECT_TRUE(WaitUntil([&] { return left == 2 && right == 3; })) << left << " " << right;
  EXPECT_EQ(unrouted, 0);
}

}  // namespace
}  // namespace varpulis::testing
