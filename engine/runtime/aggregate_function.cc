#include "engine/runtime/aggregate_function.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "engine/runtime/batch_codec.h"
#include "engine/runtime/distinct_counts.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {
namespace {

using Numbers = std::vector<double>;
using Values = std::vector<StoredValue>;
using checkpoint::v1::StateRecord;

template <typename T>
T& At(char* block, size_t offset) {
  return *reinterpret_cast<T*>(block + offset);
}
template <typename T>
const T& At(const char* block, size_t offset) {
  return *reinterpret_cast<const T*>(block + offset);
}

size_t SizeOf(AggregateFunction function) {
  if (IsNumeric(function)) return sizeof(NumberState);
  switch (function) {
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      return sizeof(StoredValue);
    default:
      return sizeof(void*);  // a count, or a pointer to what grows
  }
}

// Made when the first value comes, so that an empty group costs nothing.
template <typename T>
T& Grown(char* block, size_t offset) {
  T*& owned = At<T*>(block, offset);
  if (owned == nullptr) owned = new T;
  return *owned;
}

Value Collected(const Values* values, Arena& arena) {
  const size_t size = values == nullptr ? 0 : values->size();
  auto* items = arena.Allocate<Value>(size);
  for (size_t i = 0; i < size; ++i) items[i] = (*values)[i].get();
  return Value::List(items, size);
}

}  // namespace

bool IsNumeric(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg:
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
    case AggregateFunction::kStddev:
    case AggregateFunction::kVariance:
    case AggregateFunction::kEma:
      return true;
    default:
      return false;
  }
}

double AggregateSet::NumberOf(const Value& value) {
  return value.is_number() ? value.number() : std::numeric_limits<double>::quiet_NaN();
}

void AddNumber(AggregateFunction function, double parameter, double number, NumberState* state) {
  if (std::isnan(number)) return;
  const int64_t count = ++state->count;
  switch (function) {
    case AggregateFunction::kMin:
      state->a = count == 1 ? number : std::min(state->a, number);
      return;
    case AggregateFunction::kMax:
      state->a = count == 1 ? number : std::max(state->a, number);
      return;
    case AggregateFunction::kStddev:
    case AggregateFunction::kVariance: {  // Welford
      const double from_old = number - state->a;
      state->a += from_old / static_cast<double>(count);
      state->b += from_old * (number - state->a);
      return;
    }
    case AggregateFunction::kEma: {
      const double k = 2.0 / (parameter + 1.0);
      if (count == 1) {
        state->a = number;
        state->b = 1.0 - k;
        state->c = number * k;
      } else {
        state->a = number * k + state->a * (1.0 - k);
        state->b *= 1.0 - k;
        state->c = number * k + state->c * (1.0 - k);
      }
      return;
    }
    default:
      state->a += number;
  }
}

NumberState MergeNumbers(AggregateFunction function, const NumberState& first,
                         const NumberState& second) {
  if (first.count == 0) return second;
  if (second.count == 0) return first;
  NumberState merged;
  merged.count = first.count + second.count;
  switch (function) {
    case AggregateFunction::kMin:
      merged.a = std::min(first.a, second.a);
      break;
    case AggregateFunction::kMax:
      merged.a = std::max(first.a, second.a);
      break;
    case AggregateFunction::kStddev:
    case AggregateFunction::kVariance: {  // Chan, Golub, LeVeque 1983
      const auto n1 = static_cast<double>(first.count);
      const auto n2 = static_cast<double>(second.count);
      const double delta = second.a - first.a;
      merged.a = first.a + delta * n2 / (n1 + n2);
      merged.b = first.b + second.b + delta * delta * n1 * n2 / (n1 + n2);
      break;
    }
    case AggregateFunction::kEma:
      merged.a = second.c + second.b * first.a;
      merged.b = second.b * first.b;
      merged.c = second.c + second.b * first.c;
      break;
    default:
      merged.a = first.a + second.a;
  }
  return merged;
}

namespace {
double AtLeastZero(double number) { return number < 0 ? 0 : number; }  // NaN stays
}  // namespace

