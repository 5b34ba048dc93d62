#pragma once

#include <string>

namespace varpulis::cli {

struct ParseOptions {
  std::string file;             // "-" is standard input
  std::string format = "tree";  // or "json"
};

// `varpulis parse FILE`: the tree of a program on standard output, syntax errors on standard error.
// Returns the exit code: 0 no errors, 1 errors in the program, 2 the file cannot be read or the
// options are wrong.
int RunParse(const ParseOptions& options);

}  // namespace varpulis::cli
