#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/cluster.pb.h"
#include "test/support/wait.h"
#include "transport/error_reply.h"
#include "transport/json_document.h"
#include "transport/local_bus.h"
#include "transport/rpc.h"
#include "transport/service_info.h"
#include "transport/time_text.h"

namespace varpulis::transport {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using varpulis::testing::Result;
using varpulis::v1::Empty;
using varpulis::v1::GroupRequest;

TEST(ServiceInfoTest, Subjects) {
  ServiceIdentity identity;
  identity.name = "varpulis-worker";
  identity.id = "w0";
  EXPECT_THAT(
      DiscoverySubjects(DiscoveryVerb::kStats, identity),
      ElementsAre("$SRV.STATS", "$SRV.STATS.varpulis-worker", "$SRV.STATS.varpulis-worker.w0"));
}

// ADR-32, key by key.
TEST(ServiceInfoTest, Responses) {
  const ServiceIdentity identity = {"svc",
                                    "id-1",
                                    "1.2.3",
                                    "It serves.",
                                    {{"role", "leader"}},
                                    absl::FromUnixMillis(1767225600250)};
  EXPECT_EQ(DiscoveryResponse(DiscoveryVerb::kPing, identity, {}),
            R"({"name":"svc","id":"id-1","version":"1.2.3","metadata":{"role":"leader"},)"
            R"("type":"io.nats.micro.v1.ping_response"})");
  EndpointReport endpoint;
  endpoint.name = "groups-get";
  endpoint.subject = "groups.get";
  EXPECT_EQ(DiscoveryResponse(DiscoveryVerb::kInfo, identity, {endpoint}),
            R"({"name":"svc","id":"id-1","version":"1.2.3","metadata":{"role":"leader"},)"
            R"("type":"io.nats.micro.v1.info_response","description":"It serves.","endpoints":[)"
            R"({"name":"groups-get","subject":"groups.get","queue_group":"","metadata":{}}]})");
  endpoint.num_requests = 4;
  endpoint.num_errors = 1;
  endpoint.last_error = "404:no group g";
  endpoint.processing_time = absl::Microseconds(10);
  EXPECT_EQ(DiscoveryResponse(DiscoveryVerb::kStats, identity, {endpoint}),
            R"({"name":"svc","id":"id-1","version":"1.2.3","metadata":{"role":"leader"},)"
            R"("type":"io.nats.micro.v1.stats_response","started":"2026-01-01T00:00:00.250Z",)"
            R"("endpoints":[{"name":"groups-get","subject":"groups.get","queue_group":"",)"
            R"("num_requests":4,"num_errors":1,"last_error":"404:no group g",)"
            R"("processing_time":10000,"average_processing_time":2500}]})");
}

class ServiceTest : public ::testing::Test {
 protected:
  rapidjson::Document Discover(const std::string& subject) {
    Result<absl::StatusOr<InboundMessage>> waiting;
    bus_->Request({subject, "", {}, ""}, absl::Seconds(10), waiting.Callback());
    const absl::StatusOr<InboundMessage> reply = std::move(waiting.Get());
    EXPECT_TRUE(reply.ok()) << subject << ": " << reply.status();
    rapidjson::Document document;
    if (reply.ok()) {
      EXPECT_TRUE(ParseJson(reply->payload(), 32, &document).ok());
    }
    EXPECT_TRUE(document.IsObject());
    return document;
  }

