#include "engine/runtime/expression.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "engine/runtime/builtins.h"
#include "engine/runtime/function.h"
#include "engine/runtime/operations.h"

namespace varpulis::engine {
namespace {

using Children = std::vector<ExpressionPtr>;

class Constant final : public Expression {
 public:
  explicit Constant(Value value) : value_(value) {}
  Value Evaluate(EvalContext&) const override { return value_; }
  const Value* constant() const override { return &value_; }

 private:
  Value value_;
};

class Slot final : public Expression {
 public:
  explicit Slot(int slot) : slot_(slot) {}
  Value Evaluate(EvalContext& context) const override { return context.slots[slot_]; }
  int slot() const override { return slot_; }

 private:
  int slot_;
};

class Global final : public Expression {
 public:
  explicit Global(int index) : index_(index) {}
  Value Evaluate(EvalContext& context) const override { return context.globals[index_]; }

 private:
  int index_;
};

class Local final : public Expression {
 public:
  explicit Local(int index) : index_(index) {}
  Value Evaluate(EvalContext& context) const override { return context.locals[index_]; }

 private:
  int index_;
};

class EventTime final : public Expression {
 public:
  Value Evaluate(EvalContext& context) const override {
    return context.has_event ? Value::Timestamp(context.timestamp_ns) : Value();
  }
};

class FirstPresent final : public Expression {
 public:
  explicit FirstPresent(Children children) : children_(std::move(children)) {}
  Value Evaluate(EvalContext& context) const override {
    for (const ExpressionPtr& child : children_) {
      const Value value = child->Evaluate(context);
      if (!value.missing()) return value;
    }
    return Value();
  }

 private:
  Children children_;
};

class Member final : public Expression {
 public:
  Member(ExpressionPtr base, std::string name) : base_(std::move(base)), name_(std::move(name)) {}
  Value Evaluate(EvalContext& context) const override {
    const Value base = base_->Evaluate(context);
    return base.is(ValueKind::kMap) ? base.Find(name_) : Value();
  }

 private:
  ExpressionPtr base_;
  std::string name_;
};

class Slice final : public Expression {
 public:
  Slice(ExpressionPtr target, ExpressionPtr from, ExpressionPtr to)
      : target_(std::move(target)), from_(std::move(from)), to_(std::move(to)) {}
  Value Evaluate(EvalContext& context) const override {
    const Value target = target_->Evaluate(context);
    const Value from = from_ != nullptr ? from_->Evaluate(context) : Value();
    const Value to = to_ != nullptr ? to_->Evaluate(context) : Value();
    if (!context.HasRoom()) return Value();
    return SliceValue(target, from_ != nullptr ? &from : nullptr, to_ != nullptr ? &to : nullptr,
                      *context.arena);
  }

 private:
  ExpressionPtr target_, from_, to_;
};

class Index final : public Expression {
 public:
  Index(ExpressionPtr target, ExpressionPtr index)
      : target_(std::move(target)), index_(std::move(index)) {}
  Value Evaluate(EvalContext& context) const override {
    const Value target = target_->Evaluate(context);
    return IndexValue(target, index_->Evaluate(context));
  }

 private:
  ExpressionPtr target_, index_;
};

class Unary final : public Expression {
 public:
  Unary(UnaryOp op, ExpressionPtr operand) : op_(op), operand_(std::move(operand)) {}
  Value Evaluate(EvalContext& context) const override {
    return ApplyUnary(op_, operand_->Evaluate(context));
  }

 private:
  UnaryOp op_;
  ExpressionPtr operand_;
};

class Binary final : public Expression {
 public:
  Binary(BinaryOp op, ExpressionPtr left, ExpressionPtr right)
      : op_(op), left_(std::move(left)), right_(std::move(right)) {}
  Value Evaluate(EvalContext& context) const override {
    const Value left = left_->Evaluate(context);
    const Value right = right_->Evaluate(context);
    const bool makes =
        left.is(ValueKind::kString) || op_ == BinaryOp::kRange || op_ == BinaryOp::kRangeInclusive;
    if (makes && !context.HasRoom()) return Value();
    return ApplyBinary(op_, left, right, *context.arena);
  }

