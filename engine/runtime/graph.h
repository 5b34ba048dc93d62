#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/event.h"
#include "engine/runtime/operator.h"

namespace varpulis::engine {

// The operators of a program, wired, with their state. Carries each event to its end: first through
// the streams of its type in declaration order, then the rows these leave, first in first out.
// Built by BuildGraph; thread-compatible.
class Graph {
 public:
  struct Stream {
    std::string name;
    std::vector<std::unique_ptr<Operator>> operators;
    std::vector<std::string> fingerprints;  // by operator
    std::unique_ptr<Operator> end;
    std::vector<int> consumers;

    Operator* head() const { return operators.empty() ? end.get() : operators[0].get(); }
  };
  struct Global {
    std::string name;
    bool is_mutable = false;
    OwnedValue value;
  };

  // Events of one type, in order; null for a type no stream reads. Empties the arena. The result
  // does not depend on how a sequence of events is cut into calls.
  void Push(const InputType* type, Batch rows, OutputSink& sink);

  const InputTypes& inputs() const { return inputs_; }
  Arena& arena() { return arena_; }
  const std::vector<Stream>& streams() const { return streams_; }
  const std::vector<Global>& globals() const { return globals_; }
  const std::vector<std::string>& input_event_types() const { return input_event_types_; }
  const std::string& fingerprint() const { return fingerprint_; }
  const std::string& debug_string() const { return debug_string_; }
  uint64_t events_in() const { return events_in_; }
  uint64_t events_out() const { return events_out_; }
  int64_t pipeline_time_ns() const { return pipeline_time_ns_; }

  // For Restore. A name that is no mutable variable is ignored.
  void SetGlobal(std::string_view name, const Value& value);
  void SetCounters(uint64_t events_in, uint64_t events_out, int64_t pipeline_time_ns);

 private:
  friend class GraphBuilder;
  Graph() = default;

  void Run(int stream, Batch rows);
  void RunOne(const InputType& type, Row row);
  void RunPath(const InputType& type, Batch rows);

  std::vector<std::unique_ptr<InputType>> input_types_;
  InputTypes inputs_;
  std::vector<std::string> input_event_types_;
  std::vector<Stream> streams_;
  std::vector<Global> globals_;
  std::vector<Value> global_values_;  // views of globals_, for the expressions
  std::vector<Value> locals_;
  Arena literals_;
  Arena arena_;
  RunContext run_;
  std::vector<Row> path_rows_;
  std::string fingerprint_, debug_string_;
  uint64_t events_in_ = 0;
  uint64_t events_out_ = 0;
  int64_t pipeline_time_ns_ = INT64_MIN;  // largest timestamp so far
};

}  // namespace varpulis::engine
