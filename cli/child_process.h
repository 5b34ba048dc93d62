#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace varpulis::cli {

// A child process whose standard error and output are read line by line, or go to a file.
// The child dies with the thread that started it (PR_SET_PDEATHSIG), so start it from the main
// thread. Thread-compatible.
class ChildProcess {
 public:
  struct Options {
    std::string label;  // for messages
    std::string executable = "/proc/self/exe";
    std::vector<std::string> args;  // after the executable
    std::string log_file;           // appended to instead of being read; empty: ReadLines
    std::vector<std::pair<std::string, std::string>>
        environment;  // added: secrets stay off the command line
  };
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(Options options);
  ~ChildProcess();  // SIGKILL, if still there

  const std::string& label() const { return options_.label; }
  pid_t pid() const { return pid_; }
  int output_fd() const { return output_; }  // to poll; -1 after its end
  void Signal(int signal);

  // Reads what is there and calls `line` for each whole line; false at the end of the output.
  bool ReadLines(const std::function<void(const std::string&)>& line);
  // Waits for the end and returns its exit status, 128 + signal when killed.
  int Wait();

 private:
  explicit ChildProcess(Options options) : options_(std::move(options)) {}

  Options options_;
  pid_t pid_ = -1;
  int output_ = -1;
  std::string partial_;
};

}  // namespace varpulis::cli