 private:
  BinaryOp op_;
  ExpressionPtr left_, right_;
};

// `and` (deciding false) and `or` (deciding true).
template <bool kDeciding>
class Logic final : public Expression {
 public:
  Logic(ExpressionPtr left, ExpressionPtr right)
      : left_(std::move(left)), right_(std::move(right)) {}
  Value Evaluate(EvalContext& context) const override {
    const Value left = left_->Evaluate(context);
    const bool left_bool = left.is(ValueKind::kBool);
    if (left_bool && left.boolean() == kDeciding) return left;
    const Value right = right_->Evaluate(context);
    if (!right.is(ValueKind::kBool)) return Value();
    return right.boolean() == kDeciding || left_bool ? right : Value();
  }

 private:
  ExpressionPtr left_, right_;
};

class Coalesce final : public Expression {
 public:
  Coalesce(ExpressionPtr left, ExpressionPtr right)
      : left_(std::move(left)), right_(std::move(right)) {}
  Value Evaluate(EvalContext& context) const override {
    const Value left = left_->Evaluate(context);
    return left.null_or_missing() ? right_->Evaluate(context) : left;
  }

 private:
  ExpressionPtr left_, right_;
};

// `slot op literal`, the form of most filters. Equal kinds are compared in place.
template <BinaryOp kOp>
class CompareSlot final : public Expression {
 public:
  CompareSlot(int slot, Value literal) : slot_(slot), literal_(literal) {
    // An int that is a double too can be compared with floats as one.
    constexpr int64_t kExact = int64_t{1} << 53;
    if (literal.is(ValueKind::kInt) && literal.integer() >= -kExact &&
        literal.integer() <= kExact) {
      as_float_ = Value::Float(static_cast<double>(literal.integer()));
    }
  }
  Value Evaluate(EvalContext& context) const override {
    const Value& value = context.slots[slot_];
    if (value.kind() == literal_.kind()) {
      if (value.is(ValueKind::kFloat)) return Test(value.real(), literal_.real(), context);
      if (value.is(ValueKind::kInt))
        return Value::Bool(Holds(kOp, value.integer(), literal_.integer()));
      if (value.is(ValueKind::kString)) {
        if (kOp == BinaryOp::kEqual) return Value::Bool(value.string() == literal_.string());
        if (kOp == BinaryOp::kNotEqual) return Value::Bool(value.string() != literal_.string());
        return Value::Bool(Holds(kOp, value.string(), literal_.string()));
      }
    }
    if (value.is(ValueKind::kFloat) && as_float_.is(ValueKind::kFloat)) {
      return Test(value.real(), as_float_.real(), context);
    }
    return ApplyBinary(kOp, value, literal_, *context.arena);
  }

 private:
  // NaN equals NaN in the language.
  Value Test(double a, double b, EvalContext& context) const {
    if (a != a || b != b) return ApplyBinary(kOp, Value::Float(a), literal_, *context.arena);
    return Value::Bool(Holds(kOp, a, b));
  }

  int slot_;
  Value literal_;
  Value as_float_;  // ⊥ unless the literal is such an int
};

class KindTest final : public Expression {
 public:
  KindTest(ExpressionPtr operand, std::string name, bool negated)
      : operand_(std::move(operand)), name_(std::move(name)), negated_(negated) {}
  Value Evaluate(EvalContext& context) const override {
    return Value::Bool(IsKind(operand_->Evaluate(context), name_) != negated_);
  }

 private:
  ExpressionPtr operand_;
  std::string name_;
  bool negated_;
};

class Conditional final : public Expression {
 public:
  explicit Conditional(Children children) : children_(std::move(children)) {}
  Value Evaluate(EvalContext& context) const override {
    const Value condition = children_[0]->Evaluate(context);
    if (condition.missing()) return Value();
    return children_[condition.is_true() ? 1 : 2]->Evaluate(context);
  }

 private:
  Children children_;
};

class MakeList final : public Expression {
 public:
  explicit MakeList(Children children) : children_(std::move(children)) {}
  Value Evaluate(EvalContext& context) const override {
    if (!context.HasRoom()) return Value();
    auto* items = context.arena->Allocate<Value>(children_.size());
    size_t size = 0;
    for (const ExpressionPtr& child : children_) {
      const Value value = child->Evaluate(context);
      if (!value.missing()) items[size++] = value;
    }
    return context.Made(Value::List(items, size));
  }

