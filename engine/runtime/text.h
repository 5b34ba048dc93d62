#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace varpulis::engine {

// UTF-8. Invalid bytes count as one character each and are kept.
size_t CountCharacters(std::string_view text);
// Bytes of the character at `text[offset]`. REQUIRES: offset < text.size().
size_t CharacterLength(std::string_view text, size_t offset);
// Byte offset of character `index`; text.size() when there are fewer.
size_t OffsetOfCharacter(std::string_view text, size_t index);
// The longest prefix of at most `bytes` bytes that cuts no character.
std::string_view CutAtCharacter(std::string_view text, size_t bytes);

// Simple case mapping for Latin, Greek, Cyrillic and Armenian letters; others stay.
std::string ToLower(std::string_view text);
std::string ToUpper(std::string_view text);
// Without Unicode white space at both ends.
std::string_view Trim(std::string_view text);

// Shortest text that reads back as the same number, without exponent and without forced decimals.
void AppendFloatDisplay(double value, std::string* out);
// The whole of `text` as a number.
bool ParseInt(std::string_view text, int64_t* value);
bool ParseFloat(std::string_view text, double* value);

// 2026-01-01T00:00:00Z; with_fraction adds 3, 6 or 9 digits when needed.
void AppendTimestamp(int64_t ns, bool with_fraction, std::string* out);
// RFC 3339, as above; any fraction length, zones honoured.
bool ParseTimestamp(std::string_view text, int64_t* ns);

}  // namespace varpulis::engine
