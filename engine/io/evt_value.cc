#include "engine/io/evt_value.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/runtime/event.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

absl::Status ReadString(const char** at, const char* end, Arena& arena, Value* out) {
  const char quote = **at;
  const char* begin = ++*at;
  const char* p = begin;
  while (p < end && *p != quote && *p != '\\') ++p;
  if (p >= end) return absl::InvalidArgumentError("string without closing quote");
  if (*p == quote) {
    *at = p + 1;
    if (out != nullptr) {
      *out =
          Value::String(CutAtCharacter({begin, static_cast<size_t>(p - begin)}, kMaxStringBytes));
    }
    return absl::OkStatus();
  }
  // With escapes: a copy that is never longer.
  const char* scan = p;
  while (scan < end && *scan != quote) scan += *scan == '\\' ? 2 : 1;
  if (scan >= end) return absl::InvalidArgumentError("string without closing quote");
  *at = scan + 1;
  if (out == nullptr) return absl::OkStatus();
  char* text = arena.Allocate<char>(static_cast<size_t>(scan - begin));
  size_t size = 0;
  for (p = begin; p < scan; ++p) {
    if (*p != '\\') {
      text[size++] = *p;
      continue;
    }
    ++p;
    switch (*p) {
      case 'n':
        text[size++] = '\n';
        break;
      case 't':
        text[size++] = '\t';
        break;
      case '"':
      case '\'':
      case '\\':
        text[size++] = *p;
        break;
      default:
        text[size++] = '\\';
        text[size++] = *p;
    }
  }
  *out = Value::String(CutAtCharacter({text, size}, kMaxStringBytes));
  return absl::OkStatus();
}

absl::Status TooDeep() {
  return absl::InvalidArgumentError(absl::StrCat("value is nested deeper than ", kMaxValueDepth));
}

absl::Status ReadList(const char** at, const char* end, int depth, Arena& arena, Value* out) {
  if (depth > kMaxValueDepth) return TooDeep();
  std::vector<Value> items;
  size_t count = 0;
  *at = SkipBlanks(*at + 1, end);
  while (*at < end && **at != ']') {
    if (++count > kMaxListItems) {
      return absl::InvalidArgumentError(
          absl::StrCat("list has more than ", kMaxListItems, " items"));
    }
    Value item;
    RETURN_IF_ERROR(ReadEvtValue(at, end, ']', depth, arena, out != nullptr ? &item : nullptr));
    if (out != nullptr) items.push_back(item);
    if (*at < end && **at == ',') *at = SkipBlanks(*at + 1, end);
  }
  if (*at >= end) return absl::InvalidArgumentError("list without closing `]`");
  ++*at;
  if (out == nullptr) return absl::OkStatus();
  auto* copy = arena.Allocate<Value>(items.size());
  for (size_t i = 0; i < items.size(); ++i) copy[i] = items[i];
  *out = Value::List(copy, items.size());
  return absl::OkStatus();
}

absl::Status ReadMap(const char** at, const char* end, int depth, Arena& arena, Value* out) {
  if (depth > kMaxValueDepth) return TooDeep();
  std::vector<MapEntry> entries;
  size_t count = 0;
  *at = SkipBlanks(*at + 1, end);
  while (*at < end && **at != '}') {
    if (++count > kMaxListItems) {
      return absl::InvalidArgumentError(
          absl::StrCat("map has more than ", kMaxListItems, " entries"));
    }
    MapEntry entry;
    if (**at == '"' || **at == '\'') {
      Value key;
      RETURN_IF_ERROR(ReadString(at, end, arena, &key));
      entry.key = key.string();
      *at = SkipBlanks(*at, end);
      if (*at >= end || **at != ':') return absl::InvalidArgumentError("map key without `:`");
    } else {
      const auto* colon =
          static_cast<const char*>(std::memchr(*at, ':', static_cast<size_t>(end - *at)));
      if (colon == nullptr) return absl::InvalidArgumentError("map key without `:`");
      entry.key = Trim({*at, static_cast<size_t>(colon - *at)});
      *at = colon;
    }
    *at = SkipBlanks(*at + 1, end);
    RETURN_IF_ERROR(
        ReadEvtValue(at, end, '}', depth, arena, out != nullptr ? &entry.value : nullptr));
    if (out != nullptr) entries.push_back(entry);
    if (*at < end && **at == ',') *at = SkipBlanks(*at + 1, end);
  }
  if (*at >= end) return absl::InvalidArgumentError("map without closing `}`");
  ++*at;
  if (out == nullptr) return absl::OkStatus();
  auto* copy = arena.Allocate<MapEntry>(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) copy[i] = entries[i];
  *out = Value::Map(copy, entries.size());
  return absl::OkStatus();
}

// Up to the comma or the closer, outside of brackets and double quotes of its own.
std::string_view ReadBare(const char** at, const char* end, char closer) {
  const char* begin = *at;
  const char* p = begin;
  int depth = 0;
  bool quoted = false;
  for (; p < end; ++p) {
    const char c = *p;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (depth == 0 && (c == ',' || c == closer)) break;
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (depth > 0 && (c == ')' || c == ']' || c == '}')) --depth;
  }
  *at = p;
  return Trim({begin, static_cast<size_t>(p - begin)});
}

Value BareValue(std::string_view text) {
  if (text == "true") return Value::Bool(true);
  if (text == "false") return Value::Bool(false);
  if (text == "null" || text == "nil") return Value::Null();
  int64_t integer = 0;
  if (ParseInt(text, &integer)) return Value::Int(integer);
  double real = 0;
  if (ParseFloat(text, &real)) return Value::Float(real);
  return Value::String(CutAtCharacter(text, kMaxStringBytes));
}

}  // namespace

absl::Status ReadAnyEvtValue(const char** at, const char* end, char closer, int depth, Arena& arena,
                             Value* out) {
  if (*at >= end) return absl::InvalidArgumentError("value is missing");
  const char first = **at;
  if (first == '"' || first == '\'') {
    RETURN_IF_ERROR(ReadString(at, end, arena, out));
  } else if (first == '[') {
    RETURN_IF_ERROR(ReadList(at, end, depth + 1, arena, out));
  } else if (first == '{') {
    RETURN_IF_ERROR(ReadMap(at, end, depth + 1, arena, out));
  } else {
    const std::string_view text = ReadBare(at, end, closer);  // trimmed
    if (text.empty()) return absl::InvalidArgumentError("value is missing");
    if (out != nullptr) *out = BareValue(text);
    return absl::OkStatus();
  }
  *at = SkipBlanks(*at, end);
  if (*at < end && **at != ',' && **at != closer) {
    return absl::InvalidArgumentError("text after the value where `,` is expected");
  }
  return absl::OkStatus();
}

}  // namespace varpulis::engine
