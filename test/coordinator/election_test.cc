// Several coordinators over the bus of one process, competing for one lease.

#include "coordinator/election.h"

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "coordinator/coordinator.h"
#include "fake_key_value.h"
#include "fake_worker.h"
#include "scripted_log.h"
#include "test/support/wait.h"
#include "transport/error_reply.h"
#include "transport/local_bus.h"
#include "transport/nats_connection.h"
#include "transport/rpc.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {
namespace {

using ::testing::HasSubstr;
using varpulis::testing::WaitUntil;

constexpr char kKey[] = "leader";

class ElectionTest : public ::testing::Test {
 protected:
  // What a test does to one coordinator.
  struct Handles {
    std::shared_ptr<FakeBucket::Link> link = std::make_shared<FakeBucket::Link>();
    std::shared_ptr<std::atomic<int64_t>> asleep_ms = std::make_shared<std::atomic<int64_t>>(0);
  };

  absl::StatusOr<std::unique_ptr<Coordinator>> TryStart(const std::string& id) {
    CoordinatorOptions options;
    options.id = id;
    options.version = "1.0.0";
    options.command_timeout = absl::Milliseconds(400);
    options.ping_timeout = absl::Milliseconds(50);
    options.retry_backoff = absl::Milliseconds(50);
    const Handles& handles = handles_[id];
    return Coordinator::Start(
        options,
        {.bus = *bus_,
         .open_log = [this]() -> absl::StatusOr<std::unique_ptr<transport::RecordLog>> {
           if (volatile_log_) {
             ++volatile_logs_;
             return transport::NewVolatileRecordLog();
           }
           return store_.NewLog();
         },
         .on_stood_down = [](const absl::Status&) { ADD_FAILURE() << "the process would end"; },
         .open_lease_bucket =
             [this, link = handles.link]() -> absl::StatusOr<std::unique_ptr<transport::KeyValue>> {
           if (!bucket_status_.ok()) return bucket_status_;
           return bucket_.Open(link);
         },
         .clock =
             [asleep = handles.asleep_ms] {
               return BootTime() + absl::Milliseconds(asleep->load());
             }});
  }
  std::unique_ptr<Coordinator> Start(const std::string& id) {
    auto coordinator = TryStart(id);
    EXPECT_TRUE(coordinator.ok()) << coordinator.status();
    return coordinator.ok() ? *std::move(coordinator) : nullptr;
  }
  // As SIGSTOP and SIGCONT would: time has passed, and nothing was done in it.
  void Pause(const std::string& id) { *handles_[id].asleep_ms += 5000; }

  absl::StatusOr<v1::GroupInfo> Deploy(const std::string& name,
                                       absl::Duration timeout = absl::Seconds(5)) {
    v1::DeployGroupRequest request;
    request.set_name(name);
    v1::PipelineSpec& spec = *request.add_pipelines();
    spec.set_name("p");
    spec.set_source("stream S = E");
    return transport::CallAndWait<v1::GroupInfo>(*bus_, subjects_.Api("groups", "deploy"), request,
                                                 {.timeout = timeout, .request_id = name});
  }
  bool Serves() {
    return transport::CallAndWait<v1::Empty>(*bus_, subjects_.Api("cluster", "ready"), v1::Empty(),
                                             {.timeout = absl::Milliseconds(500)})
        .ok();
  }
  std::string Holder() {
    const std::string value = bucket_.Value(kKey);
    for (const auto& [id, handles] : handles_) {
      if (value.find(absl::StrCat("\"", id, "\"")) != std::string::npos) return id;
    }
    return "";
  }

