#pragma once

#include <string>

namespace varpulis::cli {

struct CheckOptions {
  std::string file;              // "-" is standard input
  std::string format = "human";  // or "json"
};

// `varpulis check FILE`. Diagnostics go to standard output. Returns the exit code: 0 no errors,
// 1 errors in the program, 2 the file cannot be read or the options are wrong.
int RunCheck(const CheckOptions& options);

}  // namespace varpulis::cli
