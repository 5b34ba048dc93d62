#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"

#include "engine/lang/ast.h"

namespace varpulis::engine {

// What the top-level `const` declarations of a program are worth. Sizes of windows and other
// parameters that the plan must know are folded with it: literals, constants, unary minus, and
// + - * / of those. Borrows the program.
class Constants {
 public:
  explicit Constants(const Program& program);

  // Nothing when `expr` is no constant, or has no value (overflow, division by zero).
  std::optional<Literal> Fold(const Expr& expr) const;

 private:
  absl::flat_hash_map<std::string_view, Literal> values_;
};

// What an initialiser is worth, as far as literals and the values of `names` tell.
struct Initial {
  enum class State { kUnknown, kMissing, kKnown } state = State::kUnknown;
  Literal value;  // of kKnown
};
Initial InitialValue(const Expr& expr, const absl::flat_hash_map<std::string, Literal>& names);

// The same for one expression. Callers with many build a Constants once.
std::optional<Literal> FoldConstant(const Expr& expr, const Program& program);

}  // namespace varpulis::engine
