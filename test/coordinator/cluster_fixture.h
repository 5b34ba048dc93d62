#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "coordinator/records.h"
#include "coordinator/state_machine.h"
#include "proto/cluster.pb.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {

// A cluster without a network: commands go in, effects are looked at, time moves by hand. What is
// written is also kept in `store`, so that a restart can be tried at any moment.
class ClusterFixture : public testing::Test {
 protected:
  ClusterFixture();

  static v1::RegisterWorkerRequest Worker(const std::string& id, uint32_t max_pipelines = 100,
                                          const std::string& incarnation = "");
  static v1::PipelineSpec Pipeline(const std::string& name, uint32_t replicas = 1,
                                   const std::string& affinity = "");
  static v1::RouteSpec Route(const std::string& from, const std::string& to,
                             const std::vector<std::string>& types);
  static v1::DeployGroupRequest GroupOf(const std::vector<v1::PipelineSpec>& pipelines,
                                        const std::vector<v1::RouteSpec>& routes = {});
  static v1::RunningPipeline Copy(const std::string& group, const std::string& pipeline,
                                  uint64_t epoch, const std::string& id, uint32_t replica = 0);

  Effects Do(const Command& command);
  void Store(const std::vector<StateWrite>& writes);
  // A worker process joins: incarnation "{id}-1" unless given.
  Effects Join(const std::string& id, uint32_t max_pipelines = 100, std::string incarnation = "",
               const std::vector<v1::RunningPipeline>& running = {});
  Effects Beat(const std::string& id, const std::vector<v1::RunningPipeline>& running,
               const std::string& incarnation = "");
  Effects Deploy(const std::string& group, const v1::DeployGroupRequest& request,
                 const std::string& request_id = "");
  // The worker answers this deploy with success, as pipeline id "{worker}/{name}/{epoch}".
  Effects Accept(const SendDeploy& deploy);
  Effects Refuse(const SendDeploy& deploy, const absl::Status& why);
  Effects AcceptAll(const Effects& effects);  // the effects of the last answer
  Effects Confirm(const SendUndeploy& undeploy, const absl::Status& result = absl::OkStatus());
  Effects Forgotten(const ForgetCheckpoints& forget, const absl::Status& result = absl::OkStatus());
  Effects Advance(absl::Duration by);  // and tick; heartbeats are not simulated
  void Restart(uint64_t leader_epoch);

  static std::string IdOf(const SendDeploy& deploy);
  const Placement& At(const std::string& group, const std::string& pipeline, uint32_t replica = 0);
  v1::PlacementStatus StatusOf(const std::string& group, const std::string& pipeline,
                               uint32_t replica = 0) {
    return At(group, pipeline, replica).status;
  }
  v1::GroupStatus GroupStatusOf(const std::string& group) {
    return state_.FindGroup(GroupId(group))->Status();
  }
  v1::WorkerStatus WorkerStatusOf(const std::string& id) {
    return state_.StatusOf(*state_.FindWorker(WorkerId(id)));
  }
  template <typename Message>
  static Message BodyOf(const Effects& effects, ReplyToken to) {
    for (const Answer& answer : effects.answers) {
      if (answer.to == to && answer.status.ok()) return dynamic_cast<const Message&>(*answer.body);
    }
    ADD_FAILURE() << "no answer for " << to;
    return {};
  }
  static std::string ErrorOf(const Effects& effects, ReplyToken to);

  static constexpr ReplyToken kCaller = 7;

  Policy policy_;
  ClusterState state_;
  absl::Time now_ = absl::FromUnixSeconds(1000);
  std::map<std::string, std::string> store_;
};

}  // namespace varpulis::coordinator
