#include <utility>

#include "engine/lang/concat.h"
#include "engine/plan/planner_impl.h"

namespace varpulis::engine {

// One plan per function, layout of the calling rows and target of its `emit` statements. A function
// that calls itself finds its own number.
int Planner::FunctionFor(const FunctionDecl& decl, const Scope& caller) {
  const std::string key =
      Concat(decl.name.text, " ", caller.layout, " ", caller.emit_layout, " ", caller.type);
  auto [found, added] = planned_functions_.emplace(key, static_cast<int>(plan_.functions.size()));
  const int index = found->second;
  if (!added) return index;
  plan_.functions.emplace_back();
  pending_functions_.push_back({index, &decl, caller.layout, caller.type, caller.emit_layout});
  return index;
}

void Planner::PlanPendingFunctions() {
  while (!pending_functions_.empty()) {
    const PendingFunction pending = pending_functions_.back();
    pending_functions_.pop_back();
    const FunctionDecl& decl = *pending.decl;
    FunctionContext context;
    Scope scope;
    scope.layout = pending.layout;
    scope.type = pending.type;
    scope.emit_layout = pending.emit_layout;
    scope.function = &context;
    for (const Parameter& parameter : decl.parameters) {
      LocalNamed(parameter.name.text, context);
      context.set.insert(parameter.name.text);
    }
    FindDeclared(decl.body, context);
    PlanFunction planned;
    planned.name = decl.name.text;
    planned.parameter_count = static_cast<int>(decl.parameters.size());
    PlanBlock(decl.body, scope, &planned.body);
    planned.local_count = context.local_count;
    plan_.functions[static_cast<size_t>(pending.index)] = std::move(planned);
  }
}

// A lambda with a block is a function without parameters: the event is its parameter.
int Planner::PlanLambdaBlock(const Expr& lambda, const Scope& caller) {
  const auto index = static_cast<int>(plan_.functions.size());
  plan_.functions.emplace_back();
  FunctionContext context;
  Scope scope = caller;
  scope.function = &context;
  PlanFunction planned;
  planned.name = "=>";
  FindDeclared(*lambda.block, context);
  PlanBlock(*lambda.block, scope, &planned.body);
  if (!lambda.children.empty() && lambda.children[0] != nullptr) {
    PlanStmt result;
    result.kind = StmtKind::kReturn;
    result.has_value = true;
    result.expr = Resolve(*lambda.children[0], scope);
    planned.body.push_back(std::move(result));
  }
  planned.local_count = context.local_count;
  plan_.functions[static_cast<size_t>(index)] = std::move(planned);
  return index;
}

int Planner::LocalNamed(const std::string& name, FunctionContext& context) {
  auto [found, added] = context.names.emplace(name, context.local_count);
  if (added) ++context.local_count;
  return found->second;
}

// A name declared anywhere in a body is a local from everywhere in it: a turn of a loop may read
// what an earlier turn has set further down.
void Planner::FindDeclared(const Block& block, FunctionContext& context) {
  for (const Stmt& stmt : block.statements) {
    if (stmt.kind == StmtKind::kVariable && stmt.variable.kind != VariableKind::kAssign) {
      context.declared.insert(stmt.variable.name.text);
    }
    if (stmt.kind == StmtKind::kFor) context.declared.insert(stmt.name.text);
    FindDeclared(stmt.body, context);
    for (const auto& branch : stmt.branches) FindDeclared(branch.body, context);
    if (stmt.otherwise.has_value()) FindDeclared(*stmt.otherwise, context);
  }
}

// A block that may be left out: what it sets need not be set behind it.
void Planner::PlanInnerBlock(const Block& block, Scope& scope, std::vector<PlanStmt>* out) {
  const auto before = scope.function->set;
  PlanBlock(block, scope, out);
  scope.function->set = before;
}

void Planner::PlanBlock(const Block& block, Scope& scope, std::vector<PlanStmt>* out) {
  for (const Stmt& stmt : block.statements) PlanStatement(stmt, scope, out);
}

// `:=` sets a local if one of that name is declared in the function, else a global.
void Planner::PlanSet(const VariableDecl& variable, Scope& scope, PlanStmt* planned) {
  planned->kind = StmtKind::kVariable;
  planned->has_value = true;
  planned->expr = Resolve(*variable.value, scope);
  const std::string& name = variable.name.text;
  const bool is_local =
      scope.function->names.contains(name) || scope.function->declared.contains(name);
  if (variable.kind == VariableKind::kAssign && !is_local) {
    if (auto global = globals_.find(name); global != globals_.end()) {
      planned->global = global->second;
      plan_.assigns_globals = true;
      return;
    }
  }
  planned->local = LocalNamed(name, *scope.function);
  scope.function->set.insert(name);
}

PlanStmt Planner::PlanIf(const Stmt& stmt, size_t branch, Scope& scope) {
  PlanStmt planned;
  planned.kind = StmtKind::kIf;
  planned.has_value = true;
  planned.expr = Resolve(branch == 0 ? *stmt.expr : *stmt.branches[branch - 1].condition, scope);
  PlanInnerBlock(branch == 0 ? stmt.body : stmt.branches[branch - 1].body, scope, &planned.body);
  if (branch < stmt.branches.size()) {
    planned.otherwise.push_back(PlanIf(stmt, branch + 1, scope));
  } else if (stmt.otherwise.has_value()) {
    PlanInnerBlock(*stmt.otherwise, scope, &planned.otherwise);
  }
  return planned;
}

void Planner::PlanStatement(const Stmt& stmt, Scope& scope, std::vector<PlanStmt>* out) {
  PlanStmt planned;
  planned.kind = stmt.kind;
  switch (stmt.kind) {
    case StmtKind::kVariable:
      PlanSet(stmt.variable, scope, &planned);
      break;
    case StmtKind::kIf:
      planned = PlanIf(stmt, 0, scope);
      break;
    case StmtKind::kFor: {
      planned.expr = Resolve(*stmt.expr, scope);
      planned.has_value = true;
      planned.local = LocalNamed(stmt.name.text, *scope.function);
      // Two hidden locals hold the sequence and the place in it.
      scope.function->local_count += 2;
      planned.hidden = scope.function->local_count - 2;
      const auto before = scope.function->set;
      scope.function->set.insert(stmt.name.text);
      PlanBlock(stmt.body, scope, &planned.body);
      scope.function->set = before;
      break;
    }
    case StmtKind::kWhile:
      planned.expr = Resolve(*stmt.expr, scope);
      planned.has_value = true;
      PlanInnerBlock(stmt.body, scope, &planned.body);
      break;
    case StmtKind::kReturn:
    case StmtKind::kExpr:
      planned.has_value = stmt.expr != nullptr;
      if (planned.has_value) planned.expr = Resolve(*stmt.expr, scope);
      break;
    case StmtKind::kBreak:
    case StmtKind::kContinue:
      break;
    case StmtKind::kEmit:
      if (scope.emit_layout < 0) return;  // nobody would see it; the checks have warned
      planned.layout = scope.emit_layout;
      planned.type = stmt.name.text;
      for (const NamedExpr& named : stmt.named) {
        planned.values.push_back(Resolve(*named.expr, scope));
        const int slot = LayoutAt(scope.emit_layout).Find(named.label.text);
        planned.slots.push_back(slot >= 0 ? slot
                                          : LayoutAt(scope.emit_layout).AddField(named.label.text));
      }
      break;
  }
  out->push_back(std::move(planned));
}

}  // namespace varpulis::engine
