#include "engine/lang/builtin_names.h"

#include "absl/container/flat_hash_map.h"

namespace varpulis::engine {
namespace {

constexpr BuiltinInfo kBuiltins[] = {
    {"abs", Builtin::kAbs, 1, 1},
    {"sqrt", Builtin::kSqrt, 1, 1},
    {"log", Builtin::kLog, 1, 1},
    {"log10", Builtin::kLog10, 1, 1},
    {"exp", Builtin::kExp, 1, 1},
    {"sin", Builtin::kSin, 1, 1},
    {"cos", Builtin::kCos, 1, 1},
    {"tan", Builtin::kTan, 1, 1},
    {"floor", Builtin::kFloor, 1, 1},
    {"ceil", Builtin::kCeil, 1, 1},
    {"round", Builtin::kRound, 1, 1},
    {"pow", Builtin::kPow, 2, 2},
    {"min", Builtin::kMin, 2, 2},
    {"max", Builtin::kMax, 2, 2},
    {"clamp", Builtin::kClamp, 3, 3},
    {"len", Builtin::kLen, 1, 1},
    {"byte_len", Builtin::kByteLen, 1, 1},
    {"first", Builtin::kFirst, 1, 1},
    {"last", Builtin::kLast, 1, 1},
    {"push", Builtin::kPush, 2, 2},
    {"pop", Builtin::kPop, 1, 1},
    {"reverse", Builtin::kReverse, 1, 1},
    {"sort", Builtin::kSort, 1, 1},
    {"contains", Builtin::kContains, 2, 2},
    {"keys", Builtin::kKeys, 1, 1},
    {"values", Builtin::kValues, 1, 1},
    {"get", Builtin::kGet, 2, 2},
    {"set", Builtin::kSet, 3, 3},
    {"range", Builtin::kRange, 1, 2},
    {"sum", Builtin::kSum, 1, 1},
    {"avg", Builtin::kAvg, 1, 1},
    {"unique", Builtin::kUnique, 1, 1},
    {"flatten", Builtin::kFlatten, 1, 1},
    {"zip", Builtin::kZip, 2, 2},
    {"to_string", Builtin::kToString, 1, 1},
    {"to_int", Builtin::kToInt, 1, 1},
    {"to_float", Builtin::kToFloat, 1, 1},
    {"trim", Builtin::kTrim, 1, 1},
    {"lower", Builtin::kLower, 1, 1},
    {"lowercase", Builtin::kLower, 1, 1},
    {"to_lower", Builtin::kLower, 1, 1},
    {"upper", Builtin::kUpper, 1, 1},
    {"uppercase", Builtin::kUpper, 1, 1},
    {"to_upper", Builtin::kUpper, 1, 1},
    {"split", Builtin::kSplit, 2, 2},
    {"join", Builtin::kJoin, 2, 2},
    {"replace", Builtin::kReplace, 3, 3},
    {"starts_with", Builtin::kStartsWith, 2, 2},
    {"ends_with", Builtin::kEndsWith, 2, 2},
    {"substring", Builtin::kSubstring, 2, 3},
    {"concat", Builtin::kConcat, 1, -1},
    {"type_of", Builtin::kTypeOf, 1, 1, true},
    {"is_null", Builtin::kIsNull, 1, 1, true},
    {"is_int", Builtin::kIsInt, 1, 1},
    {"is_float", Builtin::kIsFloat, 1, 1},
    {"is_string", Builtin::kIsString, 1, 1},
    {"is_bool", Builtin::kIsBool, 1, 1},
    {"is_array", Builtin::kIsArray, 1, 1},
    {"is_map", Builtin::kIsMap, 1, 1},
    {"coalesce", Builtin::kCoalesce, 1, -1, true},
    {"if_null", Builtin::kIfNull, 2, 2, true},
    {"now", Builtin::kNow, 0, 0},
};

}  // namespace

const BuiltinInfo* FindBuiltin(std::string_view name) {
  static const auto* const kByName = [] {
    auto* map = new absl::flat_hash_map<std::string_view, const BuiltinInfo*>;
    for (const BuiltinInfo& info : kBuiltins) map->emplace(info.name, &info);
    return map;
  }();
  auto found = kByName->find(name);
  return found == kByName->end() ? nullptr : found->second;
}

const BuiltinInfo& BuiltinById(Builtin id) {
  for (const BuiltinInfo& info : kBuiltins) {
    if (info.id == id) return info;
  }
  return kBuiltins[0];
}

const std::vector<std::string>& BuiltinNames() {
  static const auto* const kNames = [] {
    auto* names = new std::vector<std::string>;
    for (const BuiltinInfo& info : kBuiltins) names->emplace_back(info.name);
    return names;
  }();
  return *kNames;
}

bool IsAggregateName(std::string_view name) {
  for (std::string_view aggregate :
       {"count", "count_distinct", "distinct", "sum", "avg", "min", "max", "stddev", "first",
        "last", "ema", "variance", "median", "percentile", "collect"}) {
    if (name == aggregate) return true;
  }
  return false;
}

}  // namespace varpulis::engine
