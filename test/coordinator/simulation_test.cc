#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "cluster_fixture.h"

namespace varpulis::coordinator {
namespace {

// A model of workers that obey, crash, fall silent, answer late or never, and of a coordinator that
// is restarted from its records now and then; all drawn from one seed. Commands reach a worker in
// order, at once; what varies is whether and when it answers.
class SimulationTest : public ClusterFixture {
 protected:
  struct Running {
    uint64_t epoch;
    std::string id;
  };
  struct Process {
    std::string incarnation;
    bool alive = false;
    std::map<PlacementKey, Running> copies;
    std::map<PlacementKey, uint64_t> highest;
  };

  uint64_t Draw(uint64_t n) { return random_() % n; }
  bool Chance(int percent) { return Draw(100) < static_cast<uint64_t>(percent); }

  void Act(const Effects& effects) {
    for (const SendDeploy& deploy : effects.deploys) OnDeploy(deploy);
    for (const SendUndeploy& undeploy : effects.undeploys) OnUndeploy(undeploy);
    for (const ForgetCheckpoints& forget : effects.forgets) {
      UndeployAnswered answer{forget.copy, forget.epoch, absl::OkStatus(), true};
      if (Chance(10)) answer.result = absl::UnavailableError("the broker is away");
      answers_.push_back(answer);
    }
    for (const CheckIncumbent& check : effects.checks) {
      // One process per id: whoever registers is the only one alive.
      Act(Do(IncumbentChecked{check.registration, std::nullopt}));
    }
    for (const Answer& answer : effects.answers) {
      if (answer.status.ok() && answer.body != nullptr) {
        if (const auto* info = dynamic_cast<const v1::GroupInfo*>(answer.body.get())) {
          acknowledged_.insert(info->id());
        }
      }
    }
  }

  void OnDeploy(const SendDeploy& deploy) {
    Process& process = processes_[deploy.worker.str()];
    const uint64_t epoch = deploy.request.placement_epoch();
    DeployAnswered answer{deploy.placement, deploy.worker, epoch, absl::UnavailableError("gone")};
    if (process.alive && !Chance(5)) {
      uint64_t& highest = process.highest[deploy.placement];
      if (epoch < highest) {
        answer.result = transport::MakeError("stale_epoch", "old");
      } else {
        highest = epoch;
        const auto copy = process.copies.find(deploy.placement);
        if (copy == process.copies.end() || copy->second.epoch != epoch) {
          process.copies[deploy.placement] = {epoch, absl::StrCat("copy", ++copies_made_)};
          RecordLive(deploy.placement, epoch, deploy.worker.str(), process.incarnation);
        }
        answer.result = PipelineId(process.copies[deploy.placement].id);
      }
      if (Chance(5)) answer.result = absl::DeadlineExceededError("the answer was lost");
    }
    answers_.push_back(answer);
  }

  void OnUndeploy(const SendUndeploy& undeploy) {
    Process& process = processes_[undeploy.copy.worker.str()];
    UndeployAnswered answer{undeploy.copy, undeploy.request.placement_epoch(),
                            absl::UnavailableError("gone")};
    if (process.alive) {
      const auto copy = process.copies.find(undeploy.copy.placement);
      if (copy != process.copies.end() && copy->second.epoch <= answer.epoch) {
        process.copies.erase(copy);
      }
      answer.result = Chance(5) ? absl::DeadlineExceededError("lost") : absl::OkStatus();
    }
    answers_.push_back(answer);
  }

  // No two processes ever run a copy under one epoch.
  void RecordLive(const PlacementKey& key, uint64_t epoch, const std::string& worker,
                  const std::string& incarnation) {
    const auto [first, added] =
        owner_.emplace(std::make_pair(key, epoch), absl::StrCat(worker, "/", incarnation));
    EXPECT_EQ(first->second, absl::StrCat(worker, "/", incarnation))
        << ToString(key) << " epoch " << epoch << " has two owners";
  }

  std::vector<v1::RunningPipeline> ListOf(const Process& process) {
    std::vector<v1::RunningPipeline> list;
    for (const auto& [key, copy] : process.copies) {
      list.push_back(Copy(key.group.str(), key.pipeline, copy.epoch, copy.id, key.replica));
    }
    return list;
  }

  void BeatAll() {
    for (auto& [id, process] : processes_) {
      if (!process.alive) continue;
      const Effects effects = Beat(id, ListOf(process), process.incarnation);
      if (ErrorOf(effects, kCaller) == "worker_not_found") {
        Act(Join(id, 50, process.incarnation, ListOf(process)));
      } else {
        Act(effects);
      }
    }
  }

  void AnswerSome(bool all) {
    std::vector<Command> now;
    std::vector<Command> later;
    for (Command& answer : answers_) (all || Chance(70) ? now : later).push_back(answer);
    answers_ = std::move(later);
    for (const Command& answer : now) Act(Do(answer));
  }

