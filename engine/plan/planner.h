#pragma once

#include "engine/lang/ast.h"
#include "engine/plan/plan.h"

namespace varpulis::engine {

// REQUIRES: the program passed the checks of lang/check.h without errors.
Plan MakePlan(const Program& program);

}  // namespace varpulis::engine
