#pragma once

#include <cstddef>

#include "engine/lang/builtin_names.h"
#include "engine/runtime/expression.h"
#include "engine/runtime/value.h"

namespace varpulis::engine {

// Arguments are present (not ⊥) unless the table says that the function takes ⊥, and their number
// is right. A wrong kind gives ⊥.
using BuiltinFunction = Value (*)(const Value* arguments, size_t count, EvalContext& context);

BuiltinFunction FunctionOf(Builtin id);

// The three parts of the table: numbers and kinds, text, lists and maps. Null when not theirs.
BuiltinFunction TextFunctionOf(Builtin id);
BuiltinFunction ListFunctionOf(Builtin id);

// `text` in the arena of the context.
Value TextResult(std::string_view text, EvalContext& context);
// Display text without quotes, as `to_string` gives it.
void AppendPlain(const Value& value, std::string* out);

}  // namespace varpulis::engine