Value NumberResult(AggregateFunction function, const NumberState& state) {
  const auto count = static_cast<double>(state.count);
  if (function == AggregateFunction::kSum) return Value::Float(state.a);
  if (state.count == 0) return Value::Null();
  switch (function) {
    case AggregateFunction::kAvg:
      return Value::Float(state.a / count);
    case AggregateFunction::kStddev:
      if (state.count < 2) return Value::Null();
      return Value::Float(std::sqrt(AtLeastZero(state.b) / (count - 1)));
    case AggregateFunction::kVariance:
      return Value::Float(AtLeastZero(state.b) / count);
    default:
      return Value::Float(state.a);
  }
}

Value PercentileOf(std::vector<double> numbers, double rank) {
  if (numbers.empty()) return Value::Null();
  std::sort(numbers.begin(), numbers.end());
  const double place =
      std::clamp(rank, 0.0, 100.0) / 100.0 * static_cast<double>(numbers.size() - 1);
  const auto below = static_cast<size_t>(place);
  const double part = place - static_cast<double>(below);
  if (below + 1 >= numbers.size()) return Value::Float(numbers.back());
  // Infinite neighbours have no difference.
  if (part == 0 || numbers[below] == numbers[below + 1]) return Value::Float(numbers[below]);
  return Value::Float(numbers[below] + (numbers[below + 1] - numbers[below]) * part);
}

AggregateSet::AggregateSet(std::vector<Function> functions, std::vector<ExpressionPtr> outputs)
    : functions_(std::move(functions)), outputs_(std::move(outputs)) {
  for (Function& function : functions_) {
    function.offset = block_size_;
    block_size_ += SizeOf(function.function);
  }
}

void AggregateSet::Start(char* block) const { std::memset(block, 0, block_size_); }

void AggregateSet::Add(char* block, const Row& row, RunContext& run) const {
  run.eval.slots = row.slots;
  run.eval.timestamp_ns = row.timestamp_ns;
  for (const Function& function : functions_) {
    if (function.function == AggregateFunction::kCount) {
      ++At<int64_t>(block, function.offset);
      continue;
    }
    const Value value = EvaluateIn(*function.argument, run.eval);
    if (IsNumeric(function.function)) {
      AddNumber(function.function, function.parameter, NumberOf(value),
                &At<NumberState>(block, function.offset));
      continue;
    }
    switch (function.function) {
      case AggregateFunction::kFirst:
        if (!At<StoredValue>(block, function.offset).get().missing()) break;
        [[fallthrough]];
      case AggregateFunction::kLast:
        At<StoredValue>(block, function.offset).Assign(value.missing() ? Value::Null() : value);
        break;
      case AggregateFunction::kCountDistinct:
        if (!value.missing()) Grown<DistinctCounts>(block, function.offset).Add(value);
        break;
      case AggregateFunction::kCollect:
        if (!value.missing()) {
          Grown<Values>(block, function.offset).emplace_back().Assign(value);
        }
        break;
      default: {
        const double number = NumberOf(value);
        if (!std::isnan(number)) Grown<Numbers>(block, function.offset).push_back(number);
      }
    }
  }
}

void AggregateSet::Stop(char* block) const {
  for (const Function& function : functions_) {
    switch (function.function) {
      case AggregateFunction::kFirst:
      case AggregateFunction::kLast:
        At<StoredValue>(block, function.offset).~StoredValue();
        break;
      case AggregateFunction::kCountDistinct:
        delete At<DistinctCounts*>(block, function.offset);
        break;
      case AggregateFunction::kCollect:
        delete At<Values*>(block, function.offset);
        break;
      case AggregateFunction::kMedian:
      case AggregateFunction::kPercentile:
        delete At<Numbers*>(block, function.offset);
        break;
      default:
        break;
    }
  }
}

void AggregateSet::Finish(const char* block, RunContext& run, Value* slots) const {
  auto* results = run.eval.arena->Allocate<Value>(functions_.size());
  for (size_t i = 0; i < functions_.size(); ++i) {
    const Function& function = functions_[i];
    if (IsNumeric(function.function)) {
      results[i] = NumberResult(function.function, At<NumberState>(block, function.offset));
      continue;
    }
    switch (function.function) {
      case AggregateFunction::kCount:
        results[i] = Value::Int(At<int64_t>(block, function.offset));
        break;
      case AggregateFunction::kFirst:
      case AggregateFunction::kLast:
        results[i] = At<StoredValue>(block, function.offset).get();
        break;
      case AggregateFunction::kCountDistinct: {
        const auto* counts = At<DistinctCounts*>(block, function.offset);
        results[i] = Value::Int(counts == nullptr ? 0 : static_cast<int64_t>(counts->size()));
        break;
      }
      case AggregateFunction::kCollect:
        results[i] =
            MadeOfState(Collected(At<Values*>(block, function.offset), *run.eval.arena), run.eval);
        break;
      default: {
        const auto* numbers = At<Numbers*>(block, function.offset);
        results[i] = PercentileOf(numbers == nullptr ? Numbers() : *numbers, function.parameter);
      }
    }
  }
  FinishFrom(results, run, slots);
}