  const transport::Subjects subjects_;
  std::unique_ptr<transport::Bus> bus_ = transport::NewLocalBus();
  ScriptedStore store_;
  FakeBucket bucket_;
  absl::Status bucket_status_;
  std::atomic<bool> volatile_log_{false};
  std::atomic<int> volatile_logs_{0};
  std::map<std::string, Handles> handles_;
};

TEST_F(ElectionTest, OneOfManyLeadsAndTheNextTakesOverWhenItLeaves) {
  auto c1 = Start("c1");
  const auto c2 = Start("c2");
  const auto c3 = Start("c3");
  EXPECT_EQ(Holder(), "c1");
  EXPECT_EQ(c2->leader_epoch(), 0u);
  EXPECT_EQ(c3->leader_epoch(), 0u);
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_EQ(w0.Register()->leader_epoch(), c1->leader_epoch());
  const auto group = Deploy("one");
  ASSERT_TRUE(group.ok()) << group.status();
  const uint64_t epoch = c1->leader_epoch();
  EXPECT_EQ(store_.opens(), 1u) << "who follows leaves the state alone";

  c1.reset();
  ASSERT_TRUE(WaitUntil([&] { return Serves(); }));
  EXPECT_NE(c2->leader_epoch() == 0, c3->leader_epoch() == 0);
  EXPECT_GT(std::max(c2->leader_epoch(), c3->leader_epoch()), epoch);
  EXPECT_EQ(Deploy("one")->id(), group->id()) << "the same call, repeated to the successor";
  EXPECT_TRUE(Deploy("two").ok());
}

TEST_F(ElectionTest, WhoFollowsKeepsACopyAndTakesOverWithIt) {
  auto c1 = Start("c1");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  ASSERT_TRUE(Deploy("one").ok());
  EXPECT_EQ(store_.follows(), 0u) << "who leads needs none";
  const auto c2 = Start("c2");
  ASSERT_TRUE(WaitUntil([&] { return store_.follows() == 1; }));
  const auto group = Deploy("two");
  ASSERT_TRUE(group.ok()) << group.status();

  c1.reset();
  ASSERT_TRUE(WaitUntil([&] { return Serves(); }));
  EXPECT_NE(c2->leader_epoch(), 0u);
  EXPECT_EQ(store_.opens(), 2u);
  EXPECT_EQ(store_.followed_opens(), 1u);
  EXPECT_EQ(Deploy("two")->id(), group->id());

  // Standing down it follows again, with another copy.
  const auto c3 = Start("c3");
  ASSERT_TRUE(WaitUntil([&] { return store_.follows() == 2; }));
  handles_["c2"].link->cut = true;
  ASSERT_TRUE(WaitUntil([&] { return c2->leader_epoch() == 0; }));
  bucket_.Expire(kKey);
  ASSERT_TRUE(WaitUntil([&] { return c3->leader_epoch() != 0 && Serves(); }));
  EXPECT_EQ(store_.followed_opens(), 2u);
  handles_["c2"].link->cut = false;
  EXPECT_TRUE(WaitUntil([&] { return store_.follows() == 3; }));
  EXPECT_EQ(Deploy("two")->id(), group->id());
}

TEST_F(ElectionTest, WhoFindsNothingToFollowTriesAgain) {
  auto c1 = Start("c1");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  ASSERT_TRUE(Deploy("one").ok());
  volatile_log_ = true;
  const auto c2 = Start("c2");
  ASSERT_TRUE(WaitUntil([&] { return volatile_logs_ == 2; })) << "it tries again";
  volatile_log_ = false;
  const auto c3 = Start("c3");
  ASSERT_TRUE(WaitUntil([&] { return store_.follows() == 2; }));
  volatile_log_ = true;
  c1.reset();
  ASSERT_TRUE(WaitUntil([&] { return Serves(); })) << "by the copy that is there";
  EXPECT_EQ(store_.followed_opens(), 1u);
  EXPECT_EQ(Deploy("one")->name(), "one");
}

TEST_F(ElectionTest, WhoCannotRenewStopsBeforeTheLeaseCanBeAnothers) {
  const auto c1 = Start("c1");
  const auto c2 = Start("c2");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  handles_["c1"].link->cut = true;
  ASSERT_TRUE(WaitUntil([&] { return c1->leader_epoch() == 0; }));
  EXPECT_EQ(Holder(), "c1") << "it stood down before the key expired";
  ASSERT_TRUE(WaitUntil([&] { return !Serves(); }));
  bucket_.Expire(kKey);
  ASSERT_TRUE(WaitUntil([&] { return Serves(); }));
  EXPECT_NE(c2->leader_epoch(), 0u);
  EXPECT_TRUE(Deploy("one").ok());

  // It follows, and leads again when it is its turn.
  handles_["c1"].link->cut = false;
  handles_["c2"].link->cut = true;
  ASSERT_TRUE(WaitUntil([&] { return c2->leader_epoch() == 0; }));
  bucket_.Expire(kKey);
  ASSERT_TRUE(WaitUntil([&] { return c1->leader_epoch() != 0 && Serves(); }));
  EXPECT_EQ(Deploy("one")->name(), "one");
}

TEST_F(ElectionTest, AfterAPauseNothingIsSentStoredOrAnswered) {
  const auto c1 = Start("c1");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  ASSERT_TRUE(Deploy("one").ok());
  ASSERT_EQ(w0.deploys(), 1u);
  const uint64_t stored = store_.sequence();
  const size_t pings = w0.pings();
  handles_["c1"].link->cut = true;  // so that it does not lead again at once
  Pause("c1");
  EXPECT_FALSE(Deploy("two", absl::Milliseconds(100)).ok());
  EXPECT_FALSE(Serves());
  ASSERT_TRUE(WaitUntil([&] { return c1->leader_epoch() == 0; }));
  EXPECT_EQ(store_.sequence(), stored);
  EXPECT_EQ(w0.deploys(), 1u);
  EXPECT_EQ(w0.pings(), pings);

  // As a candidate like any other.
  bucket_.Expire(kKey);
  handles_["c1"].link->cut = false;
  ASSERT_TRUE(WaitUntil([&] { return Serves(); }));
  EXPECT_TRUE(Deploy("two").ok());
}

TEST_F(ElectionTest, ALeaseTakenByAnotherEndsTheOffice) {
  const auto c1 = Start("c1");
  bucket_.Overwrite(kKey, R"({"coordinator_id":"c9","nonce":"n9","sending":1})");
  ASSERT_TRUE(WaitUntil([&] { return c1->leader_epoch() == 0; }));
  EXPECT_FALSE(Serves());
  bucket_.Expire(kKey);
  EXPECT_TRUE(WaitUntil([&] { return Serves(); }));
}

TEST_F(ElectionTest, ABrokerThatForgetsTheLeaseIsToldAgain) {
  const auto c1 = Start("c1");
  const uint64_t epoch = c1->leader_epoch();
  bucket_.Expire(kKey);
  ASSERT_TRUE(WaitUntil([&] { return Holder() == "c1"; }));
  EXPECT_TRUE(Serves());
  EXPECT_EQ(c1->leader_epoch(), epoch);
}

TEST_F(ElectionTest, ARefusedWriteEndsTheOfficeAndNotTheProcess) {
  const auto c1 = Start("c1");
  FakeWorker w0(*bus_, "w0", "i0");
  ASSERT_TRUE(w0.Register().ok());
  const uint64_t epoch = c1->leader_epoch();
  store_.FailAppendsWith(absl::AbortedError("wrong last sequence"));
  const auto refused = Deploy("one");
  EXPECT_EQ(transport::ErrorCode(refused.status()), "not_leader") << refused.status();
  store_.FailAppendsWith(absl::OkStatus());
  ASSERT_TRUE(WaitUntil([&] { return c1->leader_epoch() > epoch && Serves(); }));
}

TEST_F(ElectionTest, AStateThatIsNotDurableIsNotLed) {
  volatile_log_ = true;
  const auto coordinator = TryStart("c1");
  EXPECT_THAT(coordinator.status().message(), HasSubstr("JetStream"));
  EXPECT_EQ(Holder(), "") << "given back";
}

TEST_F(ElectionTest, WithoutABucketItLeadsAtOnce) {
  bucket_status_ = absl::FailedPreconditionError("JetStream is not enabled");
  volatile_log_ = true;
  const auto coordinator = Start("c1");
  EXPECT_NE(coordinator->leader_epoch(), 0u);
  EXPECT_TRUE(Serves());
  EXPECT_EQ(Holder(), "");
}

}  // namespace
}  // namespace varpulis::coordinator
