// vpl.md §3.1 and §3.2.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

#include "test/fuzz/reference/evaluator.h"

namespace varpulis::reference {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;

Value Saturated(double value) {
  if (std::isnan(value)) return Value::Int(0);
  if (value >= kTwoTo63) return Value::Int(std::numeric_limits<int64_t>::max());
  if (value < -kTwoTo63) return Value::Int(std::numeric_limits<int64_t>::min());
  return Value::Int(static_cast<int64_t>(value));
}

bool IsNan(const Value& value) { return value.is(Kind::kFloat) && std::isnan(value.real); }

std::string TimestampText(int64_t ns, Environment& environment) {
  if (ns < 0) environment.unspecified = true;  // which way parts of a second are cut
  int64_t seconds = ns / 1'000'000'000, days = seconds / 86'400;
  seconds %= 86'400;
  int64_t year = 1970;
  const auto is_leap = [&] { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; };
  while (days >= (is_leap() ? 366 : 365)) days -= is_leap() ? 366 : 365, ++year;
  const int lengths[] = {31, is_leap() ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int month = 0;
  while (days >= lengths[month]) days -= lengths[month++];
  return absl::StrFormat("@%04d-%02d-%02dT%02d:%02d:%02dZ", year, month + 1, days + 1,
                         seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string DurationText(int64_t ns, Environment& environment) {
  if (ns < 1000) environment.unspecified = true;  // zero, negative, less than the least unit
  constexpr std::pair<int64_t, const char*> kUnits[] = {{86'400'000'000'000, "d"},
                                                        {3'600'000'000'000, "h"},
                                                        {60'000'000'000, "m"},
                                                        {1'000'000'000, "s"},
                                                        {1'000'000, "ms"}};
  for (const auto& [length, unit] : kUnits) {
    if (ns >= length) return absl::StrCat(ns / length, unit);
  }
  return absl::StrCat(ns / 1000, "us");
}

bool AllOfOneOrder(const Value& list) {
  for (const Value& item : list.items) {
    if (IsNan(item) || Compare(item, list.items[0]) == Order::kNone) return false;
  }
  return true;
}

Value NumberFunction(const std::string& name, const std::vector<Value>& a, Environment& e) {
  const Value& x = a[0];
  if (!x.is_number()) return Value::Missing();
  if (name == "abs") {
    return x.is(Kind::kFloat) ? Value::Float(std::fabs(x.real))
           : x.integer < 0    ? Unary(engine::UnaryOp::kNegate, x)
                              : x;
  }
  if (name == "floor" || name == "ceil" || name == "round") {
    if (x.is(Kind::kInt)) return x;
    return Saturated(name == "floor"  ? std::floor(x.real)
                     : name == "ceil" ? std::ceil(x.real)
                                      : std::round(x.real));
  }
  const double v = x.number();
  if (name == "sqrt") return Value::Float(std::sqrt(v));
  if (name == "log") return Value::Float(std::log(v));
  if (name == "log10") return Value::Float(std::log10(v));
  if (name == "exp") return Value::Float(std::exp(v));
  if (name == "sin") return Value::Float(std::sin(v));
  if (name == "cos") return Value::Float(std::cos(v));
  if (name == "tan") return Value::Float(std::tan(v));
  if (name == "min" || name == "max") {
    const Value& y = a[1];
    if (!y.is_number()) return Value::Missing();
    const bool first =
        name == "min" ? Compare(x, y) != Order::kGreater : Compare(x, y) != Order::kLess;
    if (x.is(Kind::kInt) && y.is(Kind::kInt)) return first ? x : y;
    // Which zero, and whether NaN is passed over.
    if (IsNan(x) || IsNan(y) || (v == 0 && y.number() == 0)) e.unspecified = true;
    return Value::Float(first ? v : y.number());
  }
  return Value::Missing();
}

Value TextFunction(const std::string& name, const std::vector<Value>& a, Environment& e) {
  if (!a[0].is(Kind::kString)) return Value::Missing();
  const std::string& s = a[0].text;
  if (name == "byte_len") return Value::Int(static_cast<int64_t>(s.size()));
  if (name == "trim") return Value::String(std::string(absl::StripAsciiWhitespace(s)));
  // Of letters beyond ASCII the generator writes é and É.
  if (name == "lower" || name == "lowercase" || name == "to_lower") {
    return Value::String(absl::StrReplaceAll(absl::AsciiStrToLower(s), {{"\xC3\x89", "\xC3\xA9"}}));
  }
  if (name == "upper" || name == "uppercase" || name == "to_upper") {
    return Value::String(absl::StrReplaceAll(absl::AsciiStrToUpper(s), {{"\xC3\xA9", "\xC3\x89"}}));
  }
  if (name == "substring") {
    const std::vector<std::string> characters = Characters(s);
    const auto size = static_cast<int64_t>(characters.size());
    if (!a[1].is(Kind::kInt) || (a.size() > 2 && !a[2].is(Kind::kInt))) return Value::Missing();
    const int64_t begin = a[1].integer, end = a.size() > 2 ? a[2].integer : size;
    if (begin < 0 || begin > end || end > size) return Value::Missing();
    std::string out;
    for (int64_t i = begin; i < end; ++i) out += characters[static_cast<size_t>(i)];
    return Value::String(out);
  }
  if (a.size() < 2) return Value::Missing();
  for (const Value& argument : a) {
    if (!argument.is(Kind::kString)) return Value::Missing();
  }
  const std::string& t = a[1].text;
  if (name == "starts_with") return Value::Bool(s.compare(0, t.size(), t) == 0);
  if (name == "ends_with") {
    return Value::Bool(s.size() >= t.size() && s.compare(s.size() - t.size(), t.size(), t) == 0);
  }
  if (name == "split") {
    Value list = Value::List({});
    if (t.empty()) {
      list.items.push_back(Value::String(""));
      for (std::string& c : Characters(s)) list.items.push_back(Value::String(std::move(c)));
      list.items.push_back(Value::String(""));
      return list;
    }
    size_t from = 0;
    for (size_t at = s.find(t); at != std::string::npos; at = s.find(t, from)) {
      list.items.push_back(Value::String(s.substr(from, at - from)));
      from = at + t.size();
    }
    list.items.push_back(Value::String(s.substr(from)));
    return list;
  }
  if (name == "replace") {
    std::string out;
    if (t.empty()) {  // is between all characters, and at both ends
      for (const std::string& c : Characters(s)) out += a[2].text + c;
      return Value::String(out + a[2].text);
    }
    size_t from = 0;
    for (size_t at = s.find(t); at != std::string::npos; at = s.find(t, from)) {
      out += s.substr(from, at - from) + a[2].text;
      from = at + t.size();
    }
    return Value::String(out + s.substr(from));
  }
  return Value::Missing();
}

// Of lists, except where noted.
Value ListFunction(const std::string& name, const std::vector<Value>& a, Environment& e) {
  Value list = a[0];
  std::vector<Value>& items = list.items;
  if (name == "set" || name == "get") {
    const bool set = name == "set";
    if (list.is(Kind::kMap)) {
      if (!a[1].is(Kind::kString)) return Value::Missing();
      if (!set) return Index(list, a[1]);
      list.Put(a[1].text, a[2]);
      return list;
    }
    if (!list.is(Kind::kList) || !a[1].is(Kind::kInt)) return Value::Missing();
    const int64_t at = a[1].integer;
    const bool inside = at >= 0 && at < static_cast<int64_t>(items.size());
    if (!set) return inside ? items[static_cast<size_t>(at)] : Value::Missing();
    if (inside) items[static_cast<size_t>(at)] = a[2];
    return list;
  }
  if (name == "reverse" && list.is(Kind::kString)) {
    std::vector<std::string> characters = Characters(list.text);
    list.text.clear();
    for (auto c = characters.rbegin(); c != characters.rend(); ++c) list.text += *c;
    return list;
  }
  if (!list.is(Kind::kList)) return Value::Missing();
  if (name == "first") return items.empty() ? Value::Missing() : items.front();
  if (name == "last") return items.empty() ? Value::Missing() : items.back();
  if (name == "push") {
    items.push_back(a[1]);
    return list;
  }
  if (name == "pop") {
    if (items.empty()) return Value::Missing();
    items.pop_back();
    return list;
  }
  if (name == "reverse") {
    std::reverse(items.begin(), items.end());
    return list;
  }
  if (name == "sort") {
    if (!AllOfOneOrder(list)) {
      e.unspecified = true;
      return list;
    }
    // Insertion: stable, and nothing to get wrong.
    for (size_t i = 1; i < items.size(); ++i) {
      for (size_t k = i; k > 0 && Compare(items[k], items[k - 1]) == Order::kLess; --k) {
        std::swap(items[k], items[k - 1]);
      }
    }
    return list;
  }
  if (name == "sum" || name == "avg") {
    double sum = 0, count = 0;
    for (const Value& item : items) {
      if (!item.is_number()) continue;
      sum += item.number();
      ++count;
    }
    return Value::Float(name == "sum" ? sum : count == 0 ? 0.0 : sum / count);
  }
  if (name == "unique" || name == "flatten") {
    Value out = Value::List({});
    for (const Value& item : items) {
      const auto kept = static_cast<int64_t>(out.items.size());
      if (name == "unique" && !e.Spend(kept)) return Value::Missing();  // all are compared
      if (name == "flatten") {
        if (item.is(Kind::kList)) {
          out.items.insert(out.items.end(), item.items.begin(), item.items.end());
        } else {
          out.items.push_back(item);
        }
      } else if (std::none_of(out.items.begin(), out.items.end(),
                              [&](const Value& other) { return Equal(item, other); })) {
        out.items.push_back(item);
      }
    }
    return out;
  }
  if (name == "zip") {
    if (!a[1].is(Kind::kList)) return Value::Missing();
    Value out = Value::List({});
    for (size_t i = 0; i < std::min(items.size(), a[1].items.size()); ++i) {
      out.items.push_back(Value::List({items[i], a[1].items[i]}));
    }
    return out;
  }
  if (name == "join") {
    if (!a[1].is(Kind::kString)) return Value::Missing();
    std::string out;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += a[1].text;
      out += Display(items[i], e);
    }
    return Value::String(out);
  }
  return Value::Missing();
}

Value ToInt(const Value& v) {
  switch (v.kind) {
    case Kind::kInt:
    case Kind::kBool:
      return Value::Int(v.integer);
    case Kind::kFloat:
      return Saturated(std::trunc(v.real));
    case Kind::kString: {
      int64_t number = 0;
      const char* end = v.text.data() + v.text.size();
      const auto parsed = std::from_chars(v.text.data(), end, number);
      return parsed.ec == std::errc() && parsed.ptr == end ? Value::Int(number) : Value::Missing();
    }
    default:
      return Value::Missing();
  }
}

Value ToFloat(const Value& v) {
  if (v.is_number()) return Value::Float(v.number());
  if (!v.is(Kind::kString)) return Value::Missing();
  double number = 0;
  const char* end = v.text.data() + v.text.size();
  const auto parsed = std::from_chars(v.text.data(), end, number);
  return parsed.ec == std::errc() && parsed.ptr == end ? Value::Float(number) : Value::Missing();
}

}  // namespace

std::string KindName(Kind kind) {
  static constexpr const char* kNames[] = {"null",   "null",      "bool",     "int",   "float",
                                           "string", "timestamp", "duration", "array", "map"};
  return kNames[static_cast<size_t>(kind)];
}

std::string Display(const Value& value, Environment& environment) {
  std::string out;
  switch (value.kind) {
    case Kind::kMissing:
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return value.integer != 0 ? "true" : "false";
    case Kind::kInt:
      return absl::StrCat(value.integer);
    case Kind::kFloat: {
      // When it turns to exponents, and what NaN looks like, is open.
      const double size = std::fabs(value.real);
      if (!(size == 0 || (size >= 1e-4 && size < 1e15))) environment.unspecified = true;
      char buffer[400];
      const auto end =
          std::to_chars(buffer, buffer + sizeof(buffer), value.real, std::chars_format::fixed);
      return std::string(buffer, end.ptr);
    }
    case Kind::kString:
      return value.text;
    case Kind::kTimestamp:
      return TimestampText(value.integer, environment);
    case Kind::kDuration:
      return DurationText(value.integer, environment);
    case Kind::kList:
      for (size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out += ", ";
        out += Display(value.items[i], environment);
      }
      return "[" + out + "]";
    case Kind::kMap:
      for (size_t i = 0; i < value.keys.size(); ++i) {
        if (i > 0) out += ", ";
        out += value.keys[i] + ": " + Display(value.items[i], environment);
      }
      return "{" + out + "}";
  }
  return out;
}

Value CallBuiltin(const std::string& name, const std::vector<Value>& a, Environment& e) {
  // The ones that take ⊥.
  if (name == "is_null") return Value::Bool(a[0].null_or_missing());
  if (name == "type_of") return Value::String(KindName(a[0].kind));
  if (name == "coalesce" || name == "if_null") {
    for (const Value& value : a) {
      if (!value.null_or_missing()) return value;
    }
    return a.back();  // of what there is none the last, as `a ?? b` does
  }
  for (const Value& argument : a) {
    if (argument.missing()) return Value::Missing();
  }
  if (name == "now") return Value::Timestamp(e.timestamp_ns);
  if (name == "is_int") return Value::Bool(a[0].is(Kind::kInt));
  if (name == "is_float") return Value::Bool(a[0].is(Kind::kFloat));
  if (name == "is_string") return Value::Bool(a[0].is(Kind::kString));
  if (name == "is_bool") return Value::Bool(a[0].is(Kind::kBool));
  if (name == "is_array") return Value::Bool(a[0].is(Kind::kList));
  if (name == "is_map") return Value::Bool(a[0].is(Kind::kMap));
  if (name == "to_string") return Value::String(Display(a[0], e));
  if (name == "to_int") return ToInt(a[0]);
  if (name == "to_float") return ToFloat(a[0]);
  if (name == "pow") return Binary(engine::BinaryOp::kPower, a[0], a[1]);
  if (name == "contains") return Binary(engine::BinaryOp::kIn, a[1], a[0]);
  if (name == "range") {
    for (const Value& bound : a) {
      if (!bound.is(Kind::kInt)) return Value::Missing();
    }
    return Binary(engine::BinaryOp::kRange, a.size() == 1 ? Value::Int(0) : a[0], a.back());
  }
  if (name == "clamp") {
    const Value raised = NumberFunction("max", {a[0], a[1]}, e);
    return NumberFunction("min", {raised, a[2]}, e);
  }
  if (name == "len") {
    if (a[0].is(Kind::kString)) {
      return Value::Int(static_cast<int64_t>(Characters(a[0].text).size()));
    }
    if (!a[0].is(Kind::kList) && !a[0].is(Kind::kMap)) return Value::Missing();
    return Value::Int(static_cast<int64_t>(a[0].items.size()));
  }
  if (name == "keys" || name == "values") {
    if (!a[0].is(Kind::kMap)) return Value::Missing();
    if (name == "values") return Value::List(a[0].items);
    Value list = Value::List({});
    for (const std::string& key : a[0].keys) list.items.push_back(Value::String(key));
    return list;
  }
  if (name == "concat") {
    Value list = Value::List({});
    std::string text;
    bool lists = true;
    for (const Value& value : a) {
      lists = lists && value.is(Kind::kList);
      list.items.insert(list.items.end(), value.items.begin(), value.items.end());
      text += Display(value, e);
    }
    return lists ? list : Value::String(text);
  }
  Value result = NumberFunction(name, a, e);
  if (result.missing()) result = TextFunction(name, a, e);
  if (result.missing()) result = ListFunction(name, a, e);
  return result;
}

}  // namespace varpulis::reference
