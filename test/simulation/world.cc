#include "world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "convergence.h"

namespace varpulis::simulation {
namespace {

constexpr absl::Duration kConvergeWithin = absl::Seconds(90);
constexpr absl::Duration kLook = absl::Milliseconds(250);
constexpr char kFreshWorker[] = "w9";

}  // namespace

World::World(uint64_t seed, Trace::Text text)
    : site_(seed, text, [this](const std::string& subject, std::vector<Process*>& found) {
        if (subject == Network::kLeader) {
          for (const auto& coordinator : coordinators_) {
            if (coordinator->serving() != nullptr) found.push_back(coordinator.get());
          }
          return;
        }
        for (const auto& worker : workers_) {
          if (worker->name() == subject) found.push_back(worker.get());
        }
      }) {
  Random& random = site_.random;
  // Some runs are calm, some are not, and each in its own way.
  const auto draw = [&](uint32_t most) {
    return random.Chance(400) ? 0 : static_cast<uint32_t>(random.Below(most + 1));
  };
  site_.network.SetWeather({.lost = draw(60), .late = draw(60), .duplicated = draw(60)});
  site_.misfortune = {.store_failure = draw(30),
                      .torn_batch = draw(100),
                      .crash_amid_write = draw(20),
                      .deploy_failure = draw(150),
                      .checkpoint_failure = draw(200),
                      .slow_command = draw(50)};
  hostility_ = draw(250);
  site_.lease.on_change = [this](const std::optional<coordinator::LeaseEntry>& entry) {
    for (const auto& coordinator : coordinators_) {
      site_.network.Tell(*coordinator,
                         [hearer = coordinator.get(), entry] { hearer->OnLeaseHeard(entry); });
    }
  };
  const uint64_t coordinators = 2 + random.Below(2);
  for (uint64_t i = 0; i < coordinators; ++i) {
    coordinators_.push_back(std::make_unique<CoordinatorModel>(site_, absl::StrCat("c", i)));
  }
  const uint64_t workers = 2 + random.Below(3);
  std::vector<WorkerModel*> targets;
  for (uint64_t i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<WorkerModel>(site_, absl::StrCat("w", i)));
    targets.push_back(workers_.back().get());
  }
  client_ = std::make_unique<ClientModel>(site_, std::move(targets));
  client_->Start();
  for (const auto& coordinator : coordinators_) {
    coordinator->JumpClocks(absl::Seconds(random.Below(1000)), absl::Seconds(random.Below(1000)));
    coordinator->Start();
  }
  for (const auto& worker : workers_) worker->Start();
}

bool World::Run(int steps) {
  for (step_ = 1; step_ <= steps; ++step_) {
    Step();
    if (!violation().empty()) return false;
  }
  Heal();
  return Converge();
}

void World::Step() {
  if (site_.random.Chance(100)) client_->CallSomething();
  if (site_.random.Chance(hostility_)) Befall();
  const bool long_one = site_.random.Chance(30);
  Advance(site_.random.Between(absl::ZeroDuration(),
                               long_one ? absl::Seconds(3) : absl::Milliseconds(200)));
  CheckStates();
}

bool World::Advance(absl::Duration time) {
  const absl::Time until = site_.scheduler.now() + time;
  while (site_.scheduler.RunNext(until)) {
    if (!violation().empty()) return false;
  }
  return true;
}

void World::CheckStates() {
  for (const auto& coordinator : coordinators_) {
    const Office* office = coordinator->serving();
    if (office != nullptr && office->ready()) site_.ledger.CheckState(office->state());
  }
}

// ---------------------------------------------------------------- faults

void World::Later(absl::Duration most, std::function<void()> repair) {
  site_.scheduler.After(site_.random.Between(absl::Milliseconds(20), most),
                        [this, repair = std::move(repair)] {
                          if (!healed_) repair();
                        });
}

