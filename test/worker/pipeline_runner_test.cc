#include "worker/pipeline_runner.h"

#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "engine/runtime/columns_writer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/worker/cluster_fixture.h"
#include "worker/output_router.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::EventBatch;
using varpulis::v1::WorkerInjectBatchResponse;
using varpulis::v1::WorkerInjectResponse;

constexpr char kCopy[] = "stream Out = In .emit(n: n)";

class PipelineRunnerTest : public ::testing::Test {
 protected:
  std::unique_ptr<PipelineRunner> Runner(PipelineRunner::Options options = {},
                                         const std::string& source = kCopy) {
    auto engine = engine::Pipeline::Compile(source);
    EXPECT_TRUE(engine.ok()) << engine.status();
    options.name = "test";
    return std::make_unique<PipelineRunner>(
        options, std::move(*engine),
        std::make_unique<OutputRouter>(
            OutputRouter::Options{.routes = {}, .fallback_subject = "out"}, *bus_),
        totals_);
  }
  static varpulis::v1::Event Stamped(int64_t n, const std::string& type = "In") {
    varpulis::v1::Event event = MakeEvent(type, n);
    event.set_timestamp_ns(n);
    return event;
  }
  static EventBatch BatchOf(int events, int64_t first = 0) {
    EventBatch batch;
    for (int i = 0; i < events; ++i) *batch.add_events() = Stamped(first + i);
    return batch;
  }
  static std::shared_ptr<EventBatch> InputOf(int events, int64_t first = 0) {
    return std::make_shared<EventBatch>(BatchOf(events, first));
  }
  static absl::StatusOr<WorkerInjectResponse> Inject(PipelineRunner& runner,
                                                     varpulis::v1::Event event,
                                                     const std::string& event_id = "") {
    Recorder<absl::StatusOr<WorkerInjectResponse>> answers;
    runner.Inject(std::move(event), event_id, [&](auto answer) { answers.Add(std::move(answer)); });
    EXPECT_TRUE(answers.WaitForSize(1));
    return answers.items()[0];
  }
  // Keeps the runner's thread busy until the gate opens.
  static void Block(PipelineRunner& runner, Gate gate) {
    Gate reached;
    ASSERT_TRUE(runner.Post([reached, gate](PipelineRunner::EnginePtr&) mutable {
      reached.Open();
      gate.Wait();
    }));
    ASSERT_TRUE(reached.WaitFor(kPatience));
  }

  std::unique_ptr<transport::Bus> bus_ = transport::NewLocalBus();
  Listener out_{*bus_, "out"};
  WorkerCounters totals_;
};

TEST_F(PipelineRunnerTest, OutputsWaitForThoseOfInputThatWaits) {
  auto runner = Runner({.paused = true, .batch_linger = absl::Hours(1)});
  runner->Push(InputOf(2));
  runner->Push(InputOf(3, 2));
  const auto hopped = InputOf(1, 5);
  hopped->set_hops(1);
  runner->Push(hopped);
  runner->Push(InputOf(1, 6));
  runner->SetHold(PipelineRunner::Hold::kPaused, false);
  ASSERT_TRUE(out_.events.WaitForSize(7));
  const auto batches = out_.batches.items();
  ASSERT_EQ(batches.size(), 3u);  // one for each number of hops in a row
  EXPECT_EQ(batches[0].events_size(), 5);
  EXPECT_EQ(batches[1].hops(), 2u);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(IntField(out_.events.items()[i], "n"), i);
}

TEST_F(PipelineRunnerTest, WithoutLingerEachInputHasItsOwnBatch) {
  auto runner = Runner({.paused = true});
  for (int i = 0; i < 5; ++i) runner->Push(InputOf(2, 2 * i));
  runner->SetHold(PipelineRunner::Hold::kPaused, false);
  ASSERT_TRUE(out_.events.WaitForSize(10));
  EXPECT_EQ(out_.batches.size(), 5u);
}

TEST_F(PipelineRunnerTest, NothingWaitsForInputThatIsHeld) {
  auto runner = Runner({.paused = true, .batch_linger = absl::Hours(1)});
  auto* const held = runner.get();
  std::promise<void> all_queued;  // its thread waits until then
  ASSERT_TRUE(runner->Post([&](PipelineRunner::EnginePtr&) { all_queued.get_future().wait(); }));
  runner->Push(InputOf(2));
  ASSERT_TRUE(runner->Post(
      [held](PipelineRunner::EnginePtr&) { held->SetHold(PipelineRunner::Hold::kCut, true); }));
  runner->Push(InputOf(2, 2));
  runner->SetHold(PipelineRunner::Hold::kPaused, false);
  all_queued.set_value();
  ASSERT_TRUE(out_.events.WaitForSize(2));
  EXPECT_EQ(runner->stats().in_flight, 2u);
}

