// varpulis coordinator: broker (perhaps) → connection → HTTP shim → coordinator; taken down in
// reverse.

#include "coordinator/coordinator.h"

#include <utility>

#include "absl/strings/str_split.h"
#include "glog/logging.h"

#include "base/ids.h"
#include "base/status_macros.h"
#include "cli/broker.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/http.h"
#include "cli/ready.h"
#include "cli/shutdown.h"
#include "cli/version.h"
#include "transport/subjects.h"

namespace varpulis::cli {
namespace {

absl::StatusOr<coordinator::PlacementStrategy> PlacementFromFlag() {
  if (FLAGS_placement == "round-robin") return coordinator::PlacementStrategy::kRoundRobin;
  if (FLAGS_placement == "least-loaded") return coordinator::PlacementStrategy::kLeastLoaded;
  return absl::InvalidArgumentError("--placement is round-robin or least-loaded, not '" +
                                    FLAGS_placement + "'");
}

absl::StatusOr<std::unique_ptr<transport::RecordLog>> OpenLog(transport::NatsConnection& connection,
                                                              const std::string& bucket,
                                                              int replicas) {
  absl::StatusOr<std::unique_ptr<transport::RecordLog>> log =
      connection.OpenRecordLog({.bucket = bucket, .replicas = replicas});
  if (!absl::IsFailedPrecondition(log.status())) return log;
  return transport::NewVolatileRecordLog();  // the coordinator says so, loudly
}

absl::Status Run() {
  ASSIGN_OR_RETURN(const coordinator::PlacementStrategy placement, PlacementFromFlag());
  RETURN_IF_ERROR(transport::ValidateSubjectPrefix(FLAGS_subject_prefix));
  const std::string id = FLAGS_coordinator_id.empty() ? NewUuid() : FLAGS_coordinator_id;
  const auto replicas = static_cast<int>(FLAGS_nats_replicas);
  ASSIGN_OR_RETURN(const rest::ApiKeys keys, ApiKeysFromFlags());
  ASSIGN_OR_RETURN(Broker broker, ConnectOrStartBroker("varpulis-coordinator-" + id));
  transport::NatsConnection& connection = *broker.connection;
  const transport::Subjects subjects(FLAGS_subject_prefix);

  const transport::Subjects::Stream checkpoint_stream = subjects.CheckpointStream();
  const std::unique_ptr<transport::BlobStore> checkpoints = connection.OpenBlobStore(
      {.stream = checkpoint_stream.name, .subject = checkpoint_stream.subject});
  const std::unique_ptr<transport::EventStreams> streams = connection.OpenEventStreams();

  coordinator::CoordinatorOptions options;
  options.id = id;
  options.subject_prefix = FLAGS_subject_prefix;
  options.heartbeat_interval = absl::Seconds(FLAGS_heartbeat_interval);
  options.heartbeat_timeout = absl::Seconds(FLAGS_heartbeat_timeout);
  options.placement = placement;
  options.strict_routing = FLAGS_strict_routing;
  options.max_pipelines_per_group = FLAGS_max_pipelines_per_group;
  options.stream_replicas = FLAGS_nats_replicas;
  options.advertised_urls = AdvertisedUrls(connection);
  options.version = kVersion;
  // Bound before competing: who cannot serve must not lead. It serves whoever does.
  ASSIGN_OR_RETURN(const std::unique_ptr<rest::HttpServer> http,
                   StartShim(connection, subjects, keys));
  options.address = HttpAddress(FLAGS_bind, http->port());
  ASSIGN_OR_RETURN(
      const std::unique_ptr<coordinator::Coordinator> coordinator,
      coordinator::Coordinator::Start(
          options,
          {.bus = connection,
           .open_log = [&] { return OpenLog(connection, subjects.StateBucket(), replicas); },
           .on_stood_down = RequestShutdown,
           .open_lease_bucket =
               [&] {
                 return connection.OpenKeyValue({.bucket = subjects.LeaseBucket(),
                                                 .ttl = coordinator::kLeaseTtl,
                                                 .memory_storage = true,
                                                 .replicas = replicas});
               },
           .checkpoints = checkpoints.get(),
           .streams = streams.get()}));
  LOG(INFO) << "coordinator " << id << " ready: " << options.address << ", broker "
            << connection.connected_url();
  NotifyReady();
  absl::Status reason = WaitForShutdown();
  http->Stop(kShutdownGrace);
  return reason;
}

}  // namespace

int RunCoordinator() { return ExitStatus(Run()); }

}  // namespace varpulis::cli
