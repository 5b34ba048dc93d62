#pragma once

#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

// What the handwritten loops share: a file by lines, and the parts of a line whose form is known.
namespace bench {

class Scanner {
 public:
  Scanner(const char* at, const char* end) : at_(at), end_(end) {}

  bool Skip(std::string_view text) {
    if (static_cast<size_t>(end_ - at_) < text.size() ||
        std::memcmp(at_, text.data(), text.size()) != 0) {
      return false;
    }
    at_ += text.size();
    return true;
  }
  std::string_view Quoted() {
    const char* begin = at_;
    while (at_ < end_ && *at_ != '"') ++at_;
    return {begin, static_cast<size_t>(at_ - begin)};
  }
  long Whole() {
    const bool negative = at_ < end_ && *at_ == '-';
    if (negative) ++at_;
    long value = 0;
    for (; at_ < end_ && *at_ >= '0' && *at_ <= '9'; ++at_) value = value * 10 + (*at_ - '0');
    return negative ? -value : value;
  }
  double Number() {
    const bool negative = at_ < end_ && *at_ == '-';
    if (negative) ++at_;
    long digits = 0;
    double scale = 1;
    for (; at_ < end_ && *at_ >= '0' && *at_ <= '9'; ++at_) digits = digits * 10 + (*at_ - '0');
    if (at_ < end_ && *at_ == '.') {
      for (++at_; at_ < end_ && *at_ >= '0' && *at_ <= '9'; ++at_, scale *= 10) {
        digits = digits * 10 + (*at_ - '0');
      }
    }
    const double value = static_cast<double>(digits) / scale;
    return negative ? -value : value;
  }

 private:
  const char* at_;
  const char* end_;
};

// fn(Scanner) for each line of the file; false when it cannot be read.
template <typename Fn>
bool ForEachLine(const char* path, Fn&& fn) {
  constexpr size_t kChunk = 256 << 10;
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return false;
  const auto buffer = std::make_unique<char[]>(2 * kChunk);
  size_t held = 0;
  while (true) {
    const ssize_t got = read(fd, buffer.get() + held, kChunk);
    if (got <= 0) break;
    const char* at = buffer.get();
    const char* end = at + held + got;
    while (const void* newline = std::memchr(at, '\n', static_cast<size_t>(end - at))) {
      fn(Scanner(at, static_cast<const char*>(newline)));
      at = static_cast<const char*>(newline) + 1;
    }
    held = static_cast<size_t>(end - at);
    std::memmove(buffer.get(), at, held);
  }
  close(fd);
  return true;
}

}  // namespace bench