TEST_F(PipelineRunnerTest, TakesColumns) {
  auto runner = Runner();
  engine::ColumnsWriter writer;
  for (int i = 0; i < 5; ++i) writer.Add(Stamped(i, i == 3 ? "Other" : "In"));
  const auto batch = std::make_shared<EventBatch>();
  *batch->mutable_columns() = writer.Finish();
  batch->mutable_columns()->mutable_shapes(1)->clear_timestamps_ns();  // refused
  EXPECT_TRUE(runner->Push(batch));
  ASSERT_TRUE(out_.events.WaitForSize(4));
  EXPECT_EQ(IntField(out_.events.items()[3], "n"), 4);
  EXPECT_EQ(runner->stats().events_in, 4u);
  EXPECT_EQ(runner->stats().events_dropped, 1u);
}

TEST_F(PipelineRunnerTest, ProcessesInOrderAndPublishesOneBatchPerInput) {
  auto runner = Runner();
  EXPECT_TRUE(runner->Push(InputOf(10)));
  const auto hopped = InputOf(5, 10);
  hopped->set_hops(4);
  EXPECT_TRUE(runner->Push(hopped));
  ASSERT_TRUE(out_.events.WaitForSize(15));
  EXPECT_EQ(out_.batches.items()[0].events_size(), 10);
  EXPECT_EQ(out_.batches.items()[0].hops(), 1u);
  EXPECT_EQ(out_.batches.items()[1].hops(), 5u);
  const auto events = out_.events.items();
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(IntField(events[i], "n"), int64_t(i));
  EXPECT_EQ(runner->stats().events_in, 15u);
  EXPECT_EQ(runner->stats().events_out, 15u);
  EXPECT_EQ(totals_.events_in, 15u);
}

TEST_F(PipelineRunnerTest, InjectAnswersWithTheOutputsOfItsOwnEventAndPublishesThem) {
  auto runner = Runner();
  runner->Push(InputOf(3));
  const auto answer = Inject(*runner, Stamped(42));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->accepted());
  ASSERT_EQ(answer->output_events_size(), 1);
  EXPECT_EQ(answer->output_events(0).event_type(), "Out");
  EXPECT_EQ(IntField(answer->output_events(0), "n"), 42);
  EXPECT_FALSE(answer->has_truncated());
  EXPECT_TRUE(out_.events.WaitForSize(4));
}

TEST_F(PipelineRunnerTest, TimersGoByTheClockAndStartAgainWithANewEngine) {
  auto runner = Runner({}, "stream Beat = timer(1ms) .emit(at: timestamp)");
  ASSERT_TRUE(out_.events.WaitForSize(3));
  const auto events = out_.events.items();
  EXPECT_EQ(events[0].event_type(), "Beat");
  EXPECT_EQ(IntField(events[1], "at") - IntField(events[0], "at"), 1);
  Recorder<int> replaced;
  ASSERT_TRUE(runner->Post([&replaced](PipelineRunner::EnginePtr& engine) {
    engine = *engine::Pipeline::Compile("stream Again = timer(1ms) .emit(n: 1)");
    replaced.Add(1);
  }));
  ASSERT_TRUE(replaced.WaitForSize(1));
  const size_t before = out_.events.items().size();
  ASSERT_TRUE(out_.events.WaitForSize(before + 2));
  EXPECT_EQ(out_.events.items().back().event_type(), "Again");
}

TEST_F(PipelineRunnerTest, AnAnswerCarriesAtMostAThousandOutputs) {
  std::string source;
  for (int i = 0; i < 1200; ++i) absl::StrAppend(&source, "stream Out", i, " = In .emit(n: n)\n");
  auto runner = Runner({}, source);
  const auto answer = Inject(*runner, Stamped(1));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->output_events_size(), 1000);
  EXPECT_EQ(answer->output_count(), 1200u);
  EXPECT_TRUE(answer->truncated());
  EXPECT_TRUE(out_.events.WaitForSize(1200));
}

TEST_F(PipelineRunnerTest, ARepeatedEventIdIsAnsweredAndNotDoneAgain) {
  auto runner = Runner();
  const auto first = Inject(*runner, Stamped(1), "id-1");
  const auto again = Inject(*runner, Stamped(2), "id-1");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(IntField(again->output_events(0), "n"), 1);
  EXPECT_EQ(runner->stats().events_in, 1u);
  EXPECT_TRUE(Inject(*runner, Stamped(3), "id-2").ok());
  EXPECT_EQ(runner->stats().events_in, 2u);
}

