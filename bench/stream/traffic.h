#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "transport/nats_connection.h"

namespace varpulis::bench {

// Events on a way through the broker: where they go in, where they come out again, how many of
// them a message has, and in which form.
struct Route {
  std::string in, out;
  uint32_t batch = 1;   // more: in columns
  bool stored = false;  // a stream listens on `in`: with ids, and acknowledged
};

// The outcome of one run. All events that were sent arrived unless `lost` says otherwise.
struct Throughput {
  uint64_t events = 0;
  uint64_t lost = 0;
  double seconds = 0;
};
struct Latency {
  uint64_t lost = 0;
  std::vector<double> us;
};

// Sends for about `seconds`, as fast as they arrive: no more than so many are on their way that no
// queue overflows.
Throughput MeasureThroughput(const std::string& url, const Route& route, double seconds);
// Sends single events at `rate` per second.
Latency MeasureLatency(const std::string& url, const Route& route, double rate, double seconds);

// Publishes what comes in on `in` again on `out`, until the process is killed.
int Relay(const std::string& url, const std::string& in, const std::string& out);
// The same, with what comes in and what goes out stored by the broker, with ids.
int StoringRelay(const std::string& url, const std::string& in, const std::string& out);

}  // namespace varpulis::bench
