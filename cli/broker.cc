#include "cli/broker.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"

#include "base/status_macros.h"
#include "cli/flags.h"

namespace varpulis::cli {
namespace {

constexpr int kDefaultBrokerPort = 4222;

bool BrokerIsNamed() {
  const char* url = std::getenv("NATS_URL");
  const char* context = std::getenv("NATS_CONTEXT");
  return IsSet("nats") || (url != nullptr && *url != '\0') ||
         (context != nullptr && *context != '\0');
}

// Two brokers on one store would ruin it. Held until the process ends.
absl::Status LockStateDir() {
  const std::string path = StateDir() + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write ", path, ": ", strerror(errno)));
  }
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  close(fd);
  return absl::FailedPreconditionError(
      absl::StrCat("another varpulis keeps its broker's data in ", StateDir(),
                   "; choose another folder with --state-dir, or its broker with --nats"));
}

absl::StatusOr<std::unique_ptr<BrokerKeeper>> StartBroker(int port) {
  std::error_code error;
  std::filesystem::create_directories(StateDir(), error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat("cannot create the state folder ", StateDir(),
                                                      ": ", error.message(),
                                                      "; choose one with --state-dir"));
  }
  RETURN_IF_ERROR(LockStateDir());
  const bool loopback =
      FLAGS_bind == "127.0.0.1" || FLAGS_bind == "localhost" || FLAGS_bind == "::1";
  if (!loopback && !FLAGS_insecure) {
    LOG(WARNING) << "the embedded broker has no login and so listens on 127.0.0.1 only; workers on "
                    "other machines need --nats with a broker of your own, or --insecure";
  }
  ASSIGN_OR_RETURN(std::unique_ptr<transport::BrokerProcess> process,
                   transport::BrokerProcess::Start(
                       {.port = port,
                        .host = !loopback && FLAGS_insecure ? FLAGS_bind : "127.0.0.1",
                        .store_dir = StateDir() + "/jetstream",
                        .log_file = StateDir() + "/nats-server.log"}));
  return std::make_unique<BrokerKeeper>(std::move(process));
}

}  // namespace

absl::StatusOr<transport::NatsOptions> NatsOptionsFromFlags(const std::string& client_name,
                                                            std::vector<std::string> urls) {
  transport::NatsOptions options;
  options.name = client_name;
  options.user = FLAGS_nats_user;
  options.password = FLAGS_nats_password;
  options.token = FLAGS_nats_token;
  options.credentials_file = FLAGS_nats_creds;
  options.nkey_seed_file = FLAGS_nats_nkey;
  options.tls_ca_file = FLAGS_nats_ca;
  options.tls_cert_file = FLAGS_nats_cert;
  options.tls_key_file = FLAGS_nats_key;
  bool urls_given = true;
  if (!urls.empty()) {
    options.urls = std::move(urls);
  } else if (IsSet("nats")) {
    options.urls = absl::StrSplit(FLAGS_nats, ',', absl::SkipWhitespace());
  } else {
    urls_given = false;
  }
  return transport::WithEnvironment(std::move(options), urls_given);
}

absl::StatusOr<std::unique_ptr<transport::NatsConnection>> ConnectToBroker(
    const std::string& client_name, std::vector<std::string> urls) {
  ASSIGN_OR_RETURN(transport::NatsOptions options,
                   NatsOptionsFromFlags(client_name, std::move(urls)));
  return transport::NatsConnection::Connect(std::move(options));
}

absl::StatusOr<Broker> ConnectOrStartBroker(const std::string& client_name) {
  Broker broker;
  if (!FLAGS_embedded) {
    absl::StatusOr<std::unique_ptr<transport::NatsConnection>> connection =
        ConnectToBroker(client_name);
    if (connection.ok()) {
      broker.connection = *std::move(connection);
      return broker;
    }
    if (!absl::IsUnavailable(connection.status()) || BrokerIsNamed()) {
      return WithContext(connection.status(), "connecting to the broker");
    }
    LOG(INFO) << "no broker on nats://127.0.0.1:" << kDefaultBrokerPort
              << " and none named by --nats: starting one, data in " << StateDir();
  }
  ASSIGN_OR_RETURN(broker.process, StartBroker(FLAGS_embedded ? 0 : kDefaultBrokerPort),
                   Annotate("starting the embedded broker"));
  ASSIGN_OR_RETURN(broker.connection, ConnectToBroker(client_name, {broker.process->url()}),
                   Annotate("connecting to the embedded broker"));
  return broker;
}

std::string StateDir() {
  if (!FLAGS_state_dir.empty()) return FLAGS_state_dir;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0') {
    return absl::StrCat(state, "/varpulis");
  }
  const char* home = std::getenv("HOME");
  return absl::StrCat(home != nullptr ? home : "/var/lib", "/.local/state/varpulis");
}

std::string HttpAddress(const std::string& bind, int port) {
  if (bind != "0.0.0.0" && bind != "::" && bind != "[::]") {
    const std::string host = bind == "127.0.0.1" ? "localhost" : bind;
    return absl::StrCat(
        "http://", absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host, ":", port);
  }
  char host[256] = "localhost";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat("http://", host, ":", port);
}

std::vector<std::string> AdvertisedUrls(const transport::NatsConnection& connection) {
  if (!FLAGS_nats_advertise.empty()) {
    return absl::StrSplit(FLAGS_nats_advertise, ',', absl::SkipWhitespace());
  }
  return connection.known_urls();
}

}  // namespace varpulis::cli
