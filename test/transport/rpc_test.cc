#include "transport/rpc.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strand.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/cluster.pb.h"
#include "test/support/wait.h"
#include "transport/chunking.h"
#include "transport/error_reply.h"
#include "transport/local_bus.h"

namespace varpulis::transport {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;
using varpulis::testing::Result;
using varpulis::v1::Empty;
using varpulis::v1::GroupInfo;
using varpulis::v1::GroupRequest;
using varpulis::v1::ValidateRequest;

class RpcTest : public ::testing::Test {
 protected:
  // Serves "groups.get" with `answer`.
  template <typename Fn>
  void ServeGroups(Fn answer) {
    auto served = service_->Serve<GroupRequest, GroupInfo>(
        "groups.get", "groups-get",
        [answer](const RequestContext& context, const GroupRequest& request,
                 Replier<GroupInfo> replier) { answer(context, request, std::move(replier)); });
    ASSERT_TRUE(served.ok()) << served;
  }

  void ServeEcho() {
    ServeGroups(
        [](const RequestContext& context, const GroupRequest& request, Replier<GroupInfo> replier) {
          GroupInfo group;
          group.set_id(request.group_id());
          group.set_name(context.request_id);
          replier.Reply(group);
        });
  }

  absl::StatusOr<GroupInfo> Get(const std::string& id, const CallOptions& options = {}) {
    GroupRequest request;
    request.set_group_id(id);
    return CallAndWait<GroupInfo>(*bus_, "groups.get", request, options);
  }

  // The raw reply, as a stranger's client sees it.
  InboundMessage Ask(const std::string& subject, std::string payload, Headers headers = {}) {
    Result<absl::StatusOr<InboundMessage>> reply;
    bus_->Request({subject, std::move(payload), std::move(headers), ""}, absl::Seconds(10),
                  reply.Callback());
    absl::StatusOr<InboundMessage> got = std::move(reply.Get());
    EXPECT_TRUE(got.ok()) << got.status();
    return std::move(got).value();
  }

  std::unique_ptr<Bus> bus_ = NewLocalBus();
  std::unique_ptr<Service> service_ =
      Service::Start(*bus_, {"test-service", "id-1", "1.2.3", "", {}}).value();
};

TEST_F(RpcTest, CallsAndAnswers) {
  ServeEcho();
  CallOptions options;
  options.request_id = "req-7";
  const absl::StatusOr<GroupInfo> group = Get("g1", options);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(group->id(), "g1");
  EXPECT_EQ(group->name(), "req-7");
}

TEST_F(RpcTest, ErrorsArriveWithCodeTextAndDetails) {
  ServeGroups([](const RequestContext&, const GroupRequest&, Replier<GroupInfo> replier) {
    varpulis::v1::ErrorReply details;
    varpulis::v1::ErrorDetail* detail = details.add_details();
    detail->set_path("pipelines[0].source");
    detail->set_line(3);
    replier.Fail(MakeError("parse_error", "line 3:\r\nunexpected '\xc3\xa9'", details));
  });
  const absl::Status status = Get("g").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "line 3:\r\nunexpected '\xc3\xa9'");
  EXPECT_EQ(ErrorCode(status), "parse_error");
  ASSERT_EQ(ToErrorReply(status).details_size(), 1);
  EXPECT_EQ(ToErrorReply(status).details(0).line(), 3u);

  const InboundMessage raw = Ask("groups.get", "");
  EXPECT_EQ(raw.Header(kServiceErrorCodeHeader), "400");
  EXPECT_EQ(raw.Header(kServiceErrorHeader), "line 3:  unexpected '\xc3\xa9'");  // one line
  EXPECT_EQ(raw.Header(kContentTypeHeader), std::nullopt);
}

TEST_F(RpcTest, EveryCodeSurvivesTheTrip) {
  ServeGroups([](const RequestContext&, const GroupRequest& request, Replier<GroupInfo> replier) {
    replier.Answer(MakeError(request.group_id(), "why"));
  });
  for (const char* code :
       {"group_not_found", "conflict", "stale_epoch", "already_exists", "quota_exceeded",
        "no_workers_available", "worker_timeout", "routing_failed", "not_leader", "internal"}) {
    EXPECT_EQ(Get(code).status(), MakeError(code, "why"));
  }
}

TEST_F(RpcTest, JsonIsAnsweredInJson) {
  ServeEcho();
  const InboundMessage reply = Ask("groups.get", R"({"group_id": "g"})");
  EXPECT_EQ(reply.Header(kContentTypeHeader), kContentTypeJson);
  EXPECT_EQ(reply.Header(kServiceErrorHeader), std::nullopt);
  EXPECT_EQ(reply.payload(),
            R"({"id":"g","name":"","status":"unknown","pipeline_count":0,"placements":[],)"
            R"("sources":{}})");
  // By header alone.
  EXPECT_EQ(Ask("groups.get", "\n{}", {{kContentTypeHeader, "application/json; charset=utf-8"}})
                .Header(kContentTypeHeader),
            kContentTypeJson);
  EXPECT_EQ(Ask("groups.get", "", {{kContentTypeHeader, kContentTypeJson}}).payload().front(), '{');
}

