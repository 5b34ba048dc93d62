// varpulis up: a whole cluster in one terminal. The broker (when none is there), one coordinator
// and N workers run as child processes; their logs come out together, each line under its process's
// name.

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <functional>
#include <iostream>
#include <set>

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
#include "cli/ready.h"

namespace varpulis::cli {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;
using Children = std::vector<std::unique_ptr<ChildProcess>>;

// What the children share: the broker's URLs, its login, the keys. Through the environment, so that
// no secret shows in ps.
Environment SharedEnvironment(const std::string& broker_urls) {
  // The empty ones are for us, or would lead elsewhere.
  Environment environment = {{"NATS_URL", broker_urls},
                             {"VARPULIS_NATS", broker_urls},
                             {"VARPULIS_COORDINATOR", ""},
                             {"NOTIFY_SOCKET", ""}};
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

absl::Status StartChild(const std::string& label, std::vector<std::string> args,
                        Environment environment, Children* children) {
  args.push_back("--bind=" + FLAGS_bind);
  args.push_back("--subject-prefix=" + FLAGS_subject_prefix);
  ASSIGN_OR_RETURN(
      std::unique_ptr<ChildProcess> child,
      ChildProcess::Start(
          {.label = label, .args = std::move(args), .environment = std::move(environment)}));
  children->push_back(std::move(child));
  return absl::OkStatus();
}

absl::Status StartCoordinator(Environment environment, const ReadySocket& ready,
                              Children* children) {
  // The first of two counts.
  environment.insert(environment.begin(), {"NOTIFY_SOCKET", ready.address()});
  return StartChild("coordinator", {"coordinator", absl::StrCat("--port=", FLAGS_port)},
                    std::move(environment), children);
}

absl::Status StartWorkers(const Environment& environment, Children* children) {
  for (uint32_t i = 0; i < FLAGS_workers; ++i) {
    const uint32_t port = FLAGS_worker_port == 0 ? 0 : FLAGS_worker_port + i;
    RETURN_IF_ERROR(
        StartChild(absl::StrCat("worker-", i),
                   {"server", absl::StrCat("--port=", port), absl::StrCat("--worker-id=worker-", i),
                    "--drain-timeout=0"},  // all of it ends
                   environment, children));
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
// reported and the rest goes on. `on_ready` is called when the coordinator serves: a worker started
// earlier would not find it.
absl::Status Watch(Children& children, int signals, ReadySocket& ready,
                   const std::function<absl::Status()>& on_ready) {
  std::set<const ChildProcess*> ended;
  while (true) {
    std::vector<pollfd> polls = {{signals, POLLIN, 0}, {ready.fd(), POLLIN, 0}};
    const size_t first = polls.size();
    for (const auto& child : children) polls.push_back({child->output_fd(), POLLIN, 0});
    if (poll(polls.data(), polls.size(), -1) < 0) continue;
    if (polls[0].revents != 0) return absl::OkStatus();
    for (size_t i = 0; i + first < polls.size(); ++i) {
      ChildProcess& child = *children[i];
      if (ended.contains(&child) || polls[i + first].revents == 0) continue;
      if (child.ReadLines([&](const std::string& line) { Print(child, line); })) continue;
      ended.insert(&child);
      const int status = child.Wait();
      if (i == 0)
        return absl::UnavailableError(absl::StrCat("the coordinator ended with status ", status));
      LOG(ERROR) << child.label() << " ended with status " << status;
    }
    if (ready.Ready()) RETURN_IF_ERROR(on_ready());
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
  const std::string shown = broker.connection->connected_url();  // without a login
  broker.connection.reset();  // it was only to see that the broker is there
  ASSIGN_OR_RETURN(const transport::NatsOptions options, NatsOptionsFromFlags("varpulis-up"));
  const Environment environment = SharedEnvironment(
      broker.process != nullptr ? broker.process->url() : absl::StrJoin(options.urls, ","));
  ASSIGN_OR_RETURN(const std::unique_ptr<ReadySocket> ready, ReadySocket::Open());

  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGTERM);
  const int signals = signalfd(-1, &mask, SFD_CLOEXEC);
  Children children;
  absl::Status status = StartCoordinator(environment, *ready, &children);
  if (status.ok()) {
    status = Watch(children, signals, *ready, [&]() -> absl::Status {
      RETURN_IF_ERROR(StartWorkers(environment, &children));
      LOG(INFO) << "cluster: one coordinator, " << FLAGS_workers << " worker(s), broker " << shown
                << "; Ctrl-C stops it";
      NotifyReady();
      return absl::OkStatus();
    });
  }
  StopChildren(children);
  close(signals);
  return status;
}

}  // namespace

int RunUp() { return ExitStatus(Run()); }

}  // namespace varpulis::cli
