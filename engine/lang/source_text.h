#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace varpulis::engine {

// 3 when `text` begins with a byte order mark in UTF-8, which editors leave there unseen; else 0.
size_t ByteOrderMark(std::string_view text);

// Where the first byte stands that is not UTF-8; npos when all are.
size_t FindInvalidUtf8(std::string_view text);

// `text` with U+FFFD for each such byte.
std::string ValidUtf8(std::string_view text);

}  // namespace varpulis::engine
