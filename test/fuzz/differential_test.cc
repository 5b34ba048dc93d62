// The engine against the slow, obvious evaluator, with fixed seeds. `scripts/fuzz expression` and
// `scripts/fuzz function` go on with others.
#include <gtest/gtest.h>

#include "test/fuzz/reference/differential.h"

namespace varpulis::reference {
namespace {

// Many differences of one reason are no news.
constexpr int kMaxDifferences = 5;

// `compare(choices, tally)` gives the first difference, or nothing.
template <typename Compare>
Tally CompareAll(uint64_t rounds, Compare compare) {
  Tally tally;
  int differences = 0;
  for (uint64_t seed = 0; seed < rounds && differences < kMaxDifferences; ++seed) {
    Choices choices(seed);
    const std::string difference = compare(choices, &tally);
    if (difference.empty()) continue;
    ++differences;
    ADD_FAILURE() << "seed " << seed << ": " << difference;
  }
  testing::Test::RecordProperty("compared", std::to_string(tally.compared));
  testing::Test::RecordProperty("with_value", std::to_string(tally.with_value));
  testing::Test::RecordProperty("unspecified", std::to_string(tally.unspecified));
  // The generator has not lost its way.
  EXPECT_GT(tally.with_value, tally.compared / 3);
  return tally;
}

TEST(DifferentialTest, ExpressionsHaveTheirValues) {
  const Tally tally = CompareAll(1500, [](Choices& choices, Tally* counts) {
    return CompareExpressions(choices, /*expressions=*/50, /*events=*/3, counts);
  });
  EXPECT_LT(tally.unspecified, tally.compared / 10);
}

TEST(DifferentialTest, FunctionsHaveTheirValues) {
  const Tally tally = CompareAll(1200, [](Choices& choices, Tally* counts) {
    return CompareFunctions(choices, /*functions=*/3, /*events=*/4, counts);
  });
  EXPECT_LT(tally.unspecified, tally.compared / 3);
}

}  // namespace
}  // namespace varpulis::reference
