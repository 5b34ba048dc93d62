// Hostile, slow and odd clients: sizes, timeouts, malformed HTTP.

#include "proto/cluster.pb.h"

#include "absl/strings/str_cat.h"
#include "test/rest/shim_fixture.h"

namespace varpulis::rest {
namespace {

using testing::HasSubstr;

constexpr char kValidate[] = "/api/v1/cluster/validate";
constexpr char kBatch[] = "/api/v1/cluster/pipeline-groups/g1/inject-batch";

class HttpLimitsTest : public ShimTest {
 protected:
  HttpLimitsTest() {
    Script<v1::ValidateRequest, v1::ValidateResponse>(
        subjects_.Api("cluster", "validate"),
        [](const v1::ValidateRequest&) { return v1::ValidateResponse(); });
    Script<v1::InjectBatchRequest, v1::InjectBatchResponse>(
        subjects_.InjectBatch("g1"), [](const v1::InjectBatchRequest& request) {
          v1::InjectBatchResponse reply;
          reply.set_events_sent(request.events_text().size());
          return reply;
        });
  }
  static std::string Chunked(const char* path, size_t chunks, size_t size) {
    std::string text =
        absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < chunks; ++i) {
      absl::StrAppend(&text, absl::Hex(size), "\r\n", std::string(size, 'x'), "\r\n");
    }
    return text + "0\r\n\r\n";
  }
  HttpReply Raw(const std::string& text) {
    HttpClient client = Client();
    client.Send(text);
    return client.ReadReply();
  }
};

TEST_F(HttpLimitsTest, RefusesALargeBodyBeforeItIsSent) {
  ServeCoordinator();
  HttpClient client = Client();
  client.Send(absl::StrCat("POST ", kValidate, " HTTP/1.1\r\nHost: x\r\nContent-Length: ", 10 << 20,
                           "\r\n\r\n"));
  EXPECT_THAT(client.ReadReply(), IsError(413, "payload_too_large"));
}

TEST_F(HttpLimitsTest, AClientThatSendsALargeBodyAllTheSameReadsTheRefusal) {
  ServeCoordinator();
  EXPECT_THAT(Post(kValidate, std::string(10 << 20, 'x')), IsError(413, "payload_too_large"));
  EXPECT_THAT(Raw(Chunked(kValidate, 160, 64 << 10)), IsError(413, "payload_too_large"));
}

TEST_F(HttpLimitsTest, ABatchMayBeLarger) {
  ServeCoordinator();
  const std::string text(2 << 20, 'x');
  const HttpReply reply = Post(kBatch, absl::StrCat(R"({"events_text":")", text, "\"}"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr(absl::StrCat(R"("events_sent":)", text.size(), ",")));
  EXPECT_THAT(Raw(Chunked(kBatch, 17, 1 << 20)), IsError(413, "payload_too_large"));
}

TEST_F(HttpLimitsTest, TakesAChunkedBody) {
  ServeCoordinator();
  EXPECT_EQ(Raw(absl::StrCat("POST ", kValidate,
                             " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "5;a=b\r\n{\"sou\r\n9\r\nrce\":\"x\"}\r\n0\r\nTrailer: t\r\n\r\n"))
                .status,
            200);
}

TEST_F(HttpLimitsTest, RefusesAHeaderBomb) {
  ServeCoordinator();
  std::string text = "GET /health HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 4000; ++i) absl::StrAppend(&text, "x-", i, ": ", i, "\r\n");
  EXPECT_THAT(Raw(text), IsError(431, "header_too_large"));
  EXPECT_THAT(Raw("GET /" + std::string(1 << 20, 'a')), IsError(431, "header_too_large"));
}

TEST_F(HttpLimitsTest, RefusesWhatIsNotHttp) {
  constexpr char kTwoLengths[] =
      "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  constexpr char kNoChunk[] =
      "POST /api/v1/cluster/validate HTTP/1.1\r\nHost: x\r\n"
      "Transfer-Encoding: chunked\r\n\r\nzz\r\n";
  ServeCoordinator();
  for (const char* text : {
           "\x16\x03\x01\x02\x01\x01\r\n\r\n",
           "GET\r\n\r\n",
           "GET /health HTTP/1.1\r\nHost : x\r\n\r\n",
           "GET /health HTTP/1.1\r\nHost: x\r\n folded\r\nContent-Length: x\r\n\r\n",
           "GET /health HTTP/1.1\r\n\r\n",
           "GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
           "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
           kTwoLengths,
           kNoChunk,
       }) {
    HttpClient client = Client();
    client.Send(text);
    EXPECT_THAT(client.ReadReply(), IsError(400, "invalid_request")) << text;
    EXPECT_TRUE(client.AtEnd()) << text;
  }
  EXPECT_THAT(Raw("POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
              IsError(501, "invalid_request"));
}

TEST_F(HttpLimitsTest, ASlowSenderIsToldAndCutOff) {
  HttpOptions options;
  options.request_timeout = absl::Milliseconds(60);
  ServeCoordinator({}, options);
  HttpClient head = Client();
  head.Send("GET /hea");
  EXPECT_THAT(head.ReadReply(), IsError(408, "request_timeout"));
  EXPECT_TRUE(head.AtEnd());
  HttpClient body = Client();
  body.Send(absl::StrCat("POST ", kValidate, " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"));
  EXPECT_THAT(body.ReadReply(), IsError(408, "request_timeout"));
}

TEST_F(HttpLimitsTest, AnIdleConnectionIsClosedWithoutAWord) {
  HttpOptions options;
  // Longer than a starved machine lets a client wait between connecting and sending.
  options.idle_timeout = absl::Seconds(2);
  ServeCoordinator({}, options);
  HttpClient fresh = Client();
  HttpClient used = Client();
  EXPECT_EQ(used.Request("POST", kValidate, R"({"source":"x"})").status, 200);
  EXPECT_TRUE(fresh.AtEnd());
  EXPECT_TRUE(used.AtEnd());
}

TEST_F(HttpLimitsTest, AnswersAnExpectation) {
  ServeCoordinator();
  HttpClient client = Client();
  const std::string head = absl::StrCat("POST ", kValidate, " HTTP/1.1\r\nHost: x\r\n");
  client.Send(head + "Content-Length: 14\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send(R"({"source":"x"})");
  EXPECT_EQ(client.ReadReply().status, 200);
  client.Send(head + "Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.ReadReply(), IsError(413, "payload_too_large"));
  EXPECT_EQ(Raw(head + "Content-Length: 2\r\nExpect: cake\r\n\r\n").status, 417);
}

TEST_F(HttpLimitsTest, KeepsOrClosesAsAsked) {
  ServeCoordinator();
  const std::string body = "Content-Length: 14\r\n\r\n{\"source\":\"x\"}";
  const std::string post = absl::StrCat("POST ", kValidate);
  HttpClient close = Client();
  close.Send(post + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + body);
  EXPECT_EQ(close.ReadReply().headers.at("connection"), "close");
  EXPECT_TRUE(close.AtEnd());
  HttpClient old = Client();
  old.Send(post + " HTTP/1.0\r\n" + body);
  EXPECT_EQ(old.ReadReply().status, 200);
  EXPECT_TRUE(old.AtEnd());
  HttpClient kept = Client();
  kept.Send(post + " HTTP/1.0\r\nConnection: keep-alive\r\n" + body);
  EXPECT_EQ(kept.ReadReply().headers.at("connection"), "keep-alive");
  kept.Send(post + " HTTP/1.1\r\nHost: x\r\n" + body);
  EXPECT_EQ(kept.ReadReply().status, 200);
}

TEST_F(HttpLimitsTest, HoldsTwoThousandIdleConnections) {
  ServeCoordinator();
  std::vector<HttpClient> clients;
  for (int i = 0; i < 2000; ++i) {
    clients.push_back(Client());
    // Not all of a process's limits allow it; what there is must work.
    if (!clients.back().connected()) break;
  }
  // All of them are answered, so the server has accepted all of them.
  for (size_t i = 0; i < clients.size(); ++i) {
    if (!clients[i].connected()) continue;
    ASSERT_EQ(clients[i].Request("POST", kValidate, R"({"source":"x"})").status, 200) << i;
  }
  EXPECT_GE(server_->connections(), clients.size() - 1);
}

TEST_F(HttpLimitsTest, OneConnectionTooManyIsTurnedAway) {
  HttpOptions options;
  options.max_connections = 2;
  ServeCoordinator({}, options);
  HttpClient first = Client(), second = Client(), third = Client();
  EXPECT_EQ(first.Request("POST", kValidate, R"({"source":"x"})").status, 200);
  EXPECT_EQ(second.Request("POST", kValidate, R"({"source":"x"})").status, 200);
  EXPECT_THAT(third.ReadReply(), IsError(503, "too_many_connections"));
}

TEST_F(HttpLimitsTest, ARefusalDoesNotWaitForALargeBody) {
  ServeCoordinator(ApiKeys("k"));
  HttpClient client = Client();
  client.Send(
      absl::StrCat("POST ", kValidate, " HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"));
  EXPECT_THAT(client.ReadReply(), IsError(401, "unauthorized"));
}

}  // namespace
}  // namespace varpulis::rest
