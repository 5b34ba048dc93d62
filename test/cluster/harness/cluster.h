#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "cli/child_process.h"
#include "test/cluster/harness/http_client.h"
#include "test/support/wait.h"
#include "transport/broker_process.h"
#include "transport/nats_connection.h"
#include "transport/subjects.h"

namespace varpulis::testing {

// One `varpulis` process. Its log goes to a file of the cluster's folder.
class Node {
 public:
  Node(std::string name, std::string log_file, std::unique_ptr<cli::ChildProcess> process)
      : name_(std::move(name)), log_file_(std::move(log_file)), process_(std::move(process)) {}

  const std::string& name() const { return name_; }
  pid_t pid() const { return process_->pid(); }
  int http_port() const { return http_port_; }
  void Signal(int signal) { process_->Signal(signal); }
  int Wait() { return process_->Wait(); }
  std::string Log()
      const;  // what this process wrote; an earlier one of the same name is not included

 private:
  friend class Cluster;
  std::string name_;
  std::string log_file_;
  std::unique_ptr<cli::ChildProcess> process_;
  size_t log_begin_ = 0;
  int http_port_ = 0;
};

struct ClusterOptions {
  int workers = 2;
  std::vector<std::string> coordinator_flags;  // besides port, key and broker
  std::vector<std::string> worker_flags;
  transport::BrokerOptions broker;
  std::string coordinator_key = "admin";
  std::string worker_key = "test";
};

// A whole cluster of real processes on free ports: a nats-server, a coordinator with its HTTP API
// and N workers "worker-0", "worker-1", … Nothing is left behind: processes end with this object
// (or with the test program), files go with it unless the test has failed. Use from the test's main
// thread.
//
//   Cluster cluster({.workers = 3});
//   ASSERT_TRUE(cluster.Start());
//   EXPECT_EQ(cluster.Get("/workers").status, 200);
class Cluster {
 public:
  explicit Cluster(ClusterOptions options = {});
  ~Cluster();  // on a failed test the logs are printed

  // Starts everything and waits until all workers are ready. On false the logs say why.
  bool Start();
  bool StartBroker();
  bool StartCoordinator();                  // also: start it again, on the same port
  bool StartWorker(const std::string& id);  // also: start it again
  bool WaitForReadyWorkers(int count, absl::Duration deadline = absl::Seconds(20));

  // kill -9 (or another signal), waited for.
  void Kill(Node& node, int signal = 9);

  // HTTP to the coordinator, under /api/v1/cluster, with its key.
  HttpReply Get(const std::string& path);
  HttpReply Post(const std::string& path, const std::string& body,
                 std::map<std::string, std::string> headers = {});
  HttpReply Delete(const std::string& path);
  // HTTP to any node, as given.
  HttpReply Send(Node& node, const HttpRequest& request);

  // Deploys and returns the group's id; "" after adding a test failure.
  std::string Deploy(const std::string& specification);

  transport::BrokerProcess& broker() { return *broker_; }
  // The test's own connection to the broker, made when first asked for.
  transport::NatsConnection& bus();
  const transport::Subjects& subjects() const { return subjects_; }
  Node& coordinator() { return *coordinator_; }
  Node& worker(int index) { return *workers_.at(index); }
  const std::string& folder() const { return folder_; }

  // A further process of this cluster, e.g. {"gateway", "--port=0"}; --nats is added unless asked
  // not to.
  Node* StartNode(const std::string& name, std::vector<std::string> args,
                  std::vector<std::pair<std::string, std::string>> environment = {},
                  bool add_broker = true);
  // The port after "http://…:" in the first log line that contains `marker`; 0 when it does not
  // come.
  int WaitForPort(Node& node, const std::string& marker,
                  absl::Duration deadline = absl::Seconds(20));

 private:
  std::unique_ptr<Node> Launch(const std::string& name, std::vector<std::string> args,
                               std::vector<std::pair<std::string, std::string>> environment);

  ClusterOptions options_;
  std::string folder_;
  transport::Subjects subjects_;
  std::unique_ptr<transport::BrokerProcess> broker_;
  std::unique_ptr<Node> coordinator_;
  std::vector<std::unique_ptr<Node>> workers_;
  std::vector<std::unique_ptr<Node>> others_;
  std::unique_ptr<transport::NatsConnection> bus_;
};

}  // namespace varpulis::testing
