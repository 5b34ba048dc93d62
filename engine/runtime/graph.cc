#include "engine/runtime/graph.h"

#include <algorithm>

namespace varpulis::engine {

void Graph::Run(InputType::Consumer consumer, Batch rows) {
  streams_[static_cast<size_t>(consumer.stream)].entry(consumer.port)->OnBatch(rows, run_);
}

// Rows added on the way are served too.
void Graph::ServeQueue() {
  for (size_t next = 0; next < run_.queue.size(); ++next) {
    const QueuedRow queued = run_.queue[next];
    for (const InputType::Consumer& consumer :
         streams_[static_cast<size_t>(queued.stream)].consumers) {
      Row copy = queued.row;
      Run(consumer, Batch(&copy, 1));
    }
  }
  run_.queue.clear();
}

Arena::Place Graph::StartEvent() {
  run_.eval.bytes_limit = arena_.used() + limits_.event_bytes;
  run_.eval.output_units = limits_.event_bytes / Extent::kUnitBytes;
  return arena_.Here();
}

// What a large event made goes at once, so that many of them in one call do not add up.
void Graph::EndEvent(const Arena::Place& before) {
  constexpr size_t kLarge = 1 << 20;
  if (arena_.used() + limits_.event_bytes < run_.eval.bytes_limit + kLarge) return;
  globals_.EndEvent();  // first: the values lie in the arena
  arena_.BackTo(before);
}

// One event, through all streams of its type and then through those behind them.
void Graph::RunOne(const InputType& type, Row row) {
  const Arena::Place before = StartEvent();
  for (const InputType::Consumer& consumer : type.consumers) {
    Row copy = row;
    Run(consumer, Batch(&copy, 1));
  }
  ServeQueue();
  EndEvent(before);
}

// Many events, along the one path that InputType::takes_batches speaks of. When several of them
// run into the limits of one value, only the first says so.
void Graph::RunPath(const InputType& type, Batch rows) {
  run_.eval.bytes_limit = SIZE_MAX;  // of many events together; none of them makes much
  run_.eval.output_units = UINT64_MAX;
  Run(type.consumers[0], rows);
  while (!run_.queue.empty()) {  // all of one stream
    const Stream& stream = streams_[static_cast<size_t>(run_.queue[0].stream)];
    path_rows_.clear();
    for (const QueuedRow& queued : run_.queue) path_rows_.push_back(queued.row);
    run_.queue.clear();
    Run(stream.consumers[0], absl::MakeSpan(path_rows_));
  }
}

void Graph::FireTimers(int64_t now_ns) {
  constexpr int64_t kNever = INT64_MAX - 1;
  // A gap in the input makes up for at most so many ticks.
  constexpr int kMaxTicks = 100'000;
  for (Timer& timer : timers_) {
    if (timer.due_ns != INT64_MAX) continue;
    if (__builtin_add_overflow(now_ns, timer.first_delay_ns, &timer.due_ns)) {
      timer.due_ns = kNever;
    }
  }
  for (int ticks = 0;; ++ticks) {
    Timer* next = nullptr;
    for (Timer& timer : timers_) {
      if (timer.due_ns <= now_ns && timer.due_ns < kNever &&
          (next == nullptr || timer.due_ns < next->due_ns)) {
        next = &timer;
      }
    }
    if (next == nullptr) return;
    if (ticks == kMaxTicks) {
      run_.sink->OnText(TextLevel::kWarning,
                        "timer `" + next->stream + "` left ticks out: the input stood still");
      // Unsigned: the gap may be longer than half of all time.
      const auto interval = static_cast<uint64_t>(next->interval_ns);
      const uint64_t gap = static_cast<uint64_t>(now_ns) - static_cast<uint64_t>(next->due_ns);
      next->due_ns =
          static_cast<int64_t>(static_cast<uint64_t>(next->due_ns) + gap / interval * interval);
      ticks = 0;
    }
    Row row;
    row.timestamp_ns = next->due_ns;
    row.slots = arena_.Allocate<Value>(next->type->slot_count);
    for (size_t i = 0; i < next->type->slot_count; ++i) row.slots[i] = Value();
    constexpr int64_t kMillisecond = 1'000'000;
    const int slot = next->type->SlotOf("timestamp");
    if (slot >= 0) row.slots[slot] = Value::Int(next->due_ns / kMillisecond);
    if (__builtin_add_overflow(next->due_ns, next->interval_ns, &next->due_ns)) {
      next->due_ns = kNever;
    }
    RunOne(*next->type, row);
  }
}

void Graph::EndCall() {
  globals_.EndEvent();  // first: the values lie in the arena
  arena_.Reset();
  ReportError();
}

void Graph::ReportError() {
  if (error_.empty()) return;
  run_.sink->OnText(TextLevel::kError, error_);
  error_.clear();
}

void Graph::PushRun(const InputType* type, Batch rows) {
  const bool together = timers_.empty() && (type == nullptr || type->takes_batches);
  if (together) {
    events_in_ += rows.size();
    run_.event_number = events_in_;
    for (const Row& row : rows) pipeline_time_ns_ = std::max(pipeline_time_ns_, row.timestamp_ns);
    if (type != nullptr) RunPath(*type, rows);
    return;
  }
  for (const Row& row : rows) {
    run_.event_number = ++events_in_;
    pipeline_time_ns_ = std::max(pipeline_time_ns_, row.timestamp_ns);
    if (!timers_.empty()) FireTimers(pipeline_time_ns_);
    if (type != nullptr) RunOne(*type, row);
    ReportError();
  }
}

void Graph::Push(absl::Span<const RowRun> runs, Batch rows, OutputSink& sink) {
  run_.sink = &sink;
  run_.outputs = 0;
  size_t from = 0;
  for (const RowRun& run : runs) {
    PushRun(run.type, rows.subspan(from, run.count));
    from += run.count;
  }
  events_out_ += run_.outputs;
  EndCall();
}

void Graph::AdvanceTo(int64_t now_ns, OutputSink& sink) {
  run_.sink = &sink;
  run_.outputs = 0;
  pipeline_time_ns_ = std::max(pipeline_time_ns_, now_ns);
  run_.event_number = events_in_;
  FireTimers(pipeline_time_ns_);
  ReportError();
  events_out_ += run_.outputs;
  EndCall();
}

void Graph::Finish(OutputSink& sink) {
  run_.sink = &sink;
  run_.outputs = 0;
  struct Open {
    OpenSession session;
    Operator* window;
  };
  // Results may open sessions further down.
  constexpr uint64_t kRound = uint64_t{1} << 48;
  for (uint64_t round = 1;; ++round) {
    std::vector<Open> all;
    for (const Stream& stream : streams_) {
      for (const std::unique_ptr<Operator>& op : stream.operators) {
        std::vector<OpenSession> open;
        op->ListOpen(&open);
        for (const OpenSession& session : open) all.push_back({session, op.get()});
      }
    }
    if (all.empty()) break;
    std::stable_sort(all.begin(), all.end(), [](const Open& a, const Open& b) {
      return a.session.opened < b.session.opened;
    });
    for (const Open& open : all) {
      // What it opens further down comes in the next round, in the order of this one.
      run_.event_number = round * kRound + open.session.opened % kRound;
      sink.OnSessionEnd(open.session.opened);
      const Arena::Place before = StartEvent();
      open.window->CloseOpen(open.session.partition, run_);
      ServeQueue();
      ReportError();
      EndEvent(before);
    }
  }
  events_out_ += run_.outputs;
  EndCall();
}

void Graph::SetGlobal(std::string_view name, const Value& value) { globals_.Set(name, value); }

void Graph::SetTimer(std::string_view stream, int64_t due_ns) {
  for (Timer& timer : timers_) {
    if (timer.stream == stream) timer.due_ns = due_ns;
  }
}

void Graph::SetCounters(uint64_t events_in, uint64_t events_out, int64_t pipeline_time_ns) {
  events_in_ = events_in;
  events_out_ = events_out;
  pipeline_time_ns_ = events_in == 0 ? INT64_MIN : pipeline_time_ns;
}

}  // namespace varpulis::engine
