#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"

#include "engine/runtime/function.h"
#include "engine/runtime/operations.h"

namespace varpulis::engine {

// Turns a plan into instructions, one pass. Registers beyond the locals are handed out like a
// stack: a statement begins with all of them free. Constants get their registers at the end.
class FunctionCompiler {
 public:
  FunctionCompiler(const PlanFunction& plan, const std::vector<Layout>& layouts, Arena& literals,
                   Function& out)
      : plan_(plan), layouts_(layouts), literals_(literals), out_(out) {}

  void Run() {
    // One more than the locals: the value of the last expression statement.
    result_ = plan_.local_count;
    next_ = top_ = plan_.local_count + 1;
    CompileBlock(plan_.body);
    Emit({Function::Op::kReturn, 0, 0, result_, 0});
    out_.parameters_ = plan_.parameter_count;
    out_.registers_ = top_;
    // Constants were numbered from -1 down.
    for (Function::Instruction& instruction : out_.code_) {
      for (int32_t* operand : {&instruction.b, &instruction.c}) {
        if (*operand < 0) *operand = top_ - 1 - *operand;
      }
    }
    for (Function::EmitStatement& emit : out_.emits_) {
      for (int& reg : emit.registers) {
        if (reg < 0) reg = top_ - 1 - reg;
      }
    }
  }

 private:
  using Op = Function::Op;
  using Key = std::tuple<int, int64_t, uint64_t, std::string>;
  struct Loop {
    std::vector<size_t> breaks, continues;  // jumps to fill in
  };

  size_t Emit(Function::Instruction instruction) {
    out_.code_.push_back(instruction);
    return out_.code_.size() - 1;
  }
  int32_t Here() const { return static_cast<int32_t>(out_.code_.size()); }
  void FillIn(const std::vector<size_t>& jumps) {
    for (size_t jump : jumps) {
      Function::Instruction& instruction = out_.code_[jump];
      (instruction.op == Op::kNextFor ? instruction.c : instruction.a) = Here();
    }
  }
  int Temporary() {
    const int reg = next_++;
    if (next_ > top_) top_ = next_;
    return reg;
  }
  int AddConstant(const Value& value) {
    out_.constants_.push_back(value);
    return -static_cast<int>(out_.constants_.size());
  }
  int MissingRegister() {
    if (missing_ == 0) missing_ = AddConstant(Value());
    return missing_;
  }
  // One register for equal literals.
  int ConstantRegister(const Literal& literal) {
    uint64_t bits = 0;
    std::memcpy(&bits, &literal.real, sizeof(bits));
    auto [found, added] = constants_.emplace(
        Key(static_cast<int>(literal.kind), literal.integer, bits, literal.text), 0);
    if (added) found->second = AddConstant(LiteralValue(literal, literals_));
    return found->second;
  }

  void CompileBlock(const std::vector<PlanStmt>& block) {
    for (const PlanStmt& stmt : block) {
      const int before = next_;
      CompileStatement(stmt);
      next_ = before;
    }
  }

  void CompileStatement(const PlanStmt& stmt) {
    switch (stmt.kind) {
      case StmtKind::kVariable:
        if (stmt.global >= 0) {
          Emit({Op::kSetGlobal, 0, stmt.global, CompileExpr(stmt.expr, -1), 0});
        } else {
          CompileInto(stmt.expr, stmt.local);
        }
        return;
      case StmtKind::kExpr:
        CompileInto(stmt.expr, result_);
        return;
      case StmtKind::kReturn:
        Emit({Op::kReturn, 0, 0, stmt.has_value ? CompileExpr(stmt.expr, -1) : MissingRegister(),
              0});
        return;
      case StmtKind::kIf:
        return CompileIf(stmt);
      case StmtKind::kWhile:
        return CompileWhile(stmt);
      case StmtKind::kFor:
        return CompileFor(stmt);
      case StmtKind::kBreak:
        if (!loops_.empty()) loops_.back().breaks.push_back(Emit({Op::kJump}));
        return;
      case StmtKind::kContinue:
        if (!loops_.empty()) loops_.back().continues.push_back(Emit({Op::kJump}));
        return;
      case StmtKind::kEmit:
        return CompileEmit(stmt);
    }
  }

