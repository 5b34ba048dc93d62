#include "engine/runtime/graph.h"

#include <algorithm>

namespace varpulis::engine {

void Graph::Run(int stream, Row row) {
  streams_[static_cast<size_t>(stream)].head()->OnBatch(Batch(&row, 1), run_);
}

void Graph::Push(const InputType* type, Row row, OutputSink& sink) {
  ++events_in_;
  pipeline_time_ns_ = std::max(pipeline_time_ns_, row.timestamp_ns);
  if (type != nullptr) {
    run_.sink = &sink;
    run_.outputs = 0;
    for (int stream : type->streams) Run(stream, row);
    // Rows added on the way are served too.
    for (size_t next = 0; next < run_.queue.size(); ++next) {
      const QueuedRow queued = run_.queue[next];
      for (int consumer : streams_[static_cast<size_t>(queued.stream)].consumers) {
        Run(consumer, queued.row);
      }
    }
    run_.queue.clear();
    events_out_ += run_.outputs;
  }
  arena_.Reset();
}

void Graph::SetGlobal(std::string_view name, const Value& value) {
  for (size_t i = 0; i < globals_.size(); ++i) {
    if (!globals_[i].is_mutable || globals_[i].name != name) continue;
    globals_[i].value = OwnedValue(value);
    global_values_[i] = globals_[i].value.get();
    return;
  }
}

void Graph::SetCounters(uint64_t events_in, uint64_t events_out, int64_t pipeline_time_ns) {
  events_in_ = events_in;
  events_out_ = events_out;
  pipeline_time_ns_ = events_in == 0 ? INT64_MIN : pipeline_time_ns;
}

}  // namespace varpulis::engine
