#include "engine/pipeline.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "engine/plan/planner.h"
#include "engine/runtime/batch_codec.h"
#include "engine/runtime/build.h"
#include "engine/runtime/checkpoint.h"
#include "engine/runtime/columns.h"
#include "engine/runtime/graph.h"
#include "engine/runtime/on_arena.h"

namespace varpulis::engine {

using varpulis::checkpoint::v1::PipelineCheckpoint;

namespace {

class EmittedEvents final : public OutputSink {
 public:
  EmittedEvents(std::vector<EmittedEvent>* events, const Pipeline::TextListener& listener)
      : events_(events), listener_(listener) {}
  void OnText(TextLevel level, std::string_view text) override {
    if (listener_) listener_(level, text);
  }
  void OnOutput(const OutputEvent& event) override {
    EmittedEvent& emitted = events_->emplace_back();
    emitted.stream.assign(event.stream.data(), event.stream.size());
    OutputToProto(event, &emitted.event);
  }

 private:
  std::vector<EmittedEvent>* events_;
  const Pipeline::TextListener& listener_;
};

// Null, with the diagnostics in `result`, when the program has errors.
std::unique_ptr<Graph> Load(std::string_view source, const LookupProviderFactory& providers,
                            const RunLimits& limits, CheckResult* result) {
  CheckedProgram checked = ParseAndCheck(source);
  *result = std::move(checked.result);
  if (!result->ok()) return nullptr;
  std::vector<LoadError> errors;
  std::unique_ptr<Graph> graph =
      BuildGraph(MakePlan(checked.program), source, providers, limits, &errors);
  DiagnosticList diagnostics(source);
  for (LoadError& error : errors) {
    diagnostics.Error(error.span, std::move(error.code), std::move(error.message));
  }
  for (Diagnostic& diagnostic : diagnostics.Take()) {
    result->diagnostics.push_back(std::move(diagnostic));
  }
  return graph;
}

}  // namespace

Pipeline::Pipeline(std::unique_ptr<Graph> graph) : graph_(std::move(graph)) {}
Pipeline::~Pipeline() = default;

absl::StatusOr<std::unique_ptr<Pipeline>> Pipeline::Compile(std::string_view source,
                                                            const LookupProviderFactory& providers,
                                                            const RunLimits& limits) {
  CheckResult result;
  std::unique_ptr<Graph> graph = Load(source, providers, limits, &result);
  RETURN_IF_ERROR(CheckStatus(result, source));
  return std::unique_ptr<Pipeline>(new Pipeline(std::move(graph)));
}

CheckResult Pipeline::Check(std::string_view source) {
  CheckResult result;
  Load(source, nullptr, {}, &result);
  return result;
}

absl::Status Pipeline::Push(const varpulis::v1::Event& event, std::vector<EmittedEvent>* outputs) {
  EmittedEvents sink(outputs, text_listener_);
  return Push(event, sink);
}

absl::Status Pipeline::Push(const varpulis::v1::Event& event, OutputSink& sink) {
  const InputType* type = graph_->inputs().Find(event.event_type());
  Row row;
  if (type == nullptr) {
    RETURN_IF_ERROR(CheckLimits(event));
    row.timestamp_ns = event.timestamp_ns();
  } else if (absl::Status read = RowFromProto(event, *type, graph_->arena(), &row); !read.ok()) {
    graph_->arena().Reset();
    return read;
  }
  const RowRun run{type, 1};
  graph_->Push(absl::MakeConstSpan(&run, 1), Batch(&row, 1), sink);
  return absl::OkStatus();
}

Pipeline::Refused Pipeline::PushColumns(const varpulis::v1::Columns& columns, OutputSink& sink) {
  constexpr size_t kRowsAtOnce = 1024;
  ColumnsReader reader(columns, graph_->inputs(), graph_->arena());
  while (reader.Next(kRowsAtOnce)) {
    graph_->Push(reader.runs(), absl::MakeSpan(reader.rows()), sink);
  }
  return {reader.refused(), reader.why_refused()};
}

void Pipeline::PushRows(absl::Span<const RowRun> runs, Batch rows, OutputSink& sink) {
  graph_->Push(runs, rows, sink);
}
void Pipeline::SkipEvents(uint64_t count) { graph_->SkipEvents(count); }
void Pipeline::AdvanceTo(int64_t now_ns, OutputSink& sink) { graph_->AdvanceTo(now_ns, sink); }
void Pipeline::AdvanceTo(int64_t now_ns, std::vector<EmittedEvent>* outputs) {
  EmittedEvents sink(outputs, text_listener_);
  AdvanceTo(now_ns, sink);
}

void Pipeline::SetLimits(const RunLimits& limits) { graph_->set_limits(limits); }

int64_t Pipeline::next_timer_ns() const {
  int64_t next = INT64_MAX;
  for (const Graph::Timer& timer : graph_->timers()) {
    next = std::min(next, timer.due_ns == INT64_MAX ? INT64_MIN : timer.due_ns);
  }
  return next;
}

void Pipeline::Finish(OutputSink& sink) { graph_->Finish(sink); }
const InputTypes& Pipeline::inputs() const { return graph_->inputs(); }
Arena& Pipeline::arena() { return graph_->arena(); }

std::shared_ptr<PipelineCheckpoint> Pipeline::NewCheckpoint(size_t bytes) {
  constexpr size_t kLargestBlock = 1 << 20;
  return NewOnArena<PipelineCheckpoint>(2 * bytes, kLargestBlock);
}

void Pipeline::Save(PipelineCheckpoint* checkpoint) const { SaveGraph(*graph_, checkpoint); }

std::shared_ptr<PipelineCheckpoint> Pipeline::Save() const {
  auto checkpoint = NewCheckpoint();
  Save(checkpoint.get());
  return checkpoint;
}

absl::StatusOr<std::shared_ptr<PipelineCheckpoint>> Pipeline::ParseCheckpoint(
    std::string_view bytes) {
  auto checkpoint = NewCheckpoint(bytes.size());
  RETURN_IF_ERROR(ReadCheckpoint(bytes, checkpoint.get()));
  return checkpoint;
}

absl::Status Pipeline::Restore(const varpulis::checkpoint::v1::PipelineCheckpoint& checkpoint) {
  return RestoreGraph(checkpoint, *graph_);
}

uint64_t Pipeline::events_in() const { return graph_->events_in(); }
uint64_t Pipeline::events_out() const { return graph_->events_out(); }
size_t Pipeline::stream_count() const { return graph_->streams().size(); }
std::vector<std::string> Pipeline::input_event_types() const { return graph_->input_event_types(); }
std::string Pipeline::DebugString() const { return graph_->debug_string(); }

}  // namespace varpulis::engine
