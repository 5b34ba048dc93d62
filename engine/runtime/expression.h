#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/arena.h"
#include "engine/runtime/event.h"
#include "engine/runtime/limits.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

class FunctionTable;
class Globals;

// A limit that an expression ran into.
enum class Excess : uint8_t { kNone, kBytes, kValueBytes, kValueLevels, kOutput };
// What `excess` is about, behind a subject: `made more than …`.
std::string ExcessText(Excess excess, const RunLimits& limits);

// What an expression sees. Borrowed for the time of one evaluation.
struct EvalContext {
  const Value* slots = nullptr;
  int64_t timestamp_ns = 0;
  bool has_event = true;  // false in initialisers
  const Value* globals = nullptr;
  Value* locals = nullptr;
  Arena* arena = nullptr;
  FunctionTable* functions = nullptr;
  Globals* global_store = nullptr;      // for functions that assign
  std::vector<Row>* emitted = nullptr;  // takes what `emit` statements make; null outside .process
  std::string* error = nullptr;         // the first limit that something ran into
  const RunLimits* limits = &kDefaultLimits;
  size_t bytes_limit = SIZE_MAX;       // for what `arena` has handed out
  uint64_t output_units = UINT64_MAX;  // that may still be emitted
  Excess excess = Excess::kNone;       // else the value of the expression in work is none

  // Before text, lists or maps are made. When there is no more room, the whole expression has no
  // value.
  bool HasRoom() {
    if (arena->used() <= bytes_limit) return true;
    excess = Excess::kBytes;
    return false;
  }
  // Every list or map that is made of other values goes through here. Beyond the limits of one the
  // whole expression has no value.
  Value Made(const Value& value) {
    const bool fits = value.levels() <= limits->value_levels &&
                      value.units() <= limits->value_bytes / Extent::kUnitBytes;
    return fits ? value : MadeLarge(value);
  }

 private:
  Value MadeLarge(Value value);
};

// A compiled expression: a tree of small nodes over slots, with the frequent forms (`slot <
// literal`) fused. Immutable after compilation; the height is bounded by the parser.
class Expression {
 public:
  virtual ~Expression() = default;
  virtual Value Evaluate(EvalContext& context) const = 0;
  // The value when it does not depend on anything, else null.
  virtual const Value* constant() const { return nullptr; }
  // The slot that is all this expression reads, else -1.
  virtual int slot() const { return -1; }
};
using ExpressionPtr = std::unique_ptr<const Expression>;

// ⊥, and a word about it, for an expression that went over the limit.
Value OverLimit(EvalContext& context);

inline Value EvaluateIn(const Expression& expression, EvalContext& context) {
  const Value value = expression.Evaluate(context);
  // A map of all fields of an event has a level more than the event.
  if (value.levels() > context.limits->value_levels) context.excess = Excess::kValueLevels;
  return context.excess != Excess::kNone ? OverLimit(context) : value;
}

// The same for a value that no expression made.
inline Value MadeOfState(const Value& value, EvalContext& context) {
  const Value made = context.Made(value);
  return context.excess != Excess::kNone ? OverLimit(context) : made;
}

// `value`, when the outputs of the event have room for it, else ⊥ and a word about it.
Value ToEmit(const Value& value, EvalContext& context);

// Literals live in `literals`, which must outlive the expression. Operators over literals only are
// computed here.
ExpressionPtr CompileExpression(const PlanExpr& plan, Arena& literals);

}  // namespace varpulis::engine
