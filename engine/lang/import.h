#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/lang/diagnostics.h"

namespace varpulis::engine {

// A program with all that it imports, as one text: each file once, before the file that first
// names it, with the `import` statements blanked out. Value type.
struct LoadedSource {
  struct Part {
    std::string file;
    int first_line = 1;  // in `text`
    std::string text;    // of the file, as it is
  };
  std::string text;
  std::vector<Part> parts;              // in the order of `text`
  std::vector<Diagnostic> diagnostics;  // imports that failed (E114), located

  // From lines of `text` to files and their lines.
  void Locate(std::vector<Diagnostic>& found) const;
  // What a located diagnostic's `line` is a line of.
  std::string_view TextOf(std::string_view file) const;
};

// The text of a file, or why there is none.
using FileReader = std::function<absl::StatusOr<std::string>(const std::string& path)>;

// Paths are relative to the importing file. Cycles are fine; chains longer than 10 are not. Fails
// only when `path` itself cannot be read.
absl::StatusOr<LoadedSource> LoadSource(const std::string& path, const FileReader& read);

}  // namespace varpulis::engine