  void RandomStep() {
    const std::string worker = absl::StrCat("w", Draw(6));
    Process& process = processes_[worker];
    switch (Draw(12)) {
      case 0:
        if (!process.alive) {
          process = {absl::StrCat("inc", ++incarnations_), true, {}, {}};
          Act(Join(worker, 50, process.incarnation));
        }
        break;
      case 1:
        if (Chance(20)) process.alive = false;  // crash: its copies are gone
        if (!process.alive) process.copies.clear();
        break;
      case 2: {
        const std::string id = absl::StrCat("g", ++groups_made_);
        std::vector<v1::PipelineSpec> pipelines;
        for (uint64_t n = 1 + Draw(3); n > 0; --n) {
          pipelines.push_back(Pipeline(absl::StrCat("p", n), 1 + static_cast<uint32_t>(Draw(3))));
        }
        if (state_.groups.size() < 12) Act(Deploy(id, GroupOf(pipelines), absl::StrCat("r", id)));
        break;
      }
      case 3:
        if (!state_.groups.empty() && Chance(30)) {
          auto group = state_.groups.begin();
          std::advance(group, Draw(state_.groups.size()));
          if (!group->second.deleted) {
            deleted_.insert(group->first.str());
            Act(Do(DeleteGroup{group->first, kNobody}));
          }
        }
        break;
      case 4:
        if (Chance(10)) Act(Do(DeleteWorker{WorkerId(worker), kNobody}));
        break;
      case 5:
        if (Chance(5)) {
          Restart(++epoch_);
          answers_.clear();  // they were for the predecessor
        }
        break;
      case 6:
      case 7:
        BeatAll();
        break;
      default:
        Act(Advance(absl::Milliseconds(500 + static_cast<int64_t>(Draw(3000)))));
    }
    AnswerSome(/*all=*/false);
  }

  void CheckInvariants() {
    std::map<WorkerId, std::set<PlacementKey>> assigned;
    for (const auto& [id, group] : state_.groups) {
      std::array<size_t, v1::PlacementStatus_ARRAYSIZE> counts{};
      size_t removals = 0;
      for (const struct Pipeline& pipeline : group.pipelines) {
        for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
          const Placement& copy = pipeline.copies[replica];
          ++counts[copy.status];
          const PlacementKey key{id, pipeline.spec.name(), static_cast<uint32_t>(replica)};
          if (!group.deleted) assigned[copy.worker].insert(key);
          if (copy.retry_at != absl::InfiniteFuture()) {
            EXPECT_TRUE(state_.retries.contains({copy.retry_at, key}));
          }
        }
      }
      for (const auto& [copy, removal] : state_.removals) {
        if (copy.placement.group == id && removal.tombstone) ++removals;
      }
      EXPECT_EQ(counts, group.counts) << id;
      EXPECT_EQ(removals, group.removals) << id;
      EXPECT_LE(group.removals_untried, group.removals) << id;
      EXPECT_EQ(group.deleted, deleted_.contains(id.str())) << id;
    }
    for (const auto& [worker, keys] : state_.assigned) {
      EXPECT_EQ(keys, assigned[worker]) << worker;
    }
    for (const std::string& id : acknowledged_) {
      EXPECT_TRUE(deleted_.contains(id) || state_.groups.contains(GroupId(id))) << id << " is lost";
    }
  }

  std::mt19937_64 random_;
  std::map<std::string, Process> processes_;
  std::vector<Command> answers_;
  std::set<std::string> acknowledged_;
  std::set<std::string> deleted_;
  std::map<std::pair<PlacementKey, uint64_t>, std::string> owner_;
  uint64_t copies_made_ = 0;
  uint64_t incarnations_ = 0;
  uint64_t groups_made_ = 0;
  uint64_t epoch_ = 1;
};

TEST_F(SimulationTest, KeepsItsPromisesAndComesToRest) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed=", seed));
    random_.seed(seed);
    state_ = {};
    state_.leader_epoch = epoch_ = 1;
    state_.last_tick = state_.last_sweep = now_;
    store_.clear();
    processes_.clear();
    answers_.clear();
    acknowledged_.clear();
    deleted_.clear();
    owner_.clear();
    for (int step = 0; step < 600; ++step) {
      RandomStep();
      CheckInvariants();
      if (HasFailure()) GTEST_FAIL() << "at step " << step;
    }
    // Everyone comes up and stays up: everything desired runs, nothing else of ours does.
    for (int i = 0; i < 6; ++i) {
      const std::string id = absl::StrCat("w", i);
      Process& process = processes_[id];
      if (!process.alive) process = {absl::StrCat("inc", ++incarnations_), true, {}, {}};
      Act(Join(id, 50, process.incarnation, ListOf(process)));
    }
    for (int i = 0; i < 100; ++i) {
      BeatAll();
      AnswerSome(/*all=*/true);
      Act(Advance(absl::Seconds(2)));
    }
    CheckInvariants();
    size_t desired = 0;
    for (const auto& [id, group] : state_.groups) {
      EXPECT_FALSE(group.deleted) << id << " was never finished";
      EXPECT_EQ(group.Status(), v1::GROUP_STATUS_RUNNING) << id;
      desired += group.total();
    }
    size_t running = 0;
    for (const auto& [id, process] : processes_) {
      for (const auto& [key, copy] : process.copies) {
        // A copy whose group is forgotten cannot be told from somebody else's: reported, not
        // removed.
        if (state_.FindGroup(key.group) == nullptr) continue;
        ++running;
        EXPECT_EQ(state_.FindPlacement(key)->epoch, copy.epoch) << ToString(key);
        EXPECT_EQ(state_.FindPlacement(key)->worker.str(), id) << ToString(key);
      }
    }
    EXPECT_EQ(running, desired);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace varpulis::coordinator
