// Events through a deployed pipeline, from publisher to subscriber, beside a process that does
// nothing but publish again what it receives. Relay and pipeline take turns, so that their ratio
// means something on a machine that others use too. Fails when an event is lost.
//
//   stream_bench --relay --nats URL [--stored]    the other side, until it is killed
//   stream_bench --nats URL --group ID --stored_group ID
//                          pipelines `filter` and `columns` of each; the second is exactly-once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gflags/gflags.h"

#include "bench/stream/traffic.h"
#include "transport/subjects.h"

DEFINE_bool(relay, false, "be the relay");
DEFINE_bool(stored, false, "be the relay that stores");
DEFINE_string(nats, "nats://127.0.0.1:4222", "broker");
DEFINE_string(group, "", "group with the pipelines `filter` and `columns`");
DEFINE_string(stored_group, "", "the same, exactly-once");
DEFINE_double(seconds, 3, "length of one turn");
DEFINE_uint32(rounds, 3, "turns of each");
DEFINE_uint32(batch, 1000, "events in a batch");
DEFINE_string(only, "", "measure only the mode whose name has this text");
DEFINE_double(rate, 1000, "events per second while latency is measured");

namespace varpulis::bench {
namespace {

constexpr char kRelayIn[] = "varpulis.bench.stream.in";
constexpr char kRelayOut[] = "varpulis.bench.stream.out";
constexpr char kStoredIn[] = "varpulis.bench.stored.in";
constexpr char kStoredOut[] = "varpulis.bench.stored.out";

Route Through(const std::string& pipeline, uint32_t batch, bool stored) {
  const transport::Subjects subjects;
  const std::string group = stored ? FLAGS_stored_group : FLAGS_group;
  return {.in = subjects.Pipeline(group, transport::kExternal, pipeline),
          .out = subjects.Output(group, pipeline),
          .batch = batch,
          .stored = stored};
}

Route ThroughRelay(uint32_t batch, bool stored) {
  return {.in = stored ? kStoredIn : kRelayIn,
          .out = stored ? kStoredOut : kRelayOut,
          .batch = batch,
          .stored = stored};
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

// What is measured of one delivery mode: in pairs, the relay and then the pipeline.
struct Table {
  const char* name;
  std::vector<Row> rates, delays;
};

Table MakeTable(const char* name, bool stored, const char* single, const char* batches,
                const char* delay) {
  return {.name = name,
          .rates = {{.what = "relay, one event per message",
                     .route = ThroughRelay(1, stored),
                     .goal = ""},
                    {.what = "pipeline, one event per message",
                     .route = Through("filter", 1, stored),
                     .goal = single},
                    {.what = "relay, batches in columns",
                     .route = ThroughRelay(FLAGS_batch, stored),
                     .goal = ""},
                    {.what = "pipeline, batches in columns",
                     .route = Through("columns", FLAGS_batch, stored),
                     .goal = batches}},
          .delays = {
              {.what = "relay, latency", .route = ThroughRelay(1, stored), .goal = ""},
              {.what = "pipeline, latency", .route = Through("filter", 1, stored), .goal = delay}}};
}

// How many events were lost.
uint64_t Print(const Table& table) {
  uint64_t lost = 0;
  std::printf("%-34s %12s %10s %8s  %s\n", table.name, "events/s", "events", "ratio", "goal");
  double base = 0;
  for (const Row& row : table.rates) {
    if (row.goal[0] == '\0') base = row.rate();
    std::printf("%-34s %12.0f %10llu %8.2f  %s\n", row.what, row.rate(),
                static_cast<unsigned long long>(row.events), base > 0 ? row.rate() / base : 0,
                row.goal);
    lost += row.lost;
  }
  std::printf("%.0f events/s %24s %12s %10s\n", FLAGS_rate, "", "p50", "p99");
  for (const Row& row : table.delays) {
    std::printf("%-34s %9.0f us %7.0f us %8s  %s\n", row.what, row.Percentile(0.5),
                row.Percentile(0.99), "", row.goal);
    lost += row.lost;
  }
  std::printf("lost: %llu\n\n", static_cast<unsigned long long>(lost));
  return lost;
}

int Main() {
  Table tables[] = {
      MakeTable("at most once", false, ">= 0.5", ">= 1.5 M/s", "p50 <= 300 us"),
      MakeTable("exactly once", true, ">= 0.67", ">= 0.5 M/s", "p50 <= 1000 us"),
  };
  for (uint32_t round = 0; round < FLAGS_rounds; ++round) {
    for (Table& table : tables) {
      if (!absl::StrContains(table.name, FLAGS_only)) continue;
      for (Row& row : table.rates) Measure(row);
      for (Row& row : table.delays) MeasureDelay(row);
    }
  }
  uint64_t lost = 0;
  for (const Table& table : tables) lost += Print(table);
  return lost == 0 ? 0 : 1;
}

}  // namespace
}  // namespace varpulis::bench

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  using namespace varpulis::bench;
  if (!FLAGS_relay) return Main();
  return FLAGS_stored ? StoringRelay(FLAGS_nats, kStoredIn, kStoredOut)
                      : Relay(FLAGS_nats, kRelayIn, kRelayOut);
}
