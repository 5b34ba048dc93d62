#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

#include "engine/lang/ast.h"
#include "engine/lang/diagnostics.h"

namespace varpulis::engine {

// What reading a program without running it tells. Value type.
struct CheckResult {
  std::vector<Diagnostic> diagnostics;         // in source order, errors and warnings
  std::vector<std::string> input_event_types;  // read from outside, first use first
  std::vector<std::string> streams;            // declared, in order

  bool ok() const;  // no errors; warnings do not count
};

// Lexes, parses and checks; reports several errors per run. Pure.
CheckResult CheckSource(std::string_view source);
// The same, and what is in the language but not executed by this build yet (E110).
CheckResult CheckRunnable(std::string_view source);

// OK, or InvalidArgument with the formatted diagnostics.
absl::Status CheckStatus(const CheckResult& result, std::string_view source);

// The same, keeping the tree for the planner. `program` is complete only when `result.ok()`.
struct CheckedProgram {
  Program program;
  CheckResult result;
};
CheckedProgram ParseAndCheck(std::string_view source, bool runnable = true);

}  // namespace varpulis::engine