void AggregateSet::FinishFrom(const Value* results, RunContext& run, Value* slots) const {
  EvalContext& eval = run.eval;
  std::copy(results, results + functions_.size(), eval.locals);
  for (size_t i = 0; i < outputs_.size(); ++i) {
    // Results may point into state that changes before the row has gone its way.
    Value value = EvaluateIn(*outputs_[i], eval);
    // A copy shares nothing.
    if (value.levels() > 0 && !eval.HasRoom()) value = OverLimit(eval);
    value = CopyTo(value, *eval.arena);
    slots[i] = value.missing() ? Value::Null() : value;
  }
}

void AggregateSet::Save(const char* block, StateRecord* record) const {
  for (const Function& function : functions_) {
    StateRecord& part = *record->add_parts();
    if (IsNumeric(function.function)) {
      const auto& state = At<NumberState>(block, function.offset);
      part.add_integers(state.count);
      part.add_reals(state.a);
      part.add_reals(state.b);
      part.add_reals(state.c);
      continue;
    }
    switch (function.function) {
      case AggregateFunction::kCount:
        part.add_integers(At<int64_t>(block, function.offset));
        break;
      case AggregateFunction::kFirst:
      case AggregateFunction::kLast: {
        const Value& value = At<StoredValue>(block, function.offset).get();
        if (!value.missing()) ValueToProto(value, part.add_values());
        break;
      }
      case AggregateFunction::kCountDistinct:
        if (const auto* counts = At<DistinctCounts*>(block, function.offset); counts != nullptr) {
          for (const auto& [value, count] : counts->Sorted()) {
            ValueToProto(value, part.add_values());
            part.add_integers(static_cast<int64_t>(count));
          }
        }
        break;
      case AggregateFunction::kCollect:
        if (const auto* values = At<Values*>(block, function.offset); values != nullptr) {
          for (const StoredValue& value : *values) ValueToProto(value.get(), part.add_values());
        }
        break;
      default:
        if (const auto* numbers = At<Numbers*>(block, function.offset); numbers != nullptr) {
          part.mutable_reals()->Add(numbers->begin(), numbers->end());
        }
    }
  }
}

void AggregateSet::Restore(char* block, const StateRecord& record) const {
  Arena arena;
  for (size_t i = 0; i < functions_.size() && i < static_cast<size_t>(record.parts_size()); ++i) {
    const Function& function = functions_[i];
    const StateRecord& part = record.parts(static_cast<int>(i));
    if (IsNumeric(function.function)) {
      if (part.integers_size() < 1 || part.reals_size() < 3) continue;
      At<NumberState>(block, function.offset) = {part.integers(0), part.reals(0), part.reals(1),
                                                 part.reals(2)};
      continue;
    }
    for (int k = 0; k < part.values_size(); ++k) {
      Value value;
      if (!ValueFromProto(part.values(k), arena, &value, /*check_limits=*/false).ok()) continue;
      switch (function.function) {
        case AggregateFunction::kFirst:
        case AggregateFunction::kLast:
          At<StoredValue>(block, function.offset).Assign(value);
          break;
        case AggregateFunction::kCountDistinct:
          if (k < part.integers_size() && part.integers(k) > 0) {
            Grown<DistinctCounts>(block, function.offset)
                .Add(value, static_cast<uint64_t>(part.integers(k)));
          }
          break;
        case AggregateFunction::kCollect:
          Grown<Values>(block, function.offset).emplace_back().Assign(value);
          break;
        default:
          break;
      }
      arena.Reset();
    }
    if (function.function == AggregateFunction::kCount && part.integers_size() > 0) {
      At<int64_t>(block, function.offset) = part.integers(0);
    }
    if (part.reals_size() > 0 && (function.function == AggregateFunction::kMedian ||
                                  function.function == AggregateFunction::kPercentile)) {
      Grown<Numbers>(block, function.offset).assign(part.reals().begin(), part.reals().end());
    }
  }
}

}  // namespace varpulis::engine
