#include "transport/chunking.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace varpulis::transport {
namespace {

OutgoingMessage Large(size_t bytes) {
  OutgoingMessage message;
  message.subject = "s";
  message.reply_to = "r";
  message.headers = {{"H", "v"}};
  for (size_t i = 0; i < bytes; ++i) message.payload += static_cast<char>('a' + i % 26);
  return message;
}

std::optional<InboundMessage> AddAll(ChunkAssembler& assembler,
                                     const std::vector<OutgoingMessage>& chunks) {
  std::optional<InboundMessage> whole;
  for (const OutgoingMessage& chunk : chunks) {
    auto result = assembler.Add(InboundMessage::FromParts(chunk));
    if (result.has_value()) {
      EXPECT_FALSE(whole.has_value());
      whole = std::move(result);
    }
  }
  return whole;
}

InboundMessage WithPosition(const std::string& position, const std::string& payload = "x") {
  OutgoingMessage message;
  message.subject = "s";
  message.payload = payload;
  message.headers = {{kChunkHeader, position}};
  return InboundMessage::FromParts(message);
}

TEST(ChunkingTest, WhatFitsIsLeftAlone) {
  const auto chunks = CutIntoChunks(Large(100), 1000);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].headers.size(), 1u);
  EXPECT_EQ(chunks[0].reply_to, "r");
}

TEST(ChunkingTest, ChunksFitAndOnlyTheFirstNamesAReplySubject) {
  for (const size_t size : {1000u, 1001u, 5000u, 99'999u}) {
    const auto chunks = CutIntoChunks(Large(size), 1000);
    ASSERT_GT(chunks.size(), 1u);
    for (size_t i = 0; i < chunks.size(); ++i) {
      EXPECT_LE(WireSize(chunks[i]), 1000);
      EXPECT_EQ(chunks[i].reply_to.empty(), i > 0);
    }
  }
}

TEST(ChunkingTest, AnyOrderWithDuplicatesGivesTheMessageOnce) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed=", seed));
    std::mt19937 random(seed);
    const OutgoingMessage message = Large(2000 + random() % 20'000);
    auto chunks = CutIntoChunks(message, 1000);
    const size_t count = chunks.size();
    for (size_t i = 0; i < count; i += 2) chunks.push_back(chunks[i]);
    std::shuffle(chunks.begin(), chunks.end(), random);
    ChunkAssembler assembler;
    const auto whole = AddAll(assembler, chunks);
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(whole->payload(), message.payload);
    EXPECT_EQ(whole->subject(), "s");
    EXPECT_EQ(whole->reply_to(), "r");
    EXPECT_EQ(whole->Header("H"), "v");
    EXPECT_EQ(whole->Header(kChunkHeader), std::nullopt);
    EXPECT_EQ(assembler.buffered_bytes(), 0u);
    EXPECT_EQ(assembler.unfinished(), 0u);
  }
}

TEST(ChunkingTest, GarbageIsDroppedAndReported) {
  std::vector<std::string> reasons;
  ChunkAssembler::Options options;
  options.on_dropped = [&](absl::string_view, absl::string_view reason) {
    reasons.emplace_back(reason);
  };
  ChunkAssembler assembler(options);
  const std::vector<std::string> garbage = {"",
                                            "a",
                                            "a 1",
                                            "a b c",
                                            "a 2 2",
                                            "a -1 2",
                                            "a 0 0",
                                            "a 0 999999999",
                                            " 0 1",
                                            "a 0 1 2",
                                            std::string(100, 'i') + " 0 1"};
  for (const std::string& position : garbage) {
    EXPECT_FALSE(assembler.Add(WithPosition(position)).has_value()) << position;
  }
  EXPECT_EQ(reasons.size(), garbage.size());
  EXPECT_EQ(assembler.dropped(), garbage.size());
  EXPECT_FALSE(assembler.Add(WithPosition("id 0 3")).has_value());
  EXPECT_FALSE(assembler.Add(WithPosition("id 1 4")).has_value());
  EXPECT_EQ(assembler.unfinished(), 0u);
}

TEST(ChunkingTest, UnfinishedMessagesAreBoundedInNumberBytesAndTime) {
  ChunkAssembler::Options options;
  options.max_unfinished = 4;
  options.max_total_bytes = 100;
  options.expiry = absl::Seconds(10);
  ChunkAssembler assembler(options);
  const absl::Time start = absl::UnixEpoch();
  for (int i = 0; i < 10; ++i) {
    assembler.Add(WithPosition(absl::StrCat("n", i, " 0 2")), start + absl::Milliseconds(i));
  }
  EXPECT_EQ(assembler.unfinished(), 4u);
  assembler.Add(WithPosition("big 0 2", std::string(98, 'x')), start + absl::Seconds(1));
  EXPECT_LE(assembler.buffered_bytes(), 100u);
  assembler.Add(WithPosition("late 0 2"), start + absl::Seconds(60));
  EXPECT_EQ(assembler.unfinished(), 1u);
}

}  // namespace
}  // namespace varpulis::transport
