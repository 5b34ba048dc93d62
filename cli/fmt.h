#pragma once

#include <string>

namespace varpulis::cli {

struct FmtOptions {
  std::string file;    // "-" is standard input
  bool write = false;  // into the file instead of standard output
  bool check = false;  // only tell whether the layout is the canonical one
};

// `varpulis fmt FILE`. Returns the exit code: 0 done (with --check: nothing to do), 1 errors in the
// program (with --check: another layout), 2 the file cannot be read or written.
int RunFmt(const FmtOptions& options);

}  // namespace varpulis::cli
