#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace varpulis::bench {

struct LoadResult {
  uint64_t answered = 0;             // 200 with the expected text in the body
  uint64_t errors = 0;               // any other answer, and broken connections
  std::vector<double> latencies_us;  // of those answered
  double seconds = 0;
  std::string first_error;
};

// Sends `request` again and again over `connections` keep-alive connections, each waiting for its
// answer before the next one, until `seconds` have passed or `requests` are answered (0: no limit).
// One thread and one epoll, so that the client takes little from the servers it measures.
LoadResult RunLoad(const std::string& host, uint16_t port, const std::string& request,
                   const std::string& expected, int connections, double seconds, uint64_t requests);

}  // namespace varpulis::bench
