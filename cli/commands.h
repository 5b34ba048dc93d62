#pragma once

#include <string>
#include <vector>

namespace varpulis::cli {

// One function per subcommand; flags are parsed. Each returns the process's exit status and logs
// why when it is not 0. RunCheck and RunSimulate have headers of their own.
int RunCoordinator();
int RunServer();
int RunGateway();
int RunUp();

}  // namespace varpulis::cli
