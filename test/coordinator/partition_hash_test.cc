#include "base/partition_hash.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace varpulis {
namespace {

TEST(PartitionHashTest, IsFnv1a64) {  // vectors of the reference implementation
  EXPECT_EQ(PartitionHash(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(PartitionHash("a"), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(PartitionHash("foobar"), 0x85944171f73967e8ULL);
}

TEST(PartitionHashTest, MovesOnlyWhatMustMoveWhenReplicasAreAdded) {
  for (int i = 0; i < 1000; ++i) {
    const std::string key = absl::StrCat("key", i);
    const uint32_t before = PartitionOf(key, 4);
    const uint32_t after = PartitionOf(key, 5);
    EXPECT_LT(before, 4u);
    EXPECT_TRUE(after == before || after == 4) << key;
  }
}

TEST(PartitionHashTest, OneReplicaTakesAll) {
  EXPECT_EQ(PartitionOf("anything", 1), 0u);
  EXPECT_EQ(PartitionOf("anything", 0), 0u);
}

}  // namespace
}  // namespace varpulis
