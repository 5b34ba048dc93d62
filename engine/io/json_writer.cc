#include "engine/io/json_writer.h"

#include <charconv>
#include <cmath>

#include "base/duration_text.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

void AppendFloat(double value, std::string* out) {
  if (!std::isfinite(value)) {
    *out += "null";
    return;
  }
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  const std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
  out->append(text);
  if (text.find_first_of(".e") == std::string_view::npos) *out += ".0";
}

void AppendInt(int64_t value, std::string* out) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out->append(buffer, static_cast<size_t>(end.ptr - buffer));
}

bool ValidCharacter(std::string_view text, size_t offset, size_t length) {
  const auto lead = static_cast<unsigned char>(text[offset]);
  if (length == 1) return lead < 0x80;
  const auto second = static_cast<unsigned char>(text[offset + 1]);
  // Overlong forms, surrogates, beyond U+10FFFF.
  if (lead == 0xE0) return second >= 0xA0;
  if (lead == 0xED) return second < 0xA0;
  if (lead == 0xF0) return second >= 0x90;
  if (lead == 0xF4) return second < 0x90;
  return true;
}

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  *out += '"';
  size_t plain = 0;  // start of what can be copied as it is
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
      ++i;
      continue;
    }
    if (c >= 0x80) {
      const size_t length = CharacterLength(text, i);
      if (ValidCharacter(text, i, length)) {
        i += length;
        continue;
      }
    }
    out->append(text.substr(plain, i - plain));
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default:
        if (c >= 0x80) {
          *out += "\xEF\xBF\xBD";
        } else {
          *out += "\\u00";
          *out += "0123456789abcdef"[c >> 4];
          *out += "0123456789abcdef"[c & 15];
        }
    }
    plain = ++i;
  }
  out->append(text.substr(plain));
  *out += '"';
}

void AppendJson(const Value& value, std::string* out) {
  switch (value.kind()) {
    case ValueKind::kMissing:
    case ValueKind::kNull:
      *out += "null";
      return;
    case ValueKind::kBool:
      *out += value.boolean() ? "true" : "false";
      return;
    case ValueKind::kInt:
      AppendInt(value.integer(), out);
      return;
    case ValueKind::kDuration:
      out->append("\"").append(FormatDuration(value.integer())).append("\"");
      return;
    case ValueKind::kFloat:
      AppendFloat(value.real(), out);
      return;
    case ValueKind::kString:
      AppendJsonString(value.string(), out);
      return;
    case ValueKind::kTimestamp:
      *out += '"';
      AppendTimestamp(value.integer(), /*with_fraction=*/true, out);
      *out += '"';
      return;
    case ValueKind::kList:
      *out += '[';
      for (size_t i = 0; i < value.size(); ++i) {
        if (i > 0) *out += ',';
        AppendJson(value.items()[i], out);
      }
      *out += ']';
      return;
    case ValueKind::kMap:
      *out += '{';
      for (size_t i = 0; i < value.size(); ++i) {
        if (i > 0) *out += ',';
        AppendJsonString(value.entries()[i].key, out);
        *out += ':';
        AppendJson(value.entries()[i].value, out);
      }
      *out += '}';
      return;
  }
}

void AppendJsonLine(const OutputEvent& event, std::string* out) {
  *out += "{\"stream\":";
  AppendJsonString(event.stream, out);
  *out += ",\"event_type\":";
  AppendJsonString(event.event_type, out);
  *out += ",\"timestamp\":\"";
  AppendTimestamp(event.timestamp_ns, /*with_fraction=*/true, out);
  *out += "\",\"fields\":{";
  bool first = true;
  event.ForEachField([&](std::string_view name, const Value& value) {
    if (!first) *out += ',';
    first = false;
    AppendJsonString(name, out);
    *out += ':';
    AppendJson(value, out);
  });
  *out += "}}\n";
}

}  // namespace varpulis::engine
