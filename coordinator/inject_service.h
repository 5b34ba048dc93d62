#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "absl/status/status.h"

#include "coordinator/routing.h"
#include "proto/cluster.pb.h"
#include "transport/rpc.h"

namespace varpulis::coordinator {

class Runtime;

// Takes events, asks the routing table where they go, relays the worker's answer. Runs on transport
// threads and never touches the strand.
class InjectService {
 public:
  explicit InjectService(Runtime& runtime);

  absl::Status Serve(transport::Service& service);
  size_t under_way() const { return *under_way_; }

 private:
  void OnInject(const transport::RequestContext& context, varpulis::v1::InjectRequest request,
                transport::Replier<varpulis::v1::InjectResponse> reply);
  void OnInjectBatch(const transport::RequestContext& context,
                     const varpulis::v1::InjectBatchRequest& request,
                     transport::Replier<varpulis::v1::InjectBatchResponse> reply);
  absl::StatusOr<std::shared_ptr<const GroupRouting>> FindGroup(
      const transport::RequestContext& context, absl::string_view kind) const;

  Runtime& runtime_;
  const std::shared_ptr<std::atomic<size_t>> under_way_;  // shared with replies that outlive us
};

// What the caller is told when the worker's answer was this: 400, 429 and 503 as they are, 504 when
// it did not answer in time, routing_failed for the rest.
absl::Status RelayedError(const absl::Status& status, const Target& target);

}  // namespace varpulis::coordinator
