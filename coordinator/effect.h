#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

#include "base/ids.h"
#include "coordinator/cluster_state.h"
#include "coordinator/command.h"
#include "proto/cluster.pb.h"

namespace varpulis::coordinator {

// All that a transition may ask of the world. The shell performs one transition's effects in the
// order of the members: first everything is stored, then sent, then answered.

struct StateWrite {
  std::string key;
  std::string value;
  bool remove = false;
};
struct SendDeploy {
  WorkerId worker;
  PlacementKey placement;
  varpulis::v1::DeployPipelineRequest request;
};
struct SendUndeploy {
  CopyKey copy;
  varpulis::v1::UndeployPipelineRequest request;
};
// The checkpoints of a copy whose group is deleted, and which no worker can be asked to forget.
// Comes back as UndeployAnswered.
struct ForgetCheckpoints {
  CopyKey copy;
  uint64_t epoch = 0;
};
// Ask whether the worker's process lives; comes back as PingAnswered or PingUnanswered.
struct SendPing {
  WorkerId worker;
  std::string incarnation;
};
struct SendCheckpoint {
  std::string migration;
  WorkerId worker;
  varpulis::v1::CheckpointPipelineRequest request;
};
// Ask the process that holds the worker id whether it lives; comes back as IncumbentChecked.
struct CheckIncumbent {
  RegisterWorker registration;
  std::string incumbent;
};
struct Answer {
  ReplyToken to = kNobody;
  absl::Status status;
  std::shared_ptr<const google::protobuf::Message> body;  // set when the status is OK
};

struct Effects {
  std::vector<StateWrite> writes;
  std::vector<SendDeploy> deploys;
  std::vector<SendUndeploy> undeploys;
  std::vector<ForgetCheckpoints> forgets;
  std::vector<SendCheckpoint> checkpoints;
  std::vector<SendPing> pings;
  std::vector<CheckIncumbent> checks;
  std::vector<GroupId> rerouted;  // their routing tables are out of date (or they are gone)
  std::vector<varpulis::v1::Notice> notices;
  std::vector<Answer> answers;
  std::vector<std::string> warnings;  // for the log

  bool empty() const {
    return writes.empty() && deploys.empty() && undeploys.empty() && forgets.empty() &&
           checkpoints.empty() && pings.empty() && checks.empty() && rerouted.empty() &&
           notices.empty() && answers.empty() && warnings.empty();
  }
};

}  // namespace varpulis::coordinator
