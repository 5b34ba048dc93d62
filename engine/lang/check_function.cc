#include <algorithm>
#include <utility>

#include "engine/lang/checker.h"
#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

// The user functions and emits of one body.
struct Uses {
  bool emits = false;
  std::vector<std::string_view> calls;
};

void Walk(const Block& block, Uses& uses);

void Walk(const Expr* expr, Uses& uses) {
  if (expr == nullptr) return;
  if (expr->kind == ExprKind::kCall) uses.calls.push_back(expr->text);
  for (const ExprPtr& child : expr->children) Walk(child.get(), uses);
  if (expr->block != nullptr) Walk(*expr->block, uses);
}

void Walk(const Block& block, Uses& uses) {
  for (const Stmt& stmt : block.statements) {
    uses.emits = uses.emits || stmt.kind == StmtKind::kEmit;
    Walk(stmt.expr.get(), uses);
    Walk(stmt.variable.value.get(), uses);
    for (const NamedExpr& named : stmt.named) Walk(named.expr.get(), uses);
    Walk(stmt.body, uses);
    for (const auto& [condition, body] : stmt.branches) {
      Walk(condition.get(), uses);
      Walk(body, uses);
    }
    if (stmt.otherwise.has_value()) Walk(*stmt.otherwise, uses);
  }
}

}  // namespace

// Which functions emit, themselves or through others: from callees to callers.
void Checker::FindEmitters() {
  if (std::exchange(emitters_known_, true)) return;
  absl::flat_hash_map<std::string_view, std::vector<std::string_view>> callers;
  std::vector<std::string_view> open;
  for (const auto& [name, function] : functions_) {
    Uses uses;
    Walk(function->body, uses);
    for (std::string_view callee : uses.calls) callers[callee].push_back(function->name.text);
    if (uses.emits) open.push_back(function->name.text);
  }
  while (!open.empty()) {
    const std::string_view name = open.back();
    open.pop_back();
    if (!emitters_.insert(std::string(name)).second) continue;
    for (std::string_view caller : callers[name]) open.push_back(caller);
  }
}

bool Checker::Emits(const std::string& function) {
  FindEmitters();
  return emitters_.contains(function);
}

// Locals are one flat scope per call, so a name is one from everywhere in the body.
void Checker::BindBlock(const Block& block, Scope& scope,
                        absl::flat_hash_map<std::string_view, bool>* assignable) {
  auto bind = [&](std::string_view name, bool may_assign) {
    auto [found, added] = assignable->emplace(name, may_assign);
    if (added) ++scope.locals[name];
    found->second = found->second || may_assign;
  };
  for (const Stmt& stmt : block.statements) {
    const VariableKind kind = stmt.variable.kind;
    if (stmt.kind == StmtKind::kVariable && kind != VariableKind::kAssign) {
      bind(stmt.variable.name.text, kind == VariableKind::kVar);
    }
    if (stmt.kind == StmtKind::kFor) bind(stmt.name.text, true);
    BindBlock(stmt.body, scope, assignable);
    for (const auto& [condition, body] : stmt.branches) BindBlock(body, scope, assignable);
    if (stmt.otherwise.has_value()) BindBlock(*stmt.otherwise, scope, assignable);
  }
}

void Checker::CheckFunction(const FunctionDecl& function) {
  Scope scope;
  scope.has_event = true;  // the fields of the event that calls it are free names
  absl::flat_hash_map<std::string_view, bool> assignable;
  if (function.parameters.size() > kMaxParameters) {
    diagnostics_.Error(function.parameters[kMaxParameters].name.span, "E102",
                       Concat("a function has at most ", kMaxParameters, " parameters"),
                       "pass a list or a map");
  }
  for (const Parameter& parameter : function.parameters) {
    if (!assignable.emplace(parameter.name.text, true).second) {
      diagnostics_.Error(parameter.name.span, "E107",
                         Concat("parameter `", parameter.name.text, "` is declared twice"));
    }
    ++scope.locals[parameter.name.text];
  }
  BindBlock(function.body, scope, &assignable);
  CheckBlock(function.body, scope, {.assignable = &assignable});
}

