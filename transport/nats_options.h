#pragma once

#include <nats/nats.h>

#include <memory>

#include "absl/status/statusor.h"

#include "transport/nats_connection.h"

namespace varpulis::transport {

struct NatsOptionsDeleter {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};
using NatsOptionsPtr = std::unique_ptr<natsOptions, NatsOptionsDeleter>;

// Our options as nats.c's, with the behaviour that NatsConnection promises: reconnects for ever,
// keeps nothing while disconnected, sends at once, delivers on shared threads. INVALID_ARGUMENT
// names the option.
absl::StatusOr<NatsOptionsPtr> MakeNatsOptions(const NatsOptions& options);

}  // namespace varpulis::transport
