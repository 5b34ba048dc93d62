#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/lang/check.h"
#include "engine/runtime/enrich.h"
#include "engine/runtime/event.h"
#include "engine/runtime/limits.h"
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
  // InvalidArgument with the formatted diagnostics when the program has errors. `providers` makes
  // what `.enrich` looks things up in; without it such a program is refused.
  static absl::StatusOr<std::unique_ptr<Pipeline>> Compile(
      std::string_view source, const LookupProviderFactory& providers = nullptr,
      const RunLimits& limits = {});
  // CheckSource and what only loading finds, such as an initialiser without a value.
  static CheckResult Check(std::string_view source);

  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Outputs are appended. An error (InvalidArgument) only for an event that breaks a limit of
  // vpl.md §8.1 or lacks its type or `timestamp_ns`; the state is then as before.
  absl::Status Push(const varpulis::v1::Event& event, std::vector<EmittedEvent>* outputs);

  // The same into a sink, which also hears what would go to the text listener.
  absl::Status Push(const varpulis::v1::Event& event, OutputSink& sink);
  // A batch in the columnar form. Returns how many of its events were refused, and why the first
  // was; the others take effect. REQUIRES: CheckColumns (runtime/columns.h) is OK.
  struct Refused {
    uint64_t events = 0;
    absl::Status why;
  };
  Refused PushColumns(const varpulis::v1::Columns& columns, OutputSink& sink);

  // The same without copies, for readers that know `inputs()`: successive events, with their slots
  // in `arena()`, which is emptied when the call returns. The rows may be changed.
  void PushRows(absl::Span<const RowRun> runs, Batch rows, OutputSink& sink);
  // So many events went to another pipeline of the same program, as plan/parallel.h allows: here
  // they only count, so that events have the numbers they would have in one pipeline.
  void SkipEvents(uint64_t count);
  // For live pipelines with `timer(…)` streams: time has come to `now_ns`, which fires what is due.
  // The first call starts the timers. Replays need no calls: there events carry time on.
  void AdvanceTo(int64_t now_ns, OutputSink& sink);
  void AdvanceTo(int64_t now_ns, std::vector<EmittedEvent>* outputs);
  // When the next timer is due: INT64_MIN before they have started, INT64_MAX without any.
  int64_t next_timer_ns() const;
  // Takes what `.print`, `.log` and `.tap` say and what goes wrong inside functions, from Push and
  // AdvanceTo. May be empty.
  using TextListener = std::function<void(TextLevel level, std::string_view text)>;
  void SetTextListener(TextListener listener) { text_listener_ = std::move(listener); }

  // Smaller ones than a program has, for tests.
  void SetLimits(const RunLimits& limits);

  // The input ends: open session windows close, and their results flow on (vpl.md §4.1). For finite
  // inputs only; a live pipeline is never finished.
  void Finish(OutputSink& sink);
  const InputTypes& inputs() const;
  Arena& arena();

  // An empty checkpoint on an arena of its own: a large state has a message for every value, which
  // are made and freed together there. `bytes`: how large it will be, where that is known.
  static std::shared_ptr<varpulis::checkpoint::v1::PipelineCheckpoint> NewCheckpoint(
      size_t bytes = 0);
  // Into an empty one. The caller owns its `input_position`.
  void Save(varpulis::checkpoint::v1::PipelineCheckpoint* checkpoint) const;
  std::shared_ptr<varpulis::checkpoint::v1::PipelineCheckpoint> Save() const;
  // What Save gave, from bytes: values in it may be nested deeper than protobuf takes by itself.
  // DATA_LOSS: these are none.
  static absl::StatusOr<std::shared_ptr<varpulis::checkpoint::v1::PipelineCheckpoint>>
  ParseCheckpoint(std::string_view bytes);
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
  TextListener text_listener_;
};

}  // namespace varpulis::engine
