#pragma once

#include "rest/auth.h"
#include "rest/routes.h"
#include "transport/bus.h"
#include "transport/subjects.h"

namespace varpulis::rest {

// A worker's own HTTP API (cluster-api.md §2), spoken to the worker over its local bus.
Routes WorkerRoutes(transport::Bus& local, const transport::Subjects& subjects, ApiKeys keys);

}  // namespace varpulis::rest
