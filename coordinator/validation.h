#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "coordinator/step.h"
#include "proto/cluster.pb.h"

namespace varpulis::coordinator {

// Request checks, pure. Each answers invalid_request with one detail per problem found, so that a
// person can mend all of them at once; nothing has happened then.

inline constexpr uint32_t kMaxReplicas = 64;
inline constexpr size_t kMaxGroupNameBytes = 128;
inline constexpr size_t kMaxDetails = 100;

struct SourceProblem {
  uint32_t line = 1;
  uint32_t column = 1;
  std::string message;
  std::string hint;
};
// The errors of a pipeline's source; none: it compiles.
using SourceCheck = std::function<std::vector<SourceProblem>(absl::string_view source)>;

absl::Status ValidateRegistration(const varpulis::v1::RegisterWorkerRequest& request);
// http(s)://host[:port][/…], and a host that others can reach.
absl::Status ValidateWorkerAddress(absl::string_view address);
absl::Status ValidateDeploy(const varpulis::v1::DeployGroupRequest& request, const Policy& policy,
                            const SourceCheck& check_source);

}  // namespace varpulis::coordinator
