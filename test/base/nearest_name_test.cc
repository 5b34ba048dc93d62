#include "base/nearest_name.h"

#include "gtest/gtest.h"

namespace varpulis {
namespace {

TEST(NearestNameTest, FindsATypoAndIgnoresCase) {
  EXPECT_EQ(NearestName("coordinater", {"server", "coordinator"}), "coordinator");
  EXPECT_EQ(NearestName("SERVR", {"server", "coordinator"}), "server");
}

TEST(NearestNameTest, FindsNothingFarAway) {
  EXPECT_EQ(NearestName("xyz", {"server", "coordinator"}), std::nullopt);
  EXPECT_EQ(NearestName("", {"server"}), std::nullopt);
}

TEST(NearestNameTest, ShortNamesAllowOneChange) {
  EXPECT_EQ(NearestName("ab", {"ac"}), "ac");
  EXPECT_EQ(NearestName("ab", {"cd"}), std::nullopt);
}

TEST(NearestNameTest, TheFirstAmongEqualsWins) {
  EXPECT_EQ(NearestName("cat", {"bat", "hat"}), "bat");
}

}  // namespace
}  // namespace varpulis
