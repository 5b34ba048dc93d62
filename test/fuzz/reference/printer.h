#pragma once

#include <string>

#include "engine/lang/ast.h"

namespace varpulis::reference {

// The tree as text, with brackets only where vpl.md §1.5 needs them.
std::string Print(const engine::Expr& expr);
std::string Print(const engine::FunctionDecl& function);

}  // namespace varpulis::reference
