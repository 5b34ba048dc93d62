#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "coordinator/step.h"
#include "transport/bus.h"
#include "transport/record_log.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {

struct CoordinatorOptions {
  std::string id;  // unique per process
  std::string subject_prefix = transport::kDefaultSubjectPrefix;
  absl::Duration heartbeat_interval = absl::Seconds(5);
  absl::Duration heartbeat_timeout = absl::Seconds(15);
  PlacementStrategy placement = PlacementStrategy::kRoundRobin;
  bool strict_routing = false;
  uint32_t max_pipelines_per_group = 4096;
  absl::Duration command_timeout = absl::Seconds(10);  // of a deploy, an undeploy, an inject
  absl::Duration ping_timeout = absl::Milliseconds(500);
  absl::Duration retry_backoff = absl::Seconds(1);  // of failed placements, doubled up to 30 s
  std::vector<std::string> advertised_urls;         // of the broker, without credentials
  std::string version;                              // SemVer
};

class Runtime;

// The control plane of one cluster, served over NATS: takes office on Start, leads until it is
// destroyed or another coordinator takes over.
// Start and the destructor block and belong to the owner's thread; the rest is thread-safe.
class Coordinator {
 public:
  struct Deps {
    transport::Bus& bus;
    // A new, unopened log. Called again, on a thread of ours, after the broker was away.
    std::function<absl::StatusOr<std::unique_ptr<transport::RecordLog>>()> open_log;
    // Called once if another coordinator leads, when nothing is served any more. It runs on a
    // thread of ours: it may ask for the process's end, and must not destroy the coordinator
    // itself.
    std::function<void(absl::Status)> on_stood_down;
  };

  // Returns when the state is recovered, the workers know the new epoch and requests are served.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Start(CoordinatorOptions options, Deps deps);
  // Stops serving, finishes injects and writes under way, then goes. Pipelines run on.
  ~Coordinator();

  uint64_t leader_epoch() const;

 private:
  explicit Coordinator(std::unique_ptr<Runtime> runtime);

  std::unique_ptr<Runtime> runtime_;
};

}  // namespace varpulis::coordinator
