// Events through a deployed pipeline, from publisher to subscriber, beside a process that does
// nothing but publish again what it receives. Relay and pipeline take turns, so that their ratio
// means something on a machine that others use too. Fails when an event is lost.
//
//   stream_bench --relay --nats URL           the other side, until it is killed
//   stream_bench --nats URL --group ID        pipelines `filter` and `columns` of that group

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "gflags/gflags.h"

#include "bench/stream/traffic.h"
#include "transport/subjects.h"

DEFINE_bool(relay, false, "be the relay");
DEFINE_string(nats, "nats://127.0.0.1:4222", "broker");
DEFINE_string(group, "", "group with the pipelines `filter` and `columns`");
DEFINE_double(seconds, 3, "length of one turn");
DEFINE_uint32(rounds, 3, "turns of each");
DEFINE_uint32(batch, 1000, "events in a batch");
DEFINE_double(rate, 1000, "events per second while latency is measured");

namespace varpulis::bench {
namespace {

constexpr char kRelayIn[] = "varpulis.bench.stream.in";
constexpr char kRelayOut[] = "varpulis.bench.stream.out";

Route Through(const std::string& pipeline, uint32_t batch) {
  const transport::Subjects subjects;
  return {.in = subjects.Pipeline(FLAGS_group, transport::kExternal, pipeline),
          .out = subjects.Output(FLAGS_group, pipeline),
          .batch = batch};
}

struct Row {
  const char* what;
  Route route;
  const char* goal;
  uint64_t events = 0;
  uint64_t lost = 0;
  double seconds = 0;
  std::vector<double> us = {};

  double rate() const { return seconds > 0 ? static_cast<double>(events) / seconds : 0; }
  double Percentile(double p) const {
    return us.empty() ? 0 : us[static_cast<size_t>(p * static_cast<double>(us.size() - 1))];
  }
};

void Measure(Row& row) {
  const Throughput result = MeasureThroughput(FLAGS_nats, row.route, FLAGS_seconds);
  row.events += result.events;
  row.lost += result.lost;
  row.seconds += result.seconds;
}

void MeasureDelay(Row& row) {
  Latency result = MeasureLatency(FLAGS_nats, row.route, FLAGS_rate, FLAGS_seconds);
  row.lost += result.lost;
  row.events += result.us.size() + result.lost;
  row.us.insert(row.us.end(), result.us.begin(), result.us.end());
  std::sort(row.us.begin(), row.us.end());
}

int Main() {
  const Route relay{.in = kRelayIn, .out = kRelayOut};
  const Route relay_batches{.in = kRelayIn, .out = kRelayOut, .batch = FLAGS_batch};
  // Each pair: the relay, then the pipeline.
  Row rates[] = {
      {.what = "relay, one event per message", .route = relay, .goal = ""},
      {.what = "pipeline, one event per message", .route = Through("filter", 1), .goal = ">= 0.5"},
      {.what = "relay, batches in columns", .route = relay_batches, .goal = ""},
      {.what = "pipeline, batches in columns",
       .route = Through("columns", FLAGS_batch),
       .goal = ">= 1.5 M/s"},
  };
  Row delays[] = {
      {.what = "relay, latency", .route = relay, .goal = ""},
      {.what = "pipeline, latency", .route = Through("filter", 1), .goal = "p50 <= 300 us"},
  };
  for (uint32_t round = 0; round < FLAGS_rounds; ++round) {
    for (Row& row : rates) Measure(row);
    for (Row& row : delays) MeasureDelay(row);
  }

  uint64_t lost = 0;
  std::printf("%-34s %12s %10s %8s  %s\n", "at most once", "events/s", "events", "ratio", "goal");
  double base = 0;
  for (const Row& row : rates) {
    if (row.goal[0] == '\0') base = row.rate();
    std::printf("%-34s %12.0f %10llu %8.2f  %s\n", row.what, row.rate(),
                static_cast<unsigned long long>(row.events), base > 0 ? row.rate() / base : 0,
                row.goal);
    lost += row.lost;
  }
  std::printf("\n%.0f events/s %24s %12s %10s\n", FLAGS_rate, "", "p50", "p99");
  for (const Row& row : delays) {
    std::printf("%-34s %9.0f us %7.0f us %8s  %s\n", row.what, row.Percentile(0.5),
                row.Percentile(0.99), "", row.goal);
    lost += row.lost;
  }
  std::printf("\nlost: %llu\n", static_cast<unsigned long long>(lost));
  return lost == 0 ? 0 : 1;
}

}  // namespace
}  // namespace varpulis::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  using namespace varpulis::bench;
  return FLAGS_relay ? Relay(FLAGS_nats, kRelayIn, kRelayOut) : Main();
}
