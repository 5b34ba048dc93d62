// Several coordinators: the leader is killed, asked to leave, paused; the clients never notice who
// it was. How long they wait is printed; VARPULIS_LEADER_ROUNDS=20 measures more of them.

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "test/cluster/harness/cluster.h"
#include "transport/rpc.h"

namespace varpulis::testing {
namespace {

constexpr char kGroup[] =
    R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: v)"}]})json";

class LeadershipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartBroker());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(StartCoordinator(absl::StrCat("c", i)));
    gateway_ = cluster_.StartNode("gateway", {"gateway", "--port=0", "--api-key=admin"});
    ASSERT_NE(gateway_, nullptr);
    ASSERT_NE(cluster_.WaitForPort(*gateway_, " ready: http://"), 0);
    Node* worker = cluster_.StartNode(
        "worker-0", {"server", "--port=0", "--worker-id=worker-0",
                     absl::StrCat("--coordinator=http://127.0.0.1:", gateway_->http_port())});
    ASSERT_NE(worker, nullptr);
    ASSERT_TRUE(WaitUntil([&] { return Ask("GET", "/workers").At("/total") == "1"; }));
  }

  bool StartCoordinator(const std::string& id) {
    Node* node = cluster_.StartNode(
        id, {"coordinator", "--port=0", "--api-key=admin", "--coordinator-id=" + id});
    if (node == nullptr || cluster_.WaitForPort(*node, " ready: http://") == 0) return false;
    coordinators_[id] = node;
    return true;
  }

  // HTTP to the gateway, which knows nobody.
  HttpReply Ask(const std::string& method, const std::string& path, const std::string& body = "") {
    return cluster_.Send(*gateway_, {.method = method,
                                     .path = "/api/v1/cluster" + path,
                                     .body = body,
                                     .headers = {{"x-api-key", "admin"}}});
  }
  bool Deploys() {
    const HttpReply reply = Ask("POST", "/pipeline-groups", kGroup);
    EXPECT_EQ(reply.status, 201) << reply.body;
    return reply.status == 201;
  }
  int Groups() {
    int total = -1;
    EXPECT_TRUE(absl::SimpleAtoi(Ask("GET", "/pipeline-groups").At("/total"), &total));
    return total;
  }

  // Of whoever serves the coordinator's subjects, as `nats micro info` finds it; "" for none.
  std::string LeaderId() {
    Result<std::string> found;
    cluster_.bus().Request({.subject = "$SRV.INFO.varpulis-coordinator"}, absl::Seconds(1),
                           [callback = found.Callback()](auto reply) {
                             std::string id;
                             if (reply.ok()) {
                               const std::string text(reply->payload());
                               const std::string key = "\"coordinator_id\":\"";
                               const size_t at = text.find(key);
                               if (at != std::string::npos) {
                                 id = text.substr(at + key.size());
                                 id = id.substr(0, id.find('"'));
                               }
                             }
                             callback(id);
                           });
    return found.Get();
  }
  std::string WaitForLeader(const std::string& not_this = "") {
    std::string id;
    EXPECT_TRUE(WaitUntil([&] {
      id = LeaderId();
      return !id.empty() && id != not_this;
    }));
    return id;
  }

  // How many coordinators read the state's stream.
  size_t Following() {
    Result<size_t> found;
    cluster_.bus().Request(
        {.subject = "$JS.API.CONSUMER.LIST.KV_" + cluster_.subjects().StateBucket()},
        absl::Seconds(1), [callback = found.Callback()](const auto& reply) {
          if (!reply.ok()) return callback(0);
          const std::vector<std::string> parts =
              absl::StrSplit(reply->payload(), "\"push_bound\":true");
          callback(parts.size() - 1);
        });
    return found.Get();
  }

  // Ends the leader so and takes the time until the next deploy is accepted, again and again.
  void Measure(const char* what, int signal) {
    int rounds = 3;
    if (const char* given = getenv("VARPULIS_LEADER_ROUNDS"); given != nullptr) {
      ASSERT_TRUE(absl::SimpleAtoi(given, &rounds));
    }
    std::vector<double> took_ms;
    for (int i = 0; i < rounds; ++i) {
      const std::string leader = WaitForLeader();
      Node& node = *coordinators_.at(leader);
      ASSERT_TRUE(WaitUntil([&] { return Following() == 2; }));
      node.Signal(signal);
      const absl::Time ended = absl::Now();
      ASSERT_TRUE(Deploys()) << what << " number " << i;
      took_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - ended));
      EXPECT_EQ(node.Wait(), signal == SIGTERM ? 0 : 128 + signal);
      const std::string next = WaitForLeader();
      EXPECT_NE(next, leader);
      EXPECT_TRUE(absl::StrContains(coordinators_.at(next)->Log(), " records, followed, in "));
      ASSERT_TRUE(StartCoordinator(leader));
    }
    EXPECT_EQ(Groups(), rounds) << "each deploy was done, and none twice";
    std::sort(took_ms.begin(), took_ms.end());
    std::cout << what << " of the leader to the next accepted deploy, " << rounds << " times: p50 "
              << took_ms[took_ms.size() / 2] << " ms, max " << took_ms.back() << " ms\n";
  }

  Cluster cluster_;
  std::map<std::string, Node*> coordinators_;
  Node* gateway_ = nullptr;
};

