#include "cli/fmt.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/io/event_file.h"
#include "engine/lang/format.h"
#include "engine/lang/lexer.h"

namespace varpulis::cli {
namespace {

// Beside the file first, so that it is never half written.
absl::Status Replace(const std::string& file, const std::string& text) {
  const std::string beside = file + ".fmt";
  std::ofstream out(beside, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  std::error_code error;
  if (!out) error = std::error_code(errno, std::generic_category());
  // The permissions stay those of the file.
  if (!error) {
    const std::filesystem::file_status status = std::filesystem::status(file, error);
    if (!error) std::filesystem::permissions(beside, status.permissions(), error);
  }
  if (!error) std::filesystem::rename(beside, file, error);
  if (!error) return absl::OkStatus();
  std::error_code ignored;
  std::filesystem::remove(beside, ignored);
  return absl::UnavailableError(file + ": cannot be written: " + error.message());
}

}  // namespace

int RunFmt(const FmtOptions& options) {
  if (options.write && (options.check || options.file == "-")) {
    std::cerr << "--write needs a file and excludes --check\n";
    return 2;
  }
  const absl::StatusOr<std::string> source =
      engine::ReadTextFile(options.file, engine::kMaxSourceBytes + 1);
  if (!source.ok()) {
    std::cerr << source.status().message() << "\n";
    return 2;
  }
  const std::string name = options.file == "-" ? "stdin" : options.file;
  const absl::StatusOr<std::string> formatted = engine::FormatSource(*source);
  if (!formatted.ok()) {
    std::cerr << name << ":\n" << formatted.status().message();
    return 1;
  }
  if (options.check) {
    if (*formatted == *source) return 0;
    std::cerr << name << ": run `varpulis fmt --write`\n";
    return 1;
  }
  if (!options.write) {
    std::cout << *formatted;
    std::cout.flush();
    return 0;
  }
  if (*formatted == *source) return 0;
  if (const absl::Status written = Replace(options.file, *formatted); !written.ok()) {
    std::cerr << written.message() << "\n";
    return 2;
  }
  return 0;
}

}  // namespace varpulis::cli
