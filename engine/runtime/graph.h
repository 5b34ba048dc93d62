#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/enrich.h"
#include "engine/runtime/event.h"
#include "engine/runtime/function.h"
#include "engine/runtime/globals.h"
#include "engine/runtime/operator.h"

namespace varpulis::engine {

// The operators of a program, wired, with their state. Carries each event to its end: first through
// the streams of its type in declaration order, then the rows these leave, first in first out.
// Built by BuildGraph; thread-compatible.
class Graph {
 public:
  struct Stream {
    std::string name;
    std::vector<std::unique_ptr<Operator>> ports;  // of a merge or join; else empty
    std::string ports_fingerprint;
    std::vector<std::unique_ptr<Operator>> operators;
    std::vector<std::string> fingerprints;  // by operator
    std::unique_ptr<Operator> end;
    std::vector<InputType::Consumer> consumers;

    Operator* head() const { return operators.empty() ? end.get() : operators[0].get(); }
    Operator* entry(int port) const {
      return ports.empty() ? head() : ports[static_cast<size_t>(port)].get();
    }
  };
  // `timer(d, initial_delay: i)`: fires on pipeline time (vpl.md §1.6).
  struct Timer {
    const InputType* type = nullptr;
    std::string stream;
    int64_t interval_ns = 0;
    int64_t first_delay_ns = 0;
    int64_t due_ns = INT64_MAX;  // until the first event: not started
  };

  // Events, in order. Empties the arena. The result does not depend on how a sequence of events is
  // cut into calls.
  void Push(absl::Span<const RowRun> runs, Batch rows, OutputSink& sink);
  // So many events of the input went to another pipeline: they only count.
  void SkipEvents(uint64_t count) { events_in_ += count; }
  // Time has come to `now_ns` without an event: timers fire. For live pipelines, where timers go by
  // the clock of whoever calls; the first call starts them.
  void AdvanceTo(int64_t now_ns, OutputSink& sink);
  // The input ends here: open sessions close, in order of their first events (vpl.md §4.1).
  void Finish(OutputSink& sink);

  const InputTypes& inputs() const { return inputs_; }
  Arena& arena() { return arena_; }
  const std::vector<Stream>& streams() const { return streams_; }
  const Globals& globals() const { return globals_; }
  const std::vector<Timer>& timers() const { return timers_; }
  const std::vector<std::string>& input_event_types() const { return input_event_types_; }
  const std::string& fingerprint() const { return fingerprint_; }
  const std::string& debug_string() const { return debug_string_; }
  uint64_t events_in() const { return events_in_; }
  uint64_t events_out() const { return events_out_; }
  int64_t pipeline_time_ns() const { return pipeline_time_ns_; }

  // Smaller ones, for tests.
  void set_limits(const RunLimits& limits) { limits_ = limits; }

  // For Restore. A name that is no mutable variable is ignored.
  void SetGlobal(std::string_view name, const Value& value);
  void SetTimer(std::string_view stream, int64_t due_ns);
  void SetCounters(uint64_t events_in, uint64_t events_out, int64_t pipeline_time_ns);

 private:
  friend class GraphBuilder;
  Graph() = default;

  void PushRun(const InputType* type, Batch rows);
  void Run(InputType::Consumer consumer, Batch rows);
  void RunOne(const InputType& type, Row row);
  void RunPath(const InputType& type, Batch rows);
  void ServeQueue();
  void FireTimers(int64_t now_ns);
  Arena::Place StartEvent();
  void EndEvent(const Arena::Place& before);
  void EndCall();
  void ReportError();

  std::vector<std::unique_ptr<InputType>> input_types_;
  InputTypes inputs_;
  std::vector<std::string> input_event_types_;
  std::vector<std::unique_ptr<LookupProvider>> providers_;  // outlive the operators
  std::vector<Stream> streams_;
  std::vector<Timer> timers_;
  Globals globals_;
  FunctionTable functions_;
  std::vector<Value> locals_;
  Arena literals_;
  Arena arena_;
  RunContext run_;
  std::string error_;
  RunLimits limits_;
  std::vector<Row> path_rows_;
  std::string fingerprint_, debug_string_;
  uint64_t events_in_ = 0;
  uint64_t events_out_ = 0;
  int64_t pipeline_time_ns_ = INT64_MIN;  // largest timestamp so far
};

}  // namespace varpulis::engine
