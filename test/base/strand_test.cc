#include "base/strand.h"

#include <future>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace varpulis {
namespace {

using ::testing::ElementsAre;

// Runs what was posted before and returns.
void Settle(Strand& strand) {
  std::promise<void> done;
  strand.Post([&] { done.set_value(); });
  done.get_future().wait();
}

TEST(StrandTest, RunsTasksInOrderOnOneThread) {
  Strand strand("test");
  std::vector<int> order;
  bool on_strand = true;
  for (int i = 0; i < 1000; ++i) {
    strand.Post([&, i] {
      order.push_back(i);
      on_strand = on_strand && strand.OnThisThread();
    });
  }
  Settle(strand);
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_TRUE(on_strand);
  EXPECT_FALSE(strand.OnThisThread());
}

TEST(StrandTest, TimersFireInOrderOfTheirDueTime) {
  Strand strand("test");
  std::vector<int> order;
  std::promise<void> last;
  strand.After(absl::Milliseconds(20), [&] {
    order.push_back(2);
    last.set_value();
  });
  strand.After(absl::Milliseconds(5), [&] { order.push_back(1); });
  last.get_future().wait();
  EXPECT_THAT(order, ElementsAre(1, 2));
}

TEST(StrandTest, ACancelledTimerDoesNotFire) {
  Strand strand("test");
  std::promise<void> fired;
  bool cancelled_ran = false;
  const Strand::TimerId id = strand.After(absl::Milliseconds(5), [&] { cancelled_ran = true; });
  strand.Cancel(id);
  strand.Cancel(id);  // past ids are ignored
  strand.After(absl::Milliseconds(10), [&] { fired.set_value(); });
  fired.get_future().wait();
  EXPECT_FALSE(cancelled_ran);
}

TEST(StrandTest, StopRunsWhatWasPostedAndRefusesTheRest) {
  Strand strand("test");
  int ran = 0;
  for (int i = 0; i < 100; ++i) strand.Post([&] { ++ran; });
  strand.After(absl::Hours(1), [&] { ran = -1; });
  strand.Stop();
  EXPECT_EQ(ran, 100);
  EXPECT_FALSE(strand.Post([&] { ++ran; }));
  EXPECT_EQ(ran, 100);
}

TEST(StrandTest, TasksMayPostAndSetTimers) {
  Strand strand("test");
  std::promise<void> done;
  strand.Post([&] {
    strand.After(absl::Milliseconds(1), [&] { strand.Post([&] { done.set_value(); }); });
  });
  done.get_future().wait();
}

TEST(StrandTest, PostsFromManyThreadsAllRun) {
  Strand strand("test");
  int ran = 0;  // touched on the strand only
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) strand.Post([&] { ++ran; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  Settle(strand);
  EXPECT_EQ(ran, 20000);
}

}  // namespace
}  // namespace varpulis
