// varpulis up: a whole cluster in one terminal. The broker (when none is there), one coordinator
// and N workers run as child processes; their logs come out together, each line under its process's
// name.

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "glog/logging.h"

#include "base/status_macros.h"
#include "cli/broker.h"
#include "cli/child_process.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/http.h"

namespace varpulis::cli {
namespace {

// What the children share: the broker's URL, its login, the keys. Through the environment, so that
// no secret shows in ps.
std::vector<std::pair<std::string, std::string>> SharedEnvironment(const std::string& broker_url) {
  std::vector<std::pair<std::string, std::string>> environment = {{"NATS_URL", broker_url},
                                                                  {"VARPULIS_NATS", broker_url}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) environment.emplace_back(name, value);
  };
  add("VARPULIS_API_KEY", FLAGS_api_key);
  add("NATS_USER", FLAGS_nats_user);
  add("NATS_PASSWORD", FLAGS_nats_password);
  add("NATS_TOKEN", FLAGS_nats_token);
  add("NATS_CREDS", FLAGS_nats_creds);
  add("NATS_NKEY", FLAGS_nats_nkey);
  add("NATS_CA", FLAGS_nats_ca);
  add("NATS_CERT", FLAGS_nats_cert);
  add("NATS_KEY", FLAGS_nats_key);
  return environment;
}

using Children = std::vector<std::unique_ptr<ChildProcess>>;

absl::Status StartChildren(const std::string& broker_url, Children* children) {
  const std::vector<std::pair<std::string, std::string>> environment =
      SharedEnvironment(broker_url);
  const auto start = [&](const std::string& label, std::vector<std::string> args) -> absl::Status {
    args.push_back("--bind=" + FLAGS_bind);
    args.push_back("--subject-prefix=" + FLAGS_subject_prefix);
    ASSIGN_OR_RETURN(
        std::unique_ptr<ChildProcess> child,
        ChildProcess::Start({.label = label, .args = std::move(args), .environment = environment}));
    children->push_back(std::move(child));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(start("coordinator", {"coordinator", absl::StrCat("--port=", FLAGS_port)}));
  for (uint32_t i = 0; i < FLAGS_workers; ++i) {
    const uint32_t port = FLAGS_worker_port == 0 ? 0 : FLAGS_worker_port + i;
    RETURN_IF_ERROR(start(absl::StrCat("worker-", i), {"server", absl::StrCat("--port=", port),
                                                       absl::StrCat("--worker-id=worker-", i)}));
  }
  return absl::OkStatus();
}

void Print(const ChildProcess& child, const std::string& line) {
  static const bool colour = isatty(STDERR_FILENO) == 1;
  // 36, 32, 33, 35, 34: one colour per process, the same in every run.
  static constexpr int kColours[] = {36, 32, 33, 35, 34};
  const size_t index = child.label() == "coordinator" ? 0 : 1 + (child.label().back() - '0') % 4;
  std::cerr << (colour ? absl::StrFormat("\x1b[%dm%-11s\x1b[0m | ", kColours[index], child.label())
                       : absl::StrFormat("%-11s | ", child.label()))
            << line << "\n";
}

// Copies logs until a signal comes or the coordinator ends by itself; a worker that dies is
// reported and the rest goes on.
absl::Status Watch(const Children& children, int signals) {
  std::vector<bool> ended(children.size(), false);
  while (true) {
    std::vector<pollfd> polls = {{signals, POLLIN, 0}};
    for (const auto& child : children) polls.push_back({child->output_fd(), POLLIN, 0});
    if (poll(polls.data(), polls.size(), -1) < 0) continue;
    if (polls[0].revents != 0) return absl::OkStatus();
    for (size_t i = 0; i < children.size(); ++i) {
      ChildProcess& child = *children[i];
      if (ended[i] || polls[i + 1].revents == 0) continue;
      if (child.ReadLines([&](const std::string& line) { Print(child, line); })) continue;
      ended[i] = true;
      const int status = child.Wait();
      if (i == 0)
        return absl::UnavailableError(absl::StrCat("the coordinator ended with status ", status));
      LOG(ERROR) << child.label() << " ended with status " << status;
    }
  }
}

// Workers first, so that they can still say goodbye to the coordinator.
void StopChildren(Children& children) {
  for (size_t i = children.size(); i-- > 0;) {
    ChildProcess& child = *children[i];
    child.Signal(SIGTERM);
    if (i > 1) continue;  // all workers are told before the first is waited for
    for (size_t j = children.size(); j-- > (i == 0 ? 0u : 1u);) {
      ChildProcess& ending = *children[j];
      while (ending.output_fd() >= 0) {
        pollfd output = {ending.output_fd(), POLLIN, 0};
        poll(&output, 1, -1);
        ending.ReadLines([&](const std::string& line) { Print(ending, line); });
      }
      if (ending.pid() > 0) ending.Wait();
    }
  }
}

absl::Status Run() {
  ASSIGN_OR_RETURN(Broker broker, ConnectOrStartBroker("varpulis-up"));
  const std::string broker_url = IsSet("nats") ? FLAGS_nats : broker.connection->connected_url();
  broker.connection.reset();  // it was only to see that the broker is there

  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGTERM);
  const int signals = signalfd(-1, &mask, SFD_CLOEXEC);
  Children children;
  absl::Status status = StartChildren(broker_url, &children);
  if (status.ok()) {
    LOG(INFO) << "cluster: one coordinator"
              << ", " << FLAGS_workers << " worker(s), broker " << broker_url
              << "; Ctrl-C stops it";
    status = Watch(children, signals);
  }
  StopChildren(children);
  close(signals);
  return status;
}

}  // namespace

int RunUp() { return ExitStatus(Run()); }

}  // namespace varpulis::cli
