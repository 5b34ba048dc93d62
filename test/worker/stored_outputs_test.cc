// Against a real broker: what it stores, refuses and knows again is what this is about.
#include "worker/stored_outputs.h"

#include <csignal>

#include <atomic>
#include <deque>
#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/support/nats_server.h"
#include "worker/event_batch.h"
#include "worker/source_mark.h"

namespace varpulis::worker {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::Result;
using testing::WaitUntil;
using transport::EventStreams;
using varpulis::v1::EventBatch;

constexpr char kOut[] = "x.outbox.g.p.0";
constexpr char kEdge[] = "x.pipeline.g.p.q";

// The broker's streams, with answers that get lost on the way when the test says so.
class LossyStreams : public EventStreams {
 public:
  explicit LossyStreams(std::unique_ptr<EventStreams> real) : real_(std::move(real)) {}

  void Ensure(transport::EventStreamOptions options,
              std::function<void(absl::StatusOr<Range>)> done) override {
    real_->Ensure(std::move(options), std::move(done));
  }
  void Delete(const std::string& stream, std::function<void(absl::Status)> done) override {
    real_->Delete(stream, std::move(done));
  }
  void Publish(transport::OutgoingMessage message,
               std::function<void(absl::StatusOr<Stored>)> done) override {
    ++publishes;
    // As three nats-servers of 2.9 do when one of them has just begun to lead.
    for (const auto& [name, value] : message.headers) {
      if (name != transport::kMessageIdHeader) continue;
      if (refused_ids_.contains(value)) return done(Stored{.sequence = 0, .duplicate = true});
      if (refuse > 0) refused_ids_.insert(value);
    }
    if (refuse > 0) {
      --refuse;
      return done(absl::AbortedError("wrong last sequence"));
    }
    real_->Publish(std::move(message),
                   [this, done = std::move(done)](const absl::StatusOr<Stored>& stored) {
                     if (lose_answers > 0) {
                       --lose_answers;
                       return done(absl::DeadlineExceededError("the answer was lost"));
                     }
                     done(stored);
                   });
  }
  void Last(const std::string& stream, const std::string& subject,
            std::function<void(absl::StatusOr<LastMessage>)> done) override {
    real_->Last(stream, subject, std::move(done));
  }
  void Forget(const std::string& stream, const std::string& subject,
              std::function<void(absl::Status)> done) override {
    real_->Forget(stream, subject, std::move(done));
  }
  void Trim(const std::string& stream, uint64_t first,
            std::function<void(absl::Status)> done) override {
    real_->Trim(stream, first, std::move(done));
  }
  std::unique_ptr<transport::Subscription> Read(
      const transport::EventStreamOptions& stream, uint64_t start_after,
      std::function<void(const transport::StoredMessage&)> on_message) override {
    return real_->Read(stream, start_after, std::move(on_message));
  }

  std::atomic<int> publishes{0};
  std::atomic<int> lose_answers{0};
  std::atomic<int> refuse{0};  // without a reason, remembering the ids

