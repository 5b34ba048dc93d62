#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

#include "engine/lang/ast.h"
#include "engine/lang/constant.h"
#include "engine/plan/plan.h"

namespace varpulis::engine {

// Makes a plan of a checked program, in four files: planner.cc (declarations and wiring),
// planner_stream.cc (sources and operators), planner_expr.cc (names and expressions),
// planner_function.cc (functions). Used once; borrows the program.
class Planner {
 public:
  explicit Planner(const Program& program) : program_(program), constants_(program) {}
  Plan Run();

 private:
  // The locals of the function in work. One flat scope per call (vpl.md §1.7).
  struct FunctionContext {
    absl::flat_hash_map<std::string_view, int> names;
    absl::flat_hash_set<std::string_view> declared;  // anywhere in the body
    absl::flat_hash_set<std::string_view> set;       // on every way to the statement in work
    int local_count = 0;
  };
  // Where a name is looked up. No layout: outside streams.
  struct Scope {
    int layout = -1;
    std::string_view alias;      // of the source
    std::string_view parameter;  // of a lambda
    std::string_view type;
    std::vector<std::pair<std::string_view, int>> locals;  // bound by a `match`
    FunctionContext* function = nullptr;
    int emit_layout = -1;  // of `.process`, for `emit` statements

    bool NamesEvent(std::string_view name) const {
      return !name.empty() && (name == alias || name == parameter);
    }
  };
  // What the fingerprints of the stream in work speak of by number.
  struct Portables {
    absl::flat_hash_map<int, size_t> function_numbers, constant_numbers;
    std::vector<std::pair<int, int>> functions;  // with the layout of the rows they are called on
    size_t written = 0;                          // functions whose bodies are in a fingerprint
    std::vector<int> constants;
  };
  // Planned when the expression that calls it is: calls may go through thousands of functions.
  struct PendingFunction {
    int index;
    const FunctionDecl* decl;
    int layout;
    std::string_view type;
    int emit_layout;
  };
  // What earlier operators of a chain mean for later ones.
  struct ChainState {
    const Expr* partition_by = nullptr;
    bool event_time = false;
  };

  // planner.cc
  void PlanVariable(const VariableDecl& variable);
  void PlanConnectorDecl(const ConnectorDecl& connector);
  std::vector<size_t> ProducersFirst() const;
  std::vector<const Name*> SourcesOf(const StreamDecl& decl) const;
  void Wire();
  Layout& LayoutAt(int index) { return plan_.layouts[static_cast<size_t>(index)]; }
  int AddLayout(std::string type_name, Layout::Kind kind);
  int LayoutOf(const std::string& type_or_stream);
  int Demand(int layout, const std::string& field);
  int DemandAllFields(int layout);
  std::string RootType(const std::string& type_or_stream) const;

  // planner_stream.cc
  void PlanStreamAt(size_t index);
  void PlanSource(const StreamDecl& decl, PlanStream& stream, Scope& scope);
  void PlanMerge(const StreamDecl& decl, PlanStream& stream);
  void PlanJoin(const StreamDecl& decl, PlanStream& stream, std::vector<const Expr*>* residual);
  // `X.f == Y.g` of a join's condition: two fields, each a source and a slot of its rows.
  struct JoinPair {
    std::pair<int, int> sides[2];
    const Expr* condition;
  };
  void ReadJoinCondition(const Expr& condition, const PlanStream& stream,
                         std::vector<JoinPair>* pairs, std::vector<const Expr*>* residual);
  bool AddJoinPair(const Expr& condition, const PlanStream& stream, std::vector<JoinPair>* pairs);
  void MakeJoinKey(const std::vector<JoinPair>& pairs, PlanStream& stream,
                   std::vector<const Expr*>* residual);
  int JoinPlace(const PlanStream& stream, const Expr& member) const;
  void PlanOperator(const StreamDecl& decl, size_t position, ChainState& chain, Scope& scope,
                    PlanOp& planned);
  void PlanFields(const StreamDecl& decl, const StreamOp& op, Scope& scope, PlanOp& planned);
  void PlanMap(const StreamDecl& decl, const StreamOp& op, Scope& scope, PlanOp& planned);
  void SetField(const std::string& name, PlanExpr value, PlanOp& planned);
  void KeepType(const Scope& scope, PlanOp& planned);
  void PlanWindowOp(const StreamOp& op, const ChainState& chain, PlanOp& planned);
  void PlanAggregateOp(const StreamOp& op, const ChainState& chain, Scope& scope, PlanOp& planned);
  PlanExpr ResolveAggregate(const Expr& expr, Scope& scope, PlanOp& planned);
  bool TakeAggregate(const Expr& expr, Scope& scope, PlanOp& planned, PlanExpr* result);
  void PlanEnrichOp(const StreamOp& op, Scope& scope, PlanOp& planned);
  void PlanLog(const std::string& stream, const StreamOp& op, Scope& scope, PlanOp& planned);
  PlanExpr Condition(const Expr& expr, Scope& scope);
  void FinishOp(PlanStream& stream, PlanOp planned, Scope& scope, std::string* fingerprint);
  int64_t Constant(const Expr& expr, int64_t otherwise) const;

  // planner_expr.cc
  PlanExpr Resolve(const Expr& expr, Scope& scope);
  PlanExpr ResolveName(const std::string& name, const Scope& scope);
  PlanExpr ResolveMember(const Expr& expr, Scope& scope);
  PlanExpr ResolveMatch(const Expr& expr, Scope& scope);
  PlanExpr ResolveCall(const Expr& expr, Scope& scope);
  PlanExpr FieldOf(const std::string& name, const Scope& scope);
  PlanExpr AllFields(const Scope& scope);
  int NewLocal(Scope& scope);
  std::string Portable(const PlanExpr& expr, int layout);
  void PortableBlock(const std::vector<PlanStmt>& block, int layout, std::string* out);
  void PortableFunctions(std::string* out);

  // planner_function.cc
  void PlanPendingFunctions();
  int FunctionFor(const FunctionDecl& decl, const Scope& caller);
  int PlanLambdaBlock(const Expr& lambda, const Scope& caller);
  void PlanBlock(const Block& block, Scope& scope, std::vector<PlanStmt>* out);
  void PlanStatement(const Stmt& stmt, Scope& scope, std::vector<PlanStmt>* out);
  PlanStmt PlanIf(const Stmt& stmt, size_t branch, Scope& scope);
  void PlanSet(const VariableDecl& variable, Scope& scope, PlanStmt* planned);
  static void FindDeclared(const Block& block, FunctionContext& context);
  void PlanInnerBlock(const Block& block, Scope& scope, std::vector<PlanStmt>* out);
  int LocalNamed(const std::string& name, FunctionContext& context);

  const Program& program_;
  const Constants constants_;
  Plan plan_;
  std::vector<const StreamDecl*> decls_;
  absl::flat_hash_map<std::string, size_t> stream_index_;
  absl::flat_hash_map<std::string, int> globals_, input_layouts_;
  absl::flat_hash_map<std::string, const FunctionDecl*> functions_;
  absl::flat_hash_map<std::string, int> planned_functions_;
  std::vector<PendingFunction> pending_functions_;
  Portables portables_;
};

PlanExpr MakePlanExpr(PlanExprKind kind, int index = 0);

}  // namespace varpulis::engine
