#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/strand.h"
#include "proto/cluster.pb.h"
#include "transport/bus.h"
#include "transport/event_streams.h"
#include "transport/subjects.h"
#include "worker/inject_waiters.h"
#include "worker/outputs.h"
#include "worker/pipeline_runner.h"
#include "worker/placement.h"
#include "worker/replay_guard.h"
#include "worker/stored_delivery_options.h"

namespace varpulis::worker {

// What one copy of an exactly-once pipeline has beside its runner: the stream that is its input,
// whatever feeds it, and the outputs. Every way in goes through the stream, and the copy processes
// what it reads there, in the stream's order.
//
// Prepared, then started once. Thread-safe otherwise.
class StoredDelivery : public std::enable_shared_from_this<StoredDelivery> {
 public:
  struct Deps {
    transport::Bus& bus;
    transport::EventStreams& streams;
    std::shared_ptr<Strand> timers;
    transport::Subjects subjects;
    StoredDeliveryOptions options;
    std::shared_ptr<ExclusiveTurn> turn;  // of all copies on the worker
  };
  using InjectDone = InjectWaiters::Done;

  // Makes the streams, unless they are there, and finds out how far the outputs are stored.
  // `on_superseded`: see StoredOutputs. `done` runs on any thread.
  static void Prepare(const varpulis::v1::DeployPipelineRequest& request, Deps deps,
                      std::function<void()> on_superseded,
                      std::function<void(absl::StatusOr<std::shared_ptr<StoredDelivery>>)> done);

  // FAILED_PRECONDITION when the stream does not have what comes after `position`.
  absl::Status CheckPosition(uint64_t position) const;
  std::unique_ptr<Outputs> TakeOutputs() { return std::move(outputs_); }
  // What the runner needs to know.
  PipelineRunner::Stored RunnerOptions(const Placement& placement);

  // Begins to read after `position` into `runner`, which must outlive this or Stop(), and must be
  // closed before either when it may be full.
  void Start(PipelineRunner& runner, uint64_t position);
  void Stop();

  // Publishes into the own input. `done` hears the outputs, once the batch is stored, or `pending`
  // when they do not come in time. `event_id` may be empty; an event whose id the broker has seen
  // lately is not stored again.
  void Inject(const varpulis::v1::EventBatch& batch, const std::string& event_id, InjectDone done);

  // Lets go of the input below `first`.
  void Trim(uint64_t first);

 private:
  StoredDelivery(const varpulis::v1::DeployPipelineRequest& request, Deps deps);

  // Finds out what the copy before has left.
  void LookBack(const varpulis::v1::DeployPipelineRequest& request,
                std::function<void(absl::Status)> done);
  void OnMessage(const transport::StoredMessage& stored, PipelineRunner& runner);
  // False: unreadable.
  bool Decode(const transport::StoredMessage& stored, varpulis::v1::EventBatch* batch);
  void PublishTick();

  const Deps deps_;
  const transport::EventStreamOptions input_;
  const transport::EventStreamOptions outbox_;
  const std::string tick_subject_;
  const std::string inject_subject_;
  transport::EventStreams::Range range_;  // of the input when it was prepared
  ReplayPlan::Mark left_;                 // by the copy before
  const ReplayGuard::Options guard_options_;
  std::shared_ptr<ReplayGuard> guard_;  // from Start on
  std::unique_ptr<Outputs> outputs_;
  std::shared_ptr<InjectWaiters> waiters_ = std::make_shared<InjectWaiters>();
  std::unique_ptr<transport::Subscription> reader_;
};

}  // namespace varpulis::worker