 private:
  std::set<std::string> refused_ids_;  // the test publishes one message at a time
  const std::unique_ptr<EventStreams> real_;
};

class StoredOutputsTest : public testing::NatsServerTest {
 protected:
  void SetUp() override {
    StartBroker();
    bus_ = Connect("outputs");
    streams_ = std::make_unique<LossyStreams>(bus_->OpenEventStreams());
    Ensure("OUT", kOut);
    Ensure("Q", kEdge);
  }
  void TearDown() override {
    copies_.clear();
    timers_.reset();
    streams_.reset();
    bus_.reset();
  }
  void Ensure(const std::string& name, const std::string& subject) {
    transport::EventStreamOptions options;
    options.name = name;
    options.subject = subject;
    Result<absl::StatusOr<EventStreams::Range>> made;
    streams_->Ensure(options, made.Callback());
    ASSERT_TRUE(made.Get().ok()) << made.Get().status();
  }
  // A copy of the pipeline; events of type "Q" go to the edge as well.
  absl::StatusOr<Outputs*> Open(uint64_t epoch) {
    StoredOutputs::Options options;
    options.routes = {{.event_types = {"Q"}, .subject = kEdge, .columns = true}};
    options.stream_of_route = [](const std::string&) { return "Q"; };
    options.fallback = {kOut, "OUT"};
    options.writer = "p";
    options.placement_epoch = epoch;
    options.on_superseded = [this] { ++superseded_; };
    Result<absl::StatusOr<std::unique_ptr<Outputs>>> opened;
    StoredOutputs::Open(options, {*bus_, *streams_, timers_}, opened.Callback());
    if (!opened.Get().ok()) return opened.Get().status();
    copies_.push_back(std::move(*opened.Get()));
    return copies_.back().get();
  }
  static void Make(Outputs& outputs, uint64_t position, int events, const std::string& type = "Out",
                   size_t padding = 0) {
    static const std::vector<std::string> names{"of", "padding"};
    outputs.BeginInput(1, position);
    const std::string pad(padding, 'x');
    for (int i = 0; i < events; ++i) {
      const std::string label = absl::StrCat(position, ".", i);
      const engine::Value values[] = {engine::Value::String(label), engine::Value::String(pad)};
      outputs.Add(
          {.stream = "S", .event_type = type, .timestamp_ns = 1, .names = names, .values = values});
    }
    outputs.Flush();
  }
  static absl::Status Wait(Outputs& outputs) {
    Result<absl::Status> stored;
    outputs.WhenStored(stored.Callback());
    return stored.Get();
  }
  // What is stored, by the label of each event.
  std::vector<std::string> Stored(const std::string& stream, const std::string& subject) {
    std::vector<std::string> labels;
    Result<absl::StatusOr<EventStreams::LastMessage>> last;
    streams_->Last(stream, subject, last.Callback());
    if (!last.Get().ok()) return labels;
    transport::EventStreamOptions options;
    options.name = stream;
    options.subject = subject;
    Result<bool> all;
    const auto reader =
        streams_->Read(options, 0, [&, end = last.Get()->sequence](const auto& stored) {
          EventBatch batch;
          EXPECT_TRUE(batch.ParseFromArray(stored.message.payload().data(),
                                           static_cast<int>(stored.message.payload().size())));
          EXPECT_TRUE(CheckSources(batch).ok());
          ToRows(&batch);
          for (const auto& event : batch.events()) {
            labels.push_back(event.fields(0).value().string_value());
          }
          if (stored.sequence == end) all.Set(true);
        });
    all.Get();
    return labels;
  }

  std::unique_ptr<transport::NatsConnection> bus_;
  std::unique_ptr<LossyStreams> streams_;
  std::shared_ptr<Strand> timers_ = std::make_shared<Strand>("test-timers");
  std::deque<std::unique_ptr<Outputs>> copies_;
  std::atomic<int> superseded_{0};
};

TEST_F(StoredOutputsTest, StoresInOrderAndTellsWhenItIsDone) {
  Outputs& outputs = **Open(1);
  EXPECT_TRUE(Wait(outputs).ok());  // of nothing
  Make(outputs, 1, 2);
  Make(outputs, 3, 1);
  Make(outputs, 4, 1, "Q");
  ASSERT_TRUE(Wait(outputs).ok());
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("1.0", "1.1", "3.0"));
  EXPECT_THAT(Stored("Q", kEdge), ElementsAre("4.0"));
}

TEST_F(StoredOutputsTest, ASuccessorLeavesOutWhatIsThere) {
  Outputs& first = **Open(1);
  for (uint64_t position = 1; position <= 5; ++position) Make(first, position, 2);
  ASSERT_TRUE(Wait(first).ok());
  Outputs& second = **Open(2);
  for (uint64_t position = 3; position <= 7; ++position) Make(second, position, 2);
  ASSERT_TRUE(Wait(second).ok());
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("1.0", "1.1", "2.0", "2.1", "3.0", "3.1", "4.0",
                                               "4.1", "5.0", "5.1", "6.0", "6.1", "7.0", "7.1"));
}

TEST_F(StoredOutputsTest, AnInputMadeInPiecesGoesOnWithinIt) {
  Outputs& first = **Open(1);
  Make(first, 8, 3);
  ASSERT_TRUE(Wait(first).ok());
  Outputs& second = **Open(2);
  Make(second, 8, 5);  // the predecessor died after three of five
  ASSERT_TRUE(Wait(second).ok());
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("8.0", "8.1", "8.2", "8.3", "8.4"));
}

