// What the records of a large cluster cost a coordinator between its election and its first
// effect: one that has followed beside one that reads them all, in the same run. The lines are the
// coordinators' own.

#include <cstdio>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"

#include "coordinator/coordinator.h"
#include "coordinator/records.h"
#include "transport/broker_process.h"
#include "transport/nats_connection.h"
#include "transport/subjects.h"

namespace varpulis::bench {
namespace {

constexpr int kGroups = 2;
constexpr int kPipelinesPerGroup = 2500;  // with a source and a placement each
constexpr int kRounds = 5;

class LeaderLines : public google::LogSink {
 public:
  void send(google::LogSeverity severity, const char* full_filename, const char* base_filename,
            int line, const google::LogMessageTime& time, const char* message,
            size_t length) override {
    const std::string text(message, length);
    if (absl::StrContains(text, " leads with epoch ")) std::puts(text.c_str());
  }
};

std::vector<transport::RecordWrite> State() {
  std::vector<coordinator::StateWrite> writes;
  coordinator::Worker worker;
  worker.id = WorkerId("w0");
  worker.incarnation = "i0";
  writes.push_back(coordinator::StoreWorker(worker));
  for (int g = 0; g < kGroups; ++g) {
    coordinator::Group group;
    group.id = GroupId(absl::StrCat("5a5f5a5c-0000-4000-8000-00000000000", g));
    group.name = absl::StrCat("group", g);
    group.created = g + 1;
    for (int p = 0; p < kPipelinesPerGroup; ++p) {
      coordinator::Pipeline pipeline;
      pipeline.spec.set_name(absl::StrCat("pipeline", p));
      pipeline.spec.set_replicas(1);
      pipeline.spec.set_source(
          "stream Hot = Reading .where(temperature > 90) .emit(sensor: sensor, t: temperature)");
      coordinator::Placement placement;
      placement.worker = worker.id;
      placement.pipeline_id = PipelineId(absl::StrCat("copy-", g, "-", p));
      placement.epoch = 1;
      placement.status = v1::PLACEMENT_STATUS_RUNNING;
      pipeline.copies.push_back(placement);
      group.pipelines.push_back(std::move(pipeline));
    }
    for (auto& write : coordinator::StoreNewGroup(group)) writes.push_back(std::move(write));
  }
  std::vector<transport::RecordWrite> records;
  for (auto& write : writes) records.push_back({std::move(write.key), std::move(write.value)});
  return records;
}

int Main() {
  LeaderLines lines;
  google::AddLogSink(&lines);
  FLAGS_stderrthreshold = google::ERROR;
  FLAGS_minloglevel = google::INFO;
  FLAGS_logtostderr = false;
  FLAGS_log_dir = "/nonexistent";  // the lines above are enough

  const auto broker = transport::BrokerProcess::Start({});
  CHECK(broker.ok()) << broker.status();
  transport::NatsOptions nats;
  nats.urls = {(*broker)->url()};
  const auto connection = transport::NatsConnection::Connect(nats);
  CHECK(connection.ok()) << connection.status();
  const transport::Subjects subjects;
  const auto open_log = [&] {
    return (*connection)->OpenRecordLog({.bucket = subjects.StateBucket()});
  };
  {
    const auto log = open_log();
    CHECK(log.ok()) << log.status();
    std::promise<bool> opened, stored;
    (*log)->Open({"barrier", ""}, [&](const auto& result) { opened.set_value(result.ok()); });
    CHECK(opened.get_future().get());
    (*log)->Append(State(), [&](const auto& result) { stored.set_value(result.ok()); });
    CHECK(stored.get_future().get());
  }
  const auto start = [&](const std::string& id) {
    coordinator::CoordinatorOptions options;
    options.id = id;
    options.version = "1.0.0";
    auto started = coordinator::Coordinator::Start(
        options, {.bus = **connection,
                  .open_log = open_log,
                  .on_stood_down = [](const absl::Status&) {},
                  .open_lease_bucket =
                      [&] {
                        return (*connection)
                            ->OpenKeyValue({.bucket = subjects.LeaseBucket(),
                                            .ttl = coordinator::kLeaseTtl,
                                            .memory_storage = true});
                      }});
    CHECK(started.ok()) << started.status();
    return *std::move(started);
  };
  for (int round = 0; round < kRounds; ++round) {
    auto reader = start("reader");
    const auto follower = start("follower");
    absl::SleepFor(absl::Seconds(1));  // until it has a copy
    reader.reset();
    const absl::Time left = absl::Now();
    while (follower->leader_epoch() == 0) absl::SleepFor(absl::Microseconds(100));
    std::printf("  %.1f ms after the lease was given back\n",
                absl::ToDoubleMilliseconds(absl::Now() - left));
  }
  google::RemoveLogSink(&lines);
  return 0;
}

}  // namespace
}  // namespace varpulis::bench

int main() { return varpulis::bench::Main(); }
