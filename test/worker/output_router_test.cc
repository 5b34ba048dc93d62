#include "worker/output_router.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/worker/cluster_fixture.h"
#include "test/worker/switched_bus.h"

namespace varpulis::worker {
namespace {

// An event of a program's, with one field `n`.
void Add(OutputRouter& router, const std::string& type, int64_t n) {
  static const std::vector<std::string> names{"n"};
  const engine::Value value = engine::Value::Int(n);
  router.Add(
      {.stream = "S", .event_type = type, .timestamp_ns = 1, .names = names, .values = &value});
}

void AddEach(OutputRouter& router, const std::vector<std::string>& types) {
  for (size_t i = 0; i < types.size(); ++i) Add(router, types[i], static_cast<int64_t>(i));
}

class OutputRouterTest : public ::testing::Test {
 protected:
  OutputRouter Router(std::vector<EventRoute> routes) {
    return OutputRouter({.routes = std::move(routes),
                         .fallback_subject = "out",
                         .placement_epoch = 7,
                         .replica = 2},
                        bus_);
  }

  std::unique_ptr<transport::Bus> local_ = transport::NewLocalBus();
  SwitchedBus bus_{*local_};
};

TEST_F(OutputRouterTest, OneBatchPerSubjectInOrderAndNumbered) {
  Listener x(*local_, "x"), y(*local_, "y"), out(*local_, "out");
  OutputRouter router = Router({{.event_types = {"A*"}, .subject = "x"},
                                {.event_types = {"B", "*c"}, .subject = "y"},
                                {.event_types = {"AB"}, .subject = "y"}});
  router.BeginInput(3, 0);
  AddEach(router, {"A", "B", "C", "AB", "A"});
  EXPECT_FALSE(router.empty());
  EXPECT_EQ(x.batches.size(), 0u);
  router.Flush();
  EXPECT_TRUE(router.empty());
  AddEach(router, {"A"});
  router.BeginInput(1, 0);  // the batch of another number of hops ends
  router.Flush();
  EXPECT_EQ(router.TakeLost(), 0u);
  ASSERT_TRUE(local_->Flush(kPatience).ok());

  ASSERT_EQ(x.batches.size(), 2u);
  const auto first = x.batches.items()[0];
  EXPECT_EQ(first.sequence(), 1u);
  EXPECT_EQ(first.hops(), 3u);
  EXPECT_EQ(first.placement_epoch(), 7u);
  EXPECT_EQ(first.source_replica(), 2u);
  ASSERT_EQ(first.events_size(), 3);
  EXPECT_EQ(IntField(first.events(0), "n"), 0);
  EXPECT_EQ(IntField(first.events(1), "n"), 3);
  EXPECT_EQ(IntField(first.events(2), "n"), 4);
  EXPECT_EQ(x.batches.items()[1].sequence(), 2u);
  EXPECT_EQ(x.batches.items()[1].hops(), 3u);
  ASSERT_EQ(y.batches.size(), 1u);
  EXPECT_EQ(y.events.size(), 2u);  // B, AB
  ASSERT_EQ(out.events.size(), 1u);
  EXPECT_EQ(out.events.items()[0].event_type(), "C");
}

TEST_F(OutputRouterTest, SplitsBelowTheBrokersLimit) {
  bus_.set_max_payload(4096);
  Listener out(*local_, "out");
  OutputRouter router = Router({});
  for (int i = 0; i < 100; ++i) Add(router, std::string(500, 'T'), i);
  router.Flush();
  EXPECT_EQ(router.TakeLost(), 0u);
  ASSERT_TRUE(local_->Flush(kPatience).ok());
  EXPECT_GT(out.batches.size(), 10u);
  ASSERT_EQ(out.events.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(IntField(out.events.items()[i], "n"), i);
  uint64_t sequence = 0;
  for (const auto& batch : out.batches.items()) {
    EXPECT_LT(batch.ByteSizeLong(), 4096u);
    EXPECT_EQ(batch.sequence(), ++sequence);
  }
}

TEST_F(OutputRouterTest, SeveralEventsGoInColumnsWhereTheyAreWanted) {
  Listener x(*local_, "x"), y(*local_, "y");
  OutputRouter router = Router({{.event_types = {"*"}, .subject = "x", .columns = true},
                                {.event_types = {"*"}, .subject = "y"}});
  AddEach(router, {"A"});
  router.Flush();
  AddEach(router, {"A", "B", "A"});
  router.Flush();
  ASSERT_TRUE(local_->Flush(kPatience).ok());
  const auto batches = x.batches.items();
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_FALSE(batches[0].has_columns());
  EXPECT_TRUE(batches[1].has_columns());
  EXPECT_EQ(batches[1].events_size(), 0);
  EXPECT_EQ(batches[1].sequence(), 2u);
  EXPECT_FALSE(y.batches.items()[1].has_columns());
  ASSERT_EQ(x.events.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(x.events.items()[i].SerializeAsString(), y.events.items()[i].SerializeAsString());
  }
}

TEST_F(OutputRouterTest, ColumnsStayBelowTheBrokersLimit) {
  bus_.set_max_payload(4096);
  Listener x(*local_, "x");
  OutputRouter router = Router({{.event_types = {"*"}, .subject = "x", .columns = true}});
  for (int i = 0; i < 2000; ++i) Add(router, i % 500 == 499 ? std::string(2500, 'T') : "A", i);
  router.Flush();
  EXPECT_EQ(router.TakeLost(), 0u);
  ASSERT_TRUE(local_->Flush(kPatience).ok());
  ASSERT_EQ(x.events.size(), 2000u);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(IntField(x.events.items()[i], "n"), i);
  for (const auto& batch : x.batches.items()) EXPECT_LT(batch.ByteSizeLong(), 4096u);
}

TEST_F(OutputRouterTest, CountsWhatItCouldNotPublishAndLeavesAGap) {
  Listener out(*local_, "out");
  OutputRouter router = Router({});
  bus_.Set(false);
  AddEach(router, {"A", "B"});
  router.Flush();
  EXPECT_EQ(router.TakeLost(), 2u);
  bus_.Set(true);
  AddEach(router, {"C"});
  router.Flush();
  EXPECT_EQ(router.TakeLost(), 0u);
  ASSERT_TRUE(out.batches.WaitForSize(1));
  EXPECT_EQ(out.batches.items()[0].sequence(), 2u);
}

}  // namespace
}  // namespace varpulis::worker
