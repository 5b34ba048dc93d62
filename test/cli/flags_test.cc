#include "cli/flags.h"

#include <cstdlib>

#include "gflags/gflags.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace varpulis::cli {
namespace {

using ::testing::HasSubstr;

class FlagsTest : public ::testing::Test {
 protected:
  absl::StatusOr<ParsedLine> Parse(const char* command, const std::vector<std::string>& args) {
    return ParseFlags(*FindCommand(command), args);
  }
  gflags::FlagSaver saver_;
};

TEST_F(FlagsTest, TakesTheSeedsSpellings) {
  ASSERT_TRUE(Parse("coordinator", {"--port", "9100", "--api-key", "admin"}).ok());
  EXPECT_EQ(FLAGS_port, 9100u);
  EXPECT_EQ(FLAGS_api_key, "admin");
  ASSERT_TRUE(Parse("server", {"--port", "9000", "--api-key", "test", "--coordinator",
                               "http://localhost:9100", "--worker-id", "worker-0"})
                  .ok());
  EXPECT_EQ(FLAGS_coordinator, "http://localhost:9100");
  EXPECT_EQ(FLAGS_worker_id, "worker-0");
}

TEST_F(FlagsTest, TakesEqualsAndShortForms) {
  ASSERT_TRUE(Parse("coordinator", {"-p", "9101", "--bind=0.0.0.0"}).ok());
  EXPECT_EQ(FLAGS_port, 9101u);
  EXPECT_EQ(FLAGS_bind, "0.0.0.0");
  ASSERT_TRUE(Parse("coordinator", {"-p9102"}).ok());
  EXPECT_EQ(FLAGS_port, 9102u);
  ASSERT_TRUE(Parse("coordinator", {"--api-key=a=b"}).ok());
  EXPECT_EQ(FLAGS_api_key, "a=b");
}

TEST_F(FlagsTest, DefaultsAreTheDocumentedOnes) {
  ASSERT_TRUE(Parse("coordinator", {}).ok());
  EXPECT_EQ(FLAGS_port, 9100u);
  EXPECT_EQ(FLAGS_bind, "127.0.0.1");
  EXPECT_EQ(FLAGS_heartbeat_interval, 5u);
  EXPECT_EQ(FLAGS_heartbeat_timeout, 15u);
  ASSERT_TRUE(Parse("server", {}).ok());
  EXPECT_EQ(FLAGS_port, 9000u);
}

TEST_F(FlagsTest, TheCommandLineWinsOverTheEnvironment) {
  setenv("VARPULIS_WORKER_ID", "from-env", 1);
  ASSERT_TRUE(Parse("server", {}).ok());
  EXPECT_EQ(FLAGS_worker_id, "from-env");
  ASSERT_TRUE(Parse("server", {"--worker-id", "from-line"}).ok());
  EXPECT_EQ(FLAGS_worker_id, "from-line");
  unsetenv("VARPULIS_WORKER_ID");
}

TEST_F(FlagsTest, AnUnknownFlagSuggestsTheNearest) {
  const auto line = Parse("server", {"--coordinater", "x"});
  ASSERT_FALSE(line.ok());
  EXPECT_EQ(line.status().message(), "unknown flag --coordinater; did you mean `--coordinator`?");
  EXPECT_THAT(std::string(Parse("server", {"--zzzzzzz"}).status().message()),
              HasSubstr("unknown flag --zzzzzzz"));
}

TEST_F(FlagsTest, AFlagOfAnotherCommandIsUnknown) {
  EXPECT_FALSE(Parse("server", {"--placement", "round-robin"}).ok());
}

TEST_F(FlagsTest, RefusesMissingAndIllTypedValues) {
  EXPECT_THAT(std::string(Parse("server", {"--port"}).status().message()),
              HasSubstr("--port needs a value <PORT>"));
  EXPECT_THAT(std::string(Parse("server", {"--port", "many"}).status().message()),
              HasSubstr("'many' is not a valid value"));
  EXPECT_THAT(std::string(Parse("server", {"stray"}).status().message()),
              HasSubstr("unexpected argument 'stray'"));
}

TEST_F(FlagsTest, HelpShowsFlagsDefaultsAndVariables) {
  const std::string help = Help(*FindCommand("coordinator"));
  EXPECT_THAT(help, HasSubstr("-p, --port <PORT>"));
  EXPECT_THAT(help, HasSubstr("[default: 9100]"));
  EXPECT_THAT(help, HasSubstr("[env: VARPULIS_API_KEY]"));
  for (const Command& command : Commands()) EXPECT_FALSE(Help(command).empty()) << command.name;
}

}  // namespace
}  // namespace varpulis::cli
