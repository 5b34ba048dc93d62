#pragma once

#include "absl/status/status.h"

#include "transport/rpc.h"

namespace varpulis::coordinator {

class Runtime;

// The subjects that only read. Each is answered from the state on the strand, which never waits.
class QueryService {
 public:
  explicit QueryService(Runtime& runtime) : runtime_(runtime) {}

  absl::Status Serve(transport::Service& service);

 private:
  // `answer`: (const Request&, const Runtime::Reading&) → StatusOr<Reply>
  template <typename Request, typename Reply, typename Fn>
  absl::Status Add(transport::Service& service, const std::string& resource,
                   const std::string& verb, Fn answer);

  Runtime& runtime_;
};

}  // namespace varpulis::coordinator
