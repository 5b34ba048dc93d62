#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "transport/broker_process.h"

namespace varpulis::testing {

// So many nats-servers that form one cluster, "n0", "n1", …; each with its store and its log under
// `folder`. They accept connections; their JetStream finds its leader a little later.
absl::StatusOr<std::vector<std::unique_ptr<transport::BrokerProcess>>> StartBrokerCluster(
    int brokers, const std::string& folder);

}  // namespace varpulis::testing
