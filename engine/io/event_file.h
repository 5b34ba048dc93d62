#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace varpulis::engine {

// The lines of a file of any length, without a byte order mark at its start, in memory that does
// not grow with it; or the whole of it in memory. Thread-compatible.
class LineFile {
 public:
  // Called before each read of what is no regular file, with its descriptor: may wait for input.
  // False ends the input there.
  using WaitForInput = std::function<bool(int fd)>;

  // "-" is standard input. NotFound or another code when the file cannot be read.
  static absl::StatusOr<std::unique_ptr<LineFile>> Open(const std::string& path,
                                                        WaitForInput wait = nullptr);
  // The same, all of it read at once.
  static absl::StatusOr<std::unique_ptr<LineFile>> OpenWhole(const std::string& path,
                                                             WaitForInput wait = nullptr);
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

  // In bytes; -1 when it is no regular file and not read as a whole.
  int64_t size() const { return size_; }
  int64_t bytes_taken() const { return static_cast<int64_t>(before_buffer_ + begin_); }
  // Back to the first line. FailedPrecondition where size() is -1.
  absl::Status Rewind();
  // Whole files only: lines stay where they are. The text of the line at `begin` of `size` bytes.
  size_t OffsetOf(std::string_view line) const {
    return static_cast<size_t>(line.data() - buffer_.get());
  }
  std::string_view TextAt(size_t begin, size_t size) const { return {buffer_.get() + begin, size}; }

 private:
  LineFile(std::string path, int fd, WaitForInput wait);
  absl::StatusOr<size_t> ReadInto(char* to, size_t room);
  absl::Status Fill();
  absl::Status ReadWhole();
  void CheckAhead(size_t end);
  bool at_start() const { return before_buffer_ + begin_ == 0; }

  std::string path_;
  int fd_;
  WaitForInput wait_;
  bool regular_ = false, whole_ = false;
  int64_t size_ = -1;
  size_t before_buffer_ = 0;  // bytes of the file that stood before the buffer
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0, end_ = 0;  // what is read and not yet handed out
  size_t checked_ = 0;          // up to here known to be UTF-8
  bool at_end_ = false;
  int64_t line_number_ = 0;
};

// The first `limit` bytes of a file; "-" is standard input.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t limit);

}  // namespace varpulis::engine
