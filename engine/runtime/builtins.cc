#include "engine/runtime/builtins.h"

#include <cmath>

#include "engine/runtime/operations.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

using Function = double (*)(double);

template <Function kFunction>
Value Real(const Value* a, size_t, EvalContext&) {
  return a->is_number() ? Value::Float(kFunction(a->number())) : Value();
}

double Sqrt(double x) { return std::sqrt(x); }
double Log(double x) { return std::log(x); }
double Log10(double x) { return std::log10(x); }
double Exp(double x) { return std::exp(x); }
double Sin(double x) { return std::sin(x); }
double Cos(double x) { return std::cos(x); }
double Tan(double x) { return std::tan(x); }
double Floor(double x) { return std::floor(x); }
double Ceil(double x) { return std::ceil(x); }
double Round(double x) { return std::round(x); }  // half away from zero

template <Function kFunction>
Value Whole(const Value* a, size_t, EvalContext&) {
  if (a->is(ValueKind::kInt)) return *a;
  return a->is(ValueKind::kFloat) ? Value::Int(Saturate(kFunction(a->real()))) : Value();
}

Value Abs(const Value* a, size_t, EvalContext&) {
  if (a->is(ValueKind::kFloat)) return Value::Float(std::fabs(a->real()));
  if (!a->is(ValueKind::kInt)) return Value();
  return a->integer() < 0 ? ApplyUnary(UnaryOp::kNegate, *a) : *a;
}

Value Pow(const Value* a, size_t, EvalContext&) { return Power(a[0], a[1]); }

// int,int stays int; a float on either side makes the result one.
template <bool kMax>
Value Extreme(const Value* a, size_t, EvalContext&) {
  if (!a[0].is_number() || !a[1].is_number()) return Value();
  if (a[0].is(ValueKind::kInt) && a[1].is(ValueKind::kInt)) {
    return (a[0].integer() < a[1].integer()) == kMax ? a[1] : a[0];
  }
  const double x = a[0].number(), y = a[1].number();
  return Value::Float(kMax ? std::fmax(x, y) : std::fmin(x, y));
}

Value Clamp(const Value* a, size_t count, EvalContext& context) {
  const Value raised[] = {Extreme<true>(a, count, context), a[2]};
  return Extreme<false>(raised, 2, context);
}

Value ToInt(const Value* a, size_t, EvalContext&) {
  switch (a->kind()) {
    case ValueKind::kInt:
      return *a;
    case ValueKind::kBool:
      return Value::Int(a->boolean() ? 1 : 0);
    case ValueKind::kFloat:
      return Value::Int(Saturate(std::trunc(a->real())));
    case ValueKind::kString: {
      int64_t value = 0;
      return ParseInt(a->string(), &value) ? Value::Int(value) : Value();
    }
    default:
      return Value();
  }
}

Value ToFloat(const Value* a, size_t, EvalContext&) {
  if (a->is_number()) return Value::Float(a->number());
  double value = 0;
  return a->is(ValueKind::kString) && ParseFloat(a->string(), &value) ? Value::Float(value)
                                                                      : Value();
}

Value TypeOf(const Value* a, size_t, EvalContext&) { return Value::String(KindName(a->kind())); }
Value IsNull(const Value* a, size_t, EvalContext&) { return Value::Bool(a->null_or_missing()); }

template <ValueKind kKind>
Value IsOfKind(const Value* a, size_t, EvalContext&) {
  return Value::Bool(a->is(kKind));
}

Value CoalesceAll(const Value* a, size_t count, EvalContext&) {
  for (size_t i = 0; i < count; ++i) {
    if (!a[i].null_or_missing()) return a[i];
  }
  return count > 0 ? a[count - 1] : Value();
}

Value Now(const Value*, size_t, EvalContext& context) {
  return context.has_event ? Value::Timestamp(context.timestamp_ns) : Value();
}

}  // namespace

BuiltinFunction FunctionOf(Builtin id) {
  switch (id) {
    case Builtin::kAbs:
      return Abs;
    case Builtin::kSqrt:
      return Real<Sqrt>;
    case Builtin::kLog:
      return Real<Log>;
    case Builtin::kLog10:
      return Real<Log10>;
    case Builtin::kExp:
      return Real<Exp>;
    case Builtin::kSin:
      return Real<Sin>;
    case Builtin::kCos:
      return Real<Cos>;
    case Builtin::kTan:
      return Real<Tan>;
    case Builtin::kFloor:
      return Whole<Floor>;
    case Builtin::kCeil:
      return Whole<Ceil>;
    case Builtin::kRound:
      return Whole<Round>;
    case Builtin::kPow:
      return Pow;
    case Builtin::kMin:
      return Extreme<false>;
    case Builtin::kMax:
      return Extreme<true>;
    case Builtin::kClamp:
      return Clamp;
    case Builtin::kToInt:
      return ToInt;
    case Builtin::kToFloat:
      return ToFloat;
    case Builtin::kTypeOf:
      return TypeOf;
    case Builtin::kIsNull:
      return IsNull;
    case Builtin::kIsInt:
      return IsOfKind<ValueKind::kInt>;
    case Builtin::kIsFloat:
      return IsOfKind<ValueKind::kFloat>;
    case Builtin::kIsString:
      return IsOfKind<ValueKind::kString>;
    case Builtin::kIsBool:
      return IsOfKind<ValueKind::kBool>;
    case Builtin::kIsArray:
      return IsOfKind<ValueKind::kList>;
    case Builtin::kIsMap:
      return IsOfKind<ValueKind::kMap>;
    case Builtin::kCoalesce:
    case Builtin::kIfNull:
      return CoalesceAll;
    case Builtin::kNow:
      return Now;
    default:
      break;
  }
  if (BuiltinFunction text = TextFunctionOf(id); text != nullptr) return text;
  return ListFunctionOf(id);
}

Value TextResult(std::string_view text, EvalContext& context) {
  if (text.size() > kMaxResultBytes) return Value();
  return Value::String(context.arena->CopyString(text));
}

void AppendPlain(const Value& value, std::string* out) { AppendDisplay(value, false, out); }

}  // namespace varpulis::engine
