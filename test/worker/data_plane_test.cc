// Events from pipeline to pipeline across workers, without a coordinator in between.
#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/partition_hash.h"
#include "glog/logging.h"
#include "worker/pipeline_inputs.h"

#include "test/worker/cluster_fixture.h"
#include "worker/output_router.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::EventBatch;

constexpr char kFirst[] = "stream Mid = In .emit(n: n)";
constexpr char kSecond[] = "stream Out = Mid .emit(n: n)";

class DataPlaneTest : public ClusterTest {
 protected:
  DataPlaneTest() {
    StartWorker("w1");
    StartWorker("w2");
  }
  // first on w1 → second on w2
  void DeployChain() {
    Deploy("w2", DeployOf("second", kSecond));
    Deploy("w1", DeployOf("first", kFirst).Route("Mid", Edge("first", "second")));
  }
};

TEST_F(DataPlaneTest, AChainAcrossTwoWorkers) {
  DeployChain();
  Listener out(*bus_, Output("second"));
  Listener first_out(*bus_, Output("first"));
  PublishEvent(Into("first"), MakeEvent("In", 7));
  ASSERT_TRUE(out.events.WaitForSize(1));
  EXPECT_EQ(out.events.items()[0].event_type(), "Out");
  EXPECT_EQ(IntField(out.events.items()[0], "n"), 7);
  EXPECT_EQ(out.batches.items()[0].hops(), 2u);
  EXPECT_EQ(first_out.events.size(), 0u);  // a route took it
}

TEST_F(DataPlaneTest, InjectedEventsFlowOnAsWell) {
  Deploy("w2", DeployOf("second", kSecond));
  const std::string id =
      Deploy("w1", DeployOf("first", kFirst).Route("Mid", Edge("first", "second")));
  Listener out(*bus_, Output("second"));
  const auto answer = Inject("w1", InjectOf(id, MakeEvent("In", 3)));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->output_events_size(), 1);
  ASSERT_TRUE(out.events.WaitForSize(1));
  EXPECT_EQ(IntField(out.events.items()[0], "n"), 3);
}

TEST_F(DataPlaneTest, AHundredThousandEventsThroughAChainAreCountedExactly) {
  DeployChain();
  Listener out(*bus_, Output("second"));
  constexpr int kBatches = 200, kPerBatch = 500;
  constexpr size_t kEvents = size_t{kBatches} * kPerBatch;
  for (int b = 0; b < kBatches; ++b) {
    EventBatch batch;
    for (int i = 0; i < kPerBatch; ++i) {
      *batch.add_events() = MakeEvent("In", b * kPerBatch + i);
    }
    PublishBatch(Into("first"), batch);
  }
  ASSERT_TRUE(out.events.WaitForSize(kEvents));
  const auto events = out.events.items();
  ASSERT_EQ(events.size(), kEvents);
  for (size_t i = 0; i < events.size(); ++i) ASSERT_EQ(IntField(events[i], "n"), int64_t(i));
  uint64_t sequence = 0;
  for (const EventBatch& batch : out.batches.items()) EXPECT_EQ(batch.sequence(), ++sequence);
}

TEST_F(DataPlaneTest, FanOutWildcardsAndOneMessagePerSubject) {
  Deploy("w1", DeployOf("first", "stream AlarmHot = In .emit(n: n)\nstream Cold = In .emit(n: n)")
                   .Route("Alarm*", Edge("first", "x"))
                   .Route("*", Edge("first", "y"))
                   .Route("AlarmHot", Edge("first", "x"))
                   .Route("AlarmHot", "plant.alarms"));
  Listener x(*bus_, Edge("first", "x")), y(*bus_, Edge("first", "y"));
  Listener custom(*bus_, "plant.alarms"), out(*bus_, Output("first"));
  PublishEvent(Into("first"), MakeEvent("In", 1));
  ASSERT_TRUE(custom.events.WaitForSize(1));
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  EXPECT_EQ(x.events.size(), 1u);
  EXPECT_EQ(y.events.size(), 2u);
  EXPECT_EQ(y.batches.size(), 1u);
  EXPECT_EQ(custom.events.items()[0].event_type(), "AlarmHot");
  EXPECT_EQ(out.events.size(), 0u);
}

