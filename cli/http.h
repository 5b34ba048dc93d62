#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "rest/auth.h"
#include "rest/server.h"
#include "transport/nats_connection.h"
#include "transport/subjects.h"

namespace varpulis::cli {

// How long requests in flight may take when the process is asked to end.
inline constexpr absl::Duration kShutdownGrace = absl::Seconds(5);

// --api-keys or --api-key.
absl::StatusOr<rest::ApiKeys> ApiKeysFromFlags();

// --bind, --port, --cors-origins.
rest::HttpOptions HttpOptionsFromFlags();

// The coordinator's HTTP API as a client of `connection`.
absl::StatusOr<std::unique_ptr<rest::HttpServer>> StartShim(transport::NatsConnection& connection,
                                                            const transport::Subjects& subjects,
                                                            const rest::ApiKeys& keys);

// Logs an error; 0 or 1 for exit().
int ExitStatus(const absl::Status& status);

}  // namespace varpulis::cli
