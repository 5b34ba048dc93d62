#include "rest/uri.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace varpulis::rest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(UriTest, SplitsAndThenDecodes) {
  const auto uri = ParseTarget("/a/b%2Fc/p%230?limit=5&x=a+b%26c&flag");
  ASSERT_TRUE(uri.has_value());
  EXPECT_THAT(uri->segments, ElementsAre("a", "b/c", "p#0"));
  EXPECT_THAT(uri->query, ElementsAre(Pair("limit", "5"), Pair("x", "a b&c"), Pair("flag", "")));
}

TEST(UriTest, ForgivesOneTrailingSlash) {
  EXPECT_THAT(ParseTarget("/")->segments, IsEmpty());
  EXPECT_THAT(ParseTarget("/health/")->segments, ElementsAre("health"));
  EXPECT_THAT(ParseTarget("/health//")->segments, ElementsAre("health", ""));
  EXPECT_THAT(ParseTarget("//health")->segments, ElementsAre("", "health"));
}

TEST(UriTest, TakesWhatAProxySends) {
  EXPECT_THAT(ParseTarget("http://host:9100/health?x=1")->segments, ElementsAre("health"));
  EXPECT_THAT(ParseTarget("http://host")->segments, IsEmpty());
}

TEST(UriTest, RefusesWhatIsNoPath) {
  for (const char* target : {"", "health", "*", "/%", "/%4", "/%zz", "/a%00b", "/?x=%g1"}) {
    EXPECT_FALSE(ParseTarget(target).has_value()) << target;
  }
}

TEST(UriTest, ReplacesALoopbackHost) {
  EXPECT_EQ(ReplaceLoopbackHost("nats://127.0.0.1:4222", "coordinator:9100"),
            "nats://coordinator:4222");
  EXPECT_EQ(ReplaceLoopbackHost("nats://localhost:4222", "10.0.0.7"), "nats://10.0.0.7:4222");
  EXPECT_EQ(ReplaceLoopbackHost("tls://[::1]:4222", "[2001:db8::1]:9100"),
            "tls://[2001:db8::1]:4222");
}

TEST(UriTest, KeepsAHostThatOthersReach) {
  EXPECT_EQ(ReplaceLoopbackHost("nats://broker:4222", "coordinator:9100"), "nats://broker:4222");
  EXPECT_EQ(ReplaceLoopbackHost("nats://127.0.0.1:4222", "localhost:9100"),
            "nats://127.0.0.1:4222");
  EXPECT_EQ(ReplaceLoopbackHost("nats://127.0.0.1:4222", ""), "nats://127.0.0.1:4222");
  EXPECT_EQ(ReplaceLoopbackHost("nats://127.0.0.1:4222", "a@b/c"), "nats://127.0.0.1:4222");
}

}  // namespace
}  // namespace varpulis::rest
