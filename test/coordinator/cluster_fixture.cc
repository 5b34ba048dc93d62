#include "cluster_fixture.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace varpulis::coordinator {

ClusterFixture::ClusterFixture() {
  state_.leader_epoch = 1;
  state_.last_tick = now_;
  state_.last_sweep = now_;
}

v1::RegisterWorkerRequest ClusterFixture::Worker(const std::string& id, uint32_t max_pipelines,
                                                 const std::string& incarnation) {
  v1::RegisterWorkerRequest request;
  request.set_worker_id(id);
  request.set_address(absl::StrCat("http://", id, ":9000"));
  request.mutable_capacity()->set_cpu_cores(4);
  request.mutable_capacity()->set_max_pipelines(max_pipelines);
  if (!incarnation.empty()) request.set_incarnation(incarnation);
  return request;
}

v1::PipelineSpec ClusterFixture::Pipeline(const std::string& name, uint32_t replicas,
                                          const std::string& affinity) {
  v1::PipelineSpec spec;
  spec.set_name(name);
  spec.set_source(absl::StrCat("stream ", name, " = E"));
  spec.set_replicas(replicas);
  if (!affinity.empty()) spec.set_worker_affinity(affinity);
  return spec;
}

v1::RouteSpec ClusterFixture::Route(const std::string& from, const std::string& to,
                                    const std::vector<std::string>& types) {
  v1::RouteSpec route;
  route.set_from_pipeline(from);
  route.set_to_pipeline(to);
  for (const std::string& type : types) route.add_event_types(type);
  return route;
}

v1::DeployGroupRequest ClusterFixture::GroupOf(const std::vector<v1::PipelineSpec>& pipelines,
                                               const std::vector<v1::RouteSpec>& routes) {
  v1::DeployGroupRequest request;
  request.set_name("app");
  for (const auto& pipeline : pipelines) *request.add_pipelines() = pipeline;
  for (const auto& route : routes) *request.add_routes() = route;
  return request;
}

v1::RunningPipeline ClusterFixture::Copy(const std::string& group, const std::string& pipeline,
                                         uint64_t epoch, const std::string& id, uint32_t replica) {
  v1::RunningPipeline copy;
  copy.set_group_id(group);
  copy.set_name(pipeline);
  copy.set_replica(replica);
  copy.set_placement_epoch(epoch);
  copy.set_pipeline_id(id);
  copy.set_status("running");
  return copy;
}

Effects ClusterFixture::Do(const Command& command) {
  Effects effects = Apply(state_, command, now_, policy_);
  Store(effects.writes);
  return effects;
}

void ClusterFixture::Store(const std::vector<StateWrite>& writes) {
  for (const StateWrite& write : writes) {
    if (write.remove) {
      store_.erase(write.key);
    } else {
      store_[write.key] = write.value;
    }
  }
}

Effects ClusterFixture::Join(const std::string& id, uint32_t max_pipelines, std::string incarnation,
                             const std::vector<v1::RunningPipeline>& running) {
  if (incarnation.empty()) incarnation = absl::StrCat(id, "-1");
  v1::RegisterWorkerRequest request = Worker(id, max_pipelines, incarnation);
  for (const auto& copy : running) *request.add_running() = copy;
  return Do(RegisterWorker{std::move(request), kCaller});
}

Effects ClusterFixture::Beat(const std::string& id, const std::vector<v1::RunningPipeline>& running,
                             const std::string& incarnation) {
  v1::Heartbeat heartbeat;
  heartbeat.set_worker_id(id);
  heartbeat.set_incarnation(incarnation.empty() ? absl::StrCat(id, "-1") : incarnation);
  heartbeat.set_pipelines_running(static_cast<uint32_t>(running.size()));
  for (const auto& copy : running) *heartbeat.add_pipelines() = copy;
  return Do(ReceiveHeartbeat{std::move(heartbeat), now_, kCaller});
}

Effects ClusterFixture::Deploy(const std::string& group, const v1::DeployGroupRequest& request,
                               const std::string& request_id) {
  return Do(DeployGroup{request, GroupId(group), request_id, kCaller});
}

std::string ClusterFixture::IdOf(const SendDeploy& deploy) {
  return absl::StrCat(deploy.worker.str(), "/", deploy.placement.pipeline, "/",
                      deploy.request.placement_epoch());
}

Effects ClusterFixture::Accept(const SendDeploy& deploy) {
  return Do(DeployAnswered{deploy.placement, deploy.worker, deploy.request.placement_epoch(),
                           PipelineId(IdOf(deploy))});
}

Effects ClusterFixture::Refuse(const SendDeploy& deploy, const absl::Status& why) {
  return Do(DeployAnswered{deploy.placement, deploy.worker, deploy.request.placement_epoch(), why});
}

Effects ClusterFixture::AcceptAll(const Effects& effects) {
  Effects last;
  for (const SendDeploy& deploy : effects.deploys) last = Accept(deploy);
  return last;
}

Effects ClusterFixture::Confirm(const SendUndeploy& undeploy, const absl::Status& result) {
  return Do(UndeployAnswered{undeploy.copy, undeploy.request.placement_epoch(), result});
}

Effects ClusterFixture::Forgotten(const ForgetCheckpoints& forget, const absl::Status& result) {
  return Do(UndeployAnswered{forget.copy, forget.epoch, result, true});
}

Effects ClusterFixture::Advance(absl::Duration by) {
  now_ += by;
  return Do(Tick{});
}

void ClusterFixture::Restart(uint64_t leader_epoch) {
  std::vector<StoredRecord> records;
  for (const auto& [key, value] : store_) records.push_back({key, value});
  absl::StatusOr<Recovered> recovered = Recover(records, leader_epoch, now_);
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  state_ = std::move(recovered->state);
  Store(recovered->repairs);
}

const Placement& ClusterFixture::At(const std::string& group, const std::string& pipeline,
                                    uint32_t replica) {
  const Placement* placement = state_.FindPlacement({GroupId(group), pipeline, replica});
  EXPECT_NE(placement, nullptr) << group << "/" << pipeline;
  static const Placement nothing;
  return placement == nullptr ? nothing : *placement;
}

std::string ClusterFixture::ErrorOf(const Effects& effects, ReplyToken to) {
  for (const Answer& answer : effects.answers) {
    if (answer.to == to) return answer.status.ok() ? "OK" : transport::ErrorCode(answer.status);
  }
  return "no answer";
}

}  // namespace varpulis::coordinator