  void CompileIf(const PlanStmt& stmt) {
    std::vector<size_t> otherwise;
    Branch(stmt.expr, false, &otherwise);
    CompileBlock(stmt.body);
    if (stmt.otherwise.empty()) return FillIn(otherwise);
    const size_t end = Emit({Op::kJump});
    FillIn(otherwise);
    CompileBlock(stmt.otherwise);
    FillIn({end});
  }

  // The condition stands behind the body, so that a turn has one jump.
  void CompileWhile(const PlanStmt& stmt) {
    const size_t first = Emit({Op::kJump});
    const int32_t body = Here();
    loops_.emplace_back();
    CompileBlock(stmt.body);
    Loop loop = std::move(loops_.back());
    loops_.pop_back();
    FillIn(loop.continues);
    FillIn({first});
    std::vector<size_t> exits;
    Branch(stmt.expr, false, &exits);
    Emit({Op::kLoop, 0, body, 0, 0});
    FillIn(exits);
    FillIn(loop.breaks);
  }

  void CompileFor(const PlanStmt& stmt) {
    const PlanExpr& sequence = stmt.expr;
    const bool range =
        sequence.kind == PlanExprKind::kBinary &&
        (sequence.binary == BinaryOp::kRange || sequence.binary == BinaryOp::kRangeInclusive);
    if (range) {
      const int from = CompileExpr(sequence.children[0], -1);
      const int to = CompileExpr(sequence.children[1], -1);
      const bool inclusive = sequence.binary == BinaryOp::kRangeInclusive;
      Emit({Op::kStartRange, static_cast<uint8_t>(inclusive ? 1 : 0), stmt.hidden, from, to});
    } else {
      Emit({Op::kStartFor, 0, stmt.hidden, CompileExpr(sequence, -1), 0});
    }
    const int32_t turn = Here();
    const size_t next = Emit({Op::kNextFor, 0, stmt.local, stmt.hidden, 0});
    loops_.emplace_back();
    CompileBlock(stmt.body);
    Loop loop = std::move(loops_.back());
    loops_.pop_back();
    FillIn(loop.continues);
    Emit({Op::kLoop, 0, turn, 0, 0});
    FillIn({next});
    FillIn(loop.breaks);
  }

  void CompileEmit(const PlanStmt& stmt) {
    const Layout& layout = layouts_[static_cast<size_t>(stmt.layout)];
    Function::EmitStatement emit;
    emit.type = Value::String(literals_.CopyString(stmt.type));
    emit.slot_count = static_cast<size_t>(layout.slot_count);
    emit.type_slot = layout.type_slot;
    emit.slots = stmt.slots;
    for (const PlanExpr& value : stmt.values) emit.registers.push_back(CompileExpr(value, -1));
    Emit({Op::kEmit, 0, static_cast<int32_t>(out_.emits_.size()), 0, 0});
    out_.emits_.push_back(std::move(emit));
  }

  static bool IsComparison(const PlanExpr& expr) {
    if (expr.kind != PlanExprKind::kBinary) return false;
    switch (expr.binary) {
      case BinaryOp::kEqual:
      case BinaryOp::kNotEqual:
      case BinaryOp::kLess:
      case BinaryOp::kLessEqual:
      case BinaryOp::kGreater:
      case BinaryOp::kGreaterEqual:
        return true;
      default:
        return false;
    }
  }

  static bool Calls(const PlanExpr& expr) {
    return expr.kind == PlanExprKind::kCallFunction ||
           std::any_of(expr.children.begin(), expr.children.end(), Calls);
  }

  // Jumps, to be filled in, when `expr` is true (or when it is anything else).
  void Branch(const PlanExpr& expr, bool when_true, std::vector<size_t>* jumps) {
    const int before = next_;
    const bool is_and = expr.kind == PlanExprKind::kBinary && expr.binary == BinaryOp::kAnd;
    const bool is_or = expr.kind == PlanExprKind::kBinary && expr.binary == BinaryOp::kOr;
    // A left side that is neither true nor false does not decide: what the right side calls may
    // assign variables.
    if ((is_and || is_or) && !Calls(expr.children[1])) {
      // Only `true` counts: `a and b` is true when both are, `a or b` when one is.
      if (is_or == when_true) {
        Branch(expr.children[0], when_true, jumps);
        Branch(expr.children[1], when_true, jumps);
      } else {
        std::vector<size_t> decided;
        Branch(expr.children[0], !when_true, &decided);
        Branch(expr.children[1], when_true, jumps);
        FillIn(decided);
      }
    } else if (IsComparison(expr)) {
      const int left = CompileExpr(expr.children[0], -1);
      const int right = CompileExpr(expr.children[1], -1);
      jumps->push_back(Emit({when_true ? Op::kJumpCompare : Op::kJumpNotCompare,
                             static_cast<uint8_t>(expr.binary), 0, left, right}));
    } else {
      const int value = CompileExpr(expr, -1);
      jumps->push_back(Emit({when_true ? Op::kJumpTrue : Op::kJumpNotTrue, 0, 0, value, 0}));
    }
    next_ = before;
  }

