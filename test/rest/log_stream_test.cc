#include "rest/log_stream.h"

#include "proto/worker_api.pb.h"

#include "absl/strings/str_cat.h"
#include "test/rest/shim_fixture.h"

namespace varpulis::rest {
namespace {

using testing::HasSubstr;

constexpr char kLogs[] = "/api/v1/pipelines/p-1/logs";

class LogStreamTest : public ShimTest {
 protected:
  LogStreamTest() {
    Script<v1::WorkerPipelineRequest, v1::WorkerPipelineInfo>(
        subjects_.Api("pipelines", "get"),
        [](const v1::WorkerPipelineRequest& request) -> absl::StatusOr<v1::WorkerPipelineInfo> {
          if (request.pipeline_id() != "p-1") {
            return transport::MakeError("pipeline_not_found", "no such pipeline");
          }
          return v1::WorkerPipelineInfo();
        });
  }
  void Publish(int events, const std::string& type) {
    v1::EventBatch batch;
    for (int i = 0; i < events; ++i) {
      v1::Event& event = *batch.add_events();
      event.set_event_type(type);
      event.set_timestamp_ns(0);
      v1::Field& field = *event.add_fields();
      field.set_name("x");
      field.mutable_value()->set_int_value(i);
    }
    transport::OutgoingMessage message;
    message.subject = subjects_.Output("local", "p-1");
    message.payload = batch.SerializeAsString();
    ASSERT_TRUE(bus_->Publish(message).ok());
  }
};

TEST_F(LogStreamTest, StreamsOutputsAsServerSentEvents) {
  ServeWorker();
  HttpClient client = Client();
  client.Send(HttpClient::Text("GET", kLogs));
  const HttpReply head = client.ReadReply();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-type"), "text/event-stream");
  client.ReadUntil(": connected\n\n");
  Publish(1, R"(a,"fields":b)");
  EXPECT_THAT(
      client.ReadUntil("}}\n\n"),
      HasSubstr(R"(data: {"event_type":"a,\"fields\":b","timestamp":"1970-01-01T00:00:00Z",)"
                R"("data":{"x":0}})"));
}

TEST_F(LogStreamTest, TellsHowManyEventsWereSkipped) {
  ServeWorker();
  HttpClient client = Client();
  client.Send(HttpClient::Text("GET", kLogs));
  client.ReadUntil(": connected\n\n");
  Publish(1000, "TooMany");  // more than the buffer holds, at once
  Publish(1, "Next");
  EXPECT_THAT(client.ReadUntil("Next"),
              HasSubstr("event: warning\ndata: {\"warning\":\"skipped 1000 events\"}"));
}

TEST_F(LogStreamTest, AnUnknownPipelineHasNoStream) {
  ServeWorker(ApiKeys("k"));
  EXPECT_THAT(Get(kLogs), IsError(401, "invalid_api_key"));
  EXPECT_THAT(Get("/api/v1/pipelines/p-2/logs", {"x-api-key: k"}),
              IsError(404, "pipeline_not_found"));
}

TEST_F(LogStreamTest, EndsWhenTheServerStops) {
  ServeWorker();
  HttpClient client = Client();
  client.Send(HttpClient::Text("GET", kLogs));
  client.ReadUntil(": connected\n\n\r\n");
  server_->Stop(absl::Seconds(5));
  EXPECT_TRUE(client.AtEnd());
  Publish(1, "ToNobody");
}

}  // namespace
}  // namespace varpulis::rest
