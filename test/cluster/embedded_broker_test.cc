// `varpulis up`, and what keeps a broker of its own: whoever ends, the rest of the cluster goes on.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Process {
  pid_t pid = 0;
  std::string name;
  std::string command_line;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<Process> ChildrenOf(pid_t parent) {
  std::vector<Process> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    Process process;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &process.pid)) continue;
    const std::string stat = ReadAll(entry.path() / "stat");  // pid (name) state parent …
    const size_t open = stat.find('('), close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos) continue;
    if (std::atoi(stat.c_str() + close + 4) != parent) continue;
    process.name = stat.substr(open + 1, close - open - 1);
    process.command_line = ReadAll(entry.path() / "cmdline");
    children.push_back(std::move(process));
  }
  return children;
}

class EmbeddedBrokerTest : public ::testing::Test {
 protected:
  Node* Start(const std::string& name, std::vector<std::string> args,
              std::vector<std::pair<std::string, std::string>> environment = {}) {
    args.push_back("--api-key=admin");
    Node* node = cluster_.StartNode(name, std::move(args), std::move(environment),
                                    /*add_broker=*/false);
    if (node == nullptr || cluster_.WaitForPort(*node, " ready: http://") == 0) return nullptr;
    return node;
  }
  std::string StateDir() { return absl::StrCat("--state-dir=", cluster_.folder(), "/state"); }
  HttpReply Ask(Node& node, const std::string& path, const std::string& body = "") {
    return cluster_.Send(node, {.method = body.empty() ? "GET" : "POST",
                                .path = "/api/v1/cluster" + path,
                                .body = body,
                                .headers = {{"x-api-key", "admin"}}});
  }
  bool HasReadyWorkers(Node& node, int count) {
    return WaitUntil([&] {
      const std::string body = Ask(node, "/workers").body;
      int ready = 0;
      for (size_t at = 0; (at = body.find("\"status\":\"ready\"", at)) != std::string::npos; ++at) {
        ++ready;
      }
      return ready == count;
    });
  }
  std::string Deploy(Node& node) {
    const HttpReply reply = Ask(
        node, "/pipeline-groups",
        R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: v)"}]})json");
    EXPECT_EQ(reply.status, 201) << reply.body;
    return reply.At("/id").substr(1, 36);
  }
  bool Injects(Node& node, const std::string& group) {
    return WaitUntil([&] {
      return Ask(node, "/pipeline-groups/" + group + "/inject",
                 R"({"event_type": "X", "fields": {"v": 1}})")
                 .At("/worker_response/output_events/0/fields/v") == "1";
    });
  }
  static std::string BrokerUrl(Node& node) {  // of the "ready" line
    const std::string log = node.Log();
    const size_t at = log.find("broker nats://") + 7;
    return log.substr(at, log.find_first_of("\r\n;,", at) - at);
  }
  void KillBrokerOf(Node& node) {
    int killed = 0;
    for (const Process& child : ChildrenOf(node.pid())) {
      if (child.name != "nats-server") continue;
      kill(child.pid, SIGKILL);
      ++killed;
    }
    ASSERT_EQ(killed, 1);
    EXPECT_TRUE(WaitUntil([&] {
      return absl::StrContains(node.Log(), "the embedded broker is back on");
    })) << node.Log();
  }

  Cluster cluster_;  // only its folder and, where a test says so, its broker
};

TEST_F(EmbeddedBrokerTest, UpRegistersItsWorkersAtTheFirstAttempt) {
  Node* up = Start("up", {"up", "--embedded", StateDir(), "--port=0", "--worker-port=0"});
  ASSERT_NE(up, nullptr);
  ASSERT_TRUE(HasReadyWorkers(*up, 2));
  EXPECT_THAT(up->Log(), Not(HasSubstr("retrying")));
  EXPECT_THAT(up->Log(), Not(HasSubstr("trying again")));
  up->Signal(SIGTERM);
  EXPECT_EQ(up->Wait(), 0);
}

