#pragma once

#include <memory>

#include "transport/event_streams.h"
#include "transport/nats_jetstream.h"

namespace varpulis::transport {

// Must go before the connection behind `context`.
std::unique_ptr<EventStreams> OpenNatsEventStreams(JetStreamContext context);

}  // namespace varpulis::transport
