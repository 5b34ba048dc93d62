#include "transport/json_writer.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "transport/utf8.h"

namespace varpulis::transport {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// What must be escaped, and bytes that may be the start of invalid UTF-8.
bool IsPlain(unsigned char c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

}  // namespace

void JsonWriter::Key(absl::string_view key) {
  Comma();
  Quote(key);
  out_.push_back(':');
  needs_comma_ = false;
}

void JsonWriter::String(absl::string_view text) {
  Comma();
  Quote(text);
  needs_comma_ = true;
}

void JsonWriter::Int(int64_t number) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number).ptr;
  Word(absl::string_view(buffer, static_cast<size_t>(end - buffer)));
}

void JsonWriter::Uint(uint64_t number) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number).ptr;
  Word(absl::string_view(buffer, static_cast<size_t>(end - buffer)));
}

void JsonWriter::Double(double number) {
  if (!std::isfinite(number)) return Null();
  char buffer[40];
  char* end = std::to_chars(buffer, buffer + sizeof(buffer) - 2, number).ptr;
  const bool looks_like_an_integer =
      std::none_of(buffer, end, [](char c) { return c == '.' || c == 'e'; });
  if (looks_like_an_integer) {
    *end++ = '.';
    *end++ = '0';
  }
  Word(absl::string_view(buffer, static_cast<size_t>(end - buffer)));
}

void JsonWriter::Word(absl::string_view word) {
  Comma();
  out_.append(word.data(), word.size());
  needs_comma_ = true;
}

void JsonWriter::Quote(absl::string_view text) {
  out_.push_back('"');
  size_t at = 0;
  while (at < text.size()) {
    const size_t start = at;
    while (at < text.size() && IsPlain(static_cast<unsigned char>(text[at]))) ++at;
    out_.append(text.data() + start, at - start);
    if (at == text.size()) break;
    const char c = text[at];
    if (static_cast<unsigned char>(c) >= 0x80) {
      const size_t length = Utf8CharLength(text.substr(at));
      if (length == 0) {
        out_.append("\xef\xbf\xbd");
        ++at;
      } else {
        out_.append(text.data() + at, length);
        at += length;
      }
      continue;
    }
    ++at;
    out_.push_back('\\');
    switch (c) {
      case '"':
      case '\\':
        out_.push_back(c);
        break;
      case '\n':
        out_.push_back('n');
        break;
      case '\r':
        out_.push_back('r');
        break;
      case '\t':
        out_.push_back('t');
        break;
      case '\b':
        out_.push_back('b');
        break;
      case '\f':
        out_.push_back('f');
        break;
      default:
        out_.append("u00");
        out_.push_back(kHex[(c >> 4) & 0xf]);
        out_.push_back(kHex[c & 0xf]);
    }
  }
  out_.push_back('"');
}

}  // namespace varpulis::transport