void World::Befall() {
  Random& random = site_.random;
  switch (random.Below(13)) {
    case 0:
    case 1:
      return CrashOne(/*worker=*/true);
    case 2:
      return CrashOne(/*worker=*/false);
    case 3:
    case 4:
      return FreezeOne(/*worker=*/true);
    case 5:
      return FreezeOne(/*worker=*/false);
    case 6: {  // the machine slept: one of its clocks did not
      ++site_.counters.clock_jumps;
      CoordinatorModel& coordinator = Any(coordinators_);
      const absl::Duration jump = random.Between(absl::ZeroDuration(), absl::Seconds(20));
      site_.Note("clocks jump", coordinator.name(), absl::FormatDuration(jump));
      coordinator.JumpClocks(random.Chance(500) ? jump : absl::ZeroDuration(), jump);
      return;
    }
    case 7:
      return CutOff(random.Chance(500) ? static_cast<Process&>(Any(workers_))
                                       : static_cast<Process&>(Any(coordinators_)));
    case 8:
      return StopBroker();
    case 9:
      site_.Note("a foreign write");
      return site_.store.WriteForeign();
    case 10:
      return Any(workers_).Leave();
    case 11:
      return Any(workers_).LoseCopy();
    default: {  // somebody starts what is down
      WorkerModel& worker = Any(workers_);
      if (!worker.up()) worker.Start();
    }
  }
}

void World::CrashOne(bool worker) {
  Process& process = worker ? static_cast<Process&>(Any(workers_)) : Any(coordinators_);
  if (!process.up()) return;
  ++(worker ? site_.counters.worker_crashes : site_.counters.coordinator_crashes);
  site_.Note("crashes", process.name());
  process.Crash();
}

void World::FreezeOne(bool worker) {
  Process& process = worker ? static_cast<Process&>(Any(workers_)) : Any(coordinators_);
  if (!process.up() || process.frozen()) return;
  ++(worker ? site_.counters.worker_freezes : site_.counters.coordinator_freezes);
  site_.Note("freezes", process.name());
  process.Freeze();
  Later(site_.random.Chance(500) ? absl::Seconds(2) : absl::Seconds(15), [this, &process] {
    site_.Note("thaws", process.name());
    process.Thaw();
  });
}

void World::CutOff(Process& process) {
  if (!process.connected() || !site_.network.broker_up()) return;
  ++site_.counters.disconnections;
  site_.Note("is cut off", process.name());
  process.SetConnected(false);
  Later(absl::Seconds(8), [this, &process] {
    if (!site_.network.broker_up()) return;
    site_.Note("is back", process.name());
    process.SetConnected(true);
  });
}

void World::StopBroker() {
  if (!site_.network.broker_up()) return;
  ++site_.counters.broker_outages;
  const bool restarts = site_.random.Chance(500);
  site_.Note("the broker is away", restarts ? "and begins again" : "");
  site_.network.SetBroker(false);
  const auto connect_all = [this](bool connected) {
    for (const auto& coordinator : coordinators_) coordinator->SetConnected(connected);
    for (const auto& worker : workers_) worker->SetConnected(connected);
    client_->SetConnected(connected);
  };
  connect_all(false);
  Later(absl::Seconds(4), [this, restarts, connect_all] {
    site_.Note("the broker is back");
    if (restarts) {
      ++site_.counters.broker_restarts;
      site_.lease.Wipe();
    }
    site_.network.SetBroker(true);
    connect_all(true);
  });
}

// ---------------------------------------------------------------- afterwards

void World::Heal() {
  site_.Note("faults stop");
  healed_ = true;
  client_->Stop();
  site_.network.SetWeather({});
  site_.misfortune = {};
  site_.network.SetBroker(true);
  client_->SetConnected(true);
  for (const auto& coordinator : coordinators_) {
    if (!coordinator->up()) coordinator->Start();
    coordinator->Thaw();
    coordinator->SetConnected(true);
  }
  for (const auto& worker : workers_) {
    if (!worker->up() && site_.random.Chance(700)) worker->Start();
    worker->Thaw();
    worker->SetConnected(true);
  }
  // However few have remained, there is somebody to go to.
  workers_.push_back(std::make_unique<WorkerModel>(site_, kFreshWorker));
  workers_.back()->Start();
}

bool World::Converge() {
  const absl::Time deadline = site_.scheduler.now() + kConvergeWithin;
  std::string why;
  while (site_.scheduler.now() < deadline) {
    if (!Advance(kLook)) return false;
    CheckStates();
    if (!violation().empty()) return false;
    why = WhyNotSettled(coordinators_, workers_);
    if (!why.empty()) continue;
    for (const auto& coordinator : coordinators_) {
      if (coordinator->serving() == nullptr) continue;
      why = WhyNotRebuilt(coordinator->serving()->state(), site_.store);
      if (!why.empty()) site_.ledger.Violated(why);
    }
    return violation().empty();
  }
  site_.ledger.Violated(absl::StrCat("does not come to rest: ", why));
  return false;
}

}  // namespace varpulis::simulation