TEST_F(DataPlaneTest, ColumnsGoWherePipelinesListenOrAreAskedFor) {
  const std::string source =
      "stream A = In .emit(n: n)\nstream B = In .emit(n: n)\n"
      "stream C = In .emit(n: n)\nstream D = In .emit(n: n)\n"
      "stream E = In .emit(n: n)\nstream F = In .emit(n: n)";
  Deploy("w1", DeployOf("first", source)
                   .Route("A", Edge("first", "x"))
                   .Route("B", Edge("first", "x"))
                   .Route("C", "plant.alarms")
                   .Route("D", "plant.alarms"));
  Deploy("w1", DeployOf("second", source).ColumnarOutput());
  Listener edge(*bus_, Edge("first", "x")), custom(*bus_, "plant.alarms");
  Listener rows(*bus_, Output("first")), columns(*bus_, Output("second"));
  PublishEvent(Into("first"), MakeEvent("In", 1));
  PublishEvent(Into("second"), MakeEvent("In", 1));
  ASSERT_TRUE(edge.events.WaitForSize(2));
  ASSERT_TRUE(custom.events.WaitForSize(2));
  ASSERT_TRUE(rows.events.WaitForSize(2));
  ASSERT_TRUE(columns.events.WaitForSize(6));
  EXPECT_TRUE(edge.batches.items()[0].has_columns());
  EXPECT_FALSE(custom.batches.items()[0].has_columns());
  EXPECT_FALSE(rows.batches.items()[0].has_columns());
  EXPECT_TRUE(columns.batches.items()[0].has_columns());
}

TEST_F(DataPlaneTest, ACustomSubjectFeedsAPipeline) {
  Deploy("w2", DeployOf("second", kSecond).ExtraInput("plant.mid").ExtraInput("plant.mid"));
  Deploy("w1", DeployOf("first", kFirst).Route("Mid", "plant.mid"));
  Listener out(*bus_, Output("second"));
  PublishEvent(Into("first"), MakeEvent("In", 1));
  ASSERT_TRUE(out.events.WaitForSize(1));
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  EXPECT_EQ(out.events.size(), 1u);
}

TEST_F(DataPlaneTest, OutputsThatNoRouteTakesArePublished) {
  Deploy("w1", DeployOf("first", "stream Mid = In .emit(n: n)\nstream Other = In .emit(n: n)")
                   .Epoch(6)
                   .Route("Mid", Edge("first", "second")));
  Listener out(*bus_, Output("first"));
  PublishEvent(Into("first"), MakeEvent("In", 1));
  ASSERT_TRUE(out.events.WaitForSize(1));
  ASSERT_EQ(out.events.size(), 1u);
  EXPECT_EQ(out.events.items()[0].event_type(), "Other");
  EXPECT_EQ(out.batches.items()[0].placement_epoch(), 6u);
  EXPECT_EQ(out.batches.items()[0].sequence(), 1u);
}

TEST_F(DataPlaneTest, AnyProgramMayPublishJson) {
  Deploy("w1", DeployOf("first", kFirst));
  Listener out(*bus_, Output("first"));
  auto publish = [&](std::string payload, transport::Headers headers) {
    ASSERT_TRUE(bus_->Publish({.subject = Into("first"),
                               .payload = std::move(payload),
                               .headers = std::move(headers),
                               .reply_to = ""})
                    .ok());
  };
  publish(R"({"event_type": "In", "fields": {"n": 1}})", {});
  publish(R"(not an event)", {});
  publish(R"( {"events": [{"event_type": "In", "fields": {"n": 2}},
                          {"event_type": "In", "fields": {"n": 3}}]})",
          {{transport::kContentTypeHeader, transport::kContentTypeJson}});
  ASSERT_TRUE(out.events.WaitForSize(3));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(IntField(out.events.items()[i], "n"), i + 1);
}

