#include "transport/utf8.h"

namespace varpulis::transport {

size_t Utf8CharLength(absl::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [text](size_t at) { return static_cast<unsigned char>(text[at]); };
  const auto continues = [&](size_t at, unsigned char low = 0x80, unsigned char high = 0xbf) {
    return at < text.size() && byte(at) >= low && byte(at) <= high;
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {  // no overlong forms, no surrogates
    const unsigned char low = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned char high = lead == 0xed ? 0x9f : 0xbf;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {  // up to U+10FFFF
    const unsigned char low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

bool IsValidUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8CharLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string OneLine(absl::string_view text, size_t max_bytes) {
  constexpr absl::string_view kCut = "...";
  std::string line;
  while (!text.empty()) {
    const size_t length = Utf8CharLength(text);
    const size_t left = text.size();
    if (line.size() + length + (left > length ? kCut.size() : 0) > max_bytes &&
        line.size() + left > max_bytes) {
      return line.append(kCut.data(), kCut.size());
    }
    const auto c = static_cast<unsigned char>(text.front());
    if (length == 0) {
      line.push_back('?');
      text.remove_prefix(1);
      continue;
    }
    if (length == 1 && (c < 0x20 || c == 0x7f)) {
      line.push_back(' ');
    } else {
      line.append(text.data(), length);
    }
    text.remove_prefix(length);
  }
  return line;
}

}  // namespace varpulis::transport
