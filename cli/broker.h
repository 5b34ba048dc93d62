#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "cli/broker_keeper.h"
#include "transport/nats_connection.h"

namespace varpulis::cli {

// A connection, and the broker behind it when this process started one.
struct Broker {
  std::unique_ptr<BrokerKeeper> process;  // null: somebody else's
  std::unique_ptr<transport::NatsConnection> connection;
};

// The NATS options of the flags and the environment, under `client_name`. `urls` wins over --nats
// when not empty.
absl::StatusOr<transport::NatsOptions> NatsOptionsFromFlags(const std::string& client_name,
                                                            std::vector<std::string> urls = {});

// Connects to the broker of --nats, NATS_URL or the nats context. When none of them says anything
// and nothing listens on the default port, starts a broker there, keeping its data in --state-dir.
absl::StatusOr<Broker> ConnectOrStartBroker(const std::string& client_name);

// Connects only; for the processes that never start a broker.
absl::StatusOr<std::unique_ptr<transport::NatsConnection>> ConnectToBroker(
    const std::string& client_name, std::vector<std::string> urls = {});

// --state-dir or its documented default.
std::string StateDir();

// "http://host:port" as others reach a server bound to --bind.
std::string HttpAddress(const std::string& bind, int port);

// --nats-advertise, or what the connection knows.
std::vector<std::string> AdvertisedUrls(const transport::NatsConnection& connection);

}  // namespace varpulis::cli
