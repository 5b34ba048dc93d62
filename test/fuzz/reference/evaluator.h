#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/lang/ast.h"
#include "test/fuzz/reference/value.h"

namespace varpulis::reference {

// VPL as vpl.md §2 and §3 have it, evaluated over the tree and maps of names: slow and obvious, and
// written without a look at the engine.

// What a program sees. `unspecified` is set when a result is one that vpl.md leaves open, or one
// that takes this evaluator too long.
struct Environment {
  const Fields* fields = nullptr;
  std::string event_type;
  std::string alias;
  int64_t timestamp_ns = 0;
  std::map<std::string, Value> globals;
  const std::map<std::string, const engine::FunctionDecl*>* functions = nullptr;
  std::map<std::string, Value>* locals = nullptr;    // of the function that runs
  std::vector<std::pair<std::string, Value>> bound;  // by arms of matches, the innermost last
  int depth = 0;
  int64_t steps = 0;  // so far, of all expressions over one event
  bool unspecified = false;

  // False when there were too many: what is computed from then on is missing and unspecified.
  bool Spend(int64_t count) {
    steps += count;
    if (steps > kMostSteps) unspecified = true;
    return steps <= kMostSteps;
  }
  static constexpr int64_t kMostSteps = 10'000'000;
};

Value Evaluate(const engine::Expr& expr, Environment& environment);

// ---- Parts of it.

Value Binary(engine::BinaryOp op, const Value& a, const Value& b);
Value Unary(engine::UnaryOp op, const Value& a);
Value Index(const Value& target, const Value& index);
// Absent bounds are null pointers.
Value Slice(const Value& target, const Value* from, const Value* to);
bool Equal(const Value& a, const Value& b);  // `==` of two values that are there
enum class Order { kLess, kEqual, kGreater, kNone };
Order Compare(const Value& a, const Value& b);
std::vector<std::string> Characters(const std::string& text);
std::string KindName(Kind kind);  // as `type_of` has it

Value CallBuiltin(const std::string& name, const std::vector<Value>& arguments,
                  Environment& environment);
// Display text without quotes.
std::string Display(const Value& value, Environment& environment);

inline constexpr int64_t kMostItems = 1'000'000;

}  // namespace varpulis::reference
