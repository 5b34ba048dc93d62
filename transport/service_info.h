#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "transport/message.h"

namespace varpulis::transport {

// The texts of the NATS services protocol (ADR-32): what `nats micro ls`, `info`, `stats` and
// `ping` read. All values.
struct ServiceIdentity {
  std::string name;
  std::string id;
  std::string version;
  std::string description;
  Headers metadata;
  absl::Time started;
};

struct EndpointReport {
  std::string name;
  std::string subject;
  std::string queue_group;
  uint64_t num_requests = 0;
  uint64_t num_errors = 0;
  std::string last_error;                                 // "404:no group g"
  absl::Duration processing_time = absl::ZeroDuration();  // of all requests together
};

enum class DiscoveryVerb { kPing, kInfo, kStats };

// $SRV.VERB, $SRV.VERB.name, $SRV.VERB.name.id
std::vector<std::string> DiscoverySubjects(DiscoveryVerb verb, const ServiceIdentity& identity);

// The JSON answer, of type io.nats.micro.v1.{ping,info,stats}_response.
std::string DiscoveryResponse(DiscoveryVerb verb, const ServiceIdentity& identity,
                              const std::vector<EndpointReport>& endpoints);

}  // namespace varpulis::transport
