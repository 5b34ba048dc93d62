#include "coordinator/remembered_calls.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "coordinator/records.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

// Both the delete of a group and, from then on, its deploy are remembered.
bool TellsOfDeletedGroup(const RememberedCall& call) {
  return call.kind == varpulis::state::v1::CALL_KIND_DEPLOY_GROUP ||
         call.kind == varpulis::state::v1::CALL_KIND_DELETE_GROUP;
}

void ForgetOldest(ClusterState& state) {
  const auto oldest = state.calls.begin();
  if (TellsOfDeletedGroup(oldest->second)) {
    state.deleted_groups.erase(state.deleted_groups.find(GroupId(oldest->second.target)));
  }
  const auto indexed = state.calls_by_request_id.find(oldest->second.request_id);
  if (indexed != state.calls_by_request_id.end() && indexed->second == oldest->first) {
    state.calls_by_request_id.erase(indexed);
  }
  state.calls.erase(oldest);
}

}  // namespace

absl::Status ValidateRequestId(absl::string_view request_id) {
  if (request_id.size() <= kMaxRequestIdBytes) return absl::OkStatus();
  return transport::MakeError(
      "invalid_request", absl::StrCat("request id: longer than ", kMaxRequestIdBytes, " bytes"));
}

absl::StatusOr<const RememberedCall*> FindCall(const ClusterState& state,
                                               const std::string& request_id,
                                               varpulis::state::v1::CallKind kind,
                                               const std::string& target) {
  if (request_id.empty()) return nullptr;
  const auto other = [&](absl::string_view what) {
    return transport::MakeError(
        "conflict", absl::StrCat("request id ", request_id, " belongs to another call: ", what));
  };
  if (const auto group = state.by_request_id.find(request_id); group != state.by_request_id.end()) {
    return other(absl::StrCat("it deployed group ", group->second.str()));
  }
  const auto found = state.calls_by_request_id.find(request_id);
  if (found == state.calls_by_request_id.end()) return nullptr;
  const RememberedCall& call = state.calls.at(found->second);
  if (call.kind == kind && call.target == target) return &call;
  switch (call.kind) {
    case varpulis::state::v1::CALL_KIND_DEPLOY_GROUP:
      return other(
          absl::StrCat("it deployed group ", call.target, ", which has been deleted since"));
    case varpulis::state::v1::CALL_KIND_DELETE_GROUP:
      return other(absl::StrCat("it deleted group ", call.target));
    default:
      return other(absl::StrCat("it deleted worker ", call.target));
  }
}

void RememberCall(Step& step, RememberedCall call) {
  if (call.request_id.empty()) return;
  call.since = step.now;
  const uint64_t number = step.state.next_call;
  // One that is pushed out needs no write of its own: its key is the new one's.
  while (!step.state.calls.empty() &&
         step.state.calls.begin()->first + kMaxRememberedCalls <= number) {
    ForgetOldest(step.state);
  }
  step.Write(StoreCall(number, call));
  AddCall(step.state, number, std::move(call));
}

void ForgetOldCalls(Step& step) {
  while (!step.state.calls.empty() &&
         step.state.calls.begin()->second.since + kRememberCallsFor <= step.now) {
    step.Write(ForgetCall(step.state.calls.begin()->first));
    ForgetOldest(step.state);
  }
}

bool WasDeleted(const ClusterState& state, const GroupId& group) {
  return state.deleted_groups.contains(group);
}

void AddCall(ClusterState& state, uint64_t number, RememberedCall call) {
  if (TellsOfDeletedGroup(call)) state.deleted_groups.insert(GroupId(call.target));
  state.calls_by_request_id[call.request_id] = number;
  state.calls[number] = std::move(call);
  state.next_call = std::max(state.next_call, number + 1);
}

}  // namespace varpulis::coordinator
