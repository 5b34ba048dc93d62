#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

#include "engine/lang/ast.h"
#include "engine/lang/check.h"
#include "engine/lang/constant.h"
#include "engine/lang/diagnostics.h"

namespace varpulis::engine {

// The semantic checks of vpl.md §11, two passes: collect declarations, then check. Used once;
// borrows the program. The codes are listed in docs/diagnostics.md.
class Checker {
 public:
  // `runnable`: what this build does not run is reported elsewhere.
  Checker(const Program& program, DiagnosticList& diagnostics, bool runnable)
      : program_(program),
        diagnostics_(diagnostics),
        runnable_(runnable),
        constants_(program),
        broken_(program.broken.begin(), program.broken.end()) {}

  void Run(CheckResult& result);

 private:
  // What is known of the fields of a row at one place of a chain.
  struct Shape {
    std::string owner;  // "event `Reading`", "stream `Hot`"
    std::vector<std::string> names;
    absl::flat_hash_set<std::string> set;
    std::vector<std::string> open;  // `a_`: every name that begins so may be a field

    void Add(const std::string& name) {
      if (set.insert(name).second) names.push_back(name);
    }
    bool Has(const std::string& name) const;
  };
  // Null: any name may be a field.
  using ShapePtr = std::shared_ptr<const Shape>;
  // Wider rows are taken for unknown, which bounds the work per stream.
  static constexpr size_t kMaxKnownFields = 500;
  static constexpr size_t kMaxPatternSteps = 256;
  // Of patterns in patterns, and of events that extend events.
  static constexpr int kMaxPatternNesting = 16;
  static constexpr size_t kMaxParents = 100;
  // Calls count their arguments in a byte; see Function::Instruction.
  static constexpr size_t kMaxParameters = 255;

  // An event that has a name: a step of a pattern, the parameter of `.filter(x => …)`.
  struct Capture {
    std::string_view name;
    ShapePtr shape;
    bool closure = false;
    bool is_parameter = false;  // of a lambda; alone it is a map of all fields
  };
  struct Scope {
    bool has_event = false;  // false: a top-level initialiser, where only earlier variables exist
    ShapePtr shape;          // of the event
    std::string_view alias;  // of the source, usable as `alias.field`
    std::string_view type;   // name of the event type at this place
    const StreamSource* parts = nullptr;  // of the merge or join whose rows these are
    bool in_partition = false;
    absl::flat_hash_map<std::string_view, int> locals;
    std::vector<Capture> captures;
    // In the filter of a step.
    bool in_step = false;
    std::string_view own_alias;
    const absl::flat_hash_set<std::string_view>* later = nullptr;  // aliases of further steps

    const Capture* Find(std::string_view name) const;
    bool IsLocal(std::string_view name) const;
  };
  // A pattern declaration, looked at once.
  struct PatternInfo {
    enum class State { kNew, kOpen, kDone } state = State::kNew;
    const PatternDecl* decl = nullptr;
    std::vector<Capture> captures;
    std::vector<const PatternStep*> steps;  // positive ones
    std::vector<const Name*> names;         // all that it names, in order
    size_t step_count = 0;
    std::optional<Span> trailing_not;
    bool used_within = false;  // a stream over it has a `.within`
  };
  // A reference from one stream to another.
  struct Edge {
    size_t producer;
    Span span;
  };
  struct BlockContext {
    bool in_loop = false;
    bool in_lambda = false;
    absl::flat_hash_map<std::string_view, bool>* assignable = nullptr;
  };

  // check.cc: declarations.
  void Collect();
  void Declare(std::string_view code, std::string_view what, const Name& name,
               absl::flat_hash_map<std::string, Span>& names);
  void CheckVariable(const VariableDecl& variable);
  void CheckEvent(const EventDecl& event);
  void CheckParams(const std::vector<NamedExpr>& params);
  ShapePtr ShapeOfEvent(const std::string& name);
  static std::vector<std::string> Sorted(const absl::flat_hash_map<std::string, Span>& names);
  // DidYouMean, or an empty string for a message that is only counted. `candidates()` makes them.
  template <typename Candidates>
  std::string ErrorHint(std::string_view name, const Candidates& candidates) const {
    return diagnostics_.enough_errors() ? "" : DidYouMean(name, candidates());
  }
  template <typename Candidates>
  std::string WarningHint(std::string_view name, const Candidates& candidates) const {
    return diagnostics_.enough_warnings() ? "" : DidYouMean(name, candidates());
  }

