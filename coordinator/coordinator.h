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
#include "transport/blob_store.h"
#include "transport/bus.h"
#include "transport/event_streams.h"
#include "transport/key_value.h"
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
  uint32_t stream_replicas = 1;  // of what workers have the broker store; the logs bring their own
  absl::Duration command_timeout = absl::Seconds(10);  // of a deploy, an undeploy, an inject
  absl::Duration ping_timeout = absl::Milliseconds(500);
  absl::Duration retry_backoff = absl::Seconds(1);  // of failed placements, doubled up to 30 s
  std::vector<std::string> advertised_urls;         // of the broker, without credentials
  std::string version;                              // SemVer
  std::string address;                              // base URL of the HTTP API beside it
};

class Candidacy;
class Runtime;

// How long an entry of the lease bucket lives.
inline constexpr absl::Duration kLeaseTtl = absl::Seconds(1);

// The control plane of one cluster, served over NATS by the one coordinator that leads. Any number
// of them compete for a lease; the others follow and take over when it is given back or runs out.
// Where the broker has no place for a lease (no JetStream), there is nobody to hand over to: Start
// takes office at once, until another coordinator does the same.
// Start and the destructor block and belong to the owner's thread; the rest is thread-safe.
class Coordinator {
 public:
  struct Deps {
    transport::Bus& bus;
    // A new, unopened log. Called again after the broker was away, and to follow; on threads of
    // ours, perhaps two at once.
    std::function<absl::StatusOr<std::unique_ptr<transport::RecordLog>>()> open_log;
    // Without a lease: called once if another coordinator leads, when nothing is served any more.
    // It runs on a thread of ours: it may ask for the process's end, and must not destroy the
    // coordinator itself.
    std::function<void(absl::Status)> on_stood_down;
    // A bucket in memory whose entries live for kLeaseTtl. Empty, or FAILED_PRECONDITION: no lease.
    std::function<absl::StatusOr<std::unique_ptr<transport::KeyValue>>()> open_lease_bucket = {};
    std::function<absl::Time()> clock = {};  // of the lease; empty: CLOCK_BOOTTIME
    // Where the workers store what they do, to forget that of deleted groups. Null: nowhere.
    transport::BlobStore* checkpoints = nullptr;
    transport::EventStreams* streams = nullptr;
  };

  // Returns when the state is recovered, the workers know the new epoch and requests are served, be
  // it here or, as far as the lease tells, by another coordinator.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Start(CoordinatorOptions options, Deps deps);
  // Stops serving, finishes injects and writes under way, gives the lease back, then goes.
  // Pipelines run on.
  ~Coordinator();

  uint64_t leader_epoch() const;  // 0: another one leads, or none

 private:
  Coordinator();

  // One of the two.
  std::unique_ptr<Candidacy> candidacy_;
  std::unique_ptr<Runtime> alone_;
};

}  // namespace varpulis::coordinator
