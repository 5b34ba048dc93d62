#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/lang/diagnostics.h"

namespace varpulis::engine {

// The tree of a program: plain structs, one per production of vpl.md §1.4. Names are not resolved.

enum class LiteralKind { kNull, kBool, kInt, kFloat, kString, kTimestamp, kDuration };

struct Literal {
  LiteralKind kind = LiteralKind::kNull;
  int64_t integer = 0;  // bool, int, timestamp and duration (nanoseconds)
  double real = 0;
  std::string text;
};

enum class UnaryOp { kNegate, kBitNot, kNot };

enum class BinaryOp {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
  kIs,
  kIsNot,
  kAnd,
  kOr,
  kCoalesce,
  kBitAnd,
  kBitOr,
  kBitXor,
  kShiftLeft,
  kShiftRight,
  kRange,
  kRangeInclusive,
};
const char* BinaryOpText(BinaryOp op);
const char* UnaryOpText(UnaryOp op);

enum class ExprKind {
  kLiteral,
  kName,    // text
  kMember,  // children[0] . text; null_safe for ?.
  kIndex,   // children[0] [ children[1] ]
  kSlice,   // children[0] [ children[1] : children[2] ], a missing bound is nullptr
  kCall,    // text(children...); labels hold the names of named arguments
  kUnary,
  kBinary,
  kIf,      // children: condition, then, else
  kList,    // children
  kMap,     // labels[i] : children[i]
  kMatch,   // children[0] is matched; then one child per arm
  kLambda,  // labels => children[0]; with `block`, its statements run first (no value: no child)
  kApply,   // children[0](children[1]…): a call of a value; labels go with children. The checks
            // leave methods of lists only, `xs.filter(x => …)`: children[0] is a kMember
};

struct Block;
struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

// literal (`kLiteral`), a name that binds (`kBind`) or `_` (`kAny`).
struct MatchArm {
  enum class Kind { kLiteral, kBind, kAny } kind = Kind::kAny;
  Literal literal;
  std::string name;
};

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  Span span;       // the whole expression
  Span main_span;  // what a message points at: the operator, the name
  int depth = 1;   // height of this subtree; bounded by the parser (kMaxExprDepth)
  Literal literal;
  std::string text;
  bool null_safe = false;
  UnaryOp unary = UnaryOp::kNot;
  BinaryOp binary = BinaryOp::kAdd;
  std::vector<ExprPtr> children;
  std::vector<std::string> labels;
  std::vector<MatchArm> arms;
  std::unique_ptr<Block> block;  // a lambda's `{ … }`: statements before the value
};

struct Name {
  std::string text;
  Span span;
};

// `label: expr`, or a bare name where the operator allows it (label == name).
struct NamedExpr {
  Name label;
  ExprPtr expr;
};

// ---- Statements of functions, and of blocks.

enum class VariableKind { kLet, kVar, kConst, kAssign /* name := e */ };

// `let`, `var`, `const` or `:=`, at top level or in a block.
struct VariableDecl {
  VariableKind kind = VariableKind::kLet;
  Name name;
  std::string type;  // as written; empty when absent
  ExprPtr value;
};

struct Stmt;
struct Block {
  std::vector<Stmt> statements;
};
// Not a pair: clang 14 asks pairs of incomplete types too early.
struct ConditionalBlock {
  ExprPtr condition;
  Block body;
};

enum class StmtKind {
  kVariable,  // variable
  kIf,        // expr, body, then `branches` (elif) and `otherwise`
  kFor,       // name in expr: body
  kWhile,     // expr: body
  kReturn,    // expr, may be null
  kBreak,
  kContinue,
  kEmit,  // emit name(named)
  kExpr,  // expr
};

struct Stmt {
  StmtKind kind = StmtKind::kExpr;
  Span span;
  VariableDecl variable;
  Name name;
  ExprPtr expr;
  std::vector<NamedExpr> named;
  Block body;
  std::vector<ConditionalBlock> branches;
  std::optional<Block> otherwise;
};

// ---- Streams.

enum class OpKind {
  kWhere,            // expr; also written `.filter`, whose one-parameter lambda is kept as it is
  kHaving,           // expr
  kSelect,           // named
  kEmit,             // named, emit_as
  kDistinct,         // expr, may be null
  kLimit,            // count
  kMap,              // expr, mostly a lambda
  kWindow,           // window
  kAggregate,        // named
  kPartitionBy,      // expr
  kOrderBy,          // args, descending
  kProcess,          // expr
  kPrint,            // args
  kLog,              // named: level, message, data
  kTap,              // named
  kWatermark,        // named: out_of_order
  kAllowedLateness,  // expr
  kContext,          // target
  kOn,               // expr
  kTo,               // target, named
  kEnrich,           // target, named
  kStep,             // `->`: step
  kWithin,           // expr
  kNot,              // step
  kPattern,          // named: one entry
  kTrendAggregate,   // named
  kForecast,         // named
  kScore,            // named
  kUnsupported,      // reported already
};

