#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace varpulis::engine {

// The lines of a file of any length, in memory that does not grow with it. Thread-compatible.
class LineFile {
 public:
  // "-" is standard input. NotFound or another code when the file cannot be read.
  static absl::StatusOr<std::unique_ptr<LineFile>> Open(const std::string& path);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  // The next line without its newline, valid until the next call; false at the end. InvalidArgument
  // for a line that is too long or not UTF-8.
  absl::StatusOr<bool> Next(std::string_view* line);
  // All lines at hand, whole and each with a newline, and kReadableBehind readable bytes behind
  // them; valid until the next call. False at the end. The caller says with Took how many it used.
  // On an error, line_number() is that of the line at fault.
  absl::StatusOr<bool> NextLines(std::string_view* lines);
  void Took(size_t bytes, int64_t lines) {
    begin_ += bytes;
    line_number_ += lines;
  }
  static constexpr size_t kReadableBehind = 64;
  int64_t line_number() const { return line_number_; }  // of the last line, from 1

 private:
  LineFile(std::string path, int fd);
  absl::Status Fill();

  std::string path_;
  int fd_;
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0, end_ = 0;  // what is read and not yet handed out
  size_t checked_ = 0;          // up to here known to be UTF-8
  bool at_end_ = false;
  int64_t line_number_ = 0;
};

// The first `limit` bytes of a file; "-" is standard input.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t limit);

}  // namespace varpulis::engine
