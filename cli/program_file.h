#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/lang/diagnostics.h"
#include "engine/lang/import.h"

namespace varpulis::cli {

// A VPL file with what it imports; "-" is standard input.
absl::StatusOr<engine::LoadedSource> LoadProgram(const std::string& path);

// The diagnostics of `loaded.text` and those of its imports, with files and lines.
std::vector<engine::Diagnostic> Located(const engine::LoadedSource& loaded,
                                        std::vector<engine::Diagnostic> found);

// As text for people.
std::string Formatted(const engine::LoadedSource& loaded,
                      const std::vector<engine::Diagnostic>& located);

}  // namespace varpulis::cli
