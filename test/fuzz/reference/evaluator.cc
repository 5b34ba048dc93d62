// vpl.md §1.5, §1.7, §2.4.
#include "test/fuzz/reference/evaluator.h"

#include <utility>

namespace varpulis::reference {
namespace {

using engine::Block;
using engine::Expr;
using engine::ExprKind;
using engine::FunctionDecl;
using engine::MatchArm;
using engine::Stmt;
using engine::StmtKind;

const Value* FieldOf(const Environment& e, const std::string& name) {
  for (const auto& [field, value] : *e.fields) {
    if (field == name) return &value;
  }
  return nullptr;
}

const Value* LocalOf(const Environment& e, const std::string& name) {
  for (auto bound = e.bound.rbegin(); bound != e.bound.rend(); ++bound) {
    if (bound->first == name) return &bound->second;
  }
  if (e.locals == nullptr) return nullptr;
  auto local = e.locals->find(name);
  return local != e.locals->end() ? &local->second : nullptr;
}

Value Name(const std::string& name, const Environment& e) {
  if (const Value* local = LocalOf(e, name); local != nullptr) return *local;
  if (const Value* field = FieldOf(e, name); field != nullptr) return *field;
  if (auto global = e.globals.find(name); global != e.globals.end()) return global->second;
  if (name == "timestamp") return Value::Timestamp(e.timestamp_ns);
  return Value::Missing();
}

Value Member(const Expr& expr, Environment& e) {
  const Expr& base = *expr.children[0];
  if (base.kind == ExprKind::kName && LocalOf(e, base.text) == nullptr) {
    if (base.text == e.alias) return Name(expr.text, e);
    if (const Value* field = FieldOf(e, base.text + "." + expr.text); field != nullptr) {
      return *field;
    }
    if (const Value* field = FieldOf(e, base.text + "_" + expr.text); field != nullptr) {
      return *field;
    }
    if (base.text == e.event_type) {
      const Value own = Name(expr.text, e);
      if (!own.missing()) return own;
    }
  }
  const Value value = Evaluate(base, e);
  const Value* member = value.is(Kind::kMap) ? value.Find(expr.text) : nullptr;
  return member != nullptr ? *member : Value::Missing();
}

Value Literal(const engine::Literal& literal) {
  switch (literal.kind) {
    case engine::LiteralKind::kNull:
      return Value::Null();
    case engine::LiteralKind::kBool:
      return Value::Bool(literal.integer != 0);
    case engine::LiteralKind::kInt:
      return Value::Int(literal.integer);
    case engine::LiteralKind::kFloat:
      return Value::Float(literal.real);
    case engine::LiteralKind::kString:
      return Value::String(literal.text);
    case engine::LiteralKind::kTimestamp:
      return Value::Timestamp(literal.integer);
    case engine::LiteralKind::kDuration:
      return Value::Duration(literal.integer);
  }
  return Value::Missing();
}

// The first arm whose literal equals the value, ⊥ being null (§2.3), or that takes all.
Value Match(const Expr& expr, Environment& e) {
  const Value subject = Evaluate(*expr.children[0], e);
  for (size_t i = 0; i < expr.arms.size(); ++i) {
    const MatchArm& arm = expr.arms[i];
    if (arm.kind == MatchArm::Kind::kLiteral &&
        !Binary(engine::BinaryOp::kEqual, subject, Literal(arm.literal)).is_true()) {
      continue;
    }
    if (arm.kind == MatchArm::Kind::kBind) e.bound.emplace_back(arm.name, subject);
    Value value = Evaluate(*expr.children[i + 1], e);
    if (arm.kind == MatchArm::Kind::kBind) e.bound.pop_back();
    return value;
  }
  return Value::Missing();
}

// ⊥ is of the kind null (§2.3).
bool IsKind(const Value& value, const std::string& kind) {
  return KindName(value.kind) == (kind == "str" ? "string" : kind);
}

// Whether the right side is not looked at.
bool Decides(engine::BinaryOp op, const Value& left) {
  if (op == engine::BinaryOp::kAnd) return left.is(Kind::kBool) && !left.is_true();
  if (op == engine::BinaryOp::kOr) return left.is_true();
  return op == engine::BinaryOp::kCoalesce && !left.null_or_missing();
}

// ---- Functions.

enum class Flow { kNext, kBreak, kContinue, kReturn };

struct Call {
  Value result;  // of `return`
  Value last;    // of the last expression statement
};

Flow Run(const Block& block, Environment& e, Call& call);

Flow RunLoopBody(const Block& body, Environment& e, Call& call, bool* stop) {
  const Flow flow = Run(body, e, call);
  *stop = flow == Flow::kBreak || flow == Flow::kReturn;
  return flow == Flow::kReturn ? Flow::kReturn : Flow::kNext;
}

Flow RunFor(const Stmt& stmt, Environment& e, Call& call) {
  const Value over = Evaluate(*stmt.expr, e);
  std::vector<Value> items;
  if (over.is(Kind::kList)) {
    items = over.items;
  } else if (over.is(Kind::kMap)) {
    for (size_t i = 0; i < over.keys.size(); ++i) {
      items.push_back(Value::List({Value::String(over.keys[i]), over.items[i]}));
    }
  } else if (over.is(Kind::kInt)) {
    for (int64_t i = 0; i < over.integer; ++i) items.push_back(Value::Int(i));
  }
  for (const Value& item : items) {
    if (!e.Spend(1)) return Flow::kReturn;
    (*e.locals)[stmt.name.text] = item;
    bool stop = false;
    const Flow flow = RunLoopBody(stmt.body, e, call, &stop);
    if (stop) return flow;
  }
  return Flow::kNext;
}

Flow RunIf(const Stmt& stmt, Environment& e, Call& call) {
  if (Evaluate(*stmt.expr, e).is_true()) return Run(stmt.body, e, call);
  for (const engine::ConditionalBlock& branch : stmt.branches) {
    if (Evaluate(*branch.condition, e).is_true()) return Run(branch.body, e, call);
  }
  return stmt.otherwise.has_value() ? Run(*stmt.otherwise, e, call) : Flow::kNext;
}

Flow RunStatement(const Stmt& stmt, Environment& e, Call& call) {
  switch (stmt.kind) {
    case StmtKind::kVariable: {
      const std::string& name = stmt.variable.name.text;
      Value value = Evaluate(*stmt.variable.value, e);
      const bool global = stmt.variable.kind == engine::VariableKind::kAssign &&
                          e.locals->find(name) == e.locals->end();
      (global ? e.globals : *e.locals)[name] = std::move(value);
      return Flow::kNext;
    }
    case StmtKind::kIf:
      return RunIf(stmt, e, call);
    case StmtKind::kFor:
      return RunFor(stmt, e, call);
    case StmtKind::kWhile:
      while (Evaluate(*stmt.expr, e).is_true()) {
        bool stop = false;
        const Flow flow = RunLoopBody(stmt.body, e, call, &stop);
        if (stop) return flow;
      }
      return Flow::kNext;
    case StmtKind::kReturn:
      call.result = stmt.expr != nullptr ? Evaluate(*stmt.expr, e) : Value::Missing();
      return Flow::kReturn;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
    case StmtKind::kExpr:
      call.last = Evaluate(*stmt.expr, e);
      return Flow::kNext;
    case StmtKind::kEmit:
      break;
  }
  return Flow::kNext;
}

Flow Run(const Block& block, Environment& e, Call& call) {
  for (const Stmt& stmt : block.statements) {
    const Flow flow = RunStatement(stmt, e, call);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

// A call with a ⊥ argument is ⊥ (§2.3).
Value CallFunction(const FunctionDecl& function, const std::vector<Value>& arguments,
                   Environment& e) {
  std::map<std::string, Value> locals;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].missing()) return Value::Missing();
    locals[function.parameters[i].name.text] = arguments[i];
  }
  std::map<std::string, Value>* const outer_locals = std::exchange(e.locals, &locals);
  std::vector<std::pair<std::string, Value>> outer_bound;
  std::swap(outer_bound, e.bound);
  // An alias of the stream is none of the function's names.
  const std::string outer_alias = std::exchange(e.alias, "");
  Call call;
  const Flow flow = Run(function.body, e, call);
  e.alias = outer_alias;
  std::swap(outer_bound, e.bound);
  e.locals = outer_locals;
  return flow == Flow::kReturn ? call.result : call.last;
}

}  // namespace