TEST_F(DataPlaneTest, NothingPublishedAfterTheDeploysAnswerIsLost) {
  for (int round = 0; round < 20; ++round) {
    const std::string name = absl::StrCat("p", round);
    Listener out(*bus_, Output(name));
    Deploy("w1", DeployOf(name, kFirst));
    PublishEvent(Into(name), MakeEvent("In", round));
    ASSERT_TRUE(out.events.WaitForSize(1)) << round;
  }
}

TEST_F(DataPlaneTest, ALoopOfRoutesEndsAtTheHopLimit) {
  Deploy("w1", DeployOf("ping", "stream A = B .emit(n: n)").Route("A", Edge("ping", "pong")));
  Deploy("w2", DeployOf("pong", "stream B = A .emit(n: n)").Route("B", Edge("pong", "ping")));
  Listener to_pong(*bus_, Edge("ping", "pong")), to_ping(*bus_, Edge("pong", "ping"));
  PublishEvent(Into("ping"), MakeEvent("B", 1));
  ASSERT_TRUE(to_ping.batches.WaitUntil(
      [](const auto& batches) { return !batches.empty() && batches.back().hops() == 16; }));
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  EXPECT_EQ(to_ping.batches.size() + to_pong.batches.size(), 16u);
}

TEST_F(DataPlaneTest, KeyedReplicasKeepTheirOwnShare) {
  constexpr uint32_t kReplicas = 3;
  for (uint32_t r = 0; r < kReplicas; ++r) {
    Deploy(r % 2 == 0 ? "w1" : "w2", DeployOf("p", kFirst).Replica(r, kReplicas).Key("n"));
  }
  Listener out(*bus_, Output("p"));
  EventBatch batch;
  for (int i = 0; i < 3000; ++i) *batch.add_events() = MakeEvent("In", i);
  PublishBatch(Into("p"), batch);
  ASSERT_TRUE(out.events.WaitForSize(3000));
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  EXPECT_EQ(out.events.size(), 3000u);
  for (const EventBatch& share : out.batches.items()) {
    for (const auto& event : share.events()) {
      EXPECT_EQ(PartitionOf(absl::StrCat(IntField(event, "n")), kReplicas), share.source_replica());
    }
  }
}

TEST_F(DataPlaneTest, ReplicasWithoutAKeyShareTheMessages) {
  Deploy("w1", DeployOf("p", kFirst).Replica(0, 2));
  Deploy("w2", DeployOf("p", kFirst).Replica(1, 2));
  Listener out(*bus_, Output("p"));
  for (int i = 0; i < 500; ++i) PublishEvent(Into("p"), MakeEvent("In", i));
  ASSERT_TRUE(out.events.WaitForSize(500));
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  std::map<int64_t, int> seen;
  std::map<uint32_t, int> by_replica;
  for (const EventBatch& batch : out.batches.items()) {
    by_replica[batch.source_replica()] += batch.events_size();
    for (const auto& event : batch.events()) ++seen[IntField(event, "n")];
  }
  EXPECT_EQ(seen.size(), 500u);
  for (const auto& [n, times] : seen) EXPECT_EQ(times, 1) << n;
  EXPECT_EQ(by_replica.size(), 2u);
}

TEST_F(DataPlaneTest, UndeployWhileEventsStream) {
  const std::string id = Deploy("w1", DeployOf("first", kFirst).Epoch(1));
  Listener out(*bus_, Output("first"));
  std::atomic<bool> stop{false};
  std::thread publisher([&] {
    for (int64_t n = 0; !stop; ++n) {
      PublishEvent(Into("first"), MakeEvent("In", n));
      if (n % 64 == 0) bus_->Flush(kPatience).IgnoreError();  // keeps the bus's queue short
    }
  });
  ASSERT_TRUE(out.events.WaitForSize(200));
  EXPECT_TRUE(Undeploy("w1", id, 1).ok());
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  const size_t after = out.events.size();
  ASSERT_TRUE(bus_->Flush(kPatience).ok());
  EXPECT_EQ(out.events.size(), after);  // its thread had ended before the answer
  // What was accepted is out without a gap.
  const auto events = out.events.items();
  for (size_t i = 1; i < events.size(); ++i) {
    ASSERT_EQ(IntField(events[i], "n"), IntField(events[i - 1], "n") + 1);
  }
  const std::string newer = Deploy("w1", DeployOf("first", kFirst).Epoch(2));
  EXPECT_TRUE(out.events.WaitForSize(after + 1));  // and its batch with it
  EXPECT_EQ(out.batches.items().back().placement_epoch(), 2u);
  stop = true;
  publisher.join();
  EXPECT_TRUE(Undeploy("w1", newer, 2).ok());
}

