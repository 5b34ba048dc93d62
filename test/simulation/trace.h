#pragma once

#include <concepts>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace varpulis::simulation {

// All that happens in a run, as a hash, and as text when somebody wants to read it: a run that
// fails is run again with the text.
class Trace {
 public:
  enum class Text { kNone, kLast, kAll };

  explicit Trace(Text text) : text_(text) {}

  template <typename... Args>
  void Note(absl::Time now, absl::string_view what, const Args&... args) {
    Mix(static_cast<uint64_t>(absl::ToUnixNanos(now)));
    Mix(what);
    (Mix(args), ...);
    if (text_ == Text::kNone) return;
    std::string line = absl::StrCat(absl::FormatDuration(now - absl::UnixEpoch()), "  ", what);
    (absl::StrAppend(&line, " ", args), ...);
    lines_.push_back(std::move(line));
    if (text_ == Text::kLast && lines_.size() > kLast) lines_.pop_front();
  }

  uint64_t hash() const { return hash_; }
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  static constexpr size_t kLast = 80;

  void Mix(std::integral auto number) {
    hash_ = (hash_ ^ static_cast<uint64_t>(number)) * 0x9E3779B97F4A7C15ULL;
    hash_ ^= hash_ >> 29;
  }
  void Mix(absl::string_view text) {
    uint64_t hash = 14695981039346656037ULL;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    Mix(hash);
  }

  const Text text_;
  uint64_t hash_ = 0;
  std::deque<std::string> lines_;
};

}  // namespace varpulis::simulation
