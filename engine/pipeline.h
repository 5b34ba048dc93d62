#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/lang/check.h"
#include "engine/runtime/event.h"
#include "proto/checkpoint.pb.h"
#include "proto/event.pb.h"

namespace varpulis::engine {

class Graph;

// An output of the program: `event.event_type` is what vpl.md §7.3 says, `stream` the stream that
// emitted it.
struct EmittedEvent {
  std::string stream;
  varpulis::v1::Event event;
};

// A compiled program and its state: the front door of the engine.
//
// A deterministic function of its inputs: it reads no clock, and the same events give the same
// outputs in the same order however they are cut into calls. Each input event is carried to its end
// before the next one. Thread-compatible.
//
//   ASSIGN_OR_RETURN(auto pipeline, Pipeline::Compile(source));
//   std::vector<EmittedEvent> outputs;
//   RETURN_IF_ERROR(pipeline->Push(event, &outputs));
class Pipeline {
 public:
  // InvalidArgument with the formatted diagnostics when the program has errors.
  static absl::StatusOr<std::unique_ptr<Pipeline>> Compile(std::string_view source);
  // CheckSource and what only loading finds, such as an initialiser without a value.
  static CheckResult Check(std::string_view source);

  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Outputs are appended. An error (InvalidArgument) only for an event that breaks a limit of
  // vpl.md §8.1 or lacks its type or `timestamp_ns`; the state is then as before.
  absl::Status Push(const varpulis::v1::Event& event, std::vector<EmittedEvent>* outputs);

  // The same without copies, for readers that know `inputs()`: successive events of one type, with
  // their slots in `arena()`, which is emptied when the call returns. `type` is null for events that
  // no stream reads. The rows may be changed.
  void PushRows(const InputType* type, Batch rows, OutputSink& sink);
  const InputTypes& inputs() const;
  Arena& arena();

  // The caller owns `input_position` of the checkpoint.
  absl::StatusOr<varpulis::checkpoint::v1::PipelineCheckpoint> Save() const;
  // Into a freshly compiled pipeline. State goes to the operator of the same stream and position if
  // its definition is unchanged, and is dropped otherwise. Refuses a newer version.
  absl::Status Restore(const varpulis::checkpoint::v1::PipelineCheckpoint& checkpoint);

  uint64_t events_in() const;
  uint64_t events_out() const;
  size_t stream_count() const;
  // Types read from outside, first use first. Stream names are not among them.
  std::vector<std::string> input_event_types() const;
  // The plan as text, for people.
  std::string DebugString() const;

 private:
  explicit Pipeline(std::unique_ptr<Graph> graph);

  std::unique_ptr<Graph> graph_;
};

}  // namespace varpulis::engine