TEST_F(RpcTest, AnEmptyPayloadIsAnEmptyMessage) {
  ServeEcho();
  const InboundMessage reply = Ask("groups.get", "");
  EXPECT_EQ(reply.Header(kServiceErrorHeader), std::nullopt);
  EXPECT_EQ(reply.payload(), "");  // a GroupInfo with nothing set
}

TEST_F(RpcTest, UndecodableBodiesNeverReachTheHandler) {
  std::atomic<int> handled = 0;
  ASSERT_TRUE((service_->Serve<ValidateRequest, Empty>(
                   "validate", "validate",
                   [&](const RequestContext&, const ValidateRequest&, Replier<Empty> replier) {
                     ++handled;
                     replier.Reply(Empty());
                   }))
                  .ok());
  InboundMessage reply = Ask("validate", R"({"source": 1})");
  EXPECT_EQ(reply.Header(kServiceErrorCodeHeader), "400");
  EXPECT_EQ(reply.Header(kServiceErrorHeader), "source: expected a string, got a number");
  EXPECT_EQ(reply.Header(kContentTypeHeader), kContentTypeJson);
  EXPECT_THAT(std::string(reply.payload()),
              HasSubstr(R"({"error":"source: expected a string, got a number",)"
                        R"("code":"invalid_request","details":[)"));
  EXPECT_EQ(Ask("validate", "{}").Header(kServiceErrorHeader), "source: is required");
  reply = Ask("validate", "\xff\xff\xff");
  EXPECT_EQ(reply.Header(kServiceErrorCodeHeader), "400");
  EXPECT_EQ(reply.Header(kContentTypeHeader), std::nullopt);
  EXPECT_EQ(Ask("validate", "{}", {{kContentTypeHeader, kContentTypeProtobuf}})
                .Header(kServiceErrorCodeHeader),
            "400");
  EXPECT_EQ(handled, 0);
}

TEST_F(RpcTest, TheServerKnowsHowLongTheCallerWaits) {
  std::vector<absl::Duration> told;  // of the bus's thread; read after the answers have come
  ServeGroups([&](const RequestContext& context, const GroupRequest&, Replier<GroupInfo> replier) {
    told.push_back(context.timeout);
    replier.Reply(GroupInfo());
  });
  CallOptions options;
  options.timeout = absl::Milliseconds(2500);
  EXPECT_TRUE(Get("g", options).ok());
  options.tells_timeout = false;
  EXPECT_TRUE(Get("g", options).ok());
  for (const char* garbage : {"", "x", "-1", "0", "99999999999999999999"}) {
    Ask("groups.get", "", {{kTimeoutHeader, garbage}});
  }
  ASSERT_EQ(told.size(), 7u);
  EXPECT_EQ(told[0], absl::Milliseconds(2500));
  for (size_t i = 1; i < told.size(); ++i) EXPECT_EQ(told[i], kAssumedRequestTimeout) << i;
}

TEST_F(RpcTest, AMalformedChunkHeaderIsAnswered) {
  ServeEcho();
  for (const char* header : {"", "abc", "abc 5 2", "abc 0 0", "abc 0 x", "abc 0 1 2"}) {
    const InboundMessage reply =
        Ask("groups.get", R"({"group_id": "g"})", {{kChunkHeader, header}});
    EXPECT_EQ(reply.Header(kServiceErrorCodeHeader), "400") << header;
    EXPECT_THAT(reply.Header(kServiceErrorHeader).value_or(""), HasSubstr(kChunkHeader)) << header;
  }
  // Nobody to answer: nothing happens.
  EXPECT_TRUE(bus_->Publish({"groups.get", "", {{kChunkHeader, "abc"}}, ""}).ok());
  EXPECT_TRUE(Get("g").ok());
}

TEST_F(RpcTest, ADroppedReplierAnswersInternal) {
  ServeGroups([](const RequestContext&, const GroupRequest&, Replier<GroupInfo> replier) {});
  const absl::Status status = Get("g").status();
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_EQ(status.message(), "the request was dropped without an answer");
}

