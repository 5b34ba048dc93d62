#include <string>
#include <vector>

#include "engine/runtime/builtins.h"
#include "engine/runtime/operations.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

bool Text(const Value& value) { return value.is(ValueKind::kString); }

Value ListOf(const std::vector<Value>& items, EvalContext& context) {
  auto* copy = context.arena->Allocate<Value>(items.size());
  for (size_t i = 0; i < items.size(); ++i) copy[i] = items[i];
  return Value::List(copy, items.size());
}

Value ToString(const Value* a, size_t, EvalContext& context) {
  if (Text(*a)) return *a;
  std::string text;
  AppendPlain(*a, &text);
  return TextResult(text, context);
}

Value TrimText(const Value* a, size_t, EvalContext&) {
  return Text(*a) ? Value::String(Trim(a->string())) : Value();
}
Value Lower(const Value* a, size_t, EvalContext& context) {
  return Text(*a) ? TextResult(ToLower(a->string()), context) : Value();
}
Value Upper(const Value* a, size_t, EvalContext& context) {
  return Text(*a) ? TextResult(ToUpper(a->string()), context) : Value();
}

Value Split(const Value* a, size_t, EvalContext& context) {
  if (!Text(a[0]) || !Text(a[1])) return Value();
  const std::string_view text = a[0].string(), separator = a[1].string();
  std::vector<Value> parts;
  if (separator.empty()) {
    parts.push_back(Value::String(text.substr(0, 0)));
    for (size_t i = 0; i < text.size();) {
      const size_t length = CharacterLength(text, i);
      parts.push_back(Value::String(text.substr(i, length)));
      i += length;
    }
    parts.push_back(Value::String(text.substr(text.size())));
  } else {
    size_t from = 0;
    for (size_t at; (at = text.find(separator, from)) != std::string_view::npos;) {
      parts.push_back(Value::String(text.substr(from, at - from)));
      from = at + separator.size();
    }
    parts.push_back(Value::String(text.substr(from)));
  }
  return parts.size() > kMaxResultItems ? Value() : ListOf(parts, context);
}

Value Join(const Value* a, size_t, EvalContext& context) {
  if (!a[0].is(ValueKind::kList) || !Text(a[1])) return Value();
  std::string text;
  for (size_t i = 0; i < a[0].size(); ++i) {
    if (i > 0) text.append(a[1].string());
    AppendPlain(a[0].items()[i], &text);
    if (text.size() > kMaxResultBytes) return Value();
  }
  return TextResult(text, context);
}

Value Replace(const Value* a, size_t, EvalContext& context) {
  if (!Text(a[0]) || !Text(a[1]) || !Text(a[2])) return Value();
  const std::string_view text = a[0].string(), old_text = a[1].string(), new_text = a[2].string();
  std::string out;
  size_t from = 0;
  while (from <= text.size()) {
    if (old_text.empty()) {  // between all characters, and at both ends
      out.append(new_text);
      if (from == text.size()) break;
      const size_t length = CharacterLength(text, from);
      out.append(text.substr(from, length));
      from += length;
    } else {
      const size_t at = text.find(old_text, from);
      out.append(text.substr(from, at == std::string_view::npos ? at : at - from));
      if (at == std::string_view::npos) break;
      out.append(new_text);
      from = at + old_text.size();
    }
    if (out.size() > kMaxResultBytes) return Value();
  }
  return TextResult(out, context);
}

Value StartsWith(const Value* a, size_t, EvalContext&) {
  if (!Text(a[0]) || !Text(a[1])) return Value();
  return Value::Bool(a[0].string().substr(0, a[1].size()) == a[1].string());
}
Value EndsWith(const Value* a, size_t, EvalContext&) {
  if (!Text(a[0]) || !Text(a[1])) return Value();
  const std::string_view text = a[0].string(), end = a[1].string();
  return Value::Bool(text.size() >= end.size() && text.substr(text.size() - end.size()) == end);
}

Value Substring(const Value* a, size_t count, EvalContext&) {
  if (!Text(a[0]) || !a[1].is(ValueKind::kInt) || (count == 3 && !a[2].is(ValueKind::kInt))) {
    return Value();
  }
  const std::string_view text = a[0].string();
  const auto size = static_cast<int64_t>(CountCharacters(text));
  const int64_t from = a[1].integer();
  const int64_t to = count == 3 ? a[2].integer() : size;
  if (from < 0 || from > to || to > size) return Value();
  const size_t begin = OffsetOfCharacter(text, static_cast<size_t>(from));
  const size_t length = OffsetOfCharacter(text.substr(begin), static_cast<size_t>(to - from));
  return Value::String(text.substr(begin, length));
}

// Arrays only: one array. Anything else: the texts.
Value ConcatAll(const Value* a, size_t count, EvalContext& context) {
  bool lists = true;
  size_t items = 0;
  for (size_t i = 0; i < count; ++i) {
    lists = lists && a[i].is(ValueKind::kList);
    if (lists) items += a[i].size();
  }
  if (lists) {
    if (items > kMaxResultItems) return Value();
    auto* all = context.arena->Allocate<Value>(items);
    size_t size = 0;
    for (size_t i = 0; i < count; ++i) {
      for (size_t k = 0; k < a[i].size(); ++k) all[size++] = a[i].items()[k];
    }
    return Value::List(all, size);
  }
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    AppendPlain(a[i], &text);
    if (text.size() > kMaxResultBytes) return Value();
  }
  return TextResult(text, context);
}

}  // namespace

BuiltinFunction TextFunctionOf(Builtin id) {
  switch (id) {
    case Builtin::kToString:
      return ToString;
    case Builtin::kTrim:
      return TrimText;
    case Builtin::kLower:
      return Lower;
    case Builtin::kUpper:
      return Upper;
    case Builtin::kSplit:
      return Split;
    case Builtin::kJoin:
      return Join;
    case Builtin::kReplace:
      return Replace;
    case Builtin::kStartsWith:
      return StartsWith;
    case Builtin::kEndsWith:
      return EndsWith;
    case Builtin::kSubstring:
      return Substring;
    case Builtin::kConcat:
      return ConcatAll;
    default:
      return nullptr;
  }
}

}  // namespace varpulis::engine