TEST_F(StoredOutputsTest, ACopyThatWasReplacedIsRefusedAndEnds) {
  Outputs& zombie = **Open(1);
  Make(zombie, 1, 1);
  ASSERT_TRUE(Wait(zombie).ok());
  Outputs& successor = **Open(2);
  Make(successor, 2, 1);
  ASSERT_TRUE(Wait(successor).ok());
  Make(zombie, 2, 1);
  Make(zombie, 3, 1);
  EXPECT_TRUE(absl::IsAborted(Wait(zombie))) << Wait(zombie);
  EXPECT_TRUE(WaitUntil([&] { return superseded_ == 1; }));
  Make(successor, 3, 1);
  ASSERT_TRUE(Wait(successor).ok());
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("1.0", "2.0", "3.0"));
  EXPECT_TRUE(absl::IsAborted(Open(1).status()));
}

TEST_F(StoredOutputsTest, APredecessorThatStillWritesDoublesNothing) {
  Outputs& first = **Open(1);
  Make(first, 1, 1);
  ASSERT_TRUE(Wait(first).ok());
  Outputs& second = **Open(2);  // has seen position 1
  Make(first, 2, 1);
  Make(first, 3, 1);
  ASSERT_TRUE(Wait(first).ok());
  for (uint64_t position = 2; position <= 5; ++position) Make(second, position, 1);
  ASSERT_TRUE(Wait(second).ok());
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("1.0", "2.0", "3.0", "4.0", "5.0"));
}

TEST_F(StoredOutputsTest, LostAnswersDoubleNothing) {
  Outputs& outputs = **Open(1);
  streams_->lose_answers = 3;
  for (uint64_t position = 1; position <= 20; ++position) Make(outputs, position, 1);
  ASSERT_TRUE(Wait(outputs).ok());
  const std::vector<std::string> stored = Stored("OUT", kOut);
  ASSERT_EQ(stored.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(stored[i], absl::StrCat(i + 1, ".0"));
}

TEST_F(StoredOutputsTest, WhatABrokerRefusesWithoutAReasonIsStoredAllTheSame) {
  Outputs& copy = **Open(1);
  Make(copy, 1, 1);
  ASSERT_TRUE(Wait(copy).ok());
  streams_->refuse = 1;
  Make(copy, 2, 1);
  ASSERT_TRUE(Wait(copy).ok());
  Make(copy, 3, 1);
  ASSERT_TRUE(Wait(copy).ok());
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("1.0", "2.0", "3.0"));
}

TEST_F(StoredOutputsTest, WhatComesWhileAMessageIsOnItsWayGoesTogether) {
  Outputs& outputs = **Open(1);
  constexpr int kInputs = 2000;
  for (uint64_t position = 1; position <= kInputs; ++position) Make(outputs, position, 1);
  ASSERT_TRUE(Wait(outputs).ok());
  EXPECT_EQ(Stored("OUT", kOut).size(), static_cast<size_t>(kInputs));
  EXPECT_LT(streams_->publishes, kInputs / 2);
}

TEST_F(StoredOutputsTest, ColumnsAreTakenOverAsRowsAre) {
  Outputs& first = **Open(1);
  Make(first, 1, 3, "Q");
  ASSERT_TRUE(Wait(first).ok());
  Outputs& second = **Open(2);  // has seen position 1
  Make(first, 2, 4, "Q");
  ASSERT_TRUE(Wait(first).ok());
  // Refused at first: what the predecessor has written meanwhile leaves the columns.
  Make(second, 2, 4, "Q");
  Make(second, 3, 2, "Q");
  ASSERT_TRUE(Wait(second).ok());
  EXPECT_THAT(Stored("Q", kEdge),
              ElementsAre("1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3", "3.0", "3.1"));
}