void Checker::CheckBlock(const Block& block, Scope& scope, BlockContext context) {
  for (const Stmt& stmt : block.statements) CheckStmt(stmt, scope, context);
  CheckOrder(block);
}

// Statements that are never reached, and values that nobody sees: the result of a function is its
// last expression statement.
void Checker::CheckOrder(const Block& block) {
  bool value_follows = false;
  for (size_t i = block.statements.size(); i-- > 0;) {
    const Stmt& stmt = block.statements[i];
    const bool ends = stmt.kind == StmtKind::kReturn || stmt.kind == StmtKind::kBreak ||
                      stmt.kind == StmtKind::kContinue;
    if (ends && i + 1 < block.statements.size()) {
      diagnostics_.Warn(block.statements[i + 1].span, "W104", "this is never reached",
                        "the statement before it leaves the block");
    }
    if (stmt.kind == StmtKind::kExpr && value_follows && stmt.expr->kind != ExprKind::kCall &&
        stmt.expr->kind != ExprKind::kApply) {
      diagnostics_.Error(stmt.expr->span, "E104", "this value is not used",
                         "only the last one is the result; give it a name with `let`");
    }
    value_follows = value_follows || stmt.kind == StmtKind::kReturn || stmt.kind == StmtKind::kExpr;
  }
}

void Checker::CheckStmt(const Stmt& stmt, Scope& scope, BlockContext context) {
  if (stmt.expr != nullptr) CheckExpr(*stmt.expr, scope);
  switch (stmt.kind) {
    case StmtKind::kVariable:
      CheckExpr(*stmt.variable.value, scope);
      if (stmt.variable.kind == VariableKind::kAssign) CheckAssignment(stmt.variable, context);
      return;
    case StmtKind::kFor:
    case StmtKind::kWhile:
      context.in_loop = true;
      return CheckBlock(stmt.body, scope, context);
    case StmtKind::kIf:
      CheckBlock(stmt.body, scope, context);
      for (const auto& [condition, body] : stmt.branches) {
        CheckExpr(*condition, scope);
        CheckBlock(body, scope, context);
      }
      if (stmt.otherwise.has_value()) CheckBlock(*stmt.otherwise, scope, context);
      return;
    case StmtKind::kBreak:
    case StmtKind::kContinue:
      if (context.in_loop) return;
      diagnostics_.Error(stmt.span, "E117",
                         Concat("`", stmt.kind == StmtKind::kBreak ? "break" : "continue",
                                "` stands outside a loop"),
                         "it belongs into the body of a `for` or `while`");
      return;
    case StmtKind::kEmit:
      for (const NamedExpr& named : stmt.named) CheckExpr(*named.expr, scope);
      if (context.in_lambda) {
        diagnostics_.Error(stmt.span, "E117", "`emit` stands outside a function",
                           "move it into a `fn` and call that in `.process(…)`");
      }
      return;
    case StmtKind::kReturn:
    case StmtKind::kExpr:
      return;
  }
}

void Checker::CheckAssignment(const VariableDecl& variable, const BlockContext& context) {
  const std::string& name = variable.name.text;
  if (auto local = context.assignable->find(name); local != context.assignable->end()) {
    if (local->second) return;
    diagnostics_.Error(variable.name.span, "E040", Concat("`", name, "` cannot be assigned to"),
                       "declare it with `var` to change it");
    return;
  }
  auto global = variables_.find(name);
  if (global == variables_.end()) {
    if (broken_.contains(name)) return;
    const std::string nearest = ErrorHint(name, [&] {
      std::vector<std::string> names;
      for (const auto& [local, is_assignable] : *context.assignable) {
        if (is_assignable) names.emplace_back(local);
      }
      std::sort(names.begin(), names.end());
      return names;
    });
    diagnostics_.Error(variable.name.span, "E106", Concat("there is no variable `", name, "`"),
                       nearest.empty() ? Concat("declare it: var ", name, " = …") : nearest);
    return;
  }
  if (mutable_variables_.contains(name)) return;
  diagnostics_.Error(variable.name.span, "E040", Concat("`", name, "` cannot be assigned to"),
                     "use `var` for what changes", global->second);
}

}  // namespace varpulis::engine