 private:
  Children children_;
};

// A key given twice keeps its place and takes the later value.
class MakeMap final : public Expression {
 public:
  MakeMap(Children children, const std::vector<std::string>& labels)
      : children_(std::move(children)), labels_(labels) {
    absl::flat_hash_map<std::string, size_t> places;
    for (size_t i = 0; i < labels_.size(); ++i) {
      place_.push_back(places.emplace(labels_[i], places.size()).first->second);
    }
    distinct_ = places.size();
  }
  Value Evaluate(EvalContext& context) const override {
    if (!context.HasRoom()) return Value();
    auto* entries = context.arena->Allocate<MapEntry>(distinct_);
    for (size_t i = 0; i < distinct_; ++i) entries[i] = MapEntry{{}, Value()};
    for (size_t i = 0; i < children_.size(); ++i) {
      const Value value = children_[i]->Evaluate(context);
      if (!value.missing()) entries[place_[i]] = {labels_[i], value};
    }
    const auto end = std::remove_if(entries, entries + distinct_,
                                    [](const MapEntry& entry) { return entry.value.missing(); });
    return context.Made(Value::Map(entries, static_cast<size_t>(end - entries)));
  }

 private:
  Children children_;
  std::vector<std::string> labels_;
  std::vector<size_t> place_;
  size_t distinct_ = 0;
};

// Text, lists or maps, as large as they like.
bool MakesValues(Builtin builtin) {
  switch (builtin) {
    case Builtin::kPush:
    case Builtin::kPop:
    case Builtin::kReverse:
    case Builtin::kSort:
    case Builtin::kKeys:
    case Builtin::kValues:
    case Builtin::kSet:
    case Builtin::kRange:
    case Builtin::kUnique:
    case Builtin::kFlatten:
    case Builtin::kZip:
    case Builtin::kToString:
    case Builtin::kTrim:
    case Builtin::kLower:
    case Builtin::kUpper:
    case Builtin::kSplit:
    case Builtin::kJoin:
    case Builtin::kReplace:
    case Builtin::kSubstring:
    case Builtin::kConcat:
      return true;
    default:
      return false;
  }
}

class Call final : public Expression {
 public:
  Call(const BuiltinInfo& info, Children children)
      : info_(info), function_(FunctionOf(info.id)), children_(std::move(children)) {
    const int count = static_cast<int>(children_.size());
    valid_ = count >= info.min_arguments && (info.max_arguments < 0 || count <= info.max_arguments);
    makes_ = MakesValues(info.id);
  }
  Value Evaluate(EvalContext& context) const override {
    if (!valid_) return Value();
    constexpr size_t kInline = 4;
    Value inline_arguments[kInline];
    Value* arguments = inline_arguments;
    if (children_.size() > kInline) arguments = context.arena->Allocate<Value>(children_.size());
    // All of them, also behind a missing one: functions among them may assign variables.
    bool missing = false;
    for (size_t i = 0; i < children_.size(); ++i) {
      arguments[i] = children_[i]->Evaluate(context);
      missing = missing || arguments[i].missing();
    }
    if (missing && !info_.takes_missing) return Value();
    if (makes_ && !context.HasRoom()) return Value();
    const Value result = function_(arguments, children_.size(), context);
    return makes_ ? context.Made(result) : result;
  }

 private:
  const BuiltinInfo& info_;
  BuiltinFunction function_;
  Children children_;
  bool valid_ = false;
  bool makes_ = false;
};

// Of a user function.
class FunctionCall final : public Expression {
 public:
  FunctionCall(int function, Children children)
      : function_(function), children_(std::move(children)) {}
  Value Evaluate(EvalContext& context) const override {
    constexpr size_t kInline = 4;
    Value inline_arguments[kInline];
    Value* arguments = inline_arguments;
    if (children_.size() > kInline) arguments = context.arena->Allocate<Value>(children_.size());
    for (size_t i = 0; i < children_.size(); ++i) arguments[i] = children_[i]->Evaluate(context);
    return context.functions->Call(function_, arguments, children_.size(), context);
  }

