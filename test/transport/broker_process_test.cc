#include "transport/broker_process.h"

#include <signal.h>

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/nats_server.h"

namespace varpulis::transport {
namespace {

using ::testing::HasSubstr;

TEST(BrokerProcessTest, RestartsOnTheSamePort) {
  auto broker = BrokerProcess::Start({});
  ASSERT_TRUE(broker.ok()) << broker.status();
  const int port = (*broker)->port();
  const pid_t pid = (*broker)->pid();
  EXPECT_FALSE((*broker)->Restart().ok());
  ASSERT_TRUE((*broker)->Kill(SIGKILL).ok());
  EXPECT_NE(kill(pid, 0), 0);
  ASSERT_TRUE((*broker)->Restart().ok());
  EXPECT_EQ((*broker)->port(), port);
  EXPECT_NE((*broker)->pid(), pid);
}

TEST(BrokerProcessTest, ABrokerThatDoesNotStartShowsItsLog) {
  BrokerOptions options;
  options.extra_config = {"no_such_option: 1"};
  const auto broker = BrokerProcess::Start(options);
  EXPECT_EQ(broker.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(broker.status().ToString(), HasSubstr("no_such_option"));
}

TEST(BrokerProcessTest, AMissingBinarySaysHowToInstallIt) {
  setenv("NATS_SERVER", "/nowhere/nats-server", 1);
  const auto broker = BrokerProcess::Start({});
  unsetenv("NATS_SERVER");
  EXPECT_EQ(broker.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(broker.status().ToString(), HasSubstr("NATS_SERVER"));
}

TEST(BrokerProcessTest, AFolderThatIsGivenIsKept) {
  const std::string folder = ::testing::TempDir() + "broker-kept";
  BrokerOptions options;
  options.store_dir = folder;
  {
    const auto broker = BrokerProcess::Start(options);
    ASSERT_TRUE(broker.ok()) << broker.status();
  }
  EXPECT_TRUE(std::filesystem::exists(folder + "/nats-server.conf"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace varpulis::transport
