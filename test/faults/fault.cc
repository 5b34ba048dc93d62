#include "test/faults/fault.h"

#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/status_macros.h"

namespace varpulis::faults {
namespace {

using testing::WaitUntil;

absl::Status Nothing(Site&, int) { return absl::OkStatus(); }

// ---------------------------------------------------------------- our processes

absl::Status KillWorker(Site& site, int victim) {
  site.Kill(site.worker(victim));
  return absl::OkStatus();
}

absl::Status StartWorker(Site& site, int victim) { return site.StartWorker(victim); }

absl::Status KillLeader(Site& site, int) {
  const std::string leader = site.WaitForLeader();
  if (leader.empty()) return absl::UnavailableError("nobody leads");
  site.Kill(site.coordinator(leader));
  return absl::OkStatus();
}

// Whichever of them are gone.
absl::Status StartCoordinators(Site& site, int) {
  for (int i = 0; i < site.coordinators(); ++i) {
    const std::string id = absl::StrCat("c", i);
    if (site.coordinator(id).pid() <= 0) RETURN_IF_ERROR(site.StartCoordinator(id));
  }
  return site.WaitForLeader().empty() ? absl::UnavailableError("nobody leads") : absl::OkStatus();
}

absl::Status KillBoth(Site& site, int victim) {
  const std::string leader = site.WaitForLeader();
  if (leader.empty()) return absl::UnavailableError("nobody leads");
  site.worker(victim).Signal(SIGKILL);
  return KillLeader(site, victim);
}

absl::Status StartBoth(Site& site, int victim) {
  site.worker(victim).Wait();
  RETURN_IF_ERROR(StartCoordinators(site, victim));
  return site.StartWorker(victim);
}

absl::Status StopWorker(Site& site, int victim) {
  site.worker(victim).Signal(SIGSTOP);
  return absl::OkStatus();
}

absl::Status ContinueWorker(Site& site, int victim) {
  site.worker(victim).Signal(SIGCONT);
  return absl::OkStatus();
}

absl::Status StopLeader(Site& site, int) {
  const std::string leader = site.WaitForLeader();
  if (leader.empty()) return absl::UnavailableError("nobody leads");
  site.coordinator(leader).Signal(SIGSTOP);
  return site.WaitForLeader(/*not_this=*/leader).empty()
             ? absl::UnavailableError("nobody leads in the place of a leader that is stopped")
             : absl::OkStatus();
}

absl::Status ContinueCoordinators(Site& site, int) {
  for (int i = 0; i < site.coordinators(); ++i) {
    site.coordinator(absl::StrCat("c", i)).Signal(SIGCONT);
  }
  return absl::OkStatus();
}

// Its outputs are refused while its checkpoints could be stored; then it dies.
constexpr absl::Duration kSeveralCheckpoints = absl::Milliseconds(2500);

absl::Status RefuseOutputs(Site& site, int most_bytes) {
  for (const std::string& stream : site.Streams()) {
    if (!absl::StrContains(stream, "_OUT=")) continue;
    RETURN_IF_ERROR(site.Reconfigure(stream, "max_msg_size", most_bytes));
  }
  return absl::OkStatus();
}

absl::Status KillHeldUp(Site& site, int victim) {
  RETURN_IF_ERROR(RefuseOutputs(site, 1));
  absl::SleepFor(kSeveralCheckpoints);  // the fault is this long
  return KillWorker(site, victim);
}

absl::Status LetGo(Site& site, int victim) {
  RETURN_IF_ERROR(RefuseOutputs(site, -1));
  return site.StartWorker(victim);
}

// ---------------------------------------------------------------- network

absl::Status CutOff(Site& site, int) { return site.network().SetConnected(false); }
absl::Status Reconnect(Site& site, int) { return site.network().SetConnected(true); }

// ---------------------------------------------------------------- broker

absl::Status KillBroker(Site& site, int) { return site.broker().Kill(SIGKILL); }

absl::Status LameDuck(Site& site, int) {
  RETURN_IF_ERROR(site.broker().Signal(SIGUSR2));
  return site.broker().Kill(SIGTERM);
}

absl::Status StartBroker(Site& site, int) { return site.broker().Restart(); }

// As `nats` would create it; nothing of ours looks at it.
constexpr char kFiller[] = R"({"name":"FILLER","subjects":["filler"],"retention":"limits",)"
                           R"("max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,)"
                           R"("storage":"file","discard":"new","num_replicas":1})";

absl::Status FillStore(Site& site, int) {
  site.JetStream("STREAM.CREATE.FILLER", kFiller);
  const auto streams = site.bus().OpenEventStreams();
  // Large ones, then small ones, until not even an event fits.
  for (size_t bytes = 512 << 10; bytes >= 64; bytes /= 8) {
    const std::string payload(bytes, 'x');
    bool full = false;
    while (!full) {
      testing::Result<absl::Status> answered;
      streams->Publish({.subject = "filler", .payload = payload, .headers = {}, .reply_to = ""},
                       [done = answered.Callback()](const auto& stored) { done(stored.status()); });
      const absl::Status stored = answered.Get();
      full = absl::IsResourceExhausted(stored);
      if (!full) RETURN_IF_ERROR(stored);
    }
  }
  return absl::OkStatus();
}

absl::Status EmptyStore(Site& site, int) {
  return site.JetStream("STREAM.DELETE.FILLER").find("\"success\":true") != std::string::npos
             ? absl::OkStatus()
             : absl::InternalError("the filler stream cannot be deleted");
}

absl::Status FillDisk(Site& site, int) { return site.disk().Fill(); }

// nats-server 2.9 stands still when its disk is full, and does not even hear SIGTERM: it has to be
// killed.
absl::Status EmptyDisk(Site& site, int) {
  site.disk().Free();
  RETURN_IF_ERROR(site.broker().Kill(SIGKILL));
  return site.broker().Restart();
}

absl::Status KillStreamLeader(Site& site, int) {
  const std::string stream = absl::StrCat("KV_", site.subjects().StateBucket());
  int leader = -1;
  if (!WaitUntil([&] { return (leader = site.LeaderOfStream(stream)) >= 0; })) {
    return absl::UnavailableError("the state stream has no leader");
  }
  return site.broker(leader).Kill(SIGKILL);
}

absl::Status StartBrokers(Site& site, int) {
  for (int i = 0; i < site.brokers(); ++i) {
    if (site.broker(i).pid() <= 0) RETURN_IF_ERROR(site.broker(i).Restart());
  }
  return absl::OkStatus();
}

std::vector<Fault> MakeAll() {
  return {
      {.name = "kill_worker", .strike = KillWorker, .mend = StartWorker},
      // The one whose outputs are looked at.
      {.name = "kill_exit", .strike = KillWorker, .mend = StartWorker, .strikes_exit = true},
      {.name = "kill_held_up",
       .strike = KillHeldUp,
       .mend = LetGo,
       .stops_everything = true,
       .strikes_exit = true},
      {.name = "kill_leader", .strike = KillLeader, .mend = StartCoordinators},
      // Nobody notices the worker before there is a leader again.
      {.name = "kill_both", .strike = KillBoth, .mend = StartBoth, .may_lose = 2.7},
      {.name = "kill_broker", .strike = KillBroker, .mend = StartBroker, .stops_everything = true},
      {.name = "lame_duck", .strike = LameDuck, .mend = StartBroker, .stops_everything = true},
      {.name = "stop_worker",
       .strike = StopWorker,
       .mend = ContinueWorker,
       .lasts = absl::Seconds(20),
       .lasts_short = absl::Seconds(4),
       .silent = true},
      {.name = "stop_leader",
       .strike = StopLeader,
       .mend = ContinueCoordinators,
       .lasts = absl::Seconds(5),
       .lasts_short = absl::Seconds(1)},
      {.name = "partition_worker",
       .strike = CutOff,
       .mend = Reconnect,
       .lasts = absl::Seconds(20),
       .lasts_short = absl::Seconds(4),
       .silent = true,
       .needs_root = true,
       .site = {.separate_network = true}},
      {.name = "full_store",
       .strike = FillStore,
       .mend = EmptyStore,
       .lasts = absl::Seconds(5),
       .lasts_short = absl::Seconds(1),
       .site = {.store_bytes = 64 << 20}},
      {.name = "full_disk",
       .strike = FillDisk,
       .mend = EmptyDisk,
       .lasts = absl::Seconds(5),
       .lasts_short = absl::Seconds(1),
       .needs_root = true,
       .may_lose = 5.7,  // with the broker
       .site = {.disk_bytes = 64 << 20}},
      {.name = "lose_stream_leader",
       .strike = KillStreamLeader,
       .mend = StartBrokers,
       .site = {.brokers = 3}},
  };
}

}  // namespace

const std::vector<Fault>& AllFaults() {
  static const auto& all = *new std::vector<Fault>(MakeAll());
  return all;
}

const Fault* FindFault(const std::string& name) {
  static const auto& none =
      *new Fault{.name = "none", .strike = Nothing, .mend = Nothing, .may_lose = 0};
  if (name == none.name) return &none;
  for (const Fault& fault : AllFaults()) {
    if (name == fault.name) return &fault;
  }
  return nullptr;
}

}  // namespace varpulis::faults
