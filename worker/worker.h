#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "transport/bus.h"
#include "worker/stored_delivery_options.h"
#include "worker/stores.h"

namespace varpulis::worker {

struct WorkerOptions {
  std::string worker_id;  // [A-Za-z0-9_-]{1,64}; empty: a UUID
  std::string address;    // base URL of this worker's HTTP API, told to the coordinator
  std::string version;
  std::string subject_prefix = "varpulis.cluster";
  bool joins_later = false;  // a cluster follows with Join; not ready until then
  uint32_t max_pipelines = 100;
  uint32_t cpu_cores = std::thread::hardware_concurrency();
  absl::Duration heartbeat_interval = absl::Seconds(5);  // until the coordinator says otherwise
  uint64_t max_in_flight_events = 65'536;                // per pipeline
  // How long a pipeline's outputs may wait for those of further input, while there is such input.
  absl::Duration batch_linger = absl::Milliseconds(1);
  // Between two checkpoints of a pipeline of the cluster; zero: only when asked and at the end.
  absl::Duration checkpoint_interval = absl::Seconds(10);
  StoredDeliveryOptions stored = {};
  // A process that stood still for longer asks the cluster before it processes anything more.
  absl::Duration freeze_limit = absl::Milliseconds(500);
};

struct WorkerDeps {
  transport::Bus* cluster = nullptr;  // null: single-server mode, or not reached yet (Join)
  transport::Bus& local;              // serves proto/worker_api.proto
  // The broker that `cluster` is connected to, for heartbeats. May be empty.
  std::function<std::string()> broker_id = {};
  Stores stores = {};  // of `cluster`
  // For tests; empty: the system's.
  std::function<int64_t()> wall_clock_ns = {};
  std::function<double()> random = {};          // in [0, 1)
  std::function<int64_t()> boot_clock_ns = {};  // CLOCK_BOOTTIME
};

// One worker: registers with the coordinator behind the bus, heartbeats, and runs the pipelines it
// is given; serves its own API on the local bus in any case. Thread-safe. The buses and the store
// must outlive it.
class Worker {
 public:
  // Returns once commands and the local API are served; registration goes on by itself.
  static absl::StatusOr<std::unique_ptr<Worker>> Start(WorkerOptions options, WorkerDeps deps);

  // The cluster of a worker that was started with `joins_later`, once it is reached. Once, and not
  // after Stop; by the thread that stops. Returns as Start does.
  absl::Status Join(transport::Bus& cluster, const std::string& subject_prefix,
                    std::function<std::string()> broker_id, Stores stores = {});

  // Asks the coordinator to move everything off this worker, and waits until that is done. `pause`
  // waits a moment between two looks; true: give up. Errors: nobody leads, nothing moves any more,
  // `timeout` has passed. Stop is to follow in any case.
  absl::Status Drain(absl::Duration timeout, const std::function<bool(absl::Duration)>& pause);

  ~Worker();  // Stop(zero), when that has not happened

  // Refuses deploys, ends the input, finishes what was accepted for at most `grace`, deregisters,
  // joins all threads. Idempotent; waits.
  void Stop(absl::Duration grace);

  // The coordinator knows this worker. False for ever in single-server mode.
  bool registered() const;
  const std::string& worker_id() const;

 private:
  class Shell;
  explicit Worker(std::unique_ptr<Shell> shell);

  std::unique_ptr<Shell> shell_;
};

}  // namespace varpulis::worker
