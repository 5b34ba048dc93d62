#include "test/faults/trial.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

#include "base/status_macros.h"
#include "test/faults/outputs.h"
#include "test/faults/site.h"

namespace varpulis::faults {
namespace {

using testing::WaitUntil;

constexpr absl::Duration kMostPatience = absl::Seconds(60);
// Until a silent worker is given up and what it ran goes on elsewhere.
constexpr absl::Duration kSilence = absl::Seconds(20), kSilenceBrief = absl::Seconds(4);

// Of the outputs up to `n`: what is held back until the damage is mended tells nothing.
absl::Duration OutageOf(const std::vector<Output>& outputs, absl::Time struck, int64_t n) {
  absl::Time before = struck;
  absl::Duration longest;
  for (const Output& output : outputs) {
    if (output.seen <= struck || output.n >= n) continue;
    longest = std::max(longest, output.seen - before);
    before = output.seen;
  }
  return longest;
}

// Waits as long as there is progress, and then for another while.
bool WaitForEnd(const OutputReader& outputs, int64_t events) {
  size_t seen = 0;
  absl::Time last = absl::Now();
  return WaitUntil(
             [&] {
               if (outputs.size() > seen) {
                 seen = outputs.size();
                 last = absl::Now();
               }
               return outputs.highest() >= events || absl::Now() - last > kMostPatience;
             },
             absl::InfiniteDuration()) &&
         outputs.highest() >= events;
}

class Trial {
 public:
  explicit Trial(const TrialOptions& options)
      : options_(options),
        group_(MakeGroup(options.shape,
                         options.load.exactly_once ? "exactly_once" : "at_most_once")) {}

  TrialResult Run() {
    SiteOptions site = options_.fault->site;
    site.impatient = options_.brief;
    site_ = std::make_unique<Site>(std::move(site));
    result_.status = Carry();
    if (result_.status.ok()) Judge();
    if (result_.comparison.lost > 0 && options_.load.exactly_once) Reread();
    if (options_.keep_logs || !result_.status.ok() || !result_.verdict.empty()) KeepLogs();
    inputs_.reset();
    outputs_.reset();
    site_.reset();
    return std::move(result_);
  }

 private:
  // The first event that waits until the damage is mended.
  int64_t HeldBack() const { return options_.load.events - options_.load.events / 10; }

  absl::Status Carry() {
    const Load& load = options_.load;
    RETURN_IF_ERROR(site_->Start());
    const absl::StatusOr<std::string> id = site_->Deploy(group_.specification);
    if (!id.ok()) return id.status();
    group_id_ = *id;
    if (site_->brokers() > 1) RETURN_IF_ERROR(site_->WaitForReplicas());
    outputs_.emplace(*site_, group_, *id, load.exactly_once);
    if (group_.meets && load.exactly_once) inputs_.emplace(*site_, *id, group_.exit);
    Producer producer(*site_, group_, *id, load);
    producer.HoldBefore(HeldBack());
    const auto strike_at =
        static_cast<int64_t>(static_cast<double>(load.events) * options_.strike_at);
    if (!WaitUntil([&] { return producer.taken() >= strike_at && outputs_->size() > 0; },
                   kMostPatience)) {
      return absl::UnavailableError("the first events did not come out");
    }
    RETURN_IF_ERROR(Damage(producer));
    producer.Release();
    if (!WaitForEnd(*outputs_, load.events)) {
      return absl::DeadlineExceededError(
          absl::StrCat("the outputs stopped at ", outputs_->highest(), " of ", load.events, ", ",
                       outputs_->size(), " in all; ", producer.taken(), " events were taken"));
    }
    return absl::OkStatus();
  }

