#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "glog/logging.h"

#include "base/mutex.h"
#include "proto/cluster.pb.h"
#include "transport/error_reply.h"
#include "transport/rpc.h"
#include "transport/subjects.h"

#include "test/worker/recorder.h"

namespace varpulis::worker {

// Answers what a worker asks of a coordinator as the test says, and remembers it. Thread-safe.
class ScriptedCoordinator {
 public:
  explicit ScriptedCoordinator(transport::Bus& bus, uint64_t leader_epoch = 1)
      : leader_epoch_(leader_epoch) {
    auto service = transport::Service::Start(bus, {.name = "varpulis-coordinator",
                                                   .id = "",
                                                   .version = "1.0.0",
                                                   .description = "",
                                                   .metadata = {}});
    CHECK(service.ok()) << service.status();
    service_ = std::move(*service);
    const transport::Subjects subjects;
    using varpulis::v1::Heartbeat;
    using varpulis::v1::HeartbeatResponse;
    using varpulis::v1::RegisterWorkerRequest;
    using varpulis::v1::RegisterWorkerResponse;
    CHECK((service_->Serve<RegisterWorkerRequest, RegisterWorkerResponse>(
               subjects.Register(), "register",
               [this](const transport::RequestContext&, RegisterWorkerRequest request,
                      transport::Replier<RegisterWorkerResponse> reply) {
                 const absl::Status answer = NextRegisterAnswer();
                 RegisterWorkerResponse response;
                 response.set_worker_id(request.worker_id());
                 response.set_status("registered");
                 response.set_leader_epoch(leader_epoch_);
                 for (const std::string& id : Superseded()) response.add_superseded(id);
                 registrations.Add(std::move(request));
                 if (!answer.ok()) return reply.Fail(answer);
                 reply.Reply(response);
               }))
              .ok());
    CHECK((service_->Serve<Heartbeat, HeartbeatResponse>(
               subjects.AnyHeartbeat(), "heartbeat",
               [this](const transport::RequestContext&, Heartbeat heartbeat,
                      transport::Replier<HeartbeatResponse> reply) {
                 const absl::Status answer = HeartbeatAnswer();
                 heartbeats.Add(std::move(heartbeat));
                 if (!answer.ok()) return reply.Fail(answer);
                 HeartbeatResponse response;
                 response.set_acknowledged(true);
                 reply.Reply(response);
               }))
              .ok());
    CHECK((service_->Serve<varpulis::v1::WorkerRequest, varpulis::v1::DeleteWorkerResponse>(
               subjects.Api("workers", "delete"), "workers-delete",
               [this](const transport::RequestContext&, const varpulis::v1::WorkerRequest& request,
                      transport::Replier<varpulis::v1::DeleteWorkerResponse> reply) {
                 deleted.Add(request.worker_id());
                 varpulis::v1::DeleteWorkerResponse response;
                 response.set_deleted(true);
                 reply.Reply(response);
               }))
              .ok());
  }

  // The next `count` registrations fail so.
  void FailRegistrations(int count, absl::Status status) {
    MutexLock lock(mutex_);
    register_failures_ = count;
    register_status_ = std::move(status);
  }
  // Every heartbeat is answered so from now on.
  void AnswerHeartbeats(absl::Status status) {
    MutexLock lock(mutex_);
    heartbeat_status_ = std::move(status);
  }

  // Told to every worker that registers from now on.
  void Supersede(std::vector<std::string> ids) {
    MutexLock lock(mutex_);
    superseded_ = std::move(ids);
  }

  Recorder<varpulis::v1::RegisterWorkerRequest> registrations;
  Recorder<varpulis::v1::Heartbeat> heartbeats;
  Recorder<std::string> deleted;

 private:
  absl::Status NextRegisterAnswer() {
    MutexLock lock(mutex_);
    if (register_failures_ == 0) return absl::OkStatus();
    --register_failures_;
    return register_status_;
  }
  std::vector<std::string> Superseded() {
    MutexLock lock(mutex_);
    return superseded_;
  }
  absl::Status HeartbeatAnswer() {
    MutexLock lock(mutex_);
    return heartbeat_status_;
  }

  const uint64_t leader_epoch_;
  Mutex mutex_;
  int register_failures_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status register_status_ ABSL_GUARDED_BY(mutex_);
  absl::Status heartbeat_status_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> superseded_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<transport::Service> service_;  // last: its handlers use the rest
};

}  // namespace varpulis::worker
