#include "worker/source_mark.h"

#include <vector>

#include "gtest/gtest.h"

#include "worker/stored_progress.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::EventBatch;

// The outputs of each position, as many as given; each event's type says which it is.
EventBatch BatchOf(const std::vector<std::pair<uint64_t, int>>& outputs, uint32_t offset = 0) {
  EventBatch batch;
  bool first = true;
  for (const auto& [position, count] : outputs) {
    for (int i = 0; i < count; ++i) {
      const uint32_t index = (first ? offset : 0) + static_cast<uint32_t>(i);
      batch.add_events()->set_event_type(std::to_string(position) + "." + std::to_string(index));
      AddSource(position, index, &batch);
    }
    first = false;
  }
  batch.set_source("up");
  return batch;
}

std::string Types(const EventBatch& batch) {
  std::string types;
  for (const auto& event : batch.events()) types += event.event_type() + " ";
  return types;
}

TEST(SourceMarkTest, ABatchAccountsForItsEvents) {
  const EventBatch batch = BatchOf({{5, 2}, {9, 1}});
  EXPECT_TRUE(CheckSources(batch).ok());
  EXPECT_EQ(batch.source_positions_size(), 2);
  EXPECT_EQ(EndOf(batch), (SourceMark{9, 1}));
  EXPECT_EQ(EndOf(BatchOf({{5, 2}}, 3)), (SourceMark{5, 5}));
}

TEST(SourceMarkTest, WhatIsBelowTheMarkIsDropped) {
  const auto left = [](const SourceMark& mark, uint32_t offset = 0) {
    EventBatch batch = BatchOf({{5, 3}, {9, 2}}, offset);
    const uint64_t dropped = DropBefore(mark, &batch);
    EXPECT_TRUE(CheckSources(batch).ok());
    EXPECT_EQ(dropped + static_cast<uint64_t>(batch.events_size()), 5u);
    if (!batch.events().empty()) {
      EXPECT_EQ(EndOf(batch), (SourceMark{9, 2}));
    }
    return Types(batch);
  };
  EXPECT_EQ(left({}), "5.0 5.1 5.2 9.0 9.1 ");
  EXPECT_EQ(left({4, 7}), "5.0 5.1 5.2 9.0 9.1 ");
  EXPECT_EQ(left({5, 2}), "5.2 9.0 9.1 ");
  EXPECT_EQ(left({5, 3}), "9.0 9.1 ");
  EXPECT_EQ(left({7, 0}), "9.0 9.1 ");
  EXPECT_EQ(left({9, 1}), "9.1 ");
  EXPECT_EQ(left({9, 2}), "");
  EXPECT_EQ(left({10, 1}), "");
  // The batch begins within an input: its first events are 5.4, 5.5, 5.6.
  EXPECT_EQ(left({5, 2}, 4), "5.4 5.5 5.6 9.0 9.1 ");
  EXPECT_EQ(left({5, 5}, 4), "5.5 5.6 9.0 9.1 ");
}

TEST(SourceMarkTest, ABatchThatGoesOnInTheMiddleOfAnInputHasNothingToDrop) {
  EXPECT_TRUE(BeginsBefore({5, 3}, BatchOf({{5, 2}}, 2)));
  EXPECT_FALSE(BeginsBefore({5, 3}, BatchOf({{5, 2}}, 3)));
  EXPECT_FALSE(BeginsBefore({5, 3}, BatchOf({{6, 1}})));
  EXPECT_FALSE(BeginsBefore({5, 3}, EventBatch()));
}

TEST(SourceMarkTest, DroppingTwiceIsDroppingOnce) {
  EventBatch batch = BatchOf({{5, 3}});
  EXPECT_EQ(DropBefore({5, 1}, &batch), 1u);
  EXPECT_EQ(DropBefore({5, 1}, &batch), 0u);
  EXPECT_EQ(DropBefore({5, 2}, &batch), 1u);
  EXPECT_EQ(Types(batch), "5.2 ");
}

