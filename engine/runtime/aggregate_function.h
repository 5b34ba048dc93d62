#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/expression.h"
#include "engine/runtime/operator.h"
#include "engine/runtime/stored.h"

namespace varpulis::checkpoint::v1 {
class StateRecord;
}

namespace varpulis::engine {

// The aggregate calls of one `.aggregate(…)` and what they have gathered so far: one block of
// plain bytes per group of rows, of the size and with the offsets worked out here. Semantics:
// vpl.md §4.2.
class AggregateSet {
 public:
  struct Function {
    AggregateFunction function;
    ExpressionPtr argument;  // null: count()
    double parameter = 0;    // ema: length; percentile: rank
    size_t offset = 0;       // of its part of the block
  };

  AggregateSet(std::vector<Function> functions, std::vector<ExpressionPtr> outputs);

  // Bytes of a block, a multiple of 8. A block is moved with memcpy.
  size_t block_size() const { return block_size_; }
  void Start(char* block) const;
  void Add(char* block, const Row& row, RunContext& run) const;
  // Frees what the block owns; Start makes it usable again.
  void Stop(char* block) const;

  // The output fields, by alias, as `slots`. ⊥ becomes null. Values live in the arena, or in the
  // block until it changes.
  void Finish(const char* block, RunContext& run, Value* slots) const;

  void Save(const char* block, checkpoint::v1::StateRecord* record) const;
  // After Start. A record of another shape leaves what it can.
  void Restore(char* block, const checkpoint::v1::StateRecord& record) const;

  // For sliding windows: all functions over numbers alone can be joined from parts.
  const std::vector<Function>& functions() const { return functions_; }
  size_t output_count() const { return outputs_.size(); }
  // The number an argument stands for; NaN for what the numeric functions skip.
  static double NumberOf(const Value& value);
  // Evaluates the outputs over the results of the functions.
  void FinishFrom(const Value* results, RunContext& run, Value* slots) const;

 private:
  std::vector<Function> functions_;
  std::vector<ExpressionPtr> outputs_;
  size_t block_size_ = 0;
};

// What the numeric functions gather. Each is a monoid: Merge(a, b) is what adding the numbers of a
// and then those of b gives, but for rounding.
struct NumberState {
  int64_t count = 0;  // of numbers
  double a = 0;       // sum, extreme, mean, ema
  double b = 0;       // sum of squared deviations; the part that is left of an earlier ema
  double c = 0;       // the ema if it had been 0 before the first number
};
bool IsNumeric(AggregateFunction function);
void AddNumber(AggregateFunction function, double parameter, double number, NumberState* state);
NumberState MergeNumbers(AggregateFunction function, const NumberState& first,
                         const NumberState& second);
Value NumberResult(AggregateFunction function, const NumberState& state);
// Linear interpolation between the closest ranks, `rank` in 0..100. Null without numbers.
Value PercentileOf(std::vector<double> numbers, double rank);

}  // namespace varpulis::engine
