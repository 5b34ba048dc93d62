#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/runtime/event.h"
#include "engine/runtime/expression.h"

namespace varpulis::engine {

class StateReader;
class StateWriter;

// A window that the end of the input closes. See Operator::ListOpen.
struct OpenSession {
  uint64_t opened;     // number of its first event among the pipeline's inputs
  uint32_t partition;  // or another number the operator knows it by
};

// What a stream's last operator hands over to the streams that read it.
struct QueuedRow {
  int stream;
  Row row;
};

// The surroundings of the operators while one input event is in work.
struct RunContext {
  EvalContext eval;
  OutputSink* sink = nullptr;
  uint64_t event_number = 0;  // of the input event in work, from 1; the last of a batch
  uint64_t outputs = 0;
  std::vector<QueuedRow> queue;
};

inline Value EvaluateOn(const Expression& expression, const Row& row, RunContext& run) {
  run.eval.slots = row.slots;
  run.eval.timestamp_ns = row.timestamp_ns;
  return EvaluateIn(expression, run.eval);
}

// A stage of a stream's chain. Takes batches, normally of one row, and pushes what it lets through
// to the next stage before it returns. Rows and what they point to die with the input event, so an
// operator copies (OwnedValue) what it keeps. Never sees an empty batch.
class Operator {
 public:
  virtual ~Operator() = default;
  virtual void OnBatch(Batch batch, RunContext& run) = 0;

  // At the end of a finite input: the windows to close then, and closing one of them.
  virtual void ListOpen(std::vector<OpenSession>*) const {}
  virtual void CloseOpen(uint32_t, RunContext&) {}

  // State, for checkpoints. An operator without any writes nothing.
  virtual void Save(StateWriter&) const {}
  virtual void Restore(const StateReader&) {}

  void set_next(Operator* next) { next_ = next; }

 protected:
  // Keeps the rows for which `keep(row)`, in order, and pushes them on.
  template <typename Keep>
  void PushKept(Batch batch, RunContext& run, Keep keep) {
    size_t kept = 0;
    for (Row& row : batch) {
      if (keep(row)) batch[kept++] = row;
    }
    if (kept > 0) next_->OnBatch(batch.subspan(0, kept), run);
  }
  static Value Evaluate(const Expression& expression, const Row& row, RunContext& run) {
    return EvaluateOn(expression, row, run);
  }

  Operator* next_ = nullptr;
};

}  // namespace varpulis::engine