TEST_F(StoredOutputsTest, LargeOutputsHaveMessagesOfTheirOwn) {
  Outputs& outputs = **Open(1);
  for (const char* type : {"Q", "Out"}) {
    Make(outputs, 1, 3, type);
    Make(outputs, 2, 3, type, 700'000);
    Make(outputs, 3, 3, type);
  }
  ASSERT_TRUE(Wait(outputs).ok());
  EXPECT_EQ(outputs.TakeLost(), 0u);
  const auto all = ElementsAre("1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "3.0", "3.1", "3.2");
  EXPECT_THAT(Stored("Q", kEdge), all);
  EXPECT_THAT(Stored("OUT", kOut), all);
}

TEST_F(StoredOutputsTest, AnOutputThatTheBrokerCannotTakeIsCountedAndHoldsNobodyUp) {
  Outputs& outputs = **Open(1);
  for (const char* type : {"Q", "Out"}) {
    Make(outputs, 1, 1, type);
    Make(outputs, 2, 1, type, 2'000'000);
    Make(outputs, 3, 1, type);
  }
  ASSERT_TRUE(Wait(outputs).ok());
  EXPECT_EQ(outputs.TakeLost(), 2u);
  EXPECT_THAT(Stored("Q", kEdge), ElementsAre("1.0", "3.0"));
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("1.0", "3.0"));
}

TEST_F(StoredOutputsTest, ABrokerThatIsAwayIsWaitedFor) {
  Outputs& outputs = **Open(1);
  Make(outputs, 1, 1);
  ASSERT_TRUE(Wait(outputs).ok());
  ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
  Make(outputs, 2, 1);
  ASSERT_TRUE(broker_->Restart().ok());
  ASSERT_TRUE(Wait(outputs).ok());
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("1.0", "2.0"));
}

TEST_F(StoredOutputsTest, WhatTheBrokerLosesAfterwardsIsStoredAgain) {
  Outputs& outputs = **Open(1);
  for (const char* type : {"Q", "Out"}) Make(outputs, 1, 2, type);
  ASSERT_TRUE(Wait(outputs).ok());
  for (uint64_t position = 2; position <= 4; ++position) {
    for (const char* type : {"Q", "Out"}) Make(outputs, position, 3, type);
    ASSERT_TRUE(Wait(outputs).ok());
  }
  // As a broker does whose disk was full: the last messages are gone after its restart.
  for (const std::string stream : {"OUT", "Q"}) {
    for (const int sequence : {4, 3}) {
      Result<bool> gone;
      bus_->Request({.subject = "$JS.API.STREAM.MSG.DELETE." + stream,
                     .payload = absl::StrCat(R"({"seq":)", sequence, "}")},
                    absl::Seconds(5),
                    [callback = gone.Callback()](const auto& reply) { callback(reply.ok()); });
      ASSERT_TRUE(gone.Get());
    }
  }
  ASSERT_TRUE(broker_->Kill(SIGKILL).ok() && broker_->Restart().ok());
  for (const char* type : {"Q", "Out"}) Make(outputs, 5, 1, type);
  ASSERT_TRUE(Wait(outputs).ok());
  const auto all = ElementsAre("1.0", "1.1", "2.0", "2.1", "2.2", "3.0", "3.1", "3.2", "4.0", "4.1",
                               "4.2", "5.0");
  EXPECT_THAT(Stored("OUT", kOut), all);
  EXPECT_THAT(Stored("Q", kEdge), all);
  EXPECT_FALSE(superseded_);
}

TEST_F(StoredOutputsTest, WhatWasTrimmedIsNotStoredAgain) {
  Outputs& outputs = **Open(1);
  Make(outputs, 1, 2);
  ASSERT_TRUE(Wait(outputs).ok());
  Result<absl::Status> trimmed;
  streams_->Trim("OUT", 2, trimmed.Callback());
  ASSERT_TRUE(trimmed.Get().ok());
  Make(outputs, 2, 1);
  ASSERT_TRUE(Wait(outputs).ok());
  EXPECT_THAT(Stored("OUT", kOut), ElementsAre("2.0"));
}

TEST_F(StoredOutputsTest, APublisherThatIsHeldUpIsLetGo) {
  Outputs& outputs = **Open(1);
  ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
  std::atomic<bool> returned = false;
  std::thread publisher([&] {
    for (uint64_t position = 1; position <= 100; ++position) {
      Make(outputs, position, 1, "Out", 500'000);
    }
    returned = true;
  });
  outputs.Abandon();
  publisher.join();
  EXPECT_TRUE(returned);
  EXPECT_TRUE(absl::IsCancelled(Wait(outputs)));
}

}  // namespace
}  // namespace varpulis::worker
