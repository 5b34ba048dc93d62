#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/event.pb.h"

#include "base/mutex.h"
#include "bench/failover/parts.h"
#include "test/faults/site.h"

namespace varpulis::bench {
namespace {

using faults::Site;
using testing::HttpReply;
using testing::WaitUntil;

constexpr int kTextBytes = 1000;
constexpr int kBatch = 100;
constexpr absl::Duration kBetweenProbes = absl::Milliseconds(1);

// Probes go straight through; the other side of the join keeps what it is given.
constexpr char kGroup[] = R"json({
  "name": "moving", "delivery": "%s",
  "pipelines": [{"name": "p", "source":
    "stream Probed = Probe .emit(n: n)\nstream Both = join(Kept, Asked) .on(Kept.key == Asked.key) .window(10h) .emit(text: Kept.text)"}]
})json";

void AddInt(const char* name, int64_t value, v1::Event* event) {
  v1::Field& field = *event->add_fields();
  field.set_name(name);
  field.mutable_value()->set_int_value(value);
}

class Moves {
 public:
  explicit Moves(bool exactly_once)
      : site_({.workers = 2, .coordinators = 1, .worker_flags = {}}), exactly_once_(exactly_once) {
    const absl::Status started = site_.Start();
    Must(started.ok(), std::string(started.message()));
    const std::string mode = exactly_once ? "exactly_once" : "at_most_once";
    std::string json = kGroup;
    json.replace(json.find("%s"), 2, mode);
    const auto group = site_.Deploy(json);
    Must(group.ok(), std::string(group.status().message()));
    group_ = *group;
    in_ = site_.subjects().Pipeline(group_, transport::kExternal, "p");
    auto outputs = site_.bus().Subscribe({.subject = site_.subjects().Output(group_, "p")},
                                         [this](const transport::InboundMessage&) { Heard(); });
    Must(outputs.ok() && site_.bus().Flush(absl::Seconds(5)).ok(), "no outputs are heard");
    outputs_ = *std::move(outputs);
  }

  void Fill(int megabytes) {
    const auto streams = site_.bus().OpenEventStreams();
    const int events = megabytes * 1'000'000 / kTextBytes;
    for (int first = 0; first < events; first += kBatch) {
      v1::EventBatch batch;
      for (int i = first; i < first + kBatch; ++i) {
        v1::Event& event = *batch.add_events();
        event.set_event_type("Kept");
        AddInt("key", i, &event);
        v1::Field& text = *event.add_fields();
        text.set_name("text");
        std::string padded = absl::StrCat(i, " ");
        padded.resize(kTextBytes, 'x');
        text.mutable_value()->set_string_value(std::move(padded));
      }
      if (!exactly_once_) {
        Publish(batch);
        continue;
      }
      testing::Result<bool> stored;
      streams->Publish({.subject = in_, .payload = batch.SerializeAsString()},
                       [callback = stored.Callback()](const auto& s) { callback(s.ok()); });
      Must(stored.Get(), "the broker does not store");
    }
  }

  // The longest silences of so many moves to and fro.
  std::vector<double> Silences(int moves) {
    std::atomic<bool> over{false};
    std::thread prober([&] {
      absl::Time due = absl::Now();
      for (int64_t n = 0; !over; ++n, due += kBetweenProbes) {
        v1::EventBatch batch;
        batch.add_events()->set_event_type("Probe");
        AddInt("n", n, batch.mutable_events(0));
        Publish(batch);
        absl::SleepFor(due - absl::Now());
      }
    });
    std::vector<double> silences;
    WaitForSteadyOutputs();
    for (int i = 0; i < moves; ++i) {
      TakeLongest();
      Move();
      WaitForSteadyOutputs();
      silences.push_back(absl::ToDoubleMilliseconds(TakeLongest()));
    }
    over = true;
    prober.join();
    return silences;
  }

 private:
  void Publish(const v1::EventBatch& batch) {
    (void)site_.bus().Publish({.subject = in_, .payload = batch.SerializeAsString()});
  }

  void Move() {
    const std::string from = site_.WorkerOf(group_, "p");
    const std::string to = from == "worker-0" ? "worker-1" : "worker-0";
    const HttpReply reply = site_.Ask("POST", absl::StrCat("/pipelines/", group_, "/p/migrate"),
                                      absl::StrCat(R"({"target_worker_id": ")", to, "\"}"));
    Must(reply.status == 202, reply.body);
    const std::string id = reply.At("/migration_id");
    const std::string path = "/migrations/" + id.substr(1, id.size() - 2);
    Must(WaitUntil([&] { return site_.Ask("GET", path).At("/status") == "\"completed\""; },
                   absl::Seconds(60)),
         site_.Ask("GET", path).body);
  }

  void Heard() {
    const absl::Time now = absl::Now();
    MutexLock lock(mutex_);
    longest_ = std::max(longest_, now - last_);
    last_ = now;
    ++heard_;
  }
  absl::Duration TakeLongest() {
    MutexLock lock(mutex_);
    return std::exchange(longest_, absl::ZeroDuration());
  }
  uint64_t heard() {
    MutexLock lock(mutex_);
    return heard_;
  }
  void WaitForSteadyOutputs() {
    const uint64_t before = heard();
    Must(WaitUntil([&] { return heard() > before + 500; }, absl::Seconds(60)), "no outputs come");
  }

  Site site_;
  const bool exactly_once_;
  std::string group_, in_;
  Mutex mutex_;
  absl::Time last_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  absl::Duration longest_ ABSL_GUARDED_BY(mutex_);
  uint64_t heard_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<transport::Subscription> outputs_;
};

}  // namespace

bool MeasureMigrations() {
  bool met = true;
  for (const bool exactly_once : {false, true}) {
    const std::string mode = exactly_once ? ", exactly once" : ", at most once";
    Moves moves(exactly_once);
    met = Report("migration of little state" + mode, moves.Silences(20), 100) && met;
    moves.Fill(100);
    met = Report("migration of 100 MB" + mode, moves.Silences(6), 2000) && met;
  }
  return met;
}

}  // namespace varpulis::bench
