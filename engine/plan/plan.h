#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "engine/lang/ast.h"
#include "engine/lang/builtin_names.h"

namespace varpulis::engine {

// A checked program with every name resolved: printable data, no behaviour.

// The shape of rows at some place: which field stands in which slot. A closed layout lists all
// fields a row can have (after `.select` or `.emit`). An open one lists the fields the program
// reads of its rows: of an input event type, so that readers can skip the others, or of rows put
// together from those of other layouts, by a merge, a join or a `.map` to whatever map.
struct Layout {
  enum class Kind { kClosed, kEvent, kMerge, kJoin, kMap };
  static constexpr int kAllSlots = -2;  // as an origin: all fields of a closed part as a map
  // Where a slot of a merge or join comes from: the first of these that has a value.
  struct Origin {
    int part;
    int slot;
  };
  struct Part {
    int layout;
    std::string label;  // fields are `label.f`
    std::string type;   // and `type.f`
  };

  std::string type_name;
  Kind kind = Kind::kClosed;
  std::vector<std::string> fields;  // by slot; a hidden slot has an empty name
  int all_fields_slot = -1;         // events only: a map of every field of the event
  int type_slot = -1;               // after `.process`: the event type, hidden
  int slot_count = 0;
  std::vector<Part> parts;                   // merge, join
  std::vector<std::vector<Origin>> origins;  // by slot; merge, join

  bool open() const { return kind != Kind::kClosed; }
  int Find(std::string_view field) const;
  int AddField(const std::string& field);  // returns its slot
  int AddHidden();

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
  kMap,           // labels
  kCall,          // builtin
  kCallFunction,  // index of a PlanFunction
  kMatch,         // children[0], then the arms
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

enum class AggregateFunction {
  kCount,
  kCountDistinct,
  kSum,
  kAvg,
  kMin,
  kMax,
  kStddev,
  kVariance,
  kFirst,
  kLast,
  kEma,
  kMedian,
  kPercentile,
  kCollect,
};

struct PlanAggregate {
  AggregateFunction function = AggregateFunction::kCount;
  std::vector<PlanExpr> argument;  // one, or none for count()
  double parameter = 0;            // ema: length; percentile: rank
};

enum class WindowKind { kTumbling, kSliding, kCount, kSlidingCount, kSession };

// Durations in nanoseconds, counts in events.
struct PlanWindow {
  WindowKind kind = WindowKind::kCount;
  int64_t size = 0;
  int64_t slide = 0;
  bool event_time = false;  // behind `.watermark`: aligned, fired by the watermark
};

// `connector C = type(key: value, …)`; lists are joined with commas.
struct PlanConnector {
  std::string name;
  std::string type;
  std::vector<std::pair<std::string, std::string>> params;
};

struct PlanEnrich {
  std::string connector;
  std::vector<std::string> fields;
  int64_t ttl_ns = 300'000'000'000;
  int64_t timeout_ns = 5'000'000'000;
  bool has_fallback = false;
  Literal fallback;
};

enum class PlanOpKind {
  kFilter,
  kSelect,
  kEmit,
  kDistinct,
  kLimit,
  kMap,        // to whatever map the expression gives
  kWindow,     // window, key; with `aggregates` what they make of it
  kAggregate,  // key, aggregates, of each batch
  kOrderBy,
  kProcess,
  kOutput,  // rows of `.process` that reach the end, under their own types
  kPrint,
  kLog,
  kTap,
  kWatermark,
  kEnrich,
};

struct PlanOp {
  PlanOpKind kind = PlanOpKind::kFilter;
  // filter, distinct, map, process: one; select, emit, aggregate: one per output field; print, tap:
  // the values; order_by: the keys; log: the data, if given.
  std::vector<PlanExpr> exprs;
  int input_layout = -1;
  int output_layout = -1;   // when it differs
  std::string output_type;  // emit: event type of the output record
  int64_t count = 0;        // limit; watermark: slack
  int64_t lateness = 0;     // watermark
  PlanWindow window;
  std::vector<PlanExpr> key;  // window, aggregate: one with `.partition_by`
  std::vector<PlanAggregate> aggregates;
  size_t most_aggregates = 0;              // at least as many as there will be; used while planning
  int partition_slot = -1, key_slot = -1;  // of the output of an aggregate
  std::vector<bool> descending;            // order_by
  std::vector<std::string> labels;         // tap
  std::string level, text;                 // log
  PlanEnrich enrich;
  Span span;
  // Hash of the source and the chain up to here. State moves to a new program where it is equal,
  // and so are the values of the first so many constants of the stream: those used up to here.
  std::string fingerprint;
  size_t constants = 0;
};

// A way into a stream: the rows of one type or stream.
struct PlanPort {
  std::string type;
  int layout = -1;
  std::vector<PlanExpr> conditions;  // merge: one of them must be true, if there are any
  std::vector<int> places;           // join: the sources that take these rows, mostly one
};

struct PlanJoinSource {
  std::string label;
  std::vector<PlanExpr> key;  // over the rows of its port
};

enum class SourcePlanKind { kPlain, kMerge, kJoin, kTimer };

struct PlanStream {
  struct Consumer {
    int stream;
    int port;
  };
  std::string name;
  SourcePlanKind source = SourcePlanKind::kPlain;
  std::vector<PlanPort> ports;
  std::vector<PlanJoinSource> join;  // by place
  int64_t join_window = 0;
  std::string join_fingerprint;
  int64_t timer_interval = 0, timer_delay = 0;
  int input_layout = -1;
  int output_layout = -1;
  std::vector<PlanOp> ops;
  std::vector<int> constants;       // globals that never change, in order of use
  std::vector<Consumer> consumers;  // of its rows, in declaration order
};

// A type that rows enter with. A stream's name is one too when other streams read it (vpl.md §7.1).
struct PlanInput {
  std::string type;
  int layout = -1;
  std::vector<PlanStream::Consumer> consumers;  // in declaration order
  bool is_stream = false;
};

// A statement of a function, resolved. Locals are places in the frame.
struct PlanStmt {
  StmtKind kind = StmtKind::kExpr;
  int local = -1;   // variable, for: the local it sets
  int global = -1;  // variable: the global it sets
  int hidden = -1;  // for: two locals of its own
  bool has_value = false;
  PlanExpr expr;  // value, condition, sequence
  std::vector<PlanStmt> body;
  std::vector<PlanStmt> otherwise;  // if; an elif is an if in here
  // emit: the fields by slot of the layout, and the type.
  int layout = -1;
  std::string type;
  std::vector<PlanExpr> values;
  std::vector<int> slots;
};

// A function as it is called from rows of one layout: the fields of the triggering event are
// visible in it by name.
struct PlanFunction {
  std::string name;
  int parameter_count = 0;
  int local_count = 0;  // parameters first
  std::vector<PlanStmt> body;
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
  std::vector<PlanConnector> connectors;
  std::vector<PlanStream> streams;  // in declaration order
  std::vector<PlanInput> inputs;    // event types first, in order of use
  std::vector<PlanFunction> functions;
  int local_count = 0;           // locals of expressions outside functions, at most
  bool assigns_globals = false;  // some function does

  std::string DebugString() const;
};

std::string DebugString(const PlanExpr& expr);
std::string RealText(double real);  // the shortest that means it exactly
std::string DebugString(const PlanAggregate& aggregate);
std::string DebugString(const PlanWindow& window);
std::string DebugString(const PlanFunction& function);

}  // namespace varpulis::engine