  std::unique_ptr<Bus> bus_ = NewLocalBus();
};

TEST_F(ServiceTest, AnswersDiscovery) {
  const auto service = Service::Start(*bus_, {"svc", "id-1", "1.2.3", "d", {}}).value();
  for (const char* verb : {"PING", "INFO", "STATS"}) {
    for (const char* suffix : {"", ".svc", ".svc.id-1"}) {
      const rapidjson::Document reply = Discover(absl::StrCat("$SRV.", verb, suffix));
      EXPECT_STREQ(reply["name"].GetString(), "svc");
      EXPECT_STREQ(reply["id"].GetString(), "id-1");
    }
  }
}

TEST_F(ServiceTest, EveryInstanceAnswers) {
  const auto a = Service::Start(*bus_, {"svc", "", "1.0.0", "", {}}).value();
  const auto b = Service::Start(*bus_, {"svc", "", "1.0.0", "", {}}).value();
  std::vector<std::string> replies;  // filled on the bus's thread, read after Flush
  SubscribeOptions options;
  options.subject = "inbox.me";
  const auto inbox = bus_->Subscribe(options,
                                     [&](InboundMessage reply) {
                                       replies.push_back(std::string(reply.payload()));
                                     })
                         .value();
  ASSERT_TRUE(bus_->Publish({"$SRV.PING.svc", "", {}, "inbox.me"}).ok());
  ASSERT_TRUE(bus_->Flush(absl::Seconds(10)).ok());  // the pings
  ASSERT_TRUE(bus_->Flush(absl::Seconds(10)).ok());  // the answers
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_NE(replies[0], replies[1]);  // ids are made up, and differ
}

TEST_F(ServiceTest, CountsRequestsAndErrors) {
  const auto service = Service::Start(*bus_, {"svc", "id-1", "1.2.3", "", {}}).value();
  ASSERT_TRUE((service->Serve<GroupRequest, Empty>(
                   "groups.get", "groups-get",
                   [](const RequestContext&, const GroupRequest& request, Replier<Empty> replier) {
                     if (request.group_id() == "bad") {
                       return replier.Fail(MakeError("group_not_found", "no group bad"));
                     }
                     replier.Reply(Empty());
                   }))
                  .ok());
  for (const char* id : {"a", "bad", "b"}) {
    GroupRequest request;
    request.set_group_id(id);
    CallAndWait<Empty>(*bus_, "groups.get", request).status().IgnoreError();
  }
  const rapidjson::Document reply = Discover("$SRV.STATS.svc.id-1");
  EXPECT_TRUE(ParseTimestamp(reply["started"].GetString()).has_value());
  ASSERT_EQ(reply["endpoints"].Size(), 1u);
  const auto& endpoint = reply["endpoints"][0];
  EXPECT_STREQ(endpoint["name"].GetString(), "groups-get");
  EXPECT_EQ(endpoint["num_requests"].GetInt(), 3);
  EXPECT_EQ(endpoint["num_errors"].GetInt(), 1);
  EXPECT_STREQ(endpoint["last_error"].GetString(), "404:no group bad");
  EXPECT_GT(endpoint["processing_time"].GetInt64(), 0);
  EXPECT_EQ(endpoint["average_processing_time"].GetInt64(),
            endpoint["processing_time"].GetInt64() / 3);
}

TEST_F(ServiceTest, RefusesNamesThatAreNoTokens) {
  for (const ServiceOptions& bad :
       {ServiceOptions{"", "", "1.0.0", "", {}}, ServiceOptions{"a.b", "", "1.0.0", "", {}},
        ServiceOptions{"a b", "", "1.0.0", "", {}}, ServiceOptions{"a", "x.*", "1.0.0", "", {}},
        ServiceOptions{"a", "", "", "", {}}, ServiceOptions{"a", "", "1.0", "", {}},
        ServiceOptions{"a", "", "1..0", "", {}}, ServiceOptions{"a", "", "v1.0.0", "", {}}}) {
    EXPECT_EQ(Service::Start(*bus_, bad).status().code(), StatusCode::kInvalidArgument)
        << bad.name << " " << bad.id << " " << bad.version;
  }
  const auto service = Service::Start(*bus_, {"a", "", "1.0.0-rc.1+b5", "", {}}).value();
  const auto serve = [&](const char* subject, const char* name) {
    return service
        ->Serve<Empty, Empty>(subject, name,
                              [](const RequestContext&, const Empty&, Replier<Empty>) {})
        .code();
  };
  EXPECT_EQ(serve("x", "a.b"), StatusCode::kInvalidArgument);
  EXPECT_EQ(serve("x..y", "ok"), StatusCode::kInvalidArgument);
  EXPECT_EQ(serve("x.y", "ok"), StatusCode::kOk);
}

}  // namespace
}  // namespace varpulis::transport
