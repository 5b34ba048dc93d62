#include <cstdio>

#include "absl/time/clock.h"

#include "bench/failover/parts.h"
#include "test/faults/groups.h"
#include "test/faults/producer.h"
#include "test/faults/site.h"

namespace varpulis::bench {

bool StayPut(double minutes) {
  faults::Site site({.workers = 3, .coordinators = 2, .worker_flags = {}});
  const absl::Status started = site.Start();
  Must(started.ok(), std::string(started.message()));
  const faults::GroupUnderTest chain = faults::MakeGroup("chain", "exactly_once");
  const auto group = site.Deploy(chain.specification);
  Must(group.ok(), std::string(group.status().message()));
  const std::string leader = site.LeaderId();
  const absl::Time begun = absl::Now();
  const absl::Time end = begun + absl::Minutes(minutes);
  int64_t events = 0;
  {
    faults::Producer producer(site, chain, *group,
                              {.events = int64_t{1} << 40, .per_second = 0, .per_message = 100});
    while (absl::Now() < end) absl::SleepFor(absl::Milliseconds(100));
    events = producer.taken();
  }
  const std::string moves = site.Ask("GET", "/migrations").At("/total");
  const bool same_leader = site.LeaderId() == leader;
  std::printf("%.1f minutes, %lld events into ten pipelines (%.0f/s): %s moves, the leader %s\n",
              minutes, static_cast<long long>(events),
              static_cast<double>(events) / absl::ToDoubleSeconds(absl::Now() - begun),
              moves.c_str(), same_leader ? "is the same" : "is another");
  return moves == "0" && same_leader;
}

}  // namespace varpulis::bench
