#pragma once

#include <string>

#include "transport/nats_jetstream.h"

namespace varpulis::transport {

// Creates the stream `name` with `configuration` (JSON), unless it is there. One that is there with
// another configuration is used as it is, but for one thing: when it has fewer than `replicas`, it
// gets more, so that a cluster can grow from one broker to three. None are taken away, as an
// operator may have given them. `done` gets the broker's STREAM.INFO, or what it answered to
// STREAM.CREATE, which has as much.
void EnsureStream(const JetStreamContext& context, const std::string& name,
                  std::string configuration, int replicas, ApiCallback done);

// Waits until a stream of several replicas has a leader and most of them, which takes seconds after
// it was made to grow, or for 10 s. What comes after it says whether the stream serves.
void WaitForReplicas(const JetStreamContext& context, const std::string& name, int replicas);

}  // namespace varpulis::transport
