#pragma once

#include <optional>
#include <string>
#include <utility>

#include "google/protobuf/repeated_field.h"

#include "proto/cluster.pb.h"
#include "transport/rpc.h"
#include "worker/pipeline_host.h"

namespace varpulis::worker {

// Injects as a coordinator's command and the worker's own API both mean them: find the pipeline,
// check what can be checked before its thread, stamp the time of entry, hand over. Any thread.

// `epoch`: of the placement that the sender means; absent: whichever runs.
void InjectEvent(PipelineHost& host, const PipelineId& id, std::optional<uint64_t> epoch,
                 varpulis::v1::Event event, std::string event_id,
                 const PipelineRunner::InjectDone& done);

// Events without a type are rejected one by one, with their index.
void InjectEvents(PipelineHost& host, const PipelineId& id, std::optional<uint64_t> epoch,
                  google::protobuf::RepeatedPtrField<varpulis::v1::Event> events,
                  PipelineRunner::InjectBatchDone done);

// A move-only replier as a callback that std::function can hold.
template <typename Reply>
PipelineHost::Done<Reply> AnswerTo(transport::Replier<Reply> replier) {
  auto shared = std::make_shared<transport::Replier<Reply>>(std::move(replier));
  return [shared](absl::StatusOr<Reply> result) { shared->Answer(result); };
}

}  // namespace varpulis::worker