TEST_F(EmbeddedBrokerTest, UpTakesItsLoginFromNatsUrlAndShowsItNowhere) {
  Cluster named({.broker = {.extra_config = {"authorization { user: bob, password: s3cret }"}}});
  ASSERT_TRUE(named.StartBroker());
  const std::string url = absl::StrCat("nats://bob:s3cret@127.0.0.1:", named.broker().port());
  Node* up = Start("up", {"up", "--port=0", "--worker-port=0"}, {{"NATS_URL", url}});
  ASSERT_NE(up, nullptr);
  ASSERT_TRUE(HasReadyWorkers(*up, 2));
  EXPECT_THAT(up->Log(), Not(HasSubstr("s3cret")));
  const std::vector<Process> children = ChildrenOf(up->pid());
  EXPECT_EQ(children.size(), 3u);
  for (const Process& child : children) EXPECT_THAT(child.command_line, Not(HasSubstr("s3cret")));
}

TEST_F(EmbeddedBrokerTest, UpStartsItsBrokerAgain) {
  Node* up = Start("up", {"up", "--embedded", StateDir(), "--port=0", "--worker-port=0"});
  ASSERT_NE(up, nullptr);
  ASSERT_TRUE(HasReadyWorkers(*up, 2));
  const std::string group = Deploy(*up);
  ASSERT_TRUE(Injects(*up, group));
  KillBrokerOf(*up);
  EXPECT_TRUE(Injects(*up, group));
  EXPECT_TRUE(HasReadyWorkers(*up, 2));
}

TEST_F(EmbeddedBrokerTest, ACoordinatorStartsItsBrokerAgain) {
  Node* coordinator = Start("coordinator", {"coordinator", "--embedded", StateDir(), "--port=0"});
  ASSERT_NE(coordinator, nullptr);
  Node* worker = cluster_.StartNode(
      "worker-0", {"server", "--port=0", "--worker-id=worker-0",
                   absl::StrCat("--coordinator=http://127.0.0.1:", coordinator->http_port())});
  ASSERT_NE(worker, nullptr);
  ASSERT_TRUE(HasReadyWorkers(*coordinator, 1));
  const std::string group = Deploy(*coordinator);
  KillBrokerOf(*coordinator);
  EXPECT_TRUE(Injects(*coordinator, group));
}

TEST_F(EmbeddedBrokerTest, ASecondCoordinatorOnTheSamePortHarmsNobody) {
  Node* first = Start("first", {"coordinator", "--embedded", StateDir(), "--port=0"});
  ASSERT_NE(first, nullptr);
  Node* second = cluster_.StartNode(
      "second",
      {"coordinator", absl::StrCat("--port=", first->http_port()), "--nats=" + BrokerUrl(*first)});
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->Wait(), 1);
  EXPECT_THAT(second->Log(), HasSubstr("address in use"));
  EXPECT_THAT(second->Log(), Not(HasSubstr("leads with epoch")));
  EXPECT_EQ(Ask(*first, "/workers").status, 200);
  EXPECT_THAT(first->Log(), Not(HasSubstr("stands down")));
}

TEST_F(EmbeddedBrokerTest, UpHasRoomForASecondCoordinator) {
  Node* up =
      Start("up", {"up", "--embedded", StateDir(), "--port=0", "--worker-port=0", "--workers=1"});
  ASSERT_NE(up, nullptr);
  ASSERT_TRUE(HasReadyWorkers(*up, 1));
  Node* second = Start("second", {"coordinator", "--port=0", "--nats=" + BrokerUrl(*up)});
  ASSERT_NE(second, nullptr);
  EXPECT_THAT(second->Log(), HasSubstr("follows coordinator"));
  EXPECT_TRUE(HasReadyWorkers(*second, 1));
  const std::string group = Deploy(*second);
  EXPECT_TRUE(Injects(*up, group));
  KillBrokerOf(*up);  // whoever is faster leads
  EXPECT_TRUE(Injects(*second, group));
  EXPECT_TRUE(Injects(*up, group));
}

TEST_F(EmbeddedBrokerTest, TwoBrokersNeverShareAFolder) {
  Node* first = Start("first", {"coordinator", "--embedded", StateDir(), "--port=0"});
  ASSERT_NE(first, nullptr);
  Node* second =
      cluster_.StartNode("second", {"coordinator", "--embedded", StateDir(), "--port=0"});
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->Wait(), 1);
  EXPECT_THAT(second->Log(), HasSubstr("another varpulis keeps its broker's data"));
  EXPECT_EQ(Ask(*first, "/workers").status, 200);
}

}  // namespace
}  // namespace varpulis::testing
