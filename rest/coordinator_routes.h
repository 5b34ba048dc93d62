#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"

#include "rest/auth.h"
#include "rest/routes.h"
#include "transport/bus.h"
#include "transport/subjects.h"

namespace varpulis::rest {

struct CoordinatorShimOptions {
  // What GET /transport says instead of the broker's own URLs (--nats-advertise); empty: those,
  // with a loopback host replaced by the one that the request came to.
  std::vector<std::string> advertised_urls;
  absl::Duration timeout = transport::kDefaultRequestTimeout;  // of one NATS request
  absl::Duration retry_for = absl::Seconds(3);                 // while nobody leads
};

// The coordinator's HTTP API (cluster-api.md §1), spoken to whichever coordinator leads.
Routes CoordinatorRoutes(transport::Bus& bus, const transport::Subjects& subjects, ApiKeys keys,
                         CoordinatorShimOptions options = {});

}  // namespace varpulis::rest
