#include "base/duration_text.h"

#include <cstdio>

#include "absl/strings/str_cat.h"

namespace varpulis {

std::string FormatDuration(int64_t ns) {
  constexpr uint64_t kNanosPerSecond = 1'000'000'000;
  // Unsigned, because the smallest int64 has no positive twin.
  const uint64_t size =
      ns < 0 ? uint64_t{0} - static_cast<uint64_t>(ns) : static_cast<uint64_t>(ns);
  const uint64_t nanos = size % kNanosPerSecond;
  std::string result = absl::StrCat(ns < 0 ? "-" : "", size / kNanosPerSecond);
  if (nanos != 0) {
    char text[16];
    int length = std::snprintf(text, sizeof(text), ".%09d", static_cast<int>(nanos));
    while (text[length - 1] == '0') --length;
    result.append(text, static_cast<size_t>(length));
  }
  result.push_back('s');
  return result;
}

}  // namespace varpulis
