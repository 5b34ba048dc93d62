#include <signal.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "bench/failover/parts.h"
#include "test/faults/site.h"

namespace varpulis::bench {
namespace {

using testing::WaitUntil;

constexpr char kGroup[] =
    R"json({"name": "late", "pipelines": [{"name": "p", "source": "stream S = X .emit(v: v)"}]})json";
constexpr int kAtOnce = 3;  // deploys that the paused leader finds when it goes on

// SIGSTOP takes a moment to reach every thread.
bool Stands(pid_t pid) {
  std::string stat;
  std::getline(std::ifstream(absl::StrCat("/proc/", pid, "/stat")), stat);
  return absl::StrContains(stat, ") T ");
}

size_t Occurrences(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++found;
  return found;
}

}  // namespace

bool BreakLeases(uint32_t times) {
  faults::Site site({.workers = 1, .coordinators = 2, .worker_flags = {}});
  const absl::Status started = site.Start();
  Must(started.ok(), std::string(started.message()));
  // Every write of the cluster's state.
  std::atomic<uint64_t> writes{0};
  std::atomic<bool> watching{false};
  auto state = site.bus().OpenKeyValue({.bucket = site.subjects().StateBucket()});
  Must(state.ok(), "the state cannot be watched");
  const auto watch = (*state)->Watch(">", {.on_entry = [&](const auto&) { ++writes; },
                                           .on_snapshot_done = [&] { watching = true; }});
  Must(watch.ok() && WaitUntil([&] { return watching.load(); }), "the state cannot be watched");

  std::atomic<uint64_t> leaders{0};
  const auto notices = site.bus().Subscribe({.subject = site.subjects().Notice("leader_changed")},
                                            [&](const transport::InboundMessage&) { ++leaders; });
  Must(notices.ok() && site.bus().Flush(absl::Seconds(5)).ok(), "no notices are heard");

  uint64_t late_writes = 0;
  std::vector<double> took_ms;
  for (uint32_t i = 0; i < times; ++i) {
    const std::string paused = site.WaitForLeader();
    testing::Node& node = site.coordinator(paused);
    const size_t stood_down = Occurrences(node.Log(), "stands down");
    const uint64_t leaders_before = leaders;
    node.Signal(SIGSTOP);
    const absl::Time begun = absl::Now();
    Must(WaitUntil([&] { return Stands(node.pid()); }), "the leader does not stop");
    // They lie in its socket; who leads next was not subscribed when they were sent.
    for (int n = 0; n < kAtOnce; ++n) {
      Must(site.bus()
               .Publish({.subject = site.subjects().Api("groups", "deploy"),
                         .payload = kGroup,
                         .headers = {{"Content-Type", "application/json"}},
                         .reply_to = ""})
               .ok(),
           "the broker takes no messages");
    }
    Must(WaitUntil([&] { return leaders > leaders_before; }), "nobody takes over");
    took_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - begun));
    const std::string next = site.WaitForLeader(paused);
    Must(!next.empty(), "nobody leads");
    const uint64_t written = writes, leaders_then = leaders;
    node.Signal(SIGCONT);
    Must(WaitUntil([&] { return Occurrences(node.Log(), "stands down") > stood_down; }),
         "the old leader does not stand down");
    Must(WaitUntil([&] {
           return absl::StrContains(node.Log(), absl::StrCat("follows coordinator ", next));
         }),
         "the old leader does not follow");
    // On a starved machine the next one may have lost the lead in its turn, and others write.
    if (leaders != leaders_then) {
      --i;
      continue;
    }
    late_writes += writes - written;
  }
  const std::string groups = site.Ask("GET", "/pipeline-groups").At("/total");
  std::printf("writes of deposed leaders: %llu, groups that they deployed: %s\n",
              static_cast<unsigned long long>(late_writes), groups.c_str());
  Report("a stopped leader to the next one", took_ms, 1500);
  return late_writes == 0 && groups == "0";
}

}  // namespace varpulis::bench
