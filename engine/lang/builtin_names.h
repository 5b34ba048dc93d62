#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varpulis::engine {

// The scalar built-ins of vpl.md §3.1 and §3.2: one table for the checks, the planner and the
// runtime (which adds the code, in the same order).
enum class Builtin {
  kAbs,
  kSqrt,
  kLog,
  kLog10,
  kExp,
  kSin,
  kCos,
  kTan,
  kFloor,
  kCeil,
  kRound,
  kPow,
  kMin,
  kMax,
  kClamp,
  kLen,
  kByteLen,
  kFirst,
  kLast,
  kPush,
  kPop,
  kReverse,
  kSort,
  kContains,
  kKeys,
  kValues,
  kGet,
  kSet,
  kRange,
  kSum,
  kAvg,
  kUnique,
  kFlatten,
  kZip,
  kToString,
  kToInt,
  kToFloat,
  kTrim,
  kLower,
  kUpper,
  kSplit,
  kJoin,
  kReplace,
  kStartsWith,
  kEndsWith,
  kSubstring,
  kConcat,
  kTypeOf,
  kIsNull,
  kIsInt,
  kIsFloat,
  kIsString,
  kIsBool,
  kIsArray,
  kIsMap,
  kCoalesce,
  kIfNull,
  kNow,
};

struct BuiltinInfo {
  std::string_view name;
  Builtin id;
  int min_arguments;
  int max_arguments;           // -1: any number
  bool takes_missing = false;  // sees ⊥ arguments instead of being ⊥
};

// Null when there is no such function.
const BuiltinInfo* FindBuiltin(std::string_view name);
// By id; aliases (`lowercase`) share the entry of their first name.
const BuiltinInfo& BuiltinById(Builtin id);
const std::vector<std::string>& BuiltinNames();

// Aggregate functions, known by name so that their use outside `.aggregate` gets a good message.
bool IsAggregateName(std::string_view name);

}  // namespace varpulis::engine
