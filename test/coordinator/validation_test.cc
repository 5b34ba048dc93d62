#include "coordinator/validation.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

v1::DeployGroupRequest Good() {
  v1::DeployGroupRequest request;
  request.set_name("my app");
  for (const char* name : {"a", "b"}) {
    v1::PipelineSpec& spec = *request.add_pipelines();
    spec.set_name(name);
    spec.set_source("stream S = E");
  }
  v1::RouteSpec& route = *request.add_routes();
  route.set_from_pipeline("_external");
  route.set_to_pipeline("a");
  route.add_event_types("T*");
  return request;
}

// The path of the first problem, or "ok".
std::string Verdict(const v1::DeployGroupRequest& request, const SourceCheck& check = nullptr) {
  Policy policy;
  policy.max_pipelines_per_group = 3;
  const absl::Status status = ValidateDeploy(request, policy, check);
  if (status.ok()) return "ok";
  EXPECT_EQ(transport::ErrorCode(status), "invalid_request");
  return transport::ToErrorReply(status).details(0).path();
}

template <typename Fn>
std::string After(Fn change) {
  v1::DeployGroupRequest request = Good();
  change(request);
  return Verdict(request);
}

TEST(ValidationTest, AcceptsAGoodGroup) { EXPECT_EQ(Verdict(Good()), "ok"); }

TEST(ValidationTest, ChecksTheGroup) {
  EXPECT_EQ(After([](auto& r) { r.set_name(""); }), "name");
  EXPECT_EQ(After([](auto& r) { r.set_name(std::string(129, 'x')); }), "name");
  EXPECT_EQ(After([](auto& r) { r.set_name("a\nb"); }), "name");
  EXPECT_EQ(After([](auto& r) { r.set_name("Grüße"); }), "ok");
  EXPECT_EQ(After([](auto& r) {
              r.clear_pipelines();
              r.clear_routes();
            }),
            "pipelines");
  EXPECT_EQ(After([](auto& r) {
              for (int i = 0; i < 2; ++i) r.add_pipelines()->set_name("x");
            }),
            "pipelines");
}

TEST(ValidationTest, ChecksPipelines) {
  EXPECT_EQ(After([](auto& r) { r.mutable_pipelines(1)->set_name("a.b"); }), "pipelines[1].name");
  EXPECT_EQ(After([](auto& r) { r.mutable_pipelines(1)->set_name("_external"); }),
            "pipelines[1].name");
  EXPECT_EQ(After([](auto& r) { r.mutable_pipelines(1)->set_name("a"); }), "pipelines[1].name");
  EXPECT_EQ(After([](auto& r) { r.mutable_pipelines(0)->set_replicas(64); }), "ok");
  EXPECT_EQ(After([](auto& r) { r.mutable_pipelines(0)->set_replicas(65); }),
            "pipelines[0].replicas");
}

TEST(ValidationTest, ChecksRoutes) {
  const auto route = [](auto change) {
    return After([&](auto& r) { change(*r.mutable_routes(0)); });
  };
  EXPECT_EQ(route([](auto& r) { r.set_to_pipeline("x"); }), "routes[0].to_pipeline");
  EXPECT_EQ(route([](auto& r) { r.set_from_pipeline("x"); }), "routes[0].from_pipeline");
  EXPECT_EQ(route([](auto& r) { r.set_from_pipeline("b"); }), "ok");
  EXPECT_EQ(route([](auto& r) { r.set_from_pipeline("a"); }), "routes[0].to_pipeline");
  EXPECT_EQ(route([](auto& r) { r.clear_event_types(); }), "routes[0].event_types");
  EXPECT_EQ(route([](auto& r) { r.add_event_types(""); }), "routes[0].event_types[1]");
  EXPECT_EQ(route([](auto& r) { r.set_mqtt_topic("plant/line"); }), "ok");
  EXPECT_EQ(route([](auto& r) { r.set_mqtt_topic("plant/#"); }), "routes[0].mqtt_topic");
  EXPECT_EQ(route([](auto& r) { r.set_nats_subject("plant.line"); }), "ok");
  EXPECT_EQ(route([](auto& r) { r.set_nats_subject("$JS.x"); }), "routes[0].nats_subject");
  EXPECT_EQ(route([](auto& r) { r.set_nats_subject("varpulis.cluster.api.x"); }),
            "routes[0].nats_subject");
  EXPECT_EQ(route([](auto& r) {
              r.set_nats_subject("x");
              r.set_mqtt_topic("x");
            }),
            "routes[0].nats_subject");
}

TEST(ValidationTest, ReportsEverySourceProblemWithItsPlace) {
  const absl::Status status = ValidateDeploy(Good(), Policy(), [](absl::string_view) {
    return std::vector<SourceProblem>{{2, 5, "no such field", "did you mean x?"}};
  });
  const v1::ErrorReply reply = transport::ToErrorReply(status);
  ASSERT_EQ(reply.details_size(), 2);
  EXPECT_EQ(reply.details(1).path(), "pipelines[1].source");
  EXPECT_EQ(reply.details(1).line(), 2u);
  EXPECT_EQ(reply.details(1).column(), 5u);
  EXPECT_EQ(reply.details(1).hint(), "did you mean x?");
  EXPECT_EQ(reply.error(), "pipelines[0].source:2:5: no such field (and 1 more)");
}

TEST(ValidationTest, WorkerAddresses) {
  for (const char* good : {"http://localhost:9000", "https://w0", "http://10.0.0.1:1", "http://w0/",
                           "http://[fe80::1]:9000", "http://[::1]"}) {
    EXPECT_TRUE(ValidateWorkerAddress(good).ok()) << good;
  }
  for (const char* bad : {"", "localhost:9000", "http://", "http://:9000", "http://0.0.0.0:9000",
                          "http://[::]:9000", "http://::", "ftp://w0", "http://w0:0", "http://w0:x",
                          "http://w0:70000", "http://user@w0", "http://a b", "http://[::1"}) {
    EXPECT_FALSE(ValidateWorkerAddress(bad).ok()) << bad;
  }
}

TEST(ValidationTest, WorkerIds) {
  v1::RegisterWorkerRequest request;
  request.set_address("http://w0:9000");
  request.set_worker_id("w-0_A");
  EXPECT_TRUE(ValidateRegistration(request).ok());
  for (const char* bad : {"", "a.b", "a b", "a*"}) {
    request.set_worker_id(bad);
    EXPECT_EQ(transport::ErrorCode(ValidateRegistration(request)), "invalid_request") << bad;
  }
}

}  // namespace
}  // namespace varpulis::coordinator