TEST_F(DataPlaneTest, APausedPipelineStopsTheDeliveryAtItsBound) {
  // On a bus of its own: delivery waits on the bus's one thread.
  auto bus = transport::NewLocalBus();
  auto local = transport::NewLocalBus();
  WorkerCounters totals;
  auto engine = engine::Pipeline::Compile(kFirst);
  ASSERT_TRUE(engine.ok());
  PipelineRunner runner({.name = "p", .max_in_flight_events = 10, .paused = true},
                        std::move(*engine),
                        std::make_unique<OutputRouter>(
                            OutputRouter::Options{.routes = {}, .fallback_subject = "out"}, *local),
                        totals);
  Listener out(*local, "out");
  auto inputs =
      PipelineInputs::Start({.id = {}, .group = GroupId(kGroup), .name = "p", .partition_key = {}},
                            {.subjects = {Into("p")}, .now = [] { return 1; }}, *bus, runner);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  for (int i = 0; i < 25; ++i) {
    EventBatch batch;
    *batch.add_events() = MakeEvent("In", i);
    ASSERT_TRUE(bus->Publish({.subject = Into("p"),
                              .payload = batch.SerializeAsString(),
                              .headers = {},
                              .reply_to = ""})
                    .ok());
  }
  EXPECT_FALSE(bus->Flush(absl::Milliseconds(20)).ok());  // held back
  EXPECT_EQ(runner.stats().in_flight, 10u);
  runner.SetHold(PipelineRunner::Hold::kPaused, false);
  EXPECT_TRUE(out.events.WaitForSize(25));
  EXPECT_EQ(runner.stats().max_in_flight_seen, 10u);
  EXPECT_EQ(runner.stats().events_dropped, 0u);
  inputs->reset();
}

// Collects this program's log while it lives.
class CapturedLog : public google::LogSink {
 public:
  // Sinks get nothing below the least level, which scripts/test raises.
  CapturedLog() : least_level_(FLAGS_minloglevel) {
    FLAGS_minloglevel = google::WARNING;
    google::AddLogSink(this);
  }
  ~CapturedLog() override {
    google::RemoveLogSink(this);
    FLAGS_minloglevel = least_level_;
  }
  void send(google::LogSeverity /*severity*/, const char* /*full_filename*/,
            const char* /*base_filename*/, int /*line*/, const google::LogMessageTime& /*time*/,
            const char* message, size_t length) override {
    lines.Add(std::string(message, length));
  }
  Recorder<std::string> lines;

 private:
  const int least_level_;
};

TEST_F(DataPlaneTest, AnUnreadableMessageIsLoggedByCodeAndReason) {
  Deploy("w1", DeployOf("p", kFirst));
  CapturedLog log;
  constexpr int kSilence = 1000;  // one of so many is logged
  for (int i = 0; i < kSilence; ++i) {
    ASSERT_TRUE(
        bus_->Publish(
                {.subject = Into("p"), .payload = "{\"nonsense\"", .headers = {}, .reply_to = ""})
            .ok());
  }
  const auto is_ours = [](const std::string& line) {
    return line.find("unreadable message") != std::string::npos;
  };
  ASSERT_TRUE(log.lines.WaitUntil(
      [&](const auto& lines) { return std::any_of(lines.begin(), lines.end(), is_ours); }));
  const auto lines = log.lines.items();
  const std::string& line = *std::find_if(lines.begin(), lines.end(), is_ours);
  EXPECT_THAT(line, ::testing::HasSubstr(": invalid_request: "));
  EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr("varpulis/error")));
}

}  // namespace
}  // namespace varpulis::worker
