#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "transport/nats_jetstream.h"
#include "transport/record_log.h"

namespace varpulis::transport {

// The log over a bucket's stream, created when it is missing. Must go before the connection behind
// `context`.
absl::StatusOr<std::unique_ptr<RecordLog>> OpenNatsRecordLog(JetStreamContext context,
                                                             KeyValueOptions options);

}  // namespace varpulis::transport
