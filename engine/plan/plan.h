#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "engine/lang/ast.h"
#include "engine/lang/builtin_names.h"

namespace varpulis::engine {

// A checked program with every name resolved: printable data, no behaviour.

// The shape of rows at some place: which field stands in which slot. A closed layout lists all
// fields a row can have (after `.select` or `.emit`). An open one belongs to an input event type
// and lists the fields the program reads of it, so that readers can skip the others.
struct Layout {
  std::string type_name;
  bool open = false;
  std::vector<std::string> fields;
  int all_fields_slot = -1;  // open only: a map of every field of the event
  int slot_count = 0;

  int Find(std::string_view field) const;
  // Open only: the slot of `field`, added if new.
  int Demand(const std::string& field);
  int DemandAllFields();
  void AddField(const std::string& field);

 private:
  absl::flat_hash_map<std::string, int> index_;
};

enum class PlanExprKind {
  kLiteral,
  kSlot,          // index
  kGlobal,        // index
  kLocal,         // index, bound by a match
  kTimestamp,     // of the event
  kMissing,       // a name that can have no value
  kFirstPresent,  // the first child that is not ⊥
  kMember,        // children[0] . text
  kIndex,
  kSlice,  // absent bounds are kMissing with index 1
  kUnary,
  kBinary,
  kIsKind,  // children[0] is text; index 1 when negated
  kIf,
  kList,
  kMap,    // labels
  kCall,   // builtin
  kMatch,  // children[0], then the arms
};

struct PlanArm {
  MatchArm::Kind kind = MatchArm::Kind::kAny;
  Literal literal;
  int local = -1;
};

struct PlanExpr {
  PlanExprKind kind = PlanExprKind::kMissing;
  int index = 0;
  Literal literal;
  std::string text;
  UnaryOp unary = UnaryOp::kNot;
  BinaryOp binary = BinaryOp::kAdd;
  Builtin builtin = Builtin::kAbs;
  std::vector<PlanExpr> children;
  std::vector<std::string> labels;
  std::vector<PlanArm> arms;
};

enum class PlanOpKind { kFilter, kSelect, kEmit, kDistinct, kLimit };

struct PlanOp {
  PlanOpKind kind = PlanOpKind::kFilter;
  std::vector<PlanExpr> exprs;  // filter, distinct: one; select, emit: one per output field
  int output_layout = -1;       // select, emit
  std::string output_type;      // emit: event type of the output record
  int64_t count = 0;            // limit
  // Hash of the source and the chain up to here. State moves to a new program where it is equal.
  std::string fingerprint;
};

struct PlanStream {
  std::string name;
  int input_layout = -1;
  int output_layout = -1;
  std::vector<PlanOp> ops;
  std::vector<int> consumers;  // streams over this one, in declaration order
};

// A type that rows enter with. A stream's name is one too when other streams read it (vpl.md §7.1).
struct PlanInput {
  std::string type;
  int layout = -1;
  std::vector<int> streams;  // in declaration order
  bool is_stream = false;
};

// One `let`, `var`, `const` or `:=`, run once in order when the program is loaded.
struct PlanAssignment {
  int global = 0;
  PlanExpr value;
  Span span;
};

struct PlanGlobal {
  std::string name;
  bool is_mutable = false;
};

struct Plan {
  std::vector<Layout> layouts;
  std::vector<PlanGlobal> globals;
  std::vector<PlanAssignment> assignments;
  std::vector<PlanStream> streams;  // in declaration order
  std::vector<PlanInput> inputs;    // event types first, in order of use
  int local_count = 0;              // match variables alive at once, at most

  std::string DebugString() const;
};

std::string DebugString(const PlanExpr& expr);

}  // namespace varpulis::engine
