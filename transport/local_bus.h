#pragma once

#include <memory>

#include "transport/bus.h"

namespace varpulis::transport {

// A Bus without a broker, inside one process: for single-server mode and for tests. Subjects,
// wildcards, queue groups, requests and "no responders" behave as on NATS; all handlers run on one
// thread of the bus, in the order of publishing. Payloads are shared, never copied or chunked.
// Destroying it delivers what was published before, then cancels the requests still open;
// subscriptions may outlive it.
// Thread-safe.
std::unique_ptr<Bus> NewLocalBus();

}  // namespace varpulis::transport
