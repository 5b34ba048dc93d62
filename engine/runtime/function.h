#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/event.h"
#include "engine/runtime/expression.h"

namespace varpulis::engine {

// Limits of one call from a stream, with everything it calls; see also RunLimits. Beyond them the
// call ends without a value, and says so.
inline constexpr size_t kMaxStackValues = 1 << 16;  // of all frames together
inline constexpr int kMaxCallDepth = 1000;

// A user function as instructions over registers: its frame. A frame has the locals (parameters
// first), then temporaries, then the constants. Expressions that no loop needs fast stay trees over
// the same frame.
class Function {
 public:
  // `layouts` tells the widths of rows that `emit` makes.
  Function(const PlanFunction& plan, const std::vector<Layout>& layouts, Arena& literals);

  const std::string& name() const { return name_; }

 private:
  friend class FunctionCompiler;
  friend class FunctionTable;

  enum class Op : uint8_t {
    kMove,            // a = b
    kSlot,            // a = slot b of the event
    kGlobal,          // a = global b
    kSetGlobal,       // global a = b
    kTree,            // a = tree b
    kAdd,             // a = b + c
    kSubtract,        // a = b - c
    kMultiply,        // a = b * c
    kBinary,          // a = b `sub` c
    kNegate,          // a = -b
    kCall,            // a = function b of the registers from c on, `sub` of them
    kJump,            // to a
    kLoop,            // to a, and count a turn
    kJumpTrue,        // to a if b is true
    kJumpNotTrue,     // to a unless b is true
    kJumpCompare,     // to a if b `sub` c is true
    kJumpNotCompare,  // to a unless b `sub` c is true
    kStartFor,        // a, a+1 = the sequence b and the place in it
    kStartRange,      // a, a+1 = last and first of the range b..c; `sub`: with its end
    kNextFor,         // a = the next of b, b+1; to c at the end
    kEmit,            // emit statement a
    kReturn,          // b
  };
  struct Instruction {
    Op op;
    uint8_t sub = 0;
    int32_t a = 0, b = 0, c = 0;
  };
  struct EmitStatement {
    Value type;
    size_t slot_count = 0;
    int type_slot = 0;
    std::vector<int> slots, registers;
  };

  std::string name_;
  int parameters_ = 0;
  int registers_ = 0;  // without the constants
  std::vector<Value> constants_;
  std::vector<Instruction> code_;
  std::vector<ExpressionPtr> trees_;
  std::vector<EmitStatement> emits_;
};

// The functions of a program, and the stack they run on. Thread-compatible.
class FunctionTable {
 public:
  void Add(std::unique_ptr<Function> function) { functions_.push_back(std::move(function)); }
  // ⊥ beyond a limit; then `context.error` says which.
  Value Call(int index, const Value* arguments, size_t count, EvalContext& context);
  // In between all calls share one count of steps.
  void BeginLoad() {
    loading_ = true;
    steps_ = 0;
  }
  void EndLoad() { loading_ = false; }

 private:
  Value Run(const Function& function, Value* frame, EvalContext& context);
  Value Enter(const Function& function, const Value* arguments, size_t count, EvalContext& context);
  void Stop(const Function& function, const std::string& why, EvalContext& context);
  void StopForBytes(const Function& function, EvalContext& context);
  void StopForExcess(const Function& function, EvalContext& context);
  bool CountStep(const Function& function, EvalContext& context);

  std::vector<std::unique_ptr<Function>> functions_;
  std::unique_ptr<Value[]> stack_;  // made with the first call
  size_t used_ = 0;
  int depth_ = 0;
  int64_t steps_ = 0;
  bool stopped_ = false;
  bool loading_ = false;
};

}  // namespace varpulis::engine
