#include "worker/output_router.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/worker/cluster_fixture.h"
#include "test/worker/switched_bus.h"

namespace varpulis::worker {
namespace {

using engine::EmittedEvent;

std::vector<EmittedEvent> Outputs(const std::vector<std::string>& types) {
  std::vector<EmittedEvent> outputs;
  for (size_t i = 0; i < types.size(); ++i) {
    outputs.push_back({.stream = types[i], .event = MakeEvent(types[i], static_cast<int64_t>(i))});
  }
  return outputs;
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
  auto outputs = Outputs({"A", "B", "C", "AB", "A"});
  EXPECT_EQ(router.Publish(&outputs, 3, 0), 0u);
  auto more = Outputs({"A"});
  EXPECT_EQ(router.Publish(&more, 1, 0), 0u);
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
  ASSERT_EQ(y.batches.size(), 1u);
  EXPECT_EQ(y.events.size(), 2u);  // B, AB
  ASSERT_EQ(out.events.size(), 1u);
  EXPECT_EQ(out.events.items()[0].event_type(), "C");
}

TEST_F(OutputRouterTest, SplitsBelowTheBrokersLimit) {
  bus_.set_max_payload(4096);
  Listener out(*local_, "out");
  OutputRouter router = Router({});
  std::vector<EmittedEvent> outputs;
  for (int i = 0; i < 100; ++i) {
    outputs.push_back({.stream = "S", .event = MakeEvent(std::string(500, 'T'), i)});
  }
  EXPECT_EQ(router.Publish(&outputs, 1, 0), 0u);
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

TEST_F(OutputRouterTest, CountsWhatItCouldNotPublishAndLeavesAGap) {
  Listener out(*local_, "out");
  OutputRouter router = Router({});
  bus_.Set(false);
  auto lost = Outputs({"A", "B"});
  EXPECT_EQ(router.Publish(&lost, 1, 0), 2u);
  bus_.Set(true);
  auto heard = Outputs({"C"});
  EXPECT_EQ(router.Publish(&heard, 1, 0), 0u);
  ASSERT_TRUE(out.batches.WaitForSize(1));
  EXPECT_EQ(out.batches.items()[0].sequence(), 2u);
}

}  // namespace
}  // namespace varpulis::worker
