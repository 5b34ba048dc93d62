#include "coordinator/routing.h"

#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

#include "base/partition_hash.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

struct RouteText {
  std::string from, to;
  std::vector<std::string> types;
};

Group MakeGroup(const std::vector<std::string>& pipelines, const std::vector<RouteText>& routes,
                uint32_t replicas = 1, const std::string& key = "") {
  Group group;
  group.id = GroupId("g");
  for (const std::string& name : pipelines) {
    Pipeline pipeline;
    pipeline.spec.set_name(name);
    pipeline.spec.set_replicas(replicas);
    if (!key.empty()) pipeline.spec.set_partition_key(key);
    pipeline.copies.resize(replicas);
    group.pipelines.push_back(pipeline);
  }
  for (const RouteText& text : routes) {
    v1::RouteSpec route;
    route.set_from_pipeline(text.from);
    route.set_to_pipeline(text.to);
    for (const std::string& type : text.types) route.add_event_types(type);
    group.routes.push_back(route);
  }
  group.Index();
  return group;
}

v1::Event Event(const std::string& type) {
  v1::Event event;
  event.set_event_type(type);
  return event;
}

std::string Match(const Group& group, const std::string& type) {
  const auto match = RouteMatcher(group).Match(type);
  return match.has_value() ? group.pipelines[*match].spec.name() : "-";
}

TEST(RoutingTest, PatternsOfTheDocumentation) {
  const auto matches = [](const std::string& pattern, const std::string& type) {
    return Match(MakeGroup({"p"}, {{"_external", "p", {pattern}}}), type) == "p";
  };
  EXPECT_TRUE(matches("*", "Anything"));
  EXPECT_TRUE(matches("*", ""));
  for (const char* type : {"ComputeTile0", "ComputeTile00", "ComputeTile0Foo"}) {
    EXPECT_TRUE(matches("ComputeTile0*", type)) << type;
  }
  for (const char* type : {"ComputeTile10", "computetile00", "ComputeTile"}) {
    EXPECT_FALSE(matches("ComputeTile0*", type)) << type;
  }
  EXPECT_TRUE(matches("SensorReading", "SensorReading"));
  EXPECT_FALSE(matches("SensorReading", "SensorReading2"));
  EXPECT_TRUE(matches("A*B", "A*B"));
  EXPECT_FALSE(matches("A*B", "AxB"));
  EXPECT_TRUE(matches("A**", "A*foo"));
  EXPECT_FALSE(matches("A**", "AB"));
}

TEST(RoutingTest, TheFirstMatchingRouteWins) {
  const Group group = MakeGroup({"a", "b", "c"}, {{"_external", "b", {"T1", "S*"}},
                                                  {"_external", "a", {"T*"}},
                                                  {"_external", "c", {"T1*", "S1", "*"}}});
  EXPECT_EQ(Match(group, "T1"), "b");
  EXPECT_EQ(Match(group, "T12"), "a");
  EXPECT_EQ(Match(group, "S1"), "b");
  EXPECT_EQ(Match(group, "X"), "c");
}

TEST(RoutingTest, InternalRoutesDoNotCaptureEventsFromOutside) {
  const Group group = MakeGroup({"a", "b"}, {{"a", "b", {"*"}}, {"_external", "a", {"T"}}});
  EXPECT_EQ(Match(group, "T"), "a");
  EXPECT_EQ(Match(group, "U"), "-");
}

TEST(RoutingTest, UnmatchedEventsGoToTheFirstPipelineUnlessStrict) {
  const GroupRouting routing(MakeGroup({"a", "b"}, {{"_external", "b", {"T"}}}), nullptr);
  const auto loose = routing.Choose(Event("U"), /*strict=*/false);
  ASSERT_TRUE(loose.ok());
  EXPECT_EQ(loose->target.copy_name, "a");
  EXPECT_FALSE(loose->matched);
  EXPECT_EQ(transport::ErrorCode(routing.Choose(Event("U"), /*strict=*/true).status()), "no_route");
  EXPECT_TRUE(routing.Choose(Event("T"), true)->matched);
}