// `A as a`, `-> all A where p as a`, `.not(A where p)`, `A+` in a pattern.
struct PatternStep {
  enum class Repeat { kOne, kPlus, kStar, kOptional };
  Name type;
  Repeat repeat = Repeat::kOne;  // `all` is kPlus
  bool negated = false;
  ExprPtr where;
  std::optional<Name> alias;
  ExprPtr within;  // steps of `sequence(…)`
};

// Sizes are expressions; the checks fold them. Exactly one of `size` and `session`.
struct WindowSpec {
  ExprPtr size;
  ExprPtr sliding;
  ExprPtr session;
  ExprPtr policy;
};

// One `.name(…)` of a chain.
struct StreamOp {
  OpKind kind = OpKind::kUnsupported;
  Name name;  // as written
  Span span;  // from the dot to the closing bracket
  std::optional<Name> emit_as;
  std::vector<NamedExpr> named;
  ExprPtr expr;
  std::vector<ExprPtr> args;
  std::vector<bool> descending;  // by args
  int64_t count = 0;
  WindowSpec window;
  PatternStep step;
  Name target;  // a connector or context
};

enum class SourceKind {
  kType,       // type [as alias], or `all type as alias`
  kConnector,  // type.from(connector, params)
  kMerge,      // clauses: condition is the clause's `.where`
  kJoin,       // clauses: condition is the clause's `.on`
  kSequence,   // steps, each with its alias
  kTimer,      // interval, initial_delay
};

// `S`, or `stream Name = S .where(e)`.
struct SourceClause {
  Name label;  // equal to `type` when no name was given
  Name type;
  ExprPtr condition;
};

struct StreamSource {
  SourceKind kind = SourceKind::kType;
  Span span;
  Name type;
  std::optional<Name> alias;
  bool all = false;
  ExprPtr where;  // first step of a pattern: `A where p as a -> …`
  Name connector;
  std::vector<NamedExpr> params;
  std::vector<SourceClause> clauses;
  std::vector<PatternStep> steps;
  ExprPtr interval, initial_delay;
};

struct StreamDecl {
  Name name;
  Span span;
  std::string type;  // as written; empty when absent
  StreamSource source;
  std::vector<StreamOp> ops;
};

// ---- Other declarations.

struct EventField {
  Name name;
  std::string type;
  bool optional = false;
};

struct EventDecl {
  Name name;
  Span span;
  std::optional<Name> parent;
  std::vector<EventField> fields;
};

struct TypeDecl {
  Name name;
  Span span;
  std::string type;
};

struct Parameter {
  Name name;
  std::string type;
};

struct FunctionDecl {
  Name name;
  Span span;
  std::vector<Parameter> parameters;
  std::string result_type;  // may be empty
  Block body;
};

// pattern P = SEQ(A as a, NOT B, C+ as c) within 10s partition by k
//
// `A -> B` is kSequence too. The checks leave NOT between the items of a sequence, and at its end
// when there is a `within`; its child is then one step without alias.
struct PatternExpr {
  enum class Kind { kStep, kSequence, kAnd, kOr, kNot } kind = Kind::kStep;
  Span span;
  PatternStep step;                                    // kStep
  std::vector<std::unique_ptr<PatternExpr>> children;  // the others; kNot has one
};

struct PatternDecl {
  Name name;
  Span span;
  std::unique_ptr<PatternExpr> pattern;
  ExprPtr within;
  std::optional<Name> partition_by;
};

// connector C = mqtt(url: "…", topics: ["a", "b"])
struct ConnectorDecl {
  Name name;
  Span span;
  Name type;
  std::vector<NamedExpr> params;  // literals, lists of them, and names
};

struct ContextDecl {
  Name name;
  Span span;
  std::vector<int64_t> cores;
};

struct ImportDecl {
  Name path;  // the text of the string
  Span span;
  std::optional<Name> alias;
};

struct ConfigDecl {
  Name name;  // `config name { … }`; empty for `config:`
  Span span;
  std::vector<NamedExpr> params;
};

using Statement = std::variant<StreamDecl, EventDecl, VariableDecl, TypeDecl, FunctionDecl,
                               PatternDecl, ConnectorDecl, ContextDecl, ImportDecl, ConfigDecl>;

struct Program {
  std::vector<Statement> statements;
  // Names of declarations that were reported: nothing is to be said about what refers to them.
  std::vector<std::string> broken;
};

}  // namespace varpulis::engine