TEST(SourceMarkTest, AnAccountThatDoesNotFitIsRefused) {
  EventBatch batch = BatchOf({{5, 3}, {9, 2}});
  batch.set_source_counts(0, 4);
  EXPECT_FALSE(CheckSources(batch).ok());
  batch = BatchOf({{9, 3}, {5, 2}});
  EXPECT_FALSE(CheckSources(batch).ok());
  batch = BatchOf({{5, 3}});
  batch.add_source_positions(6);
  EXPECT_FALSE(CheckSources(batch).ok());
}

// ---------------------------------------------------------------- StoredProgress

constexpr int64_t kStoredAt = 1'000'000'000;

std::string Taken(StoredProgress& progress, uint64_t position, EventBatch batch,
                  const Placement& placement = {}) {
  progress.Take(placement, position, kStoredAt, &batch);
  return Types(batch);
}

TEST(StoredProgressTest, OutputsThatComeAgainAreLeftOut) {
  StoredProgress progress;
  EXPECT_EQ(Taken(progress, 1, BatchOf({{5, 2}})), "5.0 5.1 ");
  EXPECT_EQ(Taken(progress, 2, BatchOf({{5, 3}, {6, 1}})), "5.2 6.0 ");
  EXPECT_EQ(Taken(progress, 3, BatchOf({{5, 3}, {6, 1}})), "");
  EXPECT_EQ(progress.position(), 3u);

  varpulis::checkpoint::v1::PipelineCheckpoint checkpoint;
  progress.Save(&checkpoint);
  StoredProgress restored = StoredProgress::Restore(checkpoint);
  EXPECT_EQ(restored.position(), 3u);
  EXPECT_EQ(Taken(restored, 4, BatchOf({{6, 2}})), "6.1 ");
}

TEST(StoredProgressTest, SourcesDoNotMix) {
  StoredProgress progress;
  EventBatch other = BatchOf({{5, 1}});
  other.set_source("other");
  EXPECT_EQ(Taken(progress, 1, BatchOf({{5, 1}})), "5.0 ");
  EXPECT_EQ(Taken(progress, 2, other), "5.0 ");
  EventBatch plain;  // of an ordinary publisher
  plain.add_events()->set_event_type("x");
  EXPECT_EQ(Taken(progress, 3, plain), "x ");
  EXPECT_EQ(Taken(progress, 4, plain), "x ");
}

TEST(StoredProgressTest, TimeIsTheStreams) {
  StoredProgress progress;
  EventBatch batch;
  batch.add_events()->set_event_type("unstamped");
  batch.add_events()->set_timestamp_ns(7);
  batch.add_events()->set_timestamp_ns(kStoredAt + int64_t{25} * 3600 * 1'000'000'000);
  EXPECT_EQ(progress.Take({}, 1, kStoredAt, &batch), 1u);
  ASSERT_EQ(batch.events_size(), 2);
  EXPECT_EQ(batch.events(0).timestamp_ns(), kStoredAt);
  EXPECT_EQ(batch.events(1).timestamp_ns(), 7);
}

TEST(StoredProgressTest, ReplicasWithoutAKeyShareByPosition) {
  int taken = 0;
  for (uint32_t replica = 0; replica < 3; ++replica) {
    Placement placement;
    placement.replica = replica;
    placement.replicas = 3;
    StoredProgress progress;
    int own = 0;
    for (uint64_t position = 1; position <= 300; ++position) {
      EventBatch batch;
      batch.add_events()->set_event_type("x");
      own += Taken(progress, position, batch, placement).empty() ? 0 : 1;
    }
    EXPECT_GT(own, 50);
    taken += own;
  }
  EXPECT_EQ(taken, 300);
}

TEST(StoredProgressTest, LoopsEnd) {
  StoredProgress progress;
  EventBatch batch = BatchOf({{5, 1}});
  batch.set_hops(16);
  EXPECT_EQ(progress.Take({}, 1, kStoredAt, &batch), 1u);
  EXPECT_EQ(batch.events_size(), 0);
}

}  // namespace
}  // namespace varpulis::worker
