#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/strings/string_view.h"

namespace varpulis::fuzz {

// Any text; Debian's absl has a string_view of its own.
struct Text {
  Text(const char* text) : text(text) {}                            // NOLINT
  Text(const std::string& text) : text(text) {}                     // NOLINT
  Text(absl::string_view text) : text(text.data(), text.size()) {}  // NOLINT
  std::string_view text;
};

// A finding: the input, which libFuzzer writes down, and why.
[[noreturn]] inline void Fail(Text what, Text detail = "") {
  std::fprintf(stderr, "FINDING: %.*s\n%.*s\n", static_cast<int>(what.text.size()),
               what.text.data(), static_cast<int>(detail.text.size()), detail.text.data());
  std::abort();
}

inline void Require(bool holds, Text what, Text detail = "") {
  if (!holds) Fail(what, detail);
}

}  // namespace varpulis::fuzz
