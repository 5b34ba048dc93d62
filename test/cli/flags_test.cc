#include "cli/flags.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
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
  EXPECT_EQ(FLAGS_nats_replicas, 1u);
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
              HasSubstr("--port: 'many' is not a number from 0 to 65535"));
  EXPECT_THAT(std::string(Parse("server", {"stray"}).status().message()),
              HasSubstr("unexpected argument 'stray'"));
}

TEST_F(FlagsTest, ANumberOutOfItsRangeIsRefusedByName) {
  const auto refusal = [&](const char* command, const std::vector<std::string>& args) {
    return std::string(Parse(command, args).status().message());
  };
  EXPECT_EQ(refusal("coordinator", {"--port", "99999"}),
            "--port: '99999' is not a number from 0 to 65535");
  EXPECT_EQ(refusal("server", {"-p", "65536"}), "--port: '65536' is not a number from 0 to 65535");
  EXPECT_EQ(refusal("up", {"--worker-port=70000"}),
            "--worker-port: '70000' is not a number from 0 to 65535");
  EXPECT_EQ(refusal("up", {"--workers", "0"}), "--workers: '0' is not a number from 1 to 256");
  EXPECT_EQ(refusal("up", {"--workers", "-1"}), "--workers: '-1' is not a number from 1 to 256");
  EXPECT_EQ(refusal("up", {"--workers", "4294967298"}),
            "--workers: '4294967298' is not a number from 1 to 256");
  EXPECT_THAT(refusal("coordinator", {"--heartbeat-interval", "0"}),
              HasSubstr("--heartbeat-interval: '0' is not a number from 1 to "));
  EXPECT_THAT(refusal("coordinator", {"--heartbeat-timeout=0"}),
              HasSubstr("--heartbeat-timeout: '0' is not a number from 1 to "));
  EXPECT_THAT(refusal("coordinator", {"--nats-replicas=6"}),
              HasSubstr("--nats-replicas: '6' is not a number from 1 to 5"));
  EXPECT_THAT(refusal("coordinator", {"--max-pipelines-per-group=0"}),
              HasSubstr("--max-pipelines-per-group: '0' is not a number from 1 to "));
  EXPECT_THAT(refusal("server", {"--max-pipelines=0"}),
              HasSubstr("--max-pipelines: '0' is not a number from 1 to "));
  ASSERT_TRUE(Parse("server", {"--port", "65535"}).ok());
  ASSERT_TRUE(Parse("server", {"--port", "0"}).ok());
}

TEST_F(FlagsTest, AVariablesNumberIsRefusedByTheVariablesName) {
  setenv("VARPULIS_HEARTBEAT_TIMEOUT", "0", 1);
  EXPECT_THAT(std::string(Parse("coordinator", {}).status().message()),
              HasSubstr("VARPULIS_HEARTBEAT_TIMEOUT: '0' is not a number from 1 to "));
  unsetenv("VARPULIS_HEARTBEAT_TIMEOUT");
}

TEST_F(FlagsTest, RefusesNumbersThatDoNotGoTogether) {
  EXPECT_EQ(Parse("coordinator", {"--heartbeat-timeout=3"}).status().message(),
            "--heartbeat-timeout is 3 s, below --heartbeat-interval, 5 s: every worker would be "
            "unhealthy between two heartbeats");
  EXPECT_EQ(Parse("up", {"--worker-port=65535", "--workers=2"}).status().message(),
            "--worker-port: from 65535 on there are no 2 ports (--workers); 65535 is the last");
  EXPECT_TRUE(Parse("up", {"--worker-port=65534", "--workers=2"}).ok());
  EXPECT_TRUE(Parse("up", {"--worker-port=0", "--workers=2"}).ok());
}

TEST_F(FlagsTest, TwoDifferentBrokersAreRefused) {
  const auto refused =
      Parse("server", {"--nats=nats://a:1", "--coordinator=nats://bob:s3cret@b:2"});
  EXPECT_EQ(refused.status().message(),
            "--nats and --coordinator name different brokers; give one of them");
  EXPECT_TRUE(Parse("server", {"--nats=nats://a:1", "--coordinator=nats://a:1"}).ok());
  EXPECT_TRUE(
      Parse("server", {"--nats=nats://a:1, nats://b:2", "--coordinator=nats://b:2,nats://a:1"})
          .ok());
  EXPECT_TRUE(Parse("server", {"--nats=nats://a:1", "--coordinator=http://b:9100"}).ok());
}

TEST_F(FlagsTest, HelpShowsFlagsDefaultsAndVariables) {
  const std::string help = Help(*FindCommand("coordinator"));
  EXPECT_THAT(help, HasSubstr("-p, --port <PORT>"));
  EXPECT_THAT(help, HasSubstr("[default: 9100]"));
  EXPECT_THAT(help, HasSubstr("[env: VARPULIS_API_KEY]"));
  for (const Command& command : Commands()) EXPECT_FALSE(Help(command).empty()) << command.name;
}

TEST_F(FlagsTest, HelpNamesTheVariablesOfTheBrokersLogin) {
  for (const char* command : {"coordinator", "server", "gateway", "up"}) {
    const std::string help = Help(*FindCommand(command));
    for (const char* variable : {"NATS_USER", "NATS_PASSWORD", "NATS_TOKEN", "NATS_CREDS",
                                 "NATS_NKEY", "NATS_CA", "NATS_CERT", "NATS_KEY"}) {
      EXPECT_THAT(help, HasSubstr(absl::StrCat("[env: ", variable, "]"))) << command;
    }
    EXPECT_THAT(help, HasSubstr("NATS_CONTEXT")) << command;
  }
}

// A stray NATS_URL, as other programs of the same shell want it, does not make a server join.
TEST_F(FlagsTest, HelpOfServerSaysThatNatsUrlJoinsNothing) {
  EXPECT_THAT(Help(*FindCommand("coordinator")), HasSubstr("[env: VARPULIS_NATS, NATS_URL]"));
  const std::string help = Help(*FindCommand("server"));
  EXPECT_THAT(help, HasSubstr("[env: VARPULIS_NATS]"));
  EXPECT_THAT(help, ::testing::Not(HasSubstr("NATS_URL]")));
  setenv("NATS_URL", "nats://a:1", 1);
  ASSERT_TRUE(Parse("server", {}).ok());
  EXPECT_FALSE(IsSet("nats"));
  unsetenv("NATS_URL");
}

TEST_F(FlagsTest, HelpShowsNoSecretsOfTheEnvironment) {
  setenv("VARPULIS_NATS", "nats://bob:s3cret@a:1", 1);
  const auto line = Parse("coordinator", {"--help"});
  ASSERT_TRUE(line.ok());
  EXPECT_TRUE(line->help);
  EXPECT_THAT(Help(*FindCommand("coordinator")), ::testing::Not(HasSubstr("s3cret")));
  unsetenv("VARPULIS_NATS");
}

}  // namespace
}  // namespace varpulis::cli
