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

// Whether these options ask for TLS. A broker may ask for it too.
bool UsesTls(const NatsOptions& options);

// Our options as nats.c's, with the behaviour that NatsConnection promises: reconnects for ever,
// keeps nothing while disconnected, sends at once, delivers on shared threads. INVALID_ARGUMENT
// or NOT_FOUND names the option or the file.
absl::StatusOr<NatsOptionsPtr> MakeNatsOptions(const NatsOptions& options);

}  // namespace varpulis::transport
