#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace varpulis::cli {

struct ClusterTransport {
  std::vector<std::string> broker_urls;
  std::string subject_prefix;
};

// Asks a coordinator's HTTP API once where its broker is: GET {url}/api/v1/cluster/transport.
// Blocking. UNAVAILABLE while nobody answers (worth trying again), INVALID_ARGUMENT for a URL that
// cannot work.
absl::StatusOr<ClusterTransport> DiscoverTransport(const std::string& coordinator_url,
                                                   absl::Duration timeout);

}  // namespace varpulis::cli
