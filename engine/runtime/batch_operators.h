#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/runtime/aggregate_function.h"
#include "engine/runtime/operator.h"
#include "engine/runtime/partition.h"
#include "engine/runtime/window_aggregate.h"

namespace varpulis::engine {

// Operators that look at a batch as a whole. A batch is what a window gave, else a single row; the
// graph never puts several events in one batch before these.

// `.aggregate(…)` of each batch: one row, or one per partition in order of first appearance.
class Aggregate final : public Operator {
 public:
  // `key` is null without `.partition_by`.
  Aggregate(AggregateSet aggregates, AggregateShape shape, ExpressionPtr key)
      : aggregates_(std::move(aggregates)), shape_(shape), key_(std::move(key)) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  AggregateSet aggregates_;
  AggregateShape shape_;
  ExpressionPtr key_;
};

// `.order_by(…)`: stable; ⊥ and null last in both directions.
class OrderBy final : public Operator {
 public:
  OrderBy(std::vector<ExpressionPtr> keys, std::vector<bool> descending)
      : keys_(std::move(keys)), descending_(std::move(descending)) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  std::vector<ExpressionPtr> keys_;
  std::vector<bool> descending_;
};

}  // namespace varpulis::engine
