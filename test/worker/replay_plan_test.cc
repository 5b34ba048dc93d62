#include "worker/replay_plan.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"

namespace varpulis::worker {
namespace {

using Mark = ReplayPlan::Mark;

// One copy's life: does the inputs of the plan until one of them kills it. Returns what the broker
// has of it then.
struct Life {
  Mark left;
  bool died = false;
  uint64_t turns = 0;
  std::vector<uint64_t> skipped;
};

Life Live(uint64_t restored, uint64_t end, const Mark& left, const std::vector<uint64_t>& poison) {
  ReplayPlan plan(restored, end, left);
  Life life{.left = left};
  std::optional<ReplayPlan::Turn> turn;
  for (uint64_t position = restored + 1; position <= end; ++position) {
    if (plan.IsPoison(position)) {
      life.skipped.push_back(position);
      continue;
    }
    if (const auto next = plan.Enter(position); next.has_value()) {
      turn = next;
      ++life.turns;
      EXPECT_EQ(turn->first, position);
      life.left = plan.Begun(*turn);
    }
    EXPECT_TRUE(turn.has_value() && turn->first <= position && position <= turn->last) << position;
    if (std::find(poison.begin(), poison.end(), position) != poison.end()) {
      life.died = true;
      return life;
    }
    if (turn->exclusive && turn->last == position) life.left = plan.Over();
  }
  life.left = plan.Over();
  return life;
}

// How many copies die, after a first one that left no mark, until one is through.
int Deaths(uint64_t end, const std::vector<uint64_t>& poison, std::vector<uint64_t>* skipped) {
  Mark left;
  int deaths = 1;
  while (deaths < 100) {
    const Life life = Live(0, end, left, poison);
    left = life.left;
    if (!life.died) {
      *skipped = life.skipped;
      return deaths;
    }
    ++deaths;
  }
  return deaths;
}

TEST(ReplayPlanTest, NothingIsDoneAgain) {
  ReplayPlan plan(10, 10, {});
  EXPECT_FALSE(plan.Enter(11).has_value());
  EXPECT_FALSE(ReplayPlan().Enter(1).has_value());
}

TEST(ReplayPlanTest, AFirstReplayOfManyInputsCostsOneMark) {
  const Life life = Live(7, 1'000'000, {}, {});
  EXPECT_FALSE(life.died);
  EXPECT_EQ(life.turns, 1u);
  EXPECT_EQ(life.left.last(), 0u);
}

TEST(ReplayPlanTest, ASecondReplayTakesABoundedNumberOfTurns) {
  const Life first = Live(0, 1'000'000, {}, {600'000});
  const Life second = Live(0, 1'000'000, first.left, {});
  EXPECT_GT(second.turns, 100u);
  EXPECT_LE(second.turns, 258u);
}

TEST(ReplayPlanTest, PoisonAmongFewInputsIsFoundWithTheThirdDeath) {
  for (const uint64_t poison : {1u, 7u, 16u}) {
    std::vector<uint64_t> skipped;
    EXPECT_EQ(Deaths(16, {poison}, &skipped), 3);
    EXPECT_EQ(skipped, std::vector<uint64_t>{poison});
  }
}

TEST(ReplayPlanTest, PoisonAmongManyInputsIsFoundWithFewMore) {
  std::vector<uint64_t> skipped;
  for (const uint64_t poison : {1u, 100u, 256u}) EXPECT_EQ(Deaths(256, {poison}, &skipped), 4);
  for (const uint64_t poison : {1u, 777'777u, 1'000'000u}) {
    EXPECT_EQ(Deaths(1'000'000, {poison}, &skipped), 6);
    EXPECT_EQ(skipped, std::vector<uint64_t>{poison});
  }
}

TEST(ReplayPlanTest, SeveralPoisonsAreFoundOneAfterTheOther) {
  std::vector<uint64_t> skipped;
  EXPECT_LE(Deaths(60, {5, 6, 40}, &skipped), 12);
  EXPECT_EQ(skipped, (std::vector<uint64_t>{5, 6, 40}));
}

TEST(ReplayPlanTest, WorkersThatAreKilledAtOtherInputsEachTimeSkipNothing) {
  Mark left;
  for (const uint64_t killed_at : {3u, 4u, 12u, 13u, 3u, 1u}) {
    const Life life = Live(0, 15, left, {killed_at});
    EXPECT_TRUE(life.died) << killed_at;
    EXPECT_TRUE(life.skipped.empty()) << killed_at;
    left = life.left;
  }
}

TEST(ReplayPlanTest, WhatWasSkippedStaysSkippedUntilACheckpointIsBeyondIt) {
  Mark left;
  left.add_skipped(20);
  EXPECT_TRUE(ReplayPlan(10, 60, left).IsPoison(20));
  EXPECT_EQ(Live(10, 60, left, {20}).left.skipped_size(), 1);
  EXPECT_FALSE(ReplayPlan(20, 60, left).IsPoison(20));
  EXPECT_EQ(Live(20, 60, left, {}).left.skipped_size(), 0);
}

TEST(ReplayPlanTest, AMarkBelowTheCheckpointMeansNothing) {
  Mark left;
  left.set_first(10);
  left.set_last(10);
  left.set_exclusive(true);
  ReplayPlan plan(10, 60, left);
  EXPECT_FALSE(plan.Enter(11)->exclusive);
}

}  // namespace
}  // namespace varpulis::worker
