// What an event over REST costs: one at a time on an idle cluster, and many at once. Beside it the
// bare NATS request/reply over the same broker in the same run, taken in turns, so that the ratio
// means something on a machine that others use too.
//
//   inject_bench --echo --nats URL             answers bench requests until it is killed
//   inject_bench --nats URL --http HOST:PORT --group ID [--api_key K]

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"
#include "proto/cluster.pb.h"

#include "base/mutex.h"
#include "bench/inject/http_load.h"
#include "transport/nats_connection.h"

DEFINE_bool(echo, false, "be the other side of the bare request");
DEFINE_string(nats, "nats://127.0.0.1:4222", "broker");
DEFINE_string(http, "127.0.0.1:9100", "coordinator or gateway");
DEFINE_string(group, "", "pipeline group to inject into");
DEFINE_string(api_key, "", "x-api-key");
DEFINE_uint32(samples, 2000, "single requests of each kind");
DEFINE_uint32(connections, 64, "keep-alive connections of the load");
DEFINE_double(seconds, 5, "length of the load");

namespace varpulis::bench {
namespace {

constexpr char kEchoSubject[] = "varpulis.bench.inject.echo";
constexpr uint32_t kRounds = 10;
constexpr double kRatioGoal = 5;
constexpr double kRateGoal = 5000;

int Echo(transport::NatsConnection& nats) {
  transport::SubscribeOptions options;
  options.subject = kEchoSubject;
  auto subscription = nats.Subscribe(options, [&](transport::InboundMessage message) {
    nats.Reply(std::string(message.reply_to()), std::string(message.payload()), {}).IgnoreError();
  });
  if (!subscription.ok() || !nats.Flush(absl::Seconds(5)).ok()) return 1;
  std::puts("ready");
  std::fflush(stdout);
  while (true) pause();
}

// One bare request; false when it failed.
bool RoundTrip(transport::NatsConnection& nats, const std::string& payload) {
  struct Done {
    Mutex mutex;
    CondVar changed;
    bool done ABSL_GUARDED_BY(mutex) = false, ok ABSL_GUARDED_BY(mutex) = false;
  };
  auto state = std::make_shared<Done>();
  transport::OutgoingMessage message;
  message.subject = kEchoSubject;
  message.payload = payload;
  nats.Request(std::move(message), absl::Seconds(5),
               [state](absl::StatusOr<transport::InboundMessage> reply) {
                 MutexLock lock(state->mutex);
                 state->done = true;
                 state->ok = reply.ok();
                 state->changed.NotifyAll();
               });
  MutexLock lock(state->mutex);
  while (!state->done) state->changed.Wait(state->mutex);
  return state->ok;
}

double Percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(p * static_cast<double>(values.size())))];
}

std::string HttpRequest(const std::string& body) {
  std::string text = absl::StrCat("POST /api/v1/cluster/pipeline-groups/", FLAGS_group,
                                  "/inject HTTP/1.1\r\nHost: ", FLAGS_http,
                                  "\r\nContent-Type: application/json\r\n");
  if (!FLAGS_api_key.empty()) absl::StrAppend(&text, "x-api-key: ", FLAGS_api_key, "\r\n");
  return absl::StrCat(text, "Content-Length: ", body.size(), "\r\n\r\n", body);
}

// The same event as a protobuf, so that the bare request carries what the shim's does.
std::string EchoPayload() {
  v1::InjectRequest request;
  request.set_event_type("EventA");
  v1::Field& x = *request.add_fields();
  x.set_name("x");
  x.mutable_value()->set_int_value(42);
  return request.SerializeAsString();
}

int Measure(transport::NatsConnection& nats) {
  const std::vector<std::string> address = absl::StrSplit(FLAGS_http, ':');
  uint32_t port = 0;
  if (address.size() != 2 || !absl::SimpleAtoi(address[1], &port)) {
    std::fprintf(stderr, "--http is HOST:PORT\n");
    return 2;
  }
  const std::string request = HttpRequest(R"({"event_type": "EventA", "fields": {"x": 42}})");
  const std::string expected = R"("accepted":true)";
  const auto inject = [&](int connections, double seconds, uint64_t requests) {
    return RunLoad(address[0], static_cast<uint16_t>(port), request, expected, connections, seconds,
                   requests);
  };
  const std::string payload = EchoPayload();
  inject(1, 10, 200);  // warm
  for (int i = 0; i < 200; ++i) RoundTrip(nats, payload);

  std::vector<double> bare, single;
  uint64_t bare_errors = 0, single_errors = 0, load_errors = 0;
  std::string first_error;
  for (uint32_t round = 0; round < kRounds; ++round) {
    for (uint32_t i = 0; i < FLAGS_samples / kRounds; ++i) {
      const auto start = std::chrono::steady_clock::now();
      if (!RoundTrip(nats, payload)) ++bare_errors;
      bare.push_back(
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
              .count());
    }
    const LoadResult part = inject(1, 60, FLAGS_samples / kRounds);
    single.insert(single.end(), part.latencies_us.begin(), part.latencies_us.end());
    single_errors += part.errors;
    if (first_error.empty()) first_error = part.first_error;
  }
  const LoadResult load = inject(static_cast<int>(FLAGS_connections), FLAGS_seconds, 0);
  load_errors = load.errors;
  if (first_error.empty()) first_error = load.first_error;

  const double bare_p50 = Percentile(bare, 0.5), single_p50 = Percentile(single, 0.5);
  const double ratio = bare_p50 > 0 ? single_p50 / bare_p50 : 0;
  const double rate = load.seconds > 0 ? static_cast<double>(load.answered) / load.seconds : 0;
  std::printf("%-44s %10s %10s %8s\n", "", "p50", "p99", "errors");
  const auto row = [](const std::string& name, const std::vector<double>& us, uint64_t errors) {
    std::printf("%-44s %7.0f us %7.0f us %8lu\n", name.c_str(), Percentile(us, 0.5),
                Percentile(us, 0.99), static_cast<unsigned long>(errors));
  };
  row(absl::StrCat("bare NATS request/reply, one at a time (", bare.size(), ")"), bare,
      bare_errors);
  row(absl::StrCat("REST inject, one at a time (", single.size(), ")"), single, single_errors);
  row(absl::StrCat("REST inject, ", FLAGS_connections, " connections"), load.latencies_us,
      load_errors);
  std::printf("%-44s %10.2f\n", "ratio of the p50s, REST to bare (goal <= 5)", ratio);
  std::printf("%-44s %10.0f /s\n", "REST injects with those connections (>= 5000)", rate);
  if (!first_error.empty()) std::fprintf(stderr, "first error: %s\n", first_error.c_str());
  const bool good = ratio > 0 && ratio <= kRatioGoal && rate >= kRateGoal && bare_errors == 0 &&
                    single_errors == 0 && load_errors == 0;
  if (!good) std::fprintf(stderr, "below the mark\n");
  return good ? 0 : 1;
}

}  // namespace
}  // namespace varpulis::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  varpulis::transport::NatsOptions options;
  options.urls = {FLAGS_nats};
  options.name = FLAGS_echo ? "varpulis-bench-echo" : "varpulis-bench";
  auto nats = varpulis::transport::NatsConnection::Connect(options);
  if (!nats.ok()) {
    std::fprintf(stderr, "%s\n", nats.status().ToString().c_str());
    return 1;
  }
  return FLAGS_echo ? varpulis::bench::Echo(**nats) : varpulis::bench::Measure(**nats);
}
