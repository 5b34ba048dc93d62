#include "engine/io/event_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/runtime/event.h"

namespace varpulis::engine {
namespace {

constexpr size_t kChunk = 64 << 10;
constexpr size_t kBuffer = kMaxLineBytes + kChunk;  // a longest line and what follows it
constexpr size_t kLastNewline = 1;                  // one that the file lacks

}  // namespace

absl::StatusOr<std::unique_ptr<LineFile>> LineFile::Open(const std::string& path) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  return std::unique_ptr<LineFile>(new LineFile(path, fd));
}

LineFile::LineFile(std::string path, int fd)
    : path_(std::move(path)),
      fd_(fd),
      buffer_(new char[kBuffer + kLastNewline + kReadableBehind]()) {}

LineFile::~LineFile() {
  if (fd_ != STDIN_FILENO) close(fd_);
}

// Moves the unread rest to the front and reads behind it.
absl::Status LineFile::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  checked_ = 0;
  const size_t room = std::min(kChunk, kBuffer - end_);
  ssize_t got;
  do {
    got = read(fd_, buffer_.get() + end_, room);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
  at_end_ = got == 0;
  end_ += static_cast<size_t>(got);
  // Whole lines are checked at once; a bad one is found when it is its turn.
  size_t last = end_;
  while (last > 0 && buffer_[last - 1] != '\n') --last;
  if (simdjson::validate_utf8(buffer_.get(), last)) checked_ = last;
  return absl::OkStatus();
}

absl::StatusOr<bool> LineFile::NextLines(std::string_view* lines) {
  if (checked_ <= begin_ && !at_end_ && end_ - begin_ <= kMaxLineBytes &&
      std::memchr(buffer_.get() + begin_, '\n', end_ - begin_) == nullptr) {
    RETURN_IF_ERROR(Fill());
  }
  if (checked_ > begin_) {
    *lines = std::string_view(buffer_.get() + begin_, checked_ - begin_);
    return true;
  }
  // A long line, a last one without newline or a bad one: alone.
  std::string_view line;
  ASSIGN_OR_RETURN(const bool more, Next(&line));
  if (!more) return false;
  const auto begin = static_cast<size_t>(line.data() - buffer_.get());
  buffer_[begin + line.size()] = '\n';
  end_ = std::max(end_, begin + line.size() + 1);
  begin_ = begin;
  --line_number_;
  *lines = std::string_view(line.data(), line.size() + 1);
  return true;
}

absl::StatusOr<bool> LineFile::Next(std::string_view* line) {
  const char* newline = nullptr;
  size_t searched = 0;
  while (true) {
    const char* begin = buffer_.get() + begin_;
    newline =
        static_cast<const char*>(std::memchr(begin + searched, '\n', end_ - begin_ - searched));
    if (newline != nullptr || at_end_) break;
    searched = end_ - begin_;
    if (searched > kMaxLineBytes) break;
    RETURN_IF_ERROR(Fill());
  }
  if (newline == nullptr && at_end_ && begin_ == end_) return false;
  ++line_number_;
  const char* begin = buffer_.get() + begin_;
  const size_t size = newline != nullptr ? static_cast<size_t>(newline - begin) : end_ - begin_;
  if (size > kMaxLineBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("line is longer than ", kMaxLineBytes, " bytes"));
  }
  const size_t line_end = begin_ + size;
  if (line_end > checked_ && !simdjson::validate_utf8(begin, size)) {
    return absl::InvalidArgumentError("text is not UTF-8");
  }
  begin_ = line_end + (newline != nullptr ? 1 : 0);
  *line = std::string_view(begin, size);
  return true;
}

absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t limit) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  std::string text;
  ssize_t got = 1;
  while (got > 0 && text.size() < limit) {
    const size_t size = text.size();
    text.resize(std::min(limit, size + kChunk));
    do {
      got = read(fd, text.data() + size, text.size() - size);
    } while (got < 0 && errno == EINTR);
    text.resize(size + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  }
  const absl::Status failed = absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (fd != STDIN_FILENO) close(fd);
  if (got < 0) return failed;
  return text;
}

}  // namespace varpulis::engine
