#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "transport/key_value.h"
#include "transport/nats_jetstream.h"

namespace varpulis::transport {

// The bucket, created when it is missing. Must go before the connection behind `context`.
absl::StatusOr<std::unique_ptr<KeyValue>> OpenNatsKeyValue(JetStreamContext context,
                                                           KeyValueOptions options);

}  // namespace varpulis::transport
