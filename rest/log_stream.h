#pragma once

#include <memory>
#include <string>

#include "rest/http.h"
#include "transport/bus.h"
#include "transport/subjects.h"

namespace varpulis::rest {

// GET /pipelines/{id}/logs: a pipeline's outputs as Server-Sent Events, fed from the subject that
// the engine publishes them on. A reader who is too slow is told how many it missed. Answers 404
// for an unknown pipeline. REQUIRES: a validated id.
void StreamLogs(transport::Bus& bus, const transport::Subjects& subjects,
                const std::string& pipeline_id, const std::shared_ptr<Exchange>& exchange);

}  // namespace varpulis::rest
