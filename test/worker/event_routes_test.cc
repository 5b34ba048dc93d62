#include "worker/event_routes.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace varpulis::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EventRoutesTest, FollowsTheTableOfPatterns) {
  struct Row {
    const char* pattern;
    const char* type;
    bool matches;
  };
  const Row rows[] = {
      {"*", "Anything", true},
      {"*", "", true},
      {"ComputeTile0*", "ComputeTile0", true},
      {"ComputeTile0*", "ComputeTile00", true},
      {"ComputeTile0*", "ComputeTile0Foo", true},
      {"ComputeTile0*", "ComputeTile10", false},
      {"ComputeTile0*", "computetile00", false},
      {"SensorReading", "SensorReading", true},
      {"SensorReading", "SensorReading2", false},
      {"A*B", "A*B", true},
      {"A*B", "AxB", false},
      {"A**", "A*x", true},
      {"A**", "AB", false},
      {"", "", true},
      {"", "A", false},
  };
  for (const Row& row : rows) {
    EventRoutes routes(std::vector<EventRoute>{{.event_types = {row.pattern}, .subject = "s"}});
    EXPECT_EQ(!routes.Match(row.type).empty(), row.matches) << row.pattern << " on " << row.type;
    EXPECT_EQ(!routes.Match(row.type).empty(), row.matches) << "asked again";
  }
}

TEST(EventRoutesTest, NoPatternNeverMatches) {
  EventRoutes routes(std::vector<EventRoute>{{.event_types = {}, .subject = "s"}});
  EXPECT_THAT(routes.Match("A"), IsEmpty());
}

TEST(EventRoutesTest, AllMatchingRoutesCountEachSubjectOnce) {
  EventRoutes routes(std::vector<EventRoute>{{.event_types = {"A", "A*", "*"}, .subject = "x"},
                                             {.event_types = {"B*"}, .subject = "y"},
                                             {.event_types = {"A*"}, .subject = "z"},
                                             {.event_types = {"Alarm"}, .subject = "x"}});
  EXPECT_THAT(routes.subjects(), ElementsAre("x", "y", "z"));
  EXPECT_THAT(routes.Match("Alarm"), ElementsAre(0, 2));
  EXPECT_THAT(routes.Match("A"), ElementsAre(0, 2));
  EXPECT_THAT(routes.Match("Bell"), ElementsAre(0, 1));
}

TEST(EventRoutesTest, SurvivesMoreTypesThanItRemembers) {
  EventRoutes routes(std::vector<EventRoute>{{.event_types = {"T1*"}, .subject = "s"}});
  for (int i = 0; i < 10'000; ++i) {
    const std::string type = absl::StrCat("T", i);
    ASSERT_EQ(!routes.Match(type).empty(), type.starts_with("T1")) << type;
  }
}

}  // namespace
}  // namespace varpulis::worker
