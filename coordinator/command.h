#pragma once

#include <optional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/ids.h"
#include "coordinator/cluster_state.h"
#include "proto/cluster.pb.h"

namespace varpulis::coordinator {

// All that can happen to a cluster. Requests have passed validation.h.

struct RegisterWorker {
  varpulis::v1::RegisterWorkerRequest request;
  ReplyToken reply = kNobody;
  std::string new_incarnation;  // of a worker registered by hand, if one is made
};
// What the process that holds the id said when it was asked whether it still lives.
struct IncumbentChecked {
  RegisterWorker registration;
  std::optional<std::string> answered_by;  // an incarnation; none: nobody answered
};
struct ReceiveHeartbeat {
  varpulis::v1::Heartbeat heartbeat;
  absl::Time received;  // stamped on arrival, not when its turn comes
  ReplyToken reply = kNobody;
};
struct DeleteWorker {
  WorkerId worker;
  ReplyToken reply = kNobody;
  std::string request_id;
};
struct DeployGroup {
  varpulis::v1::DeployGroupRequest request;
  GroupId new_id;  // of the group, if one is made
  std::string request_id;
  ReplyToken reply = kNobody;
};
struct DeleteGroup {
  GroupId group;
  ReplyToken reply = kNobody;
  std::string request_id;
};
// Whoever waits for a deploy or a delete will soon give up: is told how far it has come.
struct AnswerDue {
  ReplyToken reply = kNobody;
};
struct DeployAnswered {
  PlacementKey placement;
  WorkerId worker;
  uint64_t epoch = 0;
  absl::StatusOr<PipelineId> result;
};
struct UndeployAnswered {
  CopyKey copy;
  uint64_t epoch = 0;
  absl::Status result;
  bool by_leader = false;  // there was no worker to ask: the answer to a ForgetCheckpoints
};
struct PingAnswered {
  varpulis::v1::PingResponse answer;
};
struct PingUnanswered {
  WorkerId worker;
  std::string incarnation;
  bool nobody_listens = false;  // else it was silent
};
struct DrainWorker {
  WorkerId worker;
  absl::Duration timeout = absl::InfiniteDuration();
  bool wait = true;
  ReplyToken reply = kNobody;
};
struct MigratePipeline {
  GroupId group;
  std::string pipeline;  // "p", or "p#2"
  WorkerId target;
  ReplyToken reply = kNobody;
};
struct Rebalance {
  ReplyToken reply = kNobody;
};
struct CheckpointAnswered {
  std::string migration;
  absl::Status result;
};
// Several times a second: sweeps and retries are due by `now`.
struct Tick {};
// The broker was away and is back: nobody's silence in between means anything.
struct ConnectionRestored {};
// The broker is about to go away, or does not store what it is given: for a while nobody's absence
// means anything.
struct BrokerInDoubt {};

using Command = std::variant<RegisterWorker, IncumbentChecked, ReceiveHeartbeat, DeleteWorker,
                             DeployGroup, DeleteGroup, AnswerDue, DeployAnswered, UndeployAnswered,
                             PingAnswered, PingUnanswered, DrainWorker, MigratePipeline, Rebalance,
                             CheckpointAnswered, Tick, ConnectionRestored, BrokerInDoubt>;

}  // namespace varpulis::coordinator