  // check_expression.cc
  void CheckExpr(const Expr& expr, Scope& scope);
  void CheckChildren(const Expr& expr, Scope& scope);
  void CheckIs(const Expr& expr, Scope& scope);
  void CheckMatch(const Expr& expr, Scope& scope);
  void CheckName(const Expr& expr, const Scope& scope);
  static bool IsWholeEvent(const Expr& expr, const Scope& scope);
  void CheckNoWholeEvent(const Expr& expr, const Scope& scope);
  void CheckOperands(const Expr& expr, const Scope& scope);
  void CheckMember(const Expr& expr, Scope& scope);
  void CheckField(const Expr& member, const Shape& shape);
  bool CheckMergeMember(const Expr& member, const Scope& scope);
  void CheckPartitionBase(const Expr& member, const Scope& scope);
  std::string RootType(const std::string& type) const;
  void CheckCall(const Expr& expr, Scope& scope);
  bool IsClosureCall(const Expr& expr, const Scope& scope) const;
  void CheckArguments(const Expr& call, std::optional<Span> declared, int min, int max);
  void CheckApply(const Expr& expr, Scope& scope);
  // `lambda` where a function is wanted. With `shape` its one parameter is the event.
  void CheckLambda(const Expr& lambda, size_t parameters, Scope& scope, bool takes_event);

  // check_function.cc
  void CheckFunction(const FunctionDecl& function);
  void CheckBlock(const Block& block, Scope& scope, BlockContext context);
  void CheckStmt(const Stmt& stmt, Scope& scope, BlockContext context);
  void CheckAssignment(const VariableDecl& variable, const BlockContext& context);
  void CheckOrder(const Block& block);
  static void BindBlock(const Block& block, Scope& scope,
                        absl::flat_hash_map<std::string_view, bool>* assignable);
  bool Emits(const std::string& function);
  void FindEmitters();

  // check_order.cc
  void FindEdges();
  std::vector<size_t> StreamOrder();
  void ReportCycle(const std::vector<std::pair<size_t, size_t>>& path, size_t start);
  void FindInputs(CheckResult& result);
  absl::flat_hash_set<std::string> Behind(const std::string& stream) const;
  // Every event type and stream that `stream` reads, in order of the source, with the place in the
  // stream where it says so. Patterns are looked through.
  struct Read {
    const Name* type;
    Span span;
  };
  std::vector<Read> ReadsOf(const StreamDecl& stream) const;

  // check_pattern.cc
  PatternInfo& PatternAt(const std::string& name);
  void CheckPatterns();
  void CheckPattern(PatternInfo& info);
  void CheckPatternExpr(const PatternExpr& pattern, PatternInfo& info, Scope& scope);
  void CheckSequence(const PatternExpr& pattern, PatternInfo& info, Scope& scope);
  void CheckNegation(const PatternExpr& pattern, PatternInfo& info, Scope& scope);
  void CheckPatternStep(const PatternStep& step, PatternInfo& info, Scope& scope);
  void CheckStepFilter(const Expr& where, const Name& type, std::string_view own_alias,
                       Scope& scope);
  void AddCapture(const Name& alias, const Name& type, bool closure, std::vector<Capture>& captures,
                  bool may_repeat);
  // The steps of a stream; its captures. False when it has none.
  bool CheckSteps(const StreamDecl& stream, std::vector<Capture>* captures);
  ShapePtr MatchShape(const StreamDecl& stream, const std::vector<Capture>& captures);
  void CheckDuration(const Expr& expr, std::string_view what);