TEST_F(RpcTest, AReplierAssignedOverAnswersWhatItOwed) {
  std::vector<Replier<GroupInfo>> kept;
  ServeGroups([&](const RequestContext&, const GroupRequest&, Replier<GroupInfo> replier) {
    if (kept.empty()) {
      kept.push_back(std::move(replier));
      return;
    }
    kept[0] = std::move(replier);
    kept[0].Reply(GroupInfo());
  });
  Result<absl::StatusOr<GroupInfo>> first;
  Call<GroupInfo>(*bus_, "groups.get", GroupRequest(), {}, first.Callback());
  EXPECT_TRUE(Get("second").ok());
  EXPECT_EQ(first.Get().status().code(), StatusCode::kInternal);
}

TEST_F(RpcTest, MayBeAnsweredLaterFromAnotherThread) {
  auto strand = std::make_unique<Strand>("answers");
  ServeGroups([&](const RequestContext&, const GroupRequest& request, Replier<GroupInfo> replier) {
    auto shared = std::make_shared<Replier<GroupInfo>>(std::move(replier));
    strand->Post([shared, id = request.group_id()] {
      GroupInfo group;
      group.set_id(id);
      shared->Reply(group);
    });
  });
  EXPECT_EQ(Get("later").value().id(), "later");
  service_.reset();
  strand.reset();
}

TEST_F(RpcTest, NobodyServingIsWorkerUnavailable) {
  const absl::Status status = Get("g").status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(ErrorCode(status), "worker_unavailable");
  EXPECT_EQ(HttpStatus(status), 503);
}

TEST_F(RpcTest, SilenceIsWorkerTimeout) {
  std::vector<Replier<GroupInfo>> kept;
  ServeGroups([&](const RequestContext&, const GroupRequest&, Replier<GroupInfo> replier) {
    kept.push_back(std::move(replier));
  });
  CallOptions options;
  options.timeout = absl::Milliseconds(1);
  const absl::Status status = Get("g", options).status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrorCode(status), "worker_timeout");
  service_.reset();
  kept.clear();
}

TEST_F(RpcTest, PublishedRequestsAreHandledWithoutAnAnswer) {
  Result<bool> expects_reply;
  ServeGroups([&](const RequestContext& context, const GroupRequest&, Replier<GroupInfo> replier) {
    expects_reply.Set(context.expects_reply);
    replier.Reply(GroupInfo());
  });
  EXPECT_TRUE(bus_->Publish({"groups.get", "", {}, ""}).ok());
  EXPECT_FALSE(expects_reply.Get());
}

TEST_F(RpcTest, ForeignErrorsAreUnderstood) {
  SubscribeOptions options;
  options.subject = "foreign";
  Headers headers;
  const auto server =
      bus_->Subscribe(
              options,
              [&](InboundMessage request) {
                bus_->Reply(std::string(request.reply_to()), "not ours", headers).IgnoreError();
              })
          .value();
  const auto call = [&] { return CallAndWait<GroupInfo>(*bus_, "foreign", Empty()).status(); };
  headers = {{kServiceErrorCodeHeader, "404"}, {kServiceErrorHeader, "no such thing"}};
  EXPECT_EQ(call().code(), StatusCode::kNotFound);
  EXPECT_EQ(call().message(), "no such thing");
  headers = {{kServiceErrorHeader, "odd"}};
  EXPECT_EQ(call().code(), StatusCode::kInternal);
  headers = {};
  const absl::Status undecodable = call();
  EXPECT_EQ(undecodable.code(), StatusCode::kInternal);  // not the caller's fault
  EXPECT_THAT(std::string(undecodable.message()), HasSubstr("undecodable reply from foreign"));
}

TEST_F(RpcTest, ChunkedRequestsArriveWhole) {
  Result<std::string> source;
  ASSERT_TRUE(
      (service_->Serve<ValidateRequest, Empty>(
           "validate", "validate",
           [&](const RequestContext&, const ValidateRequest& request, Replier<Empty> replier) {
             source.Set(request.source());
             replier.Reply(Empty());
           }))
          .ok());
  ValidateRequest request;
  request.set_source(std::string(100'000, 's'));
  const auto chunks = CutIntoChunks({"validate", request.SerializeAsString(), {}, ""}, 4096);
  ASSERT_GT(chunks.size(), 20u);
  for (const OutgoingMessage& chunk : chunks) ASSERT_TRUE(bus_->Publish(chunk).ok());
  EXPECT_EQ(source.Get(), request.source());
}

TEST_F(RpcTest, HandlersStopWithTheService) {
  ServeEcho();
  EXPECT_TRUE(Get("g").ok());
  service_.reset();
  EXPECT_EQ(Get("g").status().code(), StatusCode::kUnavailable);
}

TEST_F(RpcTest, ManyCallersAtOnce) {
  ServeEcho();
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string id = absl::StrCat(t, "-", i);
        const auto group = Get(id);
        if (group.ok() && group->id() == id) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 800);
}

}  // namespace
}  // namespace varpulis::transport
