// Three brokers that all have what is stored: the cluster does without any one of them.

#include <signal.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "rapidjson/document.h"
#include "rapidjson/pointer.h"

#include "test/cluster/harness/cluster.h"
#include "test/support/nats_cluster.h"

namespace varpulis::testing {
namespace {

std::string Group(const std::string& name) {
  return absl::StrCat(
      R"({"name": ")", name,
      R"json(", "delivery": "exactly_once", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: v)"}]})json");
}

class BrokersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto brokers = StartBrokerCluster(3, cluster_.folder());
    ASSERT_TRUE(brokers.ok()) << brokers.status();
    brokers_ = *std::move(brokers);
    transport::NatsOptions options;
    options.urls.clear();
    for (const auto& broker : brokers_) options.urls.push_back(broker->url());
    urls_ = absl::StrJoin(options.urls, ",");
    auto bus = transport::NatsConnection::Connect(options);
    ASSERT_TRUE(bus.ok()) << bus.status();
    bus_ = *std::move(bus);
    ASSERT_TRUE(
        WaitUntil([&] { return absl::StrContains(JetStream("STREAM.NAMES"), "\"streams\""); }));
    for (const char* id : {"c0", "c1"}) {
      coordinators_[id] = Start(id, {"coordinator", "--port=0", "--api-key=admin",
                                     "--nats-replicas=3", absl::StrCat("--coordinator-id=", id)});
      ASSERT_NE(coordinators_[id], nullptr);
      ASSERT_NE(cluster_.WaitForPort(*coordinators_[id], " ready: http://"), 0);
    }
    Node* worker = Start("worker-0",
                         {"server", "--port=0", "--worker-id=worker-0", "--checkpoint-interval=1"});
    ASSERT_NE(worker, nullptr);
    ASSERT_TRUE(WaitUntil([&] { return Ask("GET", "/workers").At("/total") == "1"; }));
  }
  ~BrokersTest() override { bus_.reset(); }

  Node* Start(const std::string& name, std::vector<std::string> args) {
    args.push_back("--nats=" + urls_);
    return cluster_.StartNode(name, std::move(args), {}, /*add_broker=*/false);
  }
  std::string JetStream(const std::string& verb) {
    Result<std::string> answered;
    bus_->Request({.subject = "$JS.API." + verb}, absl::Seconds(2),
                  [callback = answered.Callback()](const auto& reply) {
                    callback(reply.ok() ? std::string(reply->payload()) : "");
                  });
    return answered.Get();
  }
  HttpReply Ask(const std::string& method, const std::string& path, const std::string& body = "") {
    return cluster_.Send(*coordinators_["c0"], {.method = method,
                                                .path = "/api/v1/cluster" + path,
                                                .body = body,
                                                .headers = {{"x-api-key", "admin"}}});
  }
  bool Runs(const std::string& name) {
    const HttpReply deployed = Ask("POST", "/pipeline-groups", Group(name));
    EXPECT_EQ(deployed.status, 201) << deployed.body;
    return deployed.status == 201 && WaitUntil([&] {
             return absl::StrContains(Ask("GET", "/pipeline-groups").body,
                                      absl::StrCat("\"name\":\"", name, "\"")) &&
                    !absl::StrContains(Ask("GET", "/pipeline-groups").body, "\"deploying\"");
           });
  }
  // The index of the broker that leads the stream, once all have it; -1: not yet.
  int LeaderWhenReplicated(const std::string& stream) {
    rapidjson::Document info;
    info.Parse(JetStream("STREAM.INFO." + stream).c_str());
    const rapidjson::Value* replicas = rapidjson::Pointer("/config/num_replicas").Get(info);
    const rapidjson::Value* leader = rapidjson::Pointer("/cluster/leader").Get(info);
    const rapidjson::Value* others = rapidjson::Pointer("/cluster/replicas").Get(info);
    if (replicas == nullptr || replicas->GetInt() != 3 || leader == nullptr || others == nullptr ||
        others->Size() != 2) {
      return -1;
    }
    for (const auto& other : others->GetArray()) {
      const auto current = other.FindMember("current");
      if (current == other.MemberEnd() || !current->value.IsTrue()) return -1;
    }
    int index = -1;
    return absl::SimpleAtoi(absl::string_view(leader->GetString()).substr(1), &index) ? index : -1;
  }

  std::vector<std::unique_ptr<transport::BrokerProcess>> brokers_;
  Cluster cluster_;
  std::string urls_;
  std::unique_ptr<transport::NatsConnection> bus_;
  std::map<std::string, Node*> coordinators_;
};

TEST_F(BrokersTest, EveryStreamIsOnAllAndTheOneThatLeadsTheLeaseMayDie) {
  ASSERT_TRUE(Runs("before"));
  const transport::Subjects& subjects = cluster_.subjects();
  const std::string lease = "KV_" + subjects.LeaseBucket();
  for (const std::string& stream :
       {lease, "KV_" + subjects.StateBucket(), subjects.CheckpointStream().name}) {
    EXPECT_TRUE(WaitUntil([&] { return LeaderWhenReplicated(stream) >= 0; }))
        << JetStream("STREAM.INFO." + stream);
  }
  rapidjson::Document names;
  names.Parse(JetStream("STREAM.NAMES").c_str());
  const rapidjson::Value* streams = rapidjson::Pointer("/streams").Get(names);
  ASSERT_TRUE(streams != nullptr && streams->IsArray());
  EXPECT_EQ(streams->Size(), 5u) << "an input and the outputs, besides";
  for (const auto& stream : streams->GetArray()) {
    EXPECT_TRUE(WaitUntil([&] { return LeaderWhenReplicated(stream.GetString()) >= 0; }))
        << JetStream(absl::StrCat("STREAM.INFO.", stream.GetString()));
  }

  const int victim = LeaderWhenReplicated(lease);
  ASSERT_GE(victim, 0);
  ASSERT_TRUE(brokers_[victim]->Kill(SIGKILL).ok());
  // Until JetStream has elected others; then the cluster serves, and stores.
  ASSERT_TRUE(WaitUntil(
      [&] {
        return Ask("POST", "/pipeline-groups",
                   R"({"name": "after", "pipelines": [{"name": "p", "source": "stream A = X"}]})")
                   .status == 201;
      },
      absl::Seconds(60)));
}

}  // namespace
}  // namespace varpulis::testing
