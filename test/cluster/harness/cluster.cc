#include "test/cluster/harness/cluster.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace varpulis::testing {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::string Node::Log() const { return ReadFile(log_file_).substr(log_begin_); }

Cluster::Cluster(ClusterOptions options) : options_(std::move(options)) {
  std::string pattern = absl::StrCat(::testing::TempDir(), "varpulis-cluster-XXXXXX");
  folder_ = mkdtemp(pattern.data());
}

Cluster::~Cluster() {
  bus_.reset();
  for (auto* nodes : {&others_, &workers_}) {
    for (auto& node : *nodes) {
      if (node != nullptr && node->pid() > 0) Kill(*node);
    }
  }
  if (coordinator_ != nullptr && coordinator_->pid() > 0) Kill(*coordinator_);
  broker_.reset();
  // A cluster that a whole suite shares goes when no test runs any more.
  const ::testing::TestSuite* suite = ::testing::UnitTest::GetInstance()->current_test_suite();
  if (::testing::Test::HasFailure() || (suite != nullptr && suite->Failed())) {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() != ".log") continue;
      const std::string log = ReadFile(entry.path());
      constexpr size_t kTail = 6000;
      std::cerr << "---- " << entry.path().filename().string() << "\n"
                << (log.size() > kTail ? log.substr(log.size() - kTail) : log) << "\n";
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool Cluster::Start() {
  if (!StartBroker() || !StartCoordinator()) return false;
  for (int i = 0; i < options_.workers; ++i) {
    if (!StartWorker(absl::StrCat("worker-", i))) return false;
  }
  return WaitForReadyWorkers(options_.workers);
}

bool Cluster::StartBroker() {
  options_.broker.store_dir = folder_ + "/jetstream";
  options_.broker.log_file = folder_ + "/nats-server.log";
  auto broker = transport::BrokerProcess::Start(options_.broker);
  if (!broker.ok()) {
    ADD_FAILURE() << broker.status();
    return false;
  }
  broker_ = *std::move(broker);
  return true;
}

std::unique_ptr<Node> Cluster::Launch(
    const std::string& name, std::vector<std::string> args,
    std::vector<std::pair<std::string, std::string>> environment) {
  const std::string log = absl::StrCat(folder_, "/", name, ".log");
  // What the surrounding shell says about brokers and keys must not reach the test.
  for (const char* variable : {"NATS_URL", "NATS_CONTEXT", "VARPULIS_NATS", "VARPULIS_API_KEY",
                               "VARPULIS_COORDINATOR", "VARPULIS_WORKER_ID", "GLOG_minloglevel"}) {
    unsetenv(variable);
  }
  std::error_code absent;
  const auto log_size = std::filesystem::file_size(log, absent);
  auto process = cli::ChildProcess::Start({.label = name,
                                           .executable = VARPULIS_BINARY,
                                           .args = std::move(args),
                                           .log_file = log,
                                           .environment = std::move(environment)});
  if (!process.ok()) {
    ADD_FAILURE() << process.status();
    return nullptr;
  }
  auto node = std::make_unique<Node>(name, log, *std::move(process));
  node->log_begin_ = absent ? 0 : log_size;
  return node;
}

bool Cluster::StartCoordinator() {
  const int port = coordinator_ != nullptr ? coordinator_->http_port() : 0;
  std::vector<std::string> args = {"coordinator", absl::StrCat("--port=", port),
                                   absl::StrCat("--nats=", broker_->url())};
  if (!options_.coordinator_key.empty()) args.push_back("--api-key=" + options_.coordinator_key);
  args.insert(args.end(), options_.coordinator_flags.begin(), options_.coordinator_flags.end());
  coordinator_ = Launch("coordinator", std::move(args), {});
  if (coordinator_ == nullptr) return false;
  return WaitForPort(*coordinator_, " ready: http://") != 0;
}

bool Cluster::StartWorker(const std::string& id) {
  std::unique_ptr<Node>* slot = nullptr;
  for (auto& worker : workers_) {
    if (worker->name() == id) slot = &worker;
  }
  const int port = slot != nullptr ? (*slot)->http_port() : 0;
  std::vector<std::string> args = {
      "server", absl::StrCat("--port=", port), "--worker-id=" + id,
      absl::StrCat("--coordinator=http://127.0.0.1:", coordinator_->http_port())};
  if (!options_.worker_key.empty()) args.push_back("--api-key=" + options_.worker_key);
  args.insert(args.end(), options_.worker_flags.begin(), options_.worker_flags.end());
  std::unique_ptr<Node> node = Launch(id, std::move(args), {});
  if (node == nullptr) return false;
  if (WaitForPort(*node, " listening on http://") == 0) return false;
  if (slot != nullptr) {
    *slot = std::move(node);
  } else {
    workers_.push_back(std::move(node));
  }
  return true;
}

bool Cluster::WaitForReadyWorkers(int count, absl::Duration deadline) {
  std::string last;
  const bool ready = WaitUntil(
      [&] {
        const HttpReply reply = Get("/workers");
        last = reply.body;
        int ready_workers = 0;
        for (size_t at = 0; (at = reply.body.find("\"status\":\"ready\"", at)) != std::string::npos;
             ++at) {
          ++ready_workers;
        }
        return ready_workers == count;
      },
      deadline);
  EXPECT_TRUE(ready) << "wanted " << count << " ready workers, last answer: " << last;
  return ready;
}

void Cluster::Kill(Node& node, int signal) {
  node.Signal(signal);
  node.Wait();
}

HttpReply Cluster::Get(const std::string& path) {
  return Send(*coordinator_, {.path = "/api/v1/cluster" + path,
                              .headers = {{"x-api-key", options_.coordinator_key}}});
}

HttpReply Cluster::Post(const std::string& path, const std::string& body,
                        std::map<std::string, std::string> headers) {
  headers.emplace("x-api-key", options_.coordinator_key);
  return Send(*coordinator_, {.method = "POST",
                              .path = "/api/v1/cluster" + path,
                              .body = body,
                              .headers = std::move(headers)});
}

HttpReply Cluster::Delete(const std::string& path) {
  return Send(*coordinator_, {.method = "DELETE",
                              .path = "/api/v1/cluster" + path,
                              .headers = {{"x-api-key", options_.coordinator_key}}});
}

HttpReply Cluster::Send(Node& node, const HttpRequest& request) {
  return Fetch("127.0.0.1", node.http_port(), request);
}

std::string Cluster::Deploy(const std::string& specification) {
  const HttpReply reply = Post("/pipeline-groups", specification);
  EXPECT_EQ(reply.status, 201) << reply.body;
  const std::string id = reply.At("/id");
  return id.size() > 2 ? id.substr(1, id.size() - 2) : "";
}

transport::NatsConnection& Cluster::bus() {
  if (bus_ == nullptr) {
    auto connection =
        transport::NatsConnection::Connect({.urls = {broker_->url()}, .name = "cluster-test"});
    if (!connection.ok()) {
      std::cerr << "the test cannot reach its broker: " << connection.status() << "\n";
      std::abort();
    }
    bus_ = *std::move(connection);
  }
  return *bus_;
}

Node* Cluster::StartNode(const std::string& name, std::vector<std::string> args,
                         std::vector<std::pair<std::string, std::string>> environment,
                         bool add_broker) {
  if (add_broker && broker_ != nullptr) args.push_back("--nats=" + broker_->url());
  std::unique_ptr<Node> node = Launch(name, std::move(args), std::move(environment));
  if (node == nullptr) return nullptr;
  others_.push_back(std::move(node));
  return others_.back().get();
}

int Cluster::WaitForPort(Node& node, const std::string& marker, absl::Duration deadline) {
  int port = 0;
  const bool found = WaitUntil(
      [&] {
        const std::string log = node.Log();
        const size_t at = log.find(marker);
        if (at == std::string::npos) return false;
        const size_t colon = log.find(':', at + marker.size());
        if (colon == std::string::npos || log.find('\n', colon) == std::string::npos) return false;
        port = std::atoi(log.c_str() + colon + 1);
        return port != 0;
      },
      deadline);
  EXPECT_TRUE(found) << node.name() << " never logged '" << marker << "':\n" << node.Log();
  node.http_port_ = port;
  return port;
}

}  // namespace varpulis::testing
