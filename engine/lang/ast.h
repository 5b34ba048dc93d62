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
  kLambda,  // labels => children[0]
};

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

enum class OpKind { kWhere, kHaving, kSelect, kEmit, kDistinct, kLimit, kUnsupported };

// One `.name(…)` of a chain.
struct StreamOp {
  OpKind kind = OpKind::kUnsupported;
  Name name;                     // as written: `filter` is a kWhere
  std::optional<Name> emit_as;   // `.emit as T(…)`
  std::vector<NamedExpr> named;  // select, emit
  ExprPtr expr;                  // where, having, distinct (may be null)
  int64_t count = 0;             // limit
};

struct StreamSource {
  Name type;  // event type or stream
  std::optional<Name> alias;
};

struct StreamDecl {
  Name name;
  StreamSource source;
  std::vector<StreamOp> ops;
};

struct EventField {
  Name name;
  std::string type;
  bool optional = false;
};

struct EventDecl {
  Name name;
  std::optional<Name> parent;
  std::vector<EventField> fields;
};

enum class VariableKind { kLet, kVar, kConst, kAssign /* name := e */ };

struct VariableDecl {
  VariableKind kind = VariableKind::kLet;
  Name name;
  ExprPtr value;
};

struct TypeDecl {
  Name name;
};

// A declaration of a kind this build knows by name only; reported as E110, kept for its name.
struct UnsupportedDecl {
  std::string keyword;
  Name name;
};

using Statement = std::variant<StreamDecl, EventDecl, VariableDecl, TypeDecl, UnsupportedDecl>;

struct Program {
  std::vector<Statement> statements;
};

}  // namespace varpulis::engine