TEST_F(LeadershipTest, AnotherLeadsWhenTheLeaderIsKilled) { Measure("kill -9", SIGKILL); }

TEST_F(LeadershipTest, ACleanStopHandsTheLeadOver) { Measure("SIGTERM", SIGTERM); }

TEST_F(LeadershipTest, APausedLeaderDoesNothingMoreAndFollows) {
  ASSERT_TRUE(Deploys());
  const std::string paused = WaitForLeader();
  Node& node = *coordinators_.at(paused);
  std::atomic<int> answers{0};
  auto inbox = cluster_.bus().Subscribe({.subject = "test.inbox"},
                                        [&](const transport::InboundMessage&) { ++answers; });
  ASSERT_TRUE(inbox.ok());
  node.Signal(SIGSTOP);
  const std::string next = WaitForLeader(paused);
  ASSERT_NE(next, paused);

  // The paused one finds them in its socket when it wakes up.
  const auto ask = [&](const std::string& resource, const std::string& verb,
                       const std::string& body) {
    transport::OutgoingMessage request;
    request.subject = cluster_.subjects().Api(resource, verb);
    request.payload = body;
    request.reply_to = "test.inbox";
    ASSERT_TRUE(cluster_.bus().Publish(request).ok());
  };
  for (int i = 0; i < 10; ++i) ask("workers", "list", "{}");
  for (int i = 0; i < 10; ++i) ask("groups", "deploy", kGroup);
  ASSERT_TRUE(WaitUntil([&] { return answers == 20; }));

  std::atomic<int> writes{0};
  std::atomic<bool> watching{false};
  auto state = cluster_.bus().OpenKeyValue({.bucket = cluster_.subjects().StateBucket()});
  ASSERT_TRUE(state.ok()) << state.status();
  const auto watch = (*state)->Watch(">", {.on_entry = [&](const auto&) { ++writes; },
                                           .on_snapshot_done = [&] { watching = true; }});
  ASSERT_TRUE(watch.ok() && WaitUntil([&] { return watching.load(); }));
  const int written = writes;
  node.Signal(SIGCONT);
  ASSERT_TRUE(WaitUntil([&] { return absl::StrContains(node.Log(), "stands down"); }));
  ASSERT_TRUE(WaitUntil(
      [&] { return absl::StrContains(node.Log(), absl::StrCat("follows coordinator ", next)); }));
  EXPECT_EQ(answers, 20);
  EXPECT_EQ(writes, written);
  EXPECT_EQ(LeaderId(), next);
  EXPECT_EQ(Groups(), 11);
  // Its HTTP API goes on, and it is a candidate like the others.
  EXPECT_EQ(cluster_.Send(node, {.path = "/ready"}).status, 200);
}

// What a follower saves by keeping a copy of the state; bench/leadership prints both.
TEST(TakingOfficeTest, TellsHowLongTenThousandRecordsTake) {
  Cluster cluster;
  ASSERT_TRUE(cluster.StartBroker());
  const auto open = [&] {
    auto log = cluster.bus().OpenRecordLog({.bucket = cluster.subjects().StateBucket()});
    EXPECT_TRUE(log.ok()) << log.status();
    Result<absl::StatusOr<transport::RecordLog::Opened>> opened;
    (*log)->Open({"barrier", "b"}, opened.Callback());
    EXPECT_TRUE(opened.Get().ok()) << opened.Get().status();
    return std::make_pair(*std::move(log), opened.Get()->records.size());
  };
  const auto writer = open();
  std::vector<transport::RecordWrite> writes;
  for (int i = 0; i < 10'000; ++i) {
    writes.push_back({absl::StrCat("placement.p", i), std::string(300, 'x')});
  }
  Result<absl::StatusOr<uint64_t>> stored;
  writer.first->Append(std::move(writes), stored.Callback());
  ASSERT_TRUE(stored.Get().ok()) << stored.Get().status();
  const absl::Time begun = absl::Now();
  EXPECT_EQ(open().second, 10'001u);
  std::cout << "a state of 10,000 records is read in "
            << absl::ToDoubleMilliseconds(absl::Now() - begun) << " ms\n";
}

}  // namespace
}  // namespace varpulis::testing