Value Evaluate(const Expr& expr, Environment& e) {
  if (!e.Spend(1)) return Value::Missing();
  switch (expr.kind) {
    case ExprKind::kLiteral:
      return Literal(expr.literal);
    case ExprKind::kName:
      return Name(expr.text, e);
    case ExprKind::kMember:
      return Member(expr, e);
    case ExprKind::kIndex: {
      const Value target = Evaluate(*expr.children[0], e);
      return Index(target, Evaluate(*expr.children[1], e));
    }
    case ExprKind::kSlice: {
      const Value target = Evaluate(*expr.children[0], e);
      Value from, to;
      if (expr.children[1] != nullptr) from = Evaluate(*expr.children[1], e);
      if (expr.children[2] != nullptr) to = Evaluate(*expr.children[2], e);
      return Slice(target, expr.children[1] != nullptr ? &from : nullptr,
                   expr.children[2] != nullptr ? &to : nullptr);
    }
    case ExprKind::kCall: {
      std::vector<Value> arguments;
      for (const engine::ExprPtr& child : expr.children) arguments.push_back(Evaluate(*child, e));
      if (e.functions != nullptr) {
        auto function = e.functions->find(expr.text);
        if (function != e.functions->end()) return CallFunction(*function->second, arguments, e);
      }
      return CallBuiltin(expr.text, arguments, e);
    }
    case ExprKind::kUnary:
      return Unary(expr.unary, Evaluate(*expr.children[0], e));
    case ExprKind::kBinary: {
      const Value left = Evaluate(*expr.children[0], e);
      if (expr.binary == engine::BinaryOp::kIs || expr.binary == engine::BinaryOp::kIsNot) {
        return Value::Bool(IsKind(left, expr.children[1]->text) ==
                           (expr.binary == engine::BinaryOp::kIs));
      }
      if (Decides(expr.binary, left)) return left;
      return Binary(expr.binary, left, Evaluate(*expr.children[1], e));
    }
    case ExprKind::kIf: {
      const Value condition = Evaluate(*expr.children[0], e);
      if (condition.missing()) return Value::Missing();
      return Evaluate(*expr.children[condition.is_true() ? 1 : 2], e);
    }
    case ExprKind::kList: {
      Value list = Value::List({});
      for (const engine::ExprPtr& child : expr.children) {
        Value item = Evaluate(*child, e);
        if (!item.missing()) list.items.push_back(std::move(item));
      }
      return list;
    }
    case ExprKind::kMap: {
      Value map;
      map.kind = Kind::kMap;
      for (size_t i = 0; i < expr.labels.size(); ++i) {
        Value item = Evaluate(*expr.children[i], e);
        if (!item.missing()) map.Put(expr.labels[i], std::move(item));
      }
      return map;
    }
    case ExprKind::kMatch:
      return Match(expr, e);
    case ExprKind::kLambda:
    case ExprKind::kApply:
      break;
  }
  return Value::Missing();
}

}  // namespace varpulis::reference