  absl::Status Damage(const Producer& producer) {
    const Fault& fault = *options_.fault;
    int victim = options_.victim;
    if (fault.strikes_exit) {
      const std::string worker = site_->WorkerOf(group_id_, group_.exit);
      if (!absl::SimpleAtoi(worker.substr(worker.rfind('-') + 1), &victim)) {
        return absl::UnavailableError(absl::StrCat("who runs ", group_.exit, "? ", worker));
      }
    }
    struck_ = absl::Now();
    RETURN_IF_ERROR(fault.strike(*site_, victim));
    const int64_t taken = producer.taken();
    const auto outputs_go_on = [&] {  // or nothing is left to go on with
      const int64_t out = outputs_->highest();
      return out > taken || (producer.held() && out >= producer.taken());
    };
    const absl::Duration lasts = options_.brief ? fault.lasts_short : fault.lasts;
    if (lasts > absl::ZeroDuration()) {
      absl::SleepFor(lasts - (absl::Now() - struck_));  // the fault is this long
    } else if (!fault.stops_everything && !WaitUntil(outputs_go_on, kMostPatience)) {
      return absl::DeadlineExceededError(absl::StrCat(
          "no output of what came after the fault; the last is ", outputs_->highest()));
    }
    RETURN_IF_ERROR(fault.mend(*site_, victim));
    if (!site_->WaitForReadyWorkers()) {
      return absl::DeadlineExceededError("not all workers came back");
    }
    return absl::OkStatus();
  }

  void Judge() {
    const Load& load = options_.load;
    const std::vector<Output> outputs = outputs_->All();
    result_.outage = OutageOf(outputs, struck_, HeldBack());
    for (const Output& output : outputs) result_.lines.push_back(output.line);
    if (!load.exactly_once) return JudgeAtMostOnce(outputs);
    std::vector<std::string> expected =
        options_.expected != nullptr ? *options_.expected : result_.lines;
    if (inputs_.has_value()) {
      const auto input = inputs_->Lines();
      if (!input.ok()) {
        result_.status = input.status();
        return;
      }
      auto simulated = Simulate(group_.exit_source, *input, site_->folder());
      if (!simulated.ok()) {
        result_.status = simulated.status();
        return;
      }
      expected = *std::move(simulated);
    }
    result_.comparison = Compare(outputs, expected, load.events);
    const Comparison& found = result_.comparison;
    result_.verdict = found.difference;
    if (result_.verdict.empty() && found.lost + found.doubled > 0) {
      result_.verdict = "as expected, but the numbers are not";
    }
  }

  void JudgeAtMostOnce(const std::vector<Output>& outputs) {
    result_.comparison = Count(outputs, options_.load.events);
    const Fault& fault = *options_.fault;
    double seconds = fault.may_lose;
    if (fault.silent) {
      seconds += absl::ToDoubleSeconds(options_.brief ? kSilenceBrief : kSilence);
    }
    const double most = seconds * options_.load.per_second;
    if (result_.comparison.doubled > 0) {
      result_.verdict = "delivered twice";
    } else if (static_cast<double>(result_.comparison.lost) > most) {
      result_.verdict = absl::StrFormat("lost more than %.1f s of events", seconds);
    }
  }

  // Is it the stream that lacks them, or did we not see them?
  void Reread() {
    const OutputReader again(*site_, group_, group_id_, /*exactly_once=*/true);
    WaitUntil([&] { return again.highest() >= options_.load.events; }, absl::Seconds(10));
    absl::StrAppend(&result_.verdict, "; read anew, the stream lacks ",
                    Count(again.All(), options_.load.events).lost);
  }

  void KeepLogs() {
    namespace fs = std::filesystem;
    static int kept = 0;
    const fs::path target =
        fs::temp_directory_path() / absl::StrCat("varpulis-faults-", getpid(), "-", kept++);
    std::error_code error;
    fs::create_directories(target, error);
    for (const auto& entry : fs::directory_iterator(site_->folder(), error)) {
      if (entry.is_regular_file()) fs::copy(entry.path(), target, error);
    }
    result_.logs = target.string();
  }

  const TrialOptions options_;
  const GroupUnderTest group_;
  std::unique_ptr<Site> site_;
  std::string group_id_;
  std::optional<OutputReader> outputs_;
  std::optional<InputReader> inputs_;
  absl::Time struck_;
  TrialResult result_;
};

}  // namespace

TrialResult RunTrial(const TrialOptions& options) { return Trial(options).Run(); }

}  // namespace varpulis::faults