// Against the rules as written down, tried one after another.
TEST(RoutingTest, AgreesWithTheNaiveSearch) {
  const uint64_t seed = 20261124;
  SCOPED_TRACE(absl::StrCat("seed=", seed));
  std::mt19937_64 random(seed);
  const auto word = [&](size_t longest) {
    std::string text;
    for (size_t n = random() % (longest + 1); n > 0; --n) text += "ab*"[random() % 3];
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<RouteText> routes;
    for (size_t n = random() % 6; n > 0; --n) {
      RouteText route{random() % 4 == 0 ? "p0" : "_external", absl::StrCat("p", random() % 4), {}};
      for (size_t m = 1 + random() % 3; m > 0; --m) {
        std::string pattern = word(4);
        if (random() % 2 == 0) pattern += "*";
        if (!pattern.empty()) route.types.push_back(pattern);
      }
      routes.push_back(route);
    }
    const Group group = MakeGroup({"p0", "p1", "p2", "p3"}, routes);
    const RouteMatcher matcher(group);
    for (int i = 0; i < 100; ++i) {
      const std::string type = word(5);
      std::string expected = "-";
      for (const RouteText& route : routes) {
        if (route.from != "_external" || expected != "-") continue;
        for (absl::string_view pattern : route.types) {
          const bool prefix = absl::ConsumeSuffix(&pattern, "*");
          if (prefix ? absl::StartsWith(type, pattern) : type == pattern) expected = route.to;
        }
      }
      const auto match = matcher.Match(type);
      EXPECT_EQ(match.has_value() ? group.pipelines[*match].spec.name() : "-", expected) << type;
    }
  }
}

TEST(RoutingTest, KeylessReplicasTakeTurnsAcrossNewTables) {
  const Group group = MakeGroup({"p"}, {{"_external", "p", {"*"}}}, 3);
  const GroupRouting first(group, nullptr);
  const GroupRouting second(group, &first);
  EXPECT_EQ(first.Choose(Event("T"), false)->target.copy_name, "p#0");
  EXPECT_EQ(second.Choose(Event("T"), false)->target.copy_name, "p#1");
  EXPECT_EQ(first.Choose(Event("T"), false)->target.copy_name, "p#2");
  EXPECT_EQ(second.Choose(Event("T"), false)->target.copy_name, "p#0");
}

TEST(RoutingTest, AnEventWithAnIdAlwaysGoesToTheSameReplica) {
  const GroupRouting routing(MakeGroup({"p"}, {}, 3), nullptr);
  std::set<std::string> used;
  for (int i = 0; i < 50; ++i) {
    const std::string id = absl::StrCat("event-", i);
    const std::string first = routing.Choose(Event("T"), false, id)->target.copy_name;
    ASSERT_TRUE(routing.Choose(Event("T"), false).ok());
    EXPECT_EQ(routing.Choose(Event("T"), false, id)->target.copy_name, first) << id;
    used.insert(first);
  }
  EXPECT_EQ(used.size(), 3u);
}

TEST(RoutingTest, KeyedReplicasFollowTheHashAlsoOfFailedOnes) {
  const GroupRouting routing(MakeGroup({"p"}, {{"_external", "p", {"*"}}}, 4, "user"), nullptr);
  v1::Event event = Event("T");
  v1::Field& field = *event.add_fields();
  field.set_name("user");
  for (int i = 0; i < 50; ++i) {
    field.mutable_value()->set_int_value(i);
    const std::string expected = absl::StrCat("p#", PartitionOf(absl::StrCat(i), 4));
    EXPECT_EQ(routing.Choose(event, false)->target.copy_name, expected);
    field.mutable_value()->set_string_value(absl::StrCat(i));
    EXPECT_EQ(routing.Choose(event, false)->target.copy_name, expected)
        << "\"1\" goes where 1 goes";
  }
  EXPECT_EQ(routing.Choose(Event("T"), false)->target.copy_name,
            absl::StrCat("p#", PartitionOf("", 4)));
}

TEST(RoutingTest, CanonicalTextIsTheSameForEqualNumbers) {
  const auto text = [](double value) {
    v1::Value v;
    v.set_float_value(value);
    return CanonicalText(v);
  };
  EXPECT_EQ(text(1.0), "1");
  EXPECT_EQ(text(-0.0), "0");
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(1e20), "100000000000000000000");
  EXPECT_EQ(text(-2.5), "-2.5");
  EXPECT_EQ(text(std::numeric_limits<double>::max()).size(), 309u);
  v1::Value boolean;
  boolean.set_bool_value(true);
  EXPECT_EQ(CanonicalText(boolean), "true");
  EXPECT_EQ(CanonicalText(v1::Value()), "");
}

}  // namespace
}  // namespace varpulis::coordinator
