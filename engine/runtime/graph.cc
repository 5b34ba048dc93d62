#include "engine/runtime/graph.h"

#include <algorithm>

namespace varpulis::engine {

void Graph::Run(int stream, Batch rows) {
  streams_[static_cast<size_t>(stream)].head()->OnBatch(rows, run_);
}

// One event, through all streams of its type and then through those behind them.
void Graph::RunOne(const InputType& type, Row row) {
  for (int stream : type.streams) {
    Row copy = row;
    Run(stream, Batch(&copy, 1));
  }
  // Rows added on the way are served too.
  for (size_t next = 0; next < run_.queue.size(); ++next) {
    const QueuedRow queued = run_.queue[next];
    for (int consumer : streams_[static_cast<size_t>(queued.stream)].consumers) {
      Row copy = queued.row;
      Run(consumer, Batch(&copy, 1));
    }
  }
  run_.queue.clear();
}

// Many events, along the one path that InputType::takes_batches speaks of.
void Graph::RunPath(const InputType& type, Batch rows) {
  Run(type.streams[0], rows);
  while (!run_.queue.empty()) {  // all of one stream
    const Stream& stream = streams_[static_cast<size_t>(run_.queue[0].stream)];
    path_rows_.clear();
    for (const QueuedRow& queued : run_.queue) path_rows_.push_back(queued.row);
    run_.queue.clear();
    Run(stream.consumers[0], absl::MakeSpan(path_rows_));
  }
}

void Graph::Push(const InputType* type, Batch rows, OutputSink& sink) {
  events_in_ += rows.size();
  for (const Row& row : rows) pipeline_time_ns_ = std::max(pipeline_time_ns_, row.timestamp_ns);
  if (type != nullptr) {
    run_.sink = &sink;
    run_.outputs = 0;
    if (type->takes_batches) {
      RunPath(*type, rows);
    } else {
      for (const Row& row : rows) RunOne(*type, row);
    }
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