TEST_F(PipelineRunnerTest, RefusesAnEventTheEngineCannotTake) {
  auto runner = Runner();
  varpulis::v1::Event wide = Stamped(1);
  for (int i = 0; i < 2000; ++i) wide.add_fields()->set_name(absl::StrCat("f", i));
  EXPECT_EQ(CodeOf(Inject(*runner, wide, "id")), "invalid_request");
  EXPECT_TRUE(Inject(*runner, Stamped(1), "id").ok());  // a failure is not remembered
  EXPECT_EQ(runner->stats().events_dropped, 1u);

  EventBatch batch = BatchOf(2);
  *batch.add_events() = wide;
  Recorder<WorkerInjectBatchResponse> answers;
  runner->InjectBatch(std::move(batch), {0, 5, 9}, [&](auto answer) {
    ASSERT_TRUE(answer.ok());
    answers.Add(*answer);
  });
  ASSERT_TRUE(answers.WaitForSize(1));
  const auto answer = answers.items()[0];
  EXPECT_EQ(answer.accepted(), 2u);
  ASSERT_EQ(answer.rejected_size(), 1);
  EXPECT_EQ(answer.rejected(0).index(), 9u);
  EXPECT_EQ(answer.rejected(0).code(), "invalid_request");
  EXPECT_EQ(answer.output_count(), 2u);
}

TEST_F(PipelineRunnerTest, FullQueueRefusesInjectsAndHoldsPushers) {
  auto runner = Runner({.name = "", .max_in_flight_events = 100});
  Gate gate;
  Block(*runner, gate);
  EXPECT_TRUE(runner->Push(InputOf(60)));
  EXPECT_TRUE(runner->Push(InputOf(40)));
  EXPECT_EQ(CodeOf(Inject(*runner, Stamped(1))), "rate_limited");
  Gate pushed;
  std::thread pusher([&] {
    EXPECT_TRUE(runner->Push(InputOf(60)));
    pushed.Open();
  });
  EXPECT_FALSE(pushed.WaitFor(absl::Milliseconds(20)));  // a bound, not a wait for an event
  EXPECT_EQ(runner->stats().in_flight, 100u);
  gate.Open();
  EXPECT_TRUE(pushed.WaitFor(kPatience));
  pusher.join();
  EXPECT_TRUE(out_.events.WaitForSize(160));
  EXPECT_LE(runner->stats().max_in_flight_seen, 100u);
}

TEST_F(PipelineRunnerTest, OneBatchAboveTheBoundIsTakenAlone) {
  auto runner = Runner({.name = "", .max_in_flight_events = 100});
  EXPECT_TRUE(runner->Push(InputOf(250)));
  EXPECT_TRUE(out_.events.WaitForSize(250));
}

TEST_F(PipelineRunnerTest, CloseDrainsWhatWasAcceptedAndRefusesTheRest) {
  auto runner = Runner({.name = "", .max_in_flight_events = 100});
  Gate gate;
  Block(*runner, gate);
  EXPECT_TRUE(runner->Push(InputOf(100)));
  std::thread pusher([&] { EXPECT_FALSE(runner->Push(InputOf(10))); });
  Gate drained;
  runner->Close([&] { drained.Open(); });
  pusher.join();  // let go without an event being processed
  EXPECT_EQ(CodeOf(Inject(*runner, Stamped(1))), "worker_unavailable");
  EXPECT_FALSE(runner->Post([](PipelineRunner::EnginePtr&) {}));
  gate.Open();
  EXPECT_TRUE(drained.WaitFor(kPatience));
  runner->Join();
  EXPECT_EQ(runner->stats().events_in, 100u);
  EXPECT_EQ(runner->stats().events_dropped, 10u);
}

TEST_F(PipelineRunnerTest, AbandonRefusesWhatIsQueued) {
  auto runner = Runner();
  Gate gate;
  Block(*runner, gate);
  Recorder<std::string> codes;
  runner->Inject(Stamped(1), "", [&](auto answer) { codes.Add(CodeOf(answer)); });
  runner->Push(InputOf(5));
  runner->Close([] {});
  runner->Abandon();
  ASSERT_TRUE(codes.WaitForSize(1));
  EXPECT_EQ(codes.items()[0], "worker_unavailable");
  gate.Open();
  runner->Join();
  EXPECT_EQ(runner->stats().events_in, 0u);
  EXPECT_EQ(runner->stats().events_dropped, 5u);
}

TEST_F(PipelineRunnerTest, APausedPipelineHoldsItsInput) {
  auto runner = Runner({.name = "", .paused = true});
  runner->Push(InputOf(3));
  runner->Push(InputOf(2, 3));
  EXPECT_EQ(CodeOf(Inject(*runner, Stamped(1))), "worker_unavailable");
  Gate between;  // a control task runs all the same
  EXPECT_TRUE(runner->Post([&](PipelineRunner::EnginePtr&) { between.Open(); }));
  EXPECT_TRUE(between.WaitFor(kPatience));
  EXPECT_EQ(runner->stats().events_in, 0u);
  EXPECT_EQ(runner->stats().in_flight, 5u);
  runner->SetHold(PipelineRunner::Hold::kPaused, false);
  EXPECT_TRUE(out_.events.WaitForSize(5));
  EXPECT_EQ(runner->stats().events_in, 5u);
}

}  // namespace
}  // namespace varpulis::worker
