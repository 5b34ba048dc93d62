#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "coordinator/cluster_state.h"
#include "coordinator/step.h"

namespace varpulis::coordinator {

// Request ids of calls that have had their effect, stored with it, so that a retry is answered and
// not done again. A deploy's id is its group's as long as that exists, and is remembered here from
// the group's deletion on. Bounded in number and age; the oldest goes first.

inline constexpr uint64_t kMaxRememberedCalls = 4096;
inline constexpr absl::Duration kRememberCallsFor = absl::Hours(24);
inline constexpr size_t kMaxRequestIdBytes = 256;

// INVALID_ARGUMENT (invalid_request) for one that is too long to be remembered.
absl::Status ValidateRequestId(absl::string_view request_id);

// The call of this kind and target that had this request id; null: none had, do it. `conflict` when
// the id belongs to another call.
absl::StatusOr<const RememberedCall*> FindCall(const ClusterState& state,
                                               const std::string& request_id,
                                               varpulis::state::v1::CallKind kind,
                                               const std::string& target);

// Stores it, after the effect's own writes. Nothing happens without a request id.
void RememberCall(Step& step, RememberedCall call);
void ForgetOldCalls(Step& step);

// The group was ours and has been deleted, as far back as calls are remembered.
bool WasDeleted(const ClusterState& state, const GroupId& group);

// For Recover.
void AddCall(ClusterState& state, uint64_t number, RememberedCall call);

}  // namespace varpulis::coordinator
