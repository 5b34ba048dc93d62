// The engine against the slow, obvious evaluator, with fixed seeds. `scripts/fuzz expression` and
// `scripts/fuzz function` go on with others.
#include <gtest/gtest.h>

#include "test/fuzz/reference/differential.h"

namespace varpulis::reference {
namespace {

// Many differences of one reason are no news.
constexpr int kMaxDifferences = 5;

TEST(DifferentialTest, ExpressionsHaveTheirValues) {
  constexpr int kRounds = 1500;
  constexpr int kExpressions = 50;
  constexpr int kEvents = 3;
  Tally tally;
  int differences = 0;
  for (uint64_t seed = 0; seed < kRounds && differences < kMaxDifferences; ++seed) {
    Choices choices(seed);
    const std::string difference = CompareExpressions(choices, kExpressions, kEvents, &tally);
    if (difference.empty()) continue;
    ++differences;
    ADD_FAILURE() << "seed " << seed << ": " << difference;
  }
  RecordProperty("compared", std::to_string(tally.compared));
  RecordProperty("with_value", std::to_string(tally.with_value));
  RecordProperty("unspecified", std::to_string(tally.unspecified));
  // The generator has not lost its way.
  EXPECT_GT(tally.with_value, tally.compared / 3);
  EXPECT_LT(tally.unspecified, tally.compared / 10);
}

TEST(DifferentialTest, FunctionsHaveTheirValues) {
  constexpr int kRounds = 1200;
  constexpr int kFunctions = 3;
  constexpr int kEvents = 4;
  Tally tally;
  int differences = 0;
  for (uint64_t seed = 0; seed < kRounds && differences < kMaxDifferences; ++seed) {
    Choices choices(seed);
    const std::string difference = CompareFunctions(choices, kFunctions, kEvents, &tally);
    if (difference.empty()) continue;
    ++differences;
    ADD_FAILURE() << "seed " << seed << ": " << difference;
  }
  RecordProperty("compared", std::to_string(tally.compared));
  RecordProperty("with_value", std::to_string(tally.with_value));
  RecordProperty("unspecified", std::to_string(tally.unspecified));
  EXPECT_GT(tally.with_value, tally.compared / 3);
  EXPECT_LT(tally.unspecified, tally.compared / 3);
}

}  // namespace
}  // namespace varpulis::reference