 private:
  int function_;
  Children children_;
};

struct CompiledArm {
  MatchArm::Kind kind;
  Value literal;
  int local;
};

class Match final : public Expression {
 public:
  Match(Children children, std::vector<CompiledArm> arms)
      : children_(std::move(children)), arms_(std::move(arms)) {}
  Value Evaluate(EvalContext& context) const override {
    const Value subject = children_[0]->Evaluate(context);
    for (size_t i = 0; i < arms_.size(); ++i) {
      const CompiledArm& arm = arms_[i];
      if (arm.kind == MatchArm::Kind::kLiteral && !Takes(arm.literal, subject)) continue;
      if (arm.kind == MatchArm::Kind::kBind) context.locals[arm.local] = subject;
      return children_[i + 1]->Evaluate(context);
    }
    return Value();
  }

 private:
  // As `subject == literal` does: ⊥ is as good as null.
  static bool Takes(const Value& literal, const Value& subject) {
    return subject.missing() ? literal.is(ValueKind::kNull) : Equal(subject, literal);
  }

  Children children_;
  std::vector<CompiledArm> arms_;
};

ExpressionPtr MakeCompareSlot(BinaryOp op, int slot, Value literal) {
  switch (op) {
    case BinaryOp::kEqual:
      return std::make_unique<CompareSlot<BinaryOp::kEqual>>(slot, literal);
    case BinaryOp::kNotEqual:
      return std::make_unique<CompareSlot<BinaryOp::kNotEqual>>(slot, literal);
    case BinaryOp::kLess:
      return std::make_unique<CompareSlot<BinaryOp::kLess>>(slot, literal);
    case BinaryOp::kLessEqual:
      return std::make_unique<CompareSlot<BinaryOp::kLessEqual>>(slot, literal);
    case BinaryOp::kGreater:
      return std::make_unique<CompareSlot<BinaryOp::kGreater>>(slot, literal);
    case BinaryOp::kGreaterEqual:
      return std::make_unique<CompareSlot<BinaryOp::kGreaterEqual>>(slot, literal);
    default:
      return nullptr;
  }
}

BinaryOp Mirrored(BinaryOp op) {
  switch (op) {
    case BinaryOp::kLess:
      return BinaryOp::kGreater;
    case BinaryOp::kLessEqual:
      return BinaryOp::kGreaterEqual;
    case BinaryOp::kGreater:
      return BinaryOp::kLess;
    case BinaryOp::kGreaterEqual:
      return BinaryOp::kLessEqual;
    default:
      return op;
  }
}

ExpressionPtr CompileBinary(BinaryOp op, ExpressionPtr left, ExpressionPtr right) {
  if (op == BinaryOp::kAnd)
    return std::make_unique<Logic<false>>(std::move(left), std::move(right));
  if (op == BinaryOp::kOr) return std::make_unique<Logic<true>>(std::move(left), std::move(right));
  if (op == BinaryOp::kCoalesce) {
    return std::make_unique<Coalesce>(std::move(left), std::move(right));
  }
  ExpressionPtr fused;
  if (left->slot() >= 0 && right->constant() != nullptr) {
    fused = MakeCompareSlot(op, left->slot(), *right->constant());
  } else if (right->slot() >= 0 && left->constant() != nullptr) {
    fused = MakeCompareSlot(Mirrored(op), right->slot(), *left->constant());
  }
  if (fused != nullptr) return fused;
  return std::make_unique<Binary>(op, std::move(left), std::move(right));
}

// A range of literals would keep its array for good; text is bounded by the size of the source.
bool Foldable(BinaryOp op) { return op != BinaryOp::kRange && op != BinaryOp::kRangeInclusive; }

ExpressionPtr Compile(const PlanExpr& plan, Arena& literals) {
  Children children;
  for (const PlanExpr& child : plan.children) {
    // An absent bound of a slice has no expression.
    const bool absent = child.kind == PlanExprKind::kMissing && child.index == 1;
    children.push_back(absent ? nullptr : Compile(child, literals));
  }
  switch (plan.kind) {
    case PlanExprKind::kLiteral:
      return std::make_unique<Constant>(LiteralValue(plan.literal, literals));
    case PlanExprKind::kMissing:
      return std::make_unique<Constant>(Value());
    case PlanExprKind::kSlot:
      return std::make_unique<Slot>(plan.index);
    case PlanExprKind::kGlobal:
      return std::make_unique<Global>(plan.index);
    case PlanExprKind::kLocal:
      return std::make_unique<Local>(plan.index);
    case PlanExprKind::kTimestamp:
      return std::make_unique<EventTime>();
    case PlanExprKind::kFirstPresent:
      return std::make_unique<FirstPresent>(std::move(children));
    case PlanExprKind::kMember:
      return std::make_unique<Member>(std::move(children[0]), plan.text);
    case PlanExprKind::kIndex:
      return std::make_unique<Index>(std::move(children[0]), std::move(children[1]));
    case PlanExprKind::kSlice:
      return std::make_unique<Slice>(std::move(children[0]), std::move(children[1]),
                                     std::move(children[2]));
    case PlanExprKind::kUnary:
      if (children[0]->constant() != nullptr) {
        return std::make_unique<Constant>(ApplyUnary(plan.unary, *children[0]->constant()));
      }
      return std::make_unique<Unary>(plan.unary, std::move(children[0]));
    case PlanExprKind::kBinary:
      if (children[0]->constant() != nullptr && children[1]->constant() != nullptr &&
          Foldable(plan.binary)) {
        return std::make_unique<Constant>(
            ApplyBinary(plan.binary, *children[0]->constant(), *children[1]->constant(), literals));
      }
      return CompileBinary(plan.binary, std::move(children[0]), std::move(children[1]));
    case PlanExprKind::kIsKind:
      return std::make_unique<KindTest>(std::move(children[0]), plan.text, plan.index != 0);
    case PlanExprKind::kIf:
      return std::make_unique<Conditional>(std::move(children));
    case PlanExprKind::kList:
      return std::make_unique<MakeList>(std::move(children));
    case PlanExprKind::kMap:
      return std::make_unique<MakeMap>(std::move(children), plan.labels);
    case PlanExprKind::kCall:
      return std::make_unique<Call>(BuiltinById(plan.builtin), std::move(children));
    case PlanExprKind::kCallFunction:
      return std::make_unique<FunctionCall>(plan.index, std::move(children));
    case PlanExprKind::kMatch: {
      std::vector<CompiledArm> arms;
      for (const PlanArm& arm : plan.arms) {
        arms.push_back({arm.kind, LiteralValue(arm.literal, literals), arm.local});
      }
      return std::make_unique<Match>(std::move(children), std::move(arms));
    }
  }
  return std::make_unique<Constant>(Value());
}

}  // namespace

std::string ExcessText(Excess excess, const RunLimits& limits) {
  const auto mebibytes = [](size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
  switch (excess) {
    case Excess::kNone:
      return "";
    case Excess::kBytes:
      return "made more than " + mebibytes(limits.event_bytes) + " of values for one event";
    case Excess::kValueBytes:
      return "made a value of more than " + mebibytes(limits.value_bytes);
    case Excess::kValueLevels:
      return "made a value of more than " + std::to_string(limits.value_levels) + " levels";
    case Excess::kOutput:
      return "emitted more than " + mebibytes(limits.event_bytes) + " of values for one event";
  }
  return "";
}

Value EvalContext::MadeLarge(Value value) {
  if (!value.is(ValueKind::kList) && !value.is(ValueKind::kMap)) return value;
  const uint64_t limit = limits->value_bytes / Extent::kUnitBytes;
  const Extent extent = ExactExtent(value, limit);
  if (extent.units <= limit && extent.levels <= limits->value_levels) {
    value.SetExtent(extent);
    return value;
  }
  excess = extent.units > limit ? Excess::kValueBytes : Excess::kValueLevels;
  return Value();
}

Value OverLimit(EvalContext& context) {
  const Excess excess = std::exchange(context.excess, Excess::kNone);
  if (context.error != nullptr && context.error->empty()) {
    *context.error = "expressions " + ExcessText(excess, *context.limits);
  }
  return Value();
}

Value ToEmit(const Value& value, EvalContext& context) {
  uint64_t units = value.units();
  if (units > context.output_units) {
    units = ExactExtent(value, context.output_units).units;
  }
  if (units > context.output_units) {
    context.excess = Excess::kOutput;
    return OverLimit(context);
  }
  context.output_units -= units;
  return value;
}

ExpressionPtr CompileExpression(const PlanExpr& plan, Arena& literals) {
  return Compile(plan, literals);
}

}  // namespace varpulis::engine
