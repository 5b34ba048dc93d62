// varpulis COMMAND [OPTIONS]: one file per subcommand; this one only chooses.

#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "gflags/gflags.h"
#include "glog/logging.h"

#include "cli/check.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/fmt.h"
#include "cli/parse.h"
#include "cli/shutdown.h"
#include "cli/simulate.h"
#include "cli/version.h"

namespace varpulis::cli {
namespace {

constexpr int kUsageError = 2;

int Usage(const std::string& message, const std::string& help_command) {
  std::cerr << "varpulis: " << message << "\n"
            << "Try `varpulis " << help_command << (help_command.empty() ? "" : " ")
            << "--help`.\n";
  return kUsageError;
}

int RunCommand(const Command& command, const ParsedLine& line) {
  const std::string name = command.name;
  if (name == "version") {
    std::cout << "varpulis " << kVersion << "\n";
    return 0;
  }
  if (name == "check") {
    if (line.positional.size() != 1) return Usage("check needs one FILE", name);
    return RunCheck({.file = line.positional[0], .format = FLAGS_format});
  }
  if (name == "parse") {
    if (line.positional.size() != 1) return Usage("parse needs one FILE", name);
    return RunParse({.file = line.positional[0], .format = FLAGS_format});
  }
  if (name == "fmt") {
    if (line.positional.size() != 1) return Usage("fmt needs one FILE", name);
    return RunFmt({.file = line.positional[0], .write = FLAGS_write, .check = FLAGS_check});
  }
  if (name == "simulate") {
    if (FLAGS_program.empty() || FLAGS_events.empty()) {
      return Usage("simulate needs --program FILE and --events FILE", name);
    }
    return RunSimulate({.program = FLAGS_program,
                        .events = FLAGS_events,
                        .immediate = FLAGS_immediate,
                        .preload = FLAGS_preload,
                        .workers = FLAGS_workers,
                        .partition_by = FLAGS_partition_by,
                        .base = FLAGS_base,
                        .output = FLAGS_output,
                        .quiet = FLAGS_quiet,
                        .verbose = FLAGS_verbose});
  }
  // The commands below have threads: signals are blocked before the first one starts.
  BlockShutdownSignals();
  if (name == "coordinator") return RunCoordinator();
  if (name == "server") return RunServer();
  if (name == "gateway") return RunGateway();
  return RunUp();
}

int Main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  FLAGS_colorlogtostderr = isatty(STDERR_FILENO) == 1;
  google::InitGoogleLogging(argv[0]);
  std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() > 1 && args[0] == "help") args = {args[1], "--help"};
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    std::cout << GeneralHelp();
    return args.empty() ? kUsageError : 0;
  }
  if (args[0] == "--version" || args[0] == "-V") args[0] = "version";
  const Command* command = FindCommand(args[0]);
  if (command == nullptr) {
    std::vector<std::string> known;
    for (const Command& candidate : Commands()) known.push_back(candidate.name);
    return Usage("unknown command '" + args[0] + "'" + DidYouMean(args[0], known), "");
  }
  args.erase(args.begin());
  const absl::StatusOr<ParsedLine> line = ParseFlags(*command, args);
  if (!line.ok()) return Usage(std::string(line.status().message()), command->name);
  if (line->help) {
    std::cout << Help(*command);
    return 0;
  }
  return RunCommand(*command, *line);
}

}  // namespace
}  // namespace varpulis::cli

int main(int argc, char** argv) { return varpulis::cli::Main(argc, argv); }
