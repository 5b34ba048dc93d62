#include "engine/io/event_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/lang/source_text.h"
#include "engine/runtime/event.h"

namespace varpulis::engine {
namespace {

constexpr size_t kChunk = 64 << 10;
constexpr size_t kBuffer = kMaxLineBytes + kChunk;  // a longest line and what follows it
constexpr size_t kLastNewline = 1;                  // one that the file lacks

}  // namespace

absl::StatusOr<std::unique_ptr<LineFile>> LineFile::Open(const std::string& path,
                                                         WaitForInput wait) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  std::unique_ptr<LineFile> file(new LineFile(path, fd, std::move(wait)));
  file->buffer_.reset(new char[kBuffer + kLastNewline + kReadableBehind]());
  return file;
}

absl::StatusOr<std::unique_ptr<LineFile>> LineFile::OpenWhole(const std::string& path,
                                                              WaitForInput wait) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  std::unique_ptr<LineFile> file(new LineFile(path, fd, std::move(wait)));
  RETURN_IF_ERROR(file->ReadWhole());
  return file;
}

LineFile::LineFile(std::string path, int fd, WaitForInput wait)
    : path_(std::move(path)), fd_(fd), wait_(std::move(wait)) {
  struct stat info = {};
  regular_ = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && lseek(fd, 0, SEEK_CUR) == 0;
  if (regular_) size_ = info.st_size;
}

LineFile::~LineFile() {
  if (fd_ != STDIN_FILENO) close(fd_);
}

absl::Status LineFile::Rewind() {
  if (size_ < 0 || (!whole_ && lseek(fd_, 0, SEEK_SET) != 0)) {
    return absl::FailedPreconditionError(absl::StrCat(path_, " cannot be read again"));
  }
  if (!whole_) {
    end_ = 0;
    at_end_ = false;
  }
  begin_ = checked_ = before_buffer_ = 0;
  line_number_ = 0;
  return absl::OkStatus();
}

// 0 at the end.
absl::StatusOr<size_t> LineFile::ReadInto(char* to, size_t room) {
  while (true) {
    if (!regular_ && wait_ && !wait_(fd_)) return size_t{0};
    const ssize_t got = read(fd_, to, room);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
  }
}

// Moves the unread rest to the front and reads behind it.
absl::Status LineFile::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    before_buffer_ += begin_;
    begin_ = 0;
  }
  checked_ = 0;
  ASSIGN_OR_RETURN(const size_t got,
                   ReadInto(buffer_.get() + end_, std::min(kChunk, kBuffer - end_)));
  at_end_ = got == 0;
  end_ += got;
  CheckAhead(end_);
  return absl::OkStatus();
}

// Whole lines up to `end` are checked at once; a bad one is found when it is its turn.
void LineFile::CheckAhead(size_t end) {
  size_t last = end;
  while (last > begin_ && buffer_[last - 1] != '\n') --last;
  if (simdjson::validate_utf8(buffer_.get() + begin_, last - begin_)) checked_ = last;
}

absl::Status LineFile::ReadWhole() {
  constexpr size_t kBehind = kLastNewline + kReadableBehind;
  whole_ = at_end_ = true;
  // One byte more than a regular file has, to see its end.
  size_t room = size_ >= 0 ? static_cast<size_t>(size_) + 1 : kBuffer;
  buffer_.reset(new char[room + kBehind]);
  while (true) {
    ASSIGN_OR_RETURN(const size_t got, ReadInto(buffer_.get() + end_, room - end_));
    end_ += got;
    if (got == 0) break;
    if (end_ < room) continue;
    room *= 2;
    std::unique_ptr<char[]> larger(new char[room + kBehind]);
    std::memcpy(larger.get(), buffer_.get(), end_);
    buffer_ = std::move(larger);
  }
  std::memset(buffer_.get() + end_, 0, kBehind);
  size_ = static_cast<int64_t>(end_);
  return absl::OkStatus();
}

absl::StatusOr<bool> LineFile::NextLines(std::string_view* lines) {
  if (checked_ <= begin_ && !at_end_ && end_ - begin_ <= kMaxLineBytes &&
      std::memchr(buffer_.get() + begin_, '\n', end_ - begin_) == nullptr) {
    RETURN_IF_ERROR(Fill());
  }
  if (whole_ && checked_ <= begin_) CheckAhead(std::min(end_, begin_ + kChunk));
  if (at_start() && checked_ > begin_) begin_ += ByteOrderMark({buffer_.get(), checked_});
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
  const size_t mark = at_start() ? ByteOrderMark(std::string_view(begin, size)) : 0;
  begin_ = line_end + (newline != nullptr ? 1 : 0);
  *line = std::string_view(begin + mark, size - mark);
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
