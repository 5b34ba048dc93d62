// What the binary makes of its command line and its environment.

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CommandLineTest : public ::testing::Test {
 protected:
  // Runs to its end; what it printed.
  std::string Run(std::vector<std::string> args, int status) {
    Node* node = cluster_.StartNode("run", std::move(args));
    if (node == nullptr) return "";
    EXPECT_EQ(node->Wait(), status) << node->Log();
    return node->Log();
  }

  Cluster cluster_;  // no broker: only a folder
};

TEST_F(CommandLineTest, HelpOfACommandIsThatCommands) {
  const std::string help = Run({"help", "coordinator"}, 0);
  EXPECT_THAT(help, HasSubstr("Usage: varpulis coordinator [OPTIONS]"));
  EXPECT_EQ(help, Run({"coordinator", "--help"}, 0));
  EXPECT_THAT(Run({"help"}, 0), HasSubstr("Usage: varpulis <COMMAND> [OPTIONS]"));
  EXPECT_THAT(Run({"help", "coordinater"}, 2), HasSubstr("did you mean `coordinator`?"));
}

TEST_F(CommandLineTest, AnImpossiblePortIsAUsageError) {
  EXPECT_THAT(Run({"coordinator", "--port", "99999"}, 2),
              HasSubstr("--port: '99999' is not a number from 0 to 65535"));
}

TEST_F(CommandLineTest, AStrayNatsUrlDoesNotMakeAServerJoin) {
  Node* server =
      cluster_.StartNode("alone", {"server", "--port=0"}, {{"NATS_URL", "nats://127.0.0.1:1"}});
  ASSERT_NE(server, nullptr);
  ASSERT_NE(cluster_.WaitForPort(*server, " listening on http://"), 0);
  EXPECT_THAT(server->Log(), HasSubstr("alone"));
  EXPECT_EQ(cluster_.Send(*server, {.path = "/ready"}).status, 200);
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait(), 0);
}

TEST_F(CommandLineTest, TwoBrokersAreAUsageErrorThatShowsNoLogin) {
  EXPECT_THAT(Run({"server", "--port=0", "--nats=nats://127.0.0.1:1",
                   "--coordinator=nats://bob:s3cret@127.0.0.1:2"},
                  2),
              AllOf(HasSubstr("--nats and --coordinator"), Not(HasSubstr("s3cret"))));
}

}  // namespace
}  // namespace varpulis::testing
