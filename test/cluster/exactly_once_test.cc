// Groups with delivery exactly_once: every event has its effect once, whoever dies.

#include <signal.h>

#include <atomic>
#include <future>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/event.pb.h"

#include "base/mutex.h"
#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::HasSubstr;

// `total` depends on every event before, so a lost or doubled one shows in all that follow.
constexpr char kChain[] = R"json({
  "name": "chain",
  "delivery": "exactly_once",
  "pipelines": [
    {"name": "sum", "worker_affinity": "worker-0",
     "source": "var total = 0\nfn add(n: int) -> int:\n    total := total + n\n    total\nstream Sum = Raw .emit(n: n, total: add(n))"},
    {"name": "last", "worker_affinity": "worker-1",
     "source": "var seen = 0\nfn count() -> int:\n    seen := seen + 1\n    seen\nstream Last = Sum .emit(n: n, total: total, seen: count())"}
  ],
  "routes": [
    {"from_pipeline": "_external", "to_pipeline": "sum", "event_types": ["Raw"]},
    {"from_pipeline": "sum", "to_pipeline": "last", "event_types": ["*"]}
  ]
})json";

// "n/total/seen" of each output, in the order in which they are stored.
class StoredOutputReader {
 public:
  StoredOutputReader(transport::EventStreams& streams, const transport::Subjects& subjects,
                     const std::string& group) {
    const auto stream = subjects.OutboxStream(group, "last", 0);
    transport::EventStreamOptions options;
    options.name = stream.name;
    options.subject = stream.subject;
    options.max_age = absl::Hours(24);
    options.discard_oldest = true;
    options.republish_to = subjects.Output(group, "last");
    reader_ = streams.Read(options, 0, [this](const transport::StoredMessage& stored) {
      v1::EventBatch batch;
      MutexLock lock(mutex_);
      if (!batch.ParseFromArray(stored.message.payload().data(),
                                static_cast<int>(stored.message.payload().size()))) {
        seen_.emplace_back("undecodable");
      }
      for (const v1::Event& event : batch.events()) {
        std::vector<int64_t> numbers;
        for (const v1::Field& field : event.fields()) {
          numbers.push_back(field.value().int_value());
        }
        seen_.push_back(absl::StrJoin(numbers, "/"));
      }
    });
  }

  std::vector<std::string> seen() const {
    MutexLock lock(mutex_);
    return seen_;
  }
  size_t size() const { return seen().size(); }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> seen_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<transport::Subscription> reader_;
};

class ExactlyOnceClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.Start());
    group_ = cluster_.Deploy(kChain);
    ASSERT_FALSE(group_.empty());
    streams_ = cluster_.bus().OpenEventStreams();
  }

  // Stores one numbered event; again until the broker has confirmed it.
  void Store(int64_t n) {
    v1::EventBatch batch;
    v1::Event& event = *batch.add_events();
    event.set_event_type("Raw");
    v1::Field& field = *event.add_fields();
    field.set_name("n");
    field.mutable_value()->set_int_value(n);
    const transport::OutgoingMessage message{
        .subject = cluster_.subjects().Pipeline(group_, transport::kExternal, "sum"),
        .payload = batch.SerializeAsString(),
        .headers = {{transport::kMessageIdHeader, absl::StrCat("test:", n)}},
        .reply_to = ""};
    ASSERT_TRUE(WaitUntil([&] {
      auto done = std::make_shared<std::promise<bool>>();
      streams_->Publish(message, [done](const auto& stored) { done->set_value(stored.ok()); });
      return done->get_future().get();
    }));
  }
  static std::vector<std::string> Expected(int64_t events) {
    std::vector<std::string> lines;
    int64_t total = 0;
    for (int64_t n = 1; n <= events; ++n) {
      total += n;
      lines.push_back(absl::StrCat(n, "/", total, "/", n));
    }
    return lines;
  }

  Cluster cluster_{{.workers = 2, .worker_flags = {"--checkpoint-interval=1"}}};
  std::string group_;
  std::unique_ptr<transport::EventStreams> streams_;
};

