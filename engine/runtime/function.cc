#include "engine/runtime/function.h"

#include <algorithm>
#include <string>

#include "engine/runtime/globals.h"
#include "engine/runtime/operations.h"

namespace varpulis::engine {
namespace {

bool BothFloat(const Value& a, const Value& b) {
  return a.is(ValueKind::kFloat) && b.is(ValueKind::kFloat);
}
bool BothInt(const Value& a, const Value& b) {
  return a.is(ValueKind::kInt) && b.is(ValueKind::kInt);
}

bool IsTrue(BinaryOp op, const Value& a, const Value& b, Arena& arena) {
  if (BothInt(a, b)) return Holds(op, a.integer(), b.integer());
  // NaN equals NaN in the language.
  if (BothFloat(a, b) && a.real() == a.real() && b.real() == b.real()) {
    return Holds(op, a.real(), b.real());
  }
  return ApplyBinary(op, a, b, arena).is_true();
}

// What a `for` over ints goes through: the last one, which the greatest int may be, and the next.
// ⊥ when there is none.
void StartInts(int64_t from, int64_t to, bool inclusive, Value* sequence) {
  const bool any = inclusive ? from <= to : from < to;
  sequence[0] = any ? Value::Int(inclusive ? to : to - 1) : Value();
  sequence[1] = Value::Int(from);
}

// The next value of a `for`; false at the end. Anything that is no sequence has none.
bool NextOf(Value* sequence, Value* variable, Arena& arena) {
  const int64_t place = sequence[1].integer();
  switch (sequence[0].kind()) {
    case ValueKind::kInt:
      *variable = Value::Int(place);
      if (place == sequence[0].integer()) {
        sequence[0] = Value();
        return true;
      }
      break;
    case ValueKind::kList:
      if (place >= static_cast<int64_t>(sequence[0].size())) return false;
      *variable = sequence[0].items()[place];
      break;
    case ValueKind::kMap: {
      if (place >= static_cast<int64_t>(sequence[0].size())) return false;
      auto* pair = arena.Allocate<Value>(2);
      pair[0] = Value::String(sequence[0].entries()[place].key);
      pair[1] = sequence[0].entries()[place].value;
      *variable = Value::List(pair, 2);
      break;
    }
    default:
      return false;
  }
  sequence[1] = Value::Int(place + 1);
  return true;
}

// 1000000 as 1,000,000.
std::string Grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

}  // namespace

void FunctionTable::Stop(const Function& function, const std::string& why, EvalContext& context) {
  stopped_ = true;
  if (context.error != nullptr && context.error->empty()) {
    *context.error = "function `" + function.name_ + "` " + why;
  }
}

void FunctionTable::StopForBytes(const Function& function, EvalContext& context) {
  Stop(function,
       "made more than " + std::to_string(context.limits->call_bytes >> 20) +
           " MiB of values for one event",
       context);
}

void FunctionTable::StopForExcess(const Function& function, EvalContext& context) {
  if (context.excess == Excess::kBytes) return StopForBytes(function, context);
  Stop(function, ExcessText(context.excess, *context.limits), context);
}

// False when the call must end.
bool FunctionTable::CountStep(const Function& function, EvalContext& context) {
  if (stopped_) return false;
  if (++steps_ > context.limits->call_steps) {
    Stop(function,
         "made more than " + Grouped(context.limits->call_steps) +
             (loading_ ? " steps while the program was loaded" : " steps for one event"),
         context);
  }
  if (context.arena->used() > context.bytes_limit) StopForBytes(function, context);
  return !stopped_;
}

Value FunctionTable::Call(int index, const Value* arguments, size_t count, EvalContext& context) {
  const Function& function = *functions_[static_cast<size_t>(index)];
  if (depth_ > 0) return Enter(function, arguments, count, context);
  if (!loading_) steps_ = 0;
  stopped_ = false;
  if (stack_ == nullptr) stack_ = std::make_unique<Value[]>(kMaxStackValues);
  // What earlier events of a batch left in the arena does not count.
  const size_t outer_limit = context.bytes_limit;
  context.bytes_limit = std::min(outer_limit, context.arena->used() + context.limits->call_bytes);
  const Value result = Enter(function, arguments, count, context);
  context.bytes_limit = outer_limit;
  context.excess = Excess::kNone;
  return result;
}

Value FunctionTable::Enter(const Function& function, const Value* arguments, size_t count,
                           EvalContext& context) {
  const size_t size = static_cast<size_t>(function.registers_) + function.constants_.size();
  if (size > kMaxStackValues) {
    Stop(function,
         "has more than 65,536 variables and constants, too many to call it for one event",
         context);
    return Value();
  }
  if (depth_ >= kMaxCallDepth || used_ + size > kMaxStackValues) {
    Stop(function, "calls itself too deeply for one event", context);
    return Value();
  }
  if (!CountStep(function, context)) return Value();
  const size_t given = std::min(count, static_cast<size_t>(function.parameters_));
  // As of every function (vpl.md §2.3).
  if (std::any_of(arguments, arguments + given, [](const Value& v) { return v.missing(); })) {
    return Value();
  }
  Value* frame = stack_.get() + used_;
  std::copy(arguments, arguments + given, frame);
  std::fill(frame + given, frame + function.registers_, Value());
  std::copy(function.constants_.begin(), function.constants_.end(), frame + function.registers_);
  used_ += size;
  ++depth_;
  Value* const outer = context.locals;
  context.locals = frame;
  const Value result = Run(function, frame, context);
  context.locals = outer;
  --depth_;
  used_ -= size;
  return stopped_ ? Value() : result;
}

Value FunctionTable::Run(const Function& function, Value* frame, EvalContext& context) {
  using Op = Function::Op;
  const Function::Instruction* code = function.code_.data();
  const Function::Instruction* at = code;
  while (true) {
    const Function::Instruction& in = *at++;
    switch (in.op) {
      case Op::kMove:
        frame[in.a] = frame[in.b];
        break;
      case Op::kSlot:
        frame[in.a] = context.slots[in.b];
        break;
      case Op::kGlobal:
        frame[in.a] = context.globals[in.b];
        break;
      case Op::kSetGlobal:
        if (context.global_store != nullptr) {
          const size_t bytes = context.limits->variables_bytes;
          if (!context.global_store->Set(static_cast<size_t>(in.a), frame[in.b], bytes)) {
            Stop(function, Globals::TooLarge(bytes), context);
            return Value();
          }
        }
        break;
      case Op::kTree:
        frame[in.a] = function.trees_[static_cast<size_t>(in.b)]->Evaluate(context);
        if (stopped_) return Value();
        if (context.excess != Excess::kNone) {
          StopForExcess(function, context);
          return Value();
        }
        break;
      case Op::kAdd: {
        const Value& b = frame[in.b];
        const Value& c = frame[in.c];
        if (BothFloat(b, c)) {
          frame[in.a] = Value::Float(b.real() + c.real());
          break;
        }
        if (b.is(ValueKind::kString) && !context.HasRoom()) {
          StopForBytes(function, context);
          return Value();
        }
        frame[in.a] = ApplyBinary(BinaryOp::kAdd, b, c, *context.arena);
        break;
      }
      case Op::kSubtract: {
        const Value& b = frame[in.b];
        const Value& c = frame[in.c];
        frame[in.a] = BothFloat(b, c) ? Value::Float(b.real() - c.real())
                                      : ApplyBinary(BinaryOp::kSubtract, b, c, *context.arena);
        break;
      }
      case Op::kMultiply: {
        const Value& b = frame[in.b];
        const Value& c = frame[in.c];
        frame[in.a] = BothFloat(b, c) ? Value::Float(b.real() * c.real())
                                      : ApplyBinary(BinaryOp::kMultiply, b, c, *context.arena);
        break;
      }
      case Op::kBinary:
        frame[in.a] =
            ApplyBinary(static_cast<BinaryOp>(in.sub), frame[in.b], frame[in.c], *context.arena);
        break;
      case Op::kNegate:
        frame[in.a] = ApplyUnary(UnaryOp::kNegate, frame[in.b]);
        break;
      case Op::kCall:
        frame[in.a] = Enter(*functions_[static_cast<size_t>(in.b)], frame + in.c, in.sub, context);
        if (stopped_) return Value();
        break;
      case Op::kJump:
        at = code + in.a;
        break;
      case Op::kLoop:
        if (!CountStep(function, context)) return Value();
        at = code + in.a;
        break;
      case Op::kJumpTrue:
        if (frame[in.b].is_true()) at = code + in.a;
        break;
      case Op::kJumpNotTrue:
        if (!frame[in.b].is_true()) at = code + in.a;
        break;
      case Op::kJumpCompare:
        if (IsTrue(static_cast<BinaryOp>(in.sub), frame[in.b], frame[in.c], *context.arena)) {
          at = code + in.a;
        }
        break;
      case Op::kJumpNotCompare:
        if (!IsTrue(static_cast<BinaryOp>(in.sub), frame[in.b], frame[in.c], *context.arena)) {
          at = code + in.a;
        }
        break;
      case Op::kStartFor:
        if (frame[in.b].is(ValueKind::kInt)) {
          StartInts(0, frame[in.b].integer(), false, frame + in.a);
          break;
        }
        frame[in.a] = frame[in.b];
        frame[in.a + 1] = Value::Int(0);
        break;
      case Op::kStartRange: {
        int64_t from = 0, to = 0;
        const bool bounds = RangeBound(frame[in.b], &from) && RangeBound(frame[in.c], &to);
        if (!bounds) from = to = 0;
        StartInts(from, to, bounds && in.sub != 0, frame + in.a);
        break;
      }
      case Op::kNextFor:
        if (!NextOf(frame + in.b, frame + in.a, *context.arena)) at = code + in.c;
        break;
      case Op::kEmit: {
        if (context.emitted == nullptr) break;
        const Function::EmitStatement& emit = function.emits_[static_cast<size_t>(in.a)];
        Row row;
        row.timestamp_ns = context.timestamp_ns;
        row.slots = context.arena->Allocate<Value>(emit.slot_count);
        std::fill(row.slots, row.slots + emit.slot_count, Value());
        row.slots[emit.type_slot] = emit.type;
        for (size_t i = 0; i < emit.slots.size(); ++i) {
          row.slots[emit.slots[i]] = frame[emit.registers[i]];
        }
        context.emitted->push_back(row);
        break;
      }
      case Op::kReturn:
        return frame[in.b];
    }
  }
}

}  // namespace varpulis::engine