  // check_stream.cc
  void CheckStream(size_t index);
  void CheckStructure(const StreamDecl& stream, bool has_steps);
  ShapePtr ShapeOf(const std::string& type);
  ShapePtr SourceShape(const StreamDecl& stream);
  ShapePtr JoinShape(const StreamDecl& stream);
  ShapePtr MergeShape(const StreamDecl& stream);
  void CheckSource(const StreamDecl& stream);
  void CheckSourceOps(const StreamDecl& stream, bool has_steps);
  void CheckJoin(const StreamDecl& stream);
  void CheckJoinWindow(const StreamOp& op);
  // check_connector.cc. Null, after E030, when there is none of that name.
  const ConnectorDecl* FindConnector(const Name& name);
  void CheckConnectorParams(const ConnectorDecl& connector, bool from,
                            const std::vector<NamedExpr>& params);

  // check_operator.cc
  struct Chain {
    const StreamDecl& stream;
    bool has_steps = false;
    std::vector<Capture> steps;  // of the pattern
    Scope scope;
    bool aggregated = false;
    bool windowed = false;
    std::optional<std::string> partition;  // field name, "" when it is another expression
  };
  void CheckOp(const StreamOp& op, Chain& chain);
  void CheckFields(const StreamOp& op, Chain& chain);
  void CheckCondition(const StreamOp& op, Scope& scope);
  void CheckWindow(const StreamOp& op, Chain& chain);
  void CheckMap(const StreamOp& op, Chain& chain);
  void CheckPartition(const StreamOp& op, Chain& chain);
  void CheckLog(const StreamOp& op, Scope& scope);
  void CheckContext(const Name& name);
  void CheckEnrich(const StreamOp& op, Chain& chain);
  void CheckScore(const StreamOp& op, Chain& chain);
  void CheckForecast(const StreamOp& op, Chain& chain);
  // False, after E080, when one of the labels is not in `known`.
  bool CheckLabels(const StreamOp& op, const std::vector<std::string>& known);
  void CheckNames(const Expr& list, std::string_view what);
  std::optional<Literal> CheckConstant(const Expr& expr, std::string_view what);
  // The fields of the row change to `shape`; aliases of a match end here.
  static void Replace(Chain& chain, ShapePtr shape);
  std::shared_ptr<Shape> NewShape(const Chain& chain) const;

  // check_aggregate.cc
  void CheckAggregate(const StreamOp& op, Chain& chain);
  void CheckAggregateExpr(const Expr& expr, Scope& scope);
  void CheckAggregateCall(const Expr& call, Scope& scope);
  void CheckTrendAggregate(const StreamOp& op, Chain& chain);
  void CheckTrendCall(const Expr& call, const Scope& scope);

  const Program& program_;
  DiagnosticList& diagnostics_;
  const bool runnable_;
  const Constants constants_;
  const absl::flat_hash_set<std::string> broken_;
  absl::flat_hash_map<std::string, Literal> initial_;  // of `let` and `const`, where it is known
  std::vector<const StreamDecl*> streams_;
  absl::flat_hash_map<std::string, size_t> stream_index_;
  absl::flat_hash_map<std::string, const EventDecl*> events_;
  absl::flat_hash_map<std::string, ShapePtr> event_shapes_;
  absl::flat_hash_map<std::string, const FunctionDecl*> functions_;
  absl::flat_hash_map<std::string, const ConnectorDecl*> connectors_;
  // Stable: CheckPattern holds a reference while it looks up others.
  absl::flat_hash_map<std::string, std::unique_ptr<PatternInfo>> patterns_;
  absl::flat_hash_map<std::string, Span> event_names_, stream_names_, function_names_,
      connector_names_, context_names_, pattern_names_, type_names_, variables_;
  absl::flat_hash_set<std::string> mutable_variables_;
  std::vector<std::string> variable_names_;  // declared so far
  std::vector<std::vector<Edge>> edges_;     // by stream: what it reads
  std::vector<ShapePtr> stream_shapes_;      // output shapes, by stream
  int open_patterns_ = 0;
  bool emitters_known_ = false;
  absl::flat_hash_set<std::string> emitters_;
};

}  // namespace varpulis::engine
