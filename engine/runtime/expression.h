#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/arena.h"
#include "engine/runtime/event.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

class FunctionTable;
class Globals;

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
  std::string* error = nullptr;         // the first limit that a function ran into
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

// Literals live in `literals`, which must outlive the expression. Operators over literals only are
// computed here.
ExpressionPtr CompileExpression(const PlanExpr& plan, Arena& literals);

}  // namespace varpulis::engine