TEST_F(ExactlyOnceClusterTest, AnInjectedEventGoesThroughTheChain) {
  EXPECT_EQ(cluster_.Get("/pipeline-groups/" + group_).At("/delivery"), "\"exactly_once\"");
  std::atomic<int> republished = 0;
  auto plain = cluster_.bus().Subscribe({.subject = cluster_.subjects().Output(group_, "last")},
                                        [&](const transport::InboundMessage&) { ++republished; });
  ASSERT_TRUE(plain.ok());
  ASSERT_TRUE(cluster_.bus().Flush(absl::Seconds(5)).ok());
  StoredOutputReader outputs(*streams_, cluster_.subjects(), group_);
  const std::string event = R"({"event_type": "Raw", "fields": {"n": 1}, "event_id": "first"})";
  const HttpReply reply = cluster_.Post("/pipeline-groups/" + group_ + "/inject", event);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.At("/worker_response/output_events/0/fields/total"), "1");
  // A retry is stored no second time.
  const HttpReply retry = cluster_.Post("/pipeline-groups/" + group_ + "/inject", event);
  ASSERT_EQ(retry.status, 200) << retry.body;
  EXPECT_EQ(retry.At("/worker_response/pending"), "true");
  Store(2);
  EXPECT_TRUE(WaitUntil([&] { return outputs.size() == 2 && republished == 2; }));
  EXPECT_EQ(outputs.seen(), Expected(2));
}

TEST_F(ExactlyOnceClusterTest, KilledWorkersLoseAndDoubleNothing) {
  StoredOutputReader outputs(*streams_, cluster_.subjects(), group_);
  constexpr int64_t kEvents = 3000;
  for (int64_t n = 1; n <= kEvents; ++n) {
    Store(n);
    if (n == 1000) cluster_.Kill(cluster_.worker(0), SIGKILL);
    if (n == 1500) {
      ASSERT_TRUE(cluster_.StartWorker("worker-0"));
      ASSERT_TRUE(cluster_.WaitForReadyWorkers(2));
    }
    if (n == 2000) cluster_.Kill(cluster_.worker(1), SIGKILL);
  }
  EXPECT_TRUE(WaitUntil([&] { return outputs.size() >= kEvents; }));
  EXPECT_EQ(outputs.seen(), Expected(kEvents));
}

TEST_F(ExactlyOnceClusterTest, MovesCutBetweenTwoInputs) {
  StoredOutputReader outputs(*streams_, cluster_.subjects(), group_);
  for (int64_t n = 1; n <= 300; ++n) {
    Store(n);
    if (n % 100 != 0) continue;
    const char* target = n == 200 ? "worker-0" : "worker-1";
    const HttpReply reply = cluster_.Post(absl::StrCat("/pipelines/", group_, "/sum/migrate"),
                                          absl::StrCat(R"({"target_worker_id": ")", target, "\"}"));
    ASSERT_EQ(reply.status, 202) << reply.body;
    const std::string id = reply.At("/migration_id");
    const std::string path = "/migrations/" + id.substr(1, id.size() - 2);
    ASSERT_TRUE(WaitUntil([&] { return cluster_.Get(path).At("/status") == "\"completed\""; }))
        << cluster_.Get(path).body;
  }
  EXPECT_TRUE(WaitUntil([&] { return outputs.size() >= 300; }));
  EXPECT_EQ(outputs.seen(), Expected(300));
}

TEST_F(ExactlyOnceClusterTest, ADeletedGroupLeavesNoStreams) {
  Store(1);
  const auto streams = [&] {
    auto reply = std::make_shared<std::promise<std::string>>();
    cluster_.bus().Request(
        {.subject = "$JS.API.STREAM.NAMES", .payload = "", .headers = {}, .reply_to = ""},
        absl::Seconds(5), [reply](absl::StatusOr<transport::InboundMessage> got) {
          reply->set_value(got.ok() ? std::string(got->payload()) : "?");
        });
    return reply->get_future().get();
  };
  EXPECT_THAT(streams(), HasSubstr(group_));
  ASSERT_EQ(cluster_.Delete("/pipeline-groups/" + group_).status, 200);
  EXPECT_TRUE(WaitUntil([&] { return !absl::StrContains(streams(), group_); })) << streams();
}

TEST_F(ExactlyOnceClusterTest, RoutesWithSubjectsOfTheirOwnAreRefused) {
  const HttpReply reply = cluster_.Post("/pipeline-groups", R"json({
    "name": "custom", "delivery": "exactly_once",
    "pipelines": [{"name": "a", "source": "stream A = X .emit(v: v)"}],
    "routes": [{"from_pipeline": "_external", "to_pipeline": "a", "event_types": ["X"],
                "nats_subject": "plant.line7"}]})json");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("routes[0].nats_subject"));
  EXPECT_THAT(reply.body, HasSubstr("_external.a"));
}

}  // namespace
}  // namespace varpulis::testing
