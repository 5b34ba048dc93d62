#include "test/faults/comparison.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/str_cat.h"

#include "cli/child_process.h"

namespace varpulis::faults {

Comparison Count(const std::vector<Output>& outputs, int64_t events) {
  std::vector<int64_t> seen(static_cast<size_t>(events) + 1);
  Comparison result;
  for (const Output& output : outputs) {
    if (output.n < 1 || output.n > events) {
      result.difference = absl::StrCat("an output about no event: ", output.line);
    } else if (++seen[output.n] > 1) {
      ++result.doubled;
    }
  }
  result.lost = std::count(seen.begin() + 1, seen.end(), 0);
  return result;
}

Comparison Compare(const std::vector<Output>& outputs, const std::vector<std::string>& expected,
                   int64_t events) {
  Comparison result = Count(outputs, events);
  const size_t both = std::min(outputs.size(), expected.size());
  for (size_t i = 0; i < both; ++i) {
    if (outputs[i].line == expected[i]) continue;
    result.difference =
        absl::StrCat("output ", i + 1, " is ", outputs[i].line, ", expected ", expected[i]);
    return result;
  }
  if (outputs.size() != expected.size()) {
    result.difference = absl::StrCat(outputs.size(), " outputs, expected ", expected.size());
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> Simulate(const std::string& program,
                                                  const std::vector<std::string>& input,
                                                  const std::string& folder) {
  const std::string program_file = folder + "/replayed.vpl";
  const std::string input_file = folder + "/replayed.jsonl";
  const std::string output_file = folder + "/replayed.out";
  std::ofstream(program_file) << program;
  {
    std::ofstream lines(input_file);
    for (const std::string& line : input) lines << line << "\n";
  }
  auto simulate = cli::ChildProcess::Start(
      {.label = "simulate",
       .executable = VARPULIS_BINARY,
       .args = {"simulate", "--immediate", "--program=" + program_file, "--events=" + input_file},
       .log_file = output_file});
  if (!simulate.ok()) return simulate.status();
  if (const int code = (*simulate)->Wait(); code != 0) {
    return absl::InternalError(absl::StrCat("simulate ended with ", code));
  }
  std::vector<std::string> outputs;
  std::ifstream all(output_file);
  for (std::string line; std::getline(all, line);) {
    if (line.starts_with("{\"stream\":")) outputs.push_back(line);  // the rest is for people
  }
  return outputs;
}

}  // namespace varpulis::faults