  void CompileInto(const PlanExpr& expr, int target) {
    const int reg = CompileExpr(expr, target);
    if (reg != target) Emit({Op::kMove, 0, target, reg, 0});
  }

  // The register with the value: `want`, if an instruction has to write it (-1: any).
  int CompileExpr(const PlanExpr& expr, int want) {
    const auto target = [&] { return want >= 0 ? want : Temporary(); };
    switch (expr.kind) {
      case PlanExprKind::kLiteral:
        return ConstantRegister(expr.literal);
      case PlanExprKind::kMissing:
        return MissingRegister();
      case PlanExprKind::kLocal:
        return expr.index;
      case PlanExprKind::kSlot: {
        const int reg = target();
        Emit({Op::kSlot, 0, reg, expr.index, 0});
        return reg;
      }
      case PlanExprKind::kGlobal: {
        const int reg = target();
        Emit({Op::kGlobal, 0, reg, expr.index, 0});
        return reg;
      }
      case PlanExprKind::kUnary:
        if (expr.unary == UnaryOp::kNegate) {
          const int operand = CompileExpr(expr.children[0], -1);
          const int reg = target();
          Emit({Op::kNegate, 0, reg, operand, 0});
          return reg;
        }
        break;
      case PlanExprKind::kBinary:
        switch (expr.binary) {
          case BinaryOp::kAnd:
          case BinaryOp::kOr:
          case BinaryOp::kCoalesce:
          case BinaryOp::kRange:
          case BinaryOp::kRangeInclusive:
            break;
          default: {
            const int left = CompileExpr(expr.children[0], -1);
            const int right = CompileExpr(expr.children[1], -1);
            const Op op = expr.binary == BinaryOp::kAdd        ? Op::kAdd
                          : expr.binary == BinaryOp::kSubtract ? Op::kSubtract
                          : expr.binary == BinaryOp::kMultiply ? Op::kMultiply
                                                               : Op::kBinary;
            const int reg = target();
            Emit({op, static_cast<uint8_t>(expr.binary), reg, left, right});
            return reg;
          }
        }
        break;
      case PlanExprKind::kIf: {
        // ⊥ as the condition makes the whole ⊥, so this is no plain branch.
        break;
      }
      case PlanExprKind::kCallFunction: {
        const auto count = static_cast<int>(expr.children.size());
        const int first = next_;
        for (int i = 0; i < count; ++i) Temporary();
        for (int i = 0; i < count; ++i) {
          CompileInto(expr.children[static_cast<size_t>(i)], first + i);
        }
        const int reg = target();
        Emit({Op::kCall, static_cast<uint8_t>(count), reg, expr.index, first});
        return reg;
      }
      default:
        break;
    }
    const int reg = target();
    Emit({Op::kTree, 0, reg, static_cast<int32_t>(out_.trees_.size()), 0});
    out_.trees_.push_back(CompileExpression(expr, literals_));
    return reg;
  }

  const PlanFunction& plan_;
  const std::vector<Layout>& layouts_;
  Arena& literals_;
  Function& out_;
  int result_ = 0;
  int next_ = 0;  // the first free register
  int top_ = 0;   // how many were ever used
  std::vector<Loop> loops_;
  absl::flat_hash_map<Key, int> constants_;
  int missing_ = 0;  // its register; 0: none yet
};

Function::Function(const PlanFunction& plan, const std::vector<Layout>& layouts, Arena& literals)
    : name_(plan.name) {
  FunctionCompiler(plan, layouts, literals, *this).Run();
}

}  // namespace varpulis::engine
