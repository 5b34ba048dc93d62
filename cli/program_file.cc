#include "cli/program_file.h"

#include <utility>

#include "engine/io/event_file.h"
#include "engine/lang/lexer.h"

namespace varpulis::cli {

absl::StatusOr<engine::LoadedSource> LoadProgram(const std::string& path) {
  return engine::LoadSource(path, [](const std::string& file) {
    // One byte more than a program may have, so that a longer one is refused.
    return engine::ReadTextFile(file, engine::kMaxSourceBytes + 1);
  });
}

std::vector<engine::Diagnostic> Located(const engine::LoadedSource& loaded,
                                        std::vector<engine::Diagnostic> found) {
  loaded.Locate(found);
  std::vector<engine::Diagnostic> all = loaded.diagnostics;
  for (engine::Diagnostic& diagnostic : found) all.push_back(std::move(diagnostic));
  return all;
}

std::string Formatted(const engine::LoadedSource& loaded,
                      const std::vector<engine::Diagnostic>& located) {
  std::string text;
  for (const engine::Diagnostic& diagnostic : located) {
    text += engine::FormatDiagnostic(diagnostic, loaded.TextOf(diagnostic.file),
                                     diagnostic.file == "-" ? "stdin" : diagnostic.file);
  }
  return text;
}

}  // namespace varpulis::cli
