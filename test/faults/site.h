#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "test/cluster/harness/cluster.h"
#include "test/faults/isolation.h"

namespace varpulis::faults {

struct SiteOptions {
  int workers = 3;
  int coordinators = 2;
  int brokers = 1;                // 3: a nats-server cluster, every stream on all three
  bool impatient = false;         // a silent worker is given up after 2 s instead of 15 s
  bool separate_network = false;  // worker-0 has a network of its own
  int64_t disk_bytes = 0;         // the broker's store is a disk so large; 0: no disk of its own
  int64_t store_bytes = 0;        // how much JetStream may store; 0: as much as there is room
  std::vector<std::string> worker_flags = {"--checkpoint-interval=1"};
};

// A cluster of real processes that can be damaged: nats-server(s), coordinators of which one leads,
// a gateway through which the test speaks, and workers "worker-0", …. Ends with this object. Use
// from the main thread, except where it says otherwise.
class Site {
 public:
  explicit Site(SiteOptions options);
  ~Site();

  absl::Status Start();

  // HTTP to the gateway, which passes it to whoever leads.
  testing::HttpReply Ask(const std::string& method, const std::string& path,
                         const std::string& body = "");
  // The group's id. Returns once all its pipelines run.
  absl::StatusOr<std::string> Deploy(const std::string& specification);
  // The worker of a pipeline of the group; "" when unknown.
  std::string WorkerOf(const std::string& group, const std::string& pipeline);

  int workers() const { return options_.workers; }
  testing::Node& worker(int index) { return *workers_.at(index); }
  void Kill(testing::Node& node) { cluster_.Kill(node); }  // kill -9
  absl::Status StartWorker(int index);                     // also: again
  bool WaitForReadyWorkers(absl::Duration deadline = absl::Seconds(60));

  // Whoever answers as the leader; "" when nobody does.
  std::string LeaderId();
  std::string WaitForLeader(const std::string& not_this = "");
  int coordinators() const { return options_.coordinators; }
  testing::Node& coordinator(const std::string& id) { return *coordinators_.at(id); }
  absl::Status StartCoordinator(const std::string& id);

  transport::BrokerProcess& broker(int index = 0) { return *brokers_.at(index); }
  int brokers() const { return static_cast<int>(brokers_.size()); }
  // The index of the broker that leads the stream; -1 when there is no leader.
  int LeaderOfStream(const std::string& stream);
  std::vector<std::string> Streams();
  // Changes one number of a stream's configuration.
  absl::Status Reconfigure(const std::string& stream, const std::string& name, int value);
  // Until every stream is on all brokers, and all of them are up to date.
  absl::Status WaitForReplicas();

  NetworkNamespace& network() { return *network_; }
  const SmallDisk& disk() const { return disk_; }

  transport::NatsConnection& bus() { return *bus_; }  // any thread
  // One call of JetStream's API; "" when no answer comes.
  std::string JetStream(const std::string& verb, const std::string& json = "");
  const transport::Subjects& subjects() const { return cluster_.subjects(); }
  const std::string& folder() const { return cluster_.folder(); }

 private:
  absl::Status StartBrokers();
  bool Replicated(const std::string& stream);
  std::string disk_folder() const { return cluster_.folder() + "/jetstream"; }
  std::string Urls(const std::string& host = "127.0.0.1") const;

  const SiteOptions options_;
  SmallDisk disk_;  // outlives the broker on it
  std::unique_ptr<NetworkNamespace> network_;
  testing::Cluster cluster_;
  std::vector<std::unique_ptr<transport::BrokerProcess>> brokers_;
  std::map<std::string, testing::Node*> coordinators_;
  testing::Node* gateway_ = nullptr;
  std::vector<testing::Node*> workers_;
  std::unique_ptr<transport::NatsConnection> bus_;
};

}  // namespace varpulis::faults
