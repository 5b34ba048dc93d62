#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace varpulis::engine {

// absl::StrCat for std::string_view: Debian's abseil is built for C++14, where absl::string_view is
// a class of its own.
namespace concat_internal {
inline absl::string_view Piece(std::string_view text) { return {text.data(), text.size()}; }
inline absl::string_view Piece(const std::string& text) { return text; }
inline absl::string_view Piece(const char* text) { return text; }
inline absl::AlphaNum Piece(int number) { return number; }
inline absl::AlphaNum Piece(size_t number) { return number; }
inline absl::AlphaNum Piece(int64_t number) { return number; }
}  // namespace concat_internal

template <typename... Parts>
std::string Concat(const Parts&... parts) {
  return absl::StrCat(concat_internal::Piece(parts)...);
}
template <typename... Parts>
void ConcatTo(std::string* out, const Parts&... parts) {
  absl::StrAppend(out, concat_internal::Piece(parts)...);
}

}  // namespace varpulis::engine
