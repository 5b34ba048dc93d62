// varpulis server: a worker. Its HTTP API talks to it over an in-process bus; with --coordinator it
// is a member of a cluster as well.

#include <algorithm>
#include <thread>

#include "absl/random/random.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"

#include "base/ids.h"
#include "base/status_macros.h"
#include "cli/broker.h"
#include "cli/commands.h"
#include "cli/discover.h"
#include "cli/flags.h"
#include "cli/http.h"
#include "cli/shutdown.h"
#include "cli/version.h"
#include "rest/worker_routes.h"
#include "transport/local_bus.h"
#include "worker/worker.h"

namespace varpulis::cli {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
constexpr absl::Duration kLongestBackoff = absl::Seconds(30);
constexpr absl::Duration kWorkerGrace = absl::Seconds(30);

// One attempt to reach the cluster's broker: directly, or after asking the coordinator's HTTP API.
absl::StatusOr<std::unique_ptr<transport::NatsConnection>> Join(const std::string& client_name,
                                                                std::string* prefix) {
  if (FLAGS_coordinator.empty()) return ConnectToBroker(client_name);  // --nats alone
  if (IsSet("nats")) return ConnectToBroker(client_name);  // the broker named beats the asking
  if (IsBrokerUrl(FLAGS_coordinator)) {
    return ConnectToBroker(client_name, absl::StrSplit(FLAGS_coordinator, ','));
  }
  ASSIGN_OR_RETURN(ClusterTransport found, DiscoverTransport(FLAGS_coordinator, absl::Seconds(5)),
                   Annotate("asking ", FLAGS_coordinator, " for its broker"));
  if (!IsSet("subject_prefix") && !found.subject_prefix.empty()) *prefix = found.subject_prefix;
  return ConnectToBroker(client_name, std::move(found.broker_urls));
}

// Tries until the broker is reached: the worker may well be started before the rest. Null when
// asked to shut down meanwhile.
absl::StatusOr<std::unique_ptr<transport::NatsConnection>> JoinForEver(
    const std::string& client_name, std::string* prefix) {
  absl::BitGen random;
  absl::Duration backoff = kFirstBackoff;
  while (true) {
    absl::StatusOr<std::unique_ptr<transport::NatsConnection>> connection =
        Join(client_name, prefix);
    if (connection.ok() || !absl::IsUnavailable(connection.status())) return connection;
    const absl::Duration wait = backoff * absl::Uniform(random, 0.1, 1.0);
    LOG(WARNING) << connection.status().message() << "; trying again in "
                 << absl::FormatDuration(absl::Floor(wait, absl::Milliseconds(1)));
    if (SleepUnlessShutdown(wait)) {
      LOG(INFO) << "shut down before the cluster was reached";
      return nullptr;
    }
    backoff = std::min(backoff * 2, kLongestBackoff);
  }
}

// Lets the cluster take over what runs here, as long as somebody leads it and nobody is impatient.
void DrainFirst(worker::Worker& worker) {
  const absl::Status drained =
      worker.Drain(absl::Seconds(FLAGS_drain_timeout), SleepUnlessShutdown);
  if (drained.ok()) {
    LOG(INFO) << "worker " << worker.worker_id() << " is drained";
  } else {
    LOG(WARNING) << "worker " << worker.worker_id() << " goes undrained: " << drained.message();
  }
}

absl::Status Run() {
  const std::string id = FLAGS_worker_id.empty() ? NewUuid() : FLAGS_worker_id;
  RETURN_IF_ERROR(transport::ValidateWorkerId(id), Annotate("--worker-id"));
  RETURN_IF_ERROR(transport::ValidateSubjectPrefix(FLAGS_subject_prefix));
  ASSIGN_OR_RETURN(const rest::ApiKeys keys, ApiKeysFromFlags());
  const bool clustered = !FLAGS_coordinator.empty() || IsSet("nats");

  const std::unique_ptr<transport::Bus> local = transport::NewLocalBus();
  // The port is bound first: it is part of the address that the worker registers, and an occupied
  // one is to be reported at once.
  ASSIGN_OR_RETURN(
      const std::unique_ptr<rest::HttpServer> http,
      rest::HttpServer::Start(HttpOptionsFromFlags(),
                              rest::WorkerRoutes(*local, transport::Subjects(), keys)));
  std::unique_ptr<transport::NatsConnection> connection;  // outlives the worker
  std::unique_ptr<transport::BlobStore> checkpoints;      // likewise
  std::unique_ptr<transport::EventStreams> streams;       // likewise
  worker::WorkerOptions options;
  options.worker_id = id;
  options.address = FLAGS_advertise_address.empty() ? HttpAddress(FLAGS_bind, http->port())
                                                    : FLAGS_advertise_address;
  options.version = kVersion;
  options.subject_prefix = FLAGS_subject_prefix;
  options.joins_later = clustered;
  options.max_pipelines = FLAGS_max_pipelines;
  options.batch_linger = absl::Microseconds(FLAGS_batch_linger_us);
  options.checkpoint_interval = absl::Seconds(FLAGS_checkpoint_interval);
  options.stored.max_input_bytes = uint64_t{FLAGS_input_max_mb} * 1'000'000;
  options.stored.output_max_age = absl::Seconds(FLAGS_output_max_age);
  options.cpu_cores = std::max(1u, std::thread::hardware_concurrency());
  ASSIGN_OR_RETURN(const std::unique_ptr<worker::Worker> worker,
                   worker::Worker::Start(options, {.cluster = nullptr, .local = *local}));
  LOG(INFO) << "worker " << id << " listening on " << options.address
            << (clustered ? ", joining its cluster" : ", alone");
  absl::Status reason;
  if (clustered) {
    std::string prefix = FLAGS_subject_prefix;
    ASSIGN_OR_RETURN(connection, JoinForEver("varpulis-worker-" + id, &prefix));
    if (connection != nullptr) {
      const transport::Subjects::Stream stream = transport::Subjects(prefix).CheckpointStream();
      checkpoints =
          connection->OpenBlobStore({.stream = stream.name,
                                     .subject = stream.subject,
                                     .max_bytes = uint64_t{FLAGS_checkpoint_max_mb} * 1'000'000});
      streams = connection->OpenEventStreams();
      RETURN_IF_ERROR(worker->Join(*connection, prefix,
                                   [&connection] { return connection->server_id(); },
                                   {.checkpoints = checkpoints.get(), .streams = streams.get()}));
      LOG(INFO) << "worker " << id << " joined, broker " << connection->connected_url();
      reason = WaitForShutdownRequest();
      if (FLAGS_drain_timeout > 0) DrainFirst(*worker);
      LetNextSignalEnd();
    }
  } else {
    reason = WaitForShutdown();
  }
  worker->Stop(kWorkerGrace);
  http->Stop(kShutdownGrace);
  return reason;
}

}  // namespace

int RunServer() { return ExitStatus(Run()); }

}  // namespace varpulis::cli
