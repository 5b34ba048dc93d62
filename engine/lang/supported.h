#pragma once

#include "engine/lang/ast.h"
#include "engine/lang/diagnostics.h"

namespace varpulis::engine {

// What the language has and the runtime does not execute yet: one E110 for each use. The tables in
// supported.cc are the whole list; planning an entry means to remove it there.
bool RunsInThisBuild(OpKind op);

void ReportUnsupported(const Program& program, DiagnosticList& diagnostics);

}  // namespace varpulis::engine
