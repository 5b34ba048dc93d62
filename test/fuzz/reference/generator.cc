#include "test/fuzz/reference/generator.h"

#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace varpulis::reference {
namespace {

using engine::BinaryOp;
using engine::Expr;
using engine::ExprKind;
using engine::ExprPtr;
using engine::LiteralKind;
using engine::Stmt;
using engine::StmtKind;
using engine::UnaryOp;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kSomeDay = 1'700'000'000 * kSecond;

// Small ones, limits, and the neighbours of what doubles hold. None between, which would only make
// long lists.
constexpr int64_t kIntegers[] = {0,
                                 1,
                                 2,
                                 3,
                                 -1,
                                 5,
                                 7,
                                 10,
                                 63,
                                 64,
                                 -3,
                                 -64,
                                 kMax,
                                 kMin,
                                 kMax - 1,
                                 9007199254740993,
                                 -9007199254740993,
                                 4294967296,
                                 3037000500};
constexpr double kReals[] = {0.0,
                             1.0,
                             0.5,
                             -0.0,
                             -1.5,
                             2.0,
                             2.5,
                             3.7,
                             1e-3,
                             1e10,
                             1e300,
                             -1e300,
                             9223372036854775807.0,
                             -9223372036854775808.0,
                             9007199254740992.0,
                             5e-324,
                             kInfinity,
                             -kInfinity,
                             kNan};
constexpr const char* kTexts[] = {"",
                                  "a",
                                  "ab",
                                  "abc",
                                  "b",
                                  "1",
                                  "-2",
                                  "2.5",
                                  " x ",
                                  "A b",
                                  "h\xC3\xA9llo",
                                  "\xC3\x89",
                                  "\xE2\x82\xAC",
                                  "aXbXc",
                                  ",",
                                  "nan"};

ExprPtr New(ExprKind kind) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  return expr;
}

ExprPtr Named(std::string name) {
  ExprPtr expr = New(ExprKind::kName);
  expr->text = std::move(name);
  return expr;
}

ExprPtr Unary(UnaryOp op, ExprPtr operand) {
  ExprPtr expr = New(ExprKind::kUnary);
  expr->unary = op;
  expr->children.push_back(std::move(operand));
  return expr;
}

ExprPtr Binary(BinaryOp op, ExprPtr left, ExprPtr right) {
  ExprPtr expr = New(ExprKind::kBinary);
  expr->binary = op;
  expr->children.push_back(std::move(left));
  expr->children.push_back(std::move(right));
  return expr;
}

ExprPtr Int(int64_t value) {
  ExprPtr expr = New(ExprKind::kLiteral);
  expr->literal.kind = LiteralKind::kInt;
  expr->literal.integer = value;
  return expr;
}

// Any value of which no part is missing.
Value RandomValue(Choices& choices, int depth) {
  switch (choices.Below(depth > 0 ? 9 : 7)) {
    case 0:
      return Value::Int(choices.Of(kIntegers));
    case 1:
      return Value::Float(choices.Of(kReals));
    case 2:
      return Value::String(choices.Of(kTexts));
    case 3:
      return Value::Bool(choices.OneIn(2));
    case 4:
      return Value::Null();
    case 5:
      return Value::Timestamp(kSomeDay + choices.Below(100'000) * (kSecond / 8));
    case 6:
      return Value::Duration(static_cast<int64_t>(choices.Below(1000)) * (kSecond * 7 / 8));
    case 7: {
      Value list = Value::List({});
      for (uint32_t n = choices.Below(4); n > 0; --n) {
        list.items.push_back(RandomValue(choices, depth - 1));
      }
      return list;
    }
    default: {
      Value map;
      map.kind = Kind::kMap;
      for (const char* key : {"a", "b", "i"}) {
        if (!choices.OneIn(3)) map.Put(key, RandomValue(choices, depth - 1));
      }
      return map;
    }
  }
}

Value RandomOf(Choices& choices, Want want) {
  Value list = Value::List({});
  switch (want) {
    case Want::kInt:
      return Value::Int(choices.Of(kIntegers));
    case Want::kNumber:
      return Value::Float(choices.Of(kReals));
    case Want::kString:
      return Value::String(choices.Of(kTexts));
    case Want::kBool:
      return Value::Bool(choices.OneIn(2));
    case Want::kList: {
      const Want item = choices.OneIn(2)   ? Want::kInt
                        : choices.OneIn(2) ? Want::kString
                                           : Want::kAny;
      for (uint32_t n = choices.Below(6); n > 0; --n) list.items.push_back(RandomOf(choices, item));
      return list;
    }
    case Want::kMap:
      list.kind = Kind::kMap;
      for (const char* key : {"a", "b", "i"}) list.Put(key, RandomValue(choices, 1));
      return list;
    case Want::kTime:
      return choices.OneIn(2) ? Value::Timestamp(kSomeDay) : Value::Duration(90 * kSecond);
    case Want::kAny:
      return RandomValue(choices, 2);
  }
  return list;
}

struct FieldKind {
  const char* name;
  Want want;
};
// `m_a` and `l_a` are what `m.a` and `l.a` mean first.
constexpr FieldKind kFields[] = {
    {"i", Want::kInt},    {"j", Want::kInt},    {"f", Want::kNumber}, {"g", Want::kNumber},
    {"s", Want::kString}, {"t", Want::kString}, {"b", Want::kBool},   {"c", Want::kBool},
    {"l", Want::kList},   {"k", Want::kList},   {"m", Want::kMap},    {"o", Want::kMap},
    {"w", Want::kTime},   {"x", Want::kAny},    {"y", Want::kAny},    {"m_a", Want::kAny},
};

}  // namespace

Choices::Choices(const uint8_t* data, size_t size) : data_(data), size_(size) {
  uint32_t hash = 2166136261;  // FNV-1a
  for (size_t i = 0; i < size; ++i) hash = (hash ^ data[i]) * 16777619;
  random_.seed(hash);
}

uint32_t Choices::Below(uint32_t n) {
  if (n <= 1) return 0;
  if (size_ == 0) return static_cast<uint32_t>(random_() % n);
  --size_;
  uint32_t value = *data_++;
  if (n > 256 && size_ > 0) {
    --size_;
    value = value << 8 | *data_++;
  }
  return value % n;
}

Fields RandomEvent(Choices& choices) {
  Fields fields;
  for (const FieldKind& field : kFields) {
    const uint32_t choice = choices.Below(16);
    if (choice == 15 || (choice > 8 && field.name[1] != '\0')) continue;
    if (choice == 14) {
      fields.emplace_back(field.name, Value::Null());
    } else {
      fields.emplace_back(field.name,
                          choice == 13 ? RandomValue(choices, 2) : RandomOf(choices, field.want));
    }
  }
  return fields;
}

ExprPtr Generator::Literal(Want want) {
  ExprPtr expr = New(ExprKind::kLiteral);
  engine::Literal& literal = expr->literal;
  switch (want) {
    case Want::kInt:
      literal.kind = LiteralKind::kInt;
      literal.integer = choices_.Of(kIntegers);
      if (literal.integer == kMin) literal.integer = kMax;
      if (literal.integer < 0) {
        literal.integer = -literal.integer;
        return Unary(UnaryOp::kNegate, std::move(expr));
      }
      return expr;
    case Want::kNumber:
      literal.kind = LiteralKind::kFloat;
      literal.real = kReals[choices_.Below(12)];
      if (literal.real < 0) literal.real = -literal.real;
      if (literal.real == 0) literal.real = 0;  // no minus
      return expr;
    case Want::kString:
      literal.kind = LiteralKind::kString;
      literal.text = choices_.Of(kTexts);
      return expr;
    case Want::kTime:
      literal.kind = choices_.OneIn(2) ? LiteralKind::kTimestamp : LiteralKind::kDuration;
      literal.integer = literal.kind == LiteralKind::kDuration
                            ? static_cast<int64_t>(choices_.Below(100)) * (kSecond / 4)
                            : kSomeDay + static_cast<int64_t>(choices_.Below(100)) * kSecond;
      return expr;
    case Want::kBool:
      literal.kind = LiteralKind::kBool;
      literal.integer = choices_.OneIn(2) ? 1 : 0;
      return expr;
    default:
      literal.kind = LiteralKind::kNull;
      return expr;
  }
}

ExprPtr Generator::Name(Want want) {
  if (!bound_.empty() && choices_.OneIn(3)) return Named(choices_.Of(bound_));
  if (!locals_.empty() && !choices_.OneIn(3)) {
    std::vector<std::string> names;
    for (const Local& local : locals_) {
      if (local.want == want || want == Want::kAny) names.push_back(local.name);
    }
    if (!names.empty()) return Named(choices_.Of(names));
  }
  if (!globals_.empty() && choices_.OneIn(8)) return Named(choices_.Of(globals_));
  if (choices_.OneIn(16)) return Named("timestamp");
  std::vector<std::string> names;
  for (const FieldKind& field : kFields) {
    if (field.want == want || want == Want::kAny) names.emplace_back(field.name);
  }
  std::string name = choices_.Of(names);
  if (!choices_.OneIn(10)) return Named(std::move(name));
  ExprPtr member = New(ExprKind::kMember);
  member->children.push_back(Named(choices_.OneIn(2) && !alias_.empty() ? alias_ : kEventType));
  member->text = std::move(name);
  return member;
}

ExprPtr Generator::Leaf(Want want) {
  if (choices_.OneIn(12)) want = Want::kAny;
  return choices_.Below(3) != 0 || want == Want::kList || want == Want::kMap ? Name(want)
                                                                             : Literal(want);
}

ExprPtr Generator::Two(BinaryOp op, Want left, Want right, int depth) {
  ExprPtr a = Expression(left, depth);
  return Binary(op, std::move(a), Expression(right, depth));
}

ExprPtr Generator::Call(const char* name, std::vector<Want> wants, int depth) {
  ExprPtr call = New(ExprKind::kCall);
  call->text = name;
  for (const Want want : wants) {
    call->children.push_back(Expression(want, depth));
    call->labels.emplace_back();
  }
  return call;
}

ExprPtr Generator::UserCall(int depth) {
  const engine::FunctionDecl& function = choices_.Of(*functions_);
  ExprPtr call = Call(function.name.text.c_str(),
                      std::vector<Want>(function.parameters.size(), Want::kInt), depth);
  for (ExprPtr& argument : call->children) argument = MostlyPresent(std::move(argument));
  return call;
}

// A call with a missing argument is not made: few should be.
ExprPtr Generator::MostlyPresent(ExprPtr expr) {
  if (choices_.OneIn(4)) return expr;
  return Binary(BinaryOp::kCoalesce, std::move(expr), Int(choices_.Below(5)));
}

ExprPtr Generator::IntExpression(int depth) {
  static constexpr BinaryOp kOps[] = {
      BinaryOp::kAdd,    BinaryOp::kSubtract,  BinaryOp::kMultiply,  BinaryOp::kDivide,
      BinaryOp::kModulo, BinaryOp::kPower,     BinaryOp::kBitAnd,    BinaryOp::kBitOr,
      BinaryOp::kBitXor, BinaryOp::kShiftLeft, BinaryOp::kShiftRight};
  switch (choices_.Below(10)) {
    case 0:
      return Unary(choices_.OneIn(3) ? UnaryOp::kBitNot : UnaryOp::kNegate,
                   Expression(Want::kInt, depth));
    case 1:
      return Call("len", {choices_.OneIn(2) ? Want::kString : Want::kList}, depth);
    case 2: {
      static constexpr const char* kNames[] = {"floor", "ceil", "round", "to_int", "abs"};
      return Call(choices_.Of(kNames), {Want::kNumber}, depth);
    }
    case 3: {
      static constexpr const char* kNames[] = {"min", "max", "pow"};
      return Call(choices_.Of(kNames), {Want::kInt, Want::kInt}, depth);
    }
    case 4:
      return choices_.OneIn(3)   ? Call("to_int", {Want::kString}, depth)
             : choices_.OneIn(2) ? Call("byte_len", {Want::kString}, depth)
                                 : Call("clamp", {Want::kInt, Want::kInt, Want::kInt}, depth);
    default:
      return Two(choices_.Of(kOps), Want::kInt, Want::kInt, depth);
  }
}

ExprPtr Generator::NumberExpression(int depth) {
  static constexpr BinaryOp kOps[] = {BinaryOp::kAdd,    BinaryOp::kSubtract, BinaryOp::kMultiply,
                                      BinaryOp::kDivide, BinaryOp::kModulo,   BinaryOp::kPower};
  static constexpr Want kWants[] = {Want::kNumber, Want::kInt};
  switch (choices_.Below(8)) {
    case 0: {
      static constexpr const char* kNames[] = {"sqrt", "log", "log10", "exp",     "sin",
                                               "cos",  "tan", "abs",   "to_float"};
      return Call(choices_.Of(kNames), {Want::kNumber}, depth);
    }
    case 1:
      return Call(choices_.OneIn(2) ? "sum" : "avg", {Want::kList}, depth);
    case 2: {
      static constexpr const char* kNames[] = {"min", "max", "pow"};
      return Call(choices_.Of(kNames), {Want::kNumber, choices_.Of(kWants)}, depth);
    }
    case 3:
      return Unary(UnaryOp::kNegate, Expression(Want::kNumber, depth));
    case 4:
      return Call("to_float", {Want::kString}, depth);
    default:
      return Two(choices_.Of(kOps), choices_.Of(kWants), Want::kNumber, depth);
  }
}

ExprPtr Generator::StringExpression(int depth) {
  switch (choices_.Below(9)) {
    case 0: {
      static constexpr const char* kNames[] = {"trim",      "lower",    "lowercase", "upper",
                                               "uppercase", "to_lower", "to_upper",  "reverse"};
      return Call(choices_.Of(kNames), {Want::kString}, depth);
    }
    case 1:
      return Call(choices_.OneIn(2) ? "type_of" : "to_string", {Want::kAny}, depth);
    case 2:
      return Call("join", {Want::kList, Want::kString}, depth);
    case 3:
      return Call("replace", {Want::kString, Want::kString, Want::kString}, depth);
    case 4:
      return choices_.OneIn(2) ? Call("substring", {Want::kString, Want::kInt}, depth)
                               : Call("substring", {Want::kString, Want::kInt, Want::kInt}, depth);
    case 5:
      return Call("concat", std::vector<Want>(1 + choices_.Below(3), Want::kString), depth);
    default:
      return Two(BinaryOp::kAdd, Want::kString, Want::kString, depth);
  }
}

ExprPtr Generator::BoolExpression(int depth) {
  static constexpr BinaryOp kCompare[] = {BinaryOp::kEqual,   BinaryOp::kNotEqual,
                                          BinaryOp::kLess,    BinaryOp::kLessEqual,
                                          BinaryOp::kGreater, BinaryOp::kGreaterEqual};
  static constexpr Want kOrdered[] = {Want::kInt, Want::kNumber, Want::kString, Want::kTime};
  switch (choices_.Below(10)) {
    case 0:
      return Unary(UnaryOp::kNot, Expression(Want::kBool, depth));
    case 1:
      return Two(choices_.OneIn(2) ? BinaryOp::kAnd : BinaryOp::kOr, Want::kBool, Want::kBool,
                 depth);
    case 2: {
      static constexpr const char* kKinds[] = {"null",   "bool",      "int",      "float", "str",
                                               "string", "timestamp", "duration", "array", "map"};
      ExprPtr value = Expression(Want::kAny, depth);
      return Binary(choices_.OneIn(3) ? BinaryOp::kIsNot : BinaryOp::kIs, std::move(value),
                    Named(choices_.Of(kKinds)));
    }
    case 3: {
      static constexpr Want kIn[] = {Want::kList, Want::kString, Want::kMap};
      const Want in = choices_.Of(kIn);
      return Two(choices_.OneIn(3) ? BinaryOp::kNotIn : BinaryOp::kIn,
                 in == Want::kList ? Want::kAny : Want::kString, in, depth);
    }
    case 4: {
      static constexpr const char* kNames[] = {"is_null", "is_int",   "is_float", "is_string",
                                               "is_bool", "is_array", "is_map"};
      return Call(choices_.Of(kNames), {Want::kAny}, depth);
    }
    case 5: {
      static constexpr const char* kNames[] = {"starts_with", "ends_with", "contains"};
      return Call(choices_.Of(kNames), {Want::kString, Want::kString}, depth);
    }
    case 6:
      return Two(choices_.OneIn(2) ? BinaryOp::kEqual : BinaryOp::kNotEqual, Want::kAny, Want::kAny,
                 depth);
    default: {
      const Want want = choices_.Of(kOrdered);
      return Two(choices_.Of(kCompare), want, choices_.OneIn(4) ? Want::kNumber : want, depth);
    }
  }
}

ExprPtr Generator::ListExpression(int depth) {
  switch (choices_.Below(11)) {
    case 0: {
      static constexpr const char* kNames[] = {"pop", "reverse", "sort", "unique", "flatten"};
      return Call(choices_.Of(kNames), {Want::kList}, depth);
    }
    case 1:
      return Call("push", {Want::kList, Want::kAny}, depth);
    case 2:
      return Call(choices_.OneIn(2) ? "keys" : "values", {Want::kMap}, depth);
    case 3:
      return choices_.OneIn(2) ? Call("range", {Want::kInt}, depth)
                               : Call("range", {Want::kInt, Want::kInt}, depth);
    case 4:
      return Call("split", {Want::kString, Want::kString}, depth);
    case 5:
      return Call("zip", {Want::kList, Want::kList}, depth);
    case 6:
      return Call("set", {Want::kList, Want::kInt, Want::kAny}, depth);
    case 7:
      return Two(choices_.OneIn(2) ? BinaryOp::kRange : BinaryOp::kRangeInclusive, Want::kInt,
                 choices_.OneIn(3) ? Want::kNumber : Want::kInt, depth);
    case 8: {
      ExprPtr slice = New(ExprKind::kSlice);
      slice->children.push_back(Expression(Want::kList, depth));
      slice->children.push_back(choices_.OneIn(3) ? nullptr : Expression(Want::kInt, depth));
      slice->children.push_back(choices_.OneIn(3) ? nullptr : Expression(Want::kInt, depth));
      return slice;
    }
    default: {
      ExprPtr list = New(ExprKind::kList);
      const Want want = choices_.OneIn(2) ? Want::kAny : Want::kInt;
      for (uint32_t n = choices_.Below(5); n > 0; --n) {
        list->children.push_back(Expression(want, depth));
      }
      return list;
    }
  }
}

ExprPtr Generator::MapExpression(int depth) {
  if (choices_.OneIn(4)) return Call("set", {Want::kMap, Want::kString, Want::kAny}, depth);
  ExprPtr map = New(ExprKind::kMap);
  for (const char* key : {"a", "b", "c"}) {
    if (choices_.OneIn(3)) continue;
    map->labels.emplace_back(key);
    map->children.push_back(Expression(Want::kAny, depth));
  }
  return map;
}

ExprPtr Generator::TimeExpression(int depth) {
  static constexpr BinaryOp kOps[] = {BinaryOp::kAdd, BinaryOp::kSubtract};
  switch (choices_.Below(5)) {
    case 0:
      return Call("now", {}, depth);
    case 1:
      return Two(choices_.OneIn(2) ? BinaryOp::kMultiply : BinaryOp::kDivide, Want::kTime,
                 Want::kInt, depth);
    default:
      return Two(choices_.Of(kOps), Want::kTime, Want::kTime, depth);
  }
}

// `match` stands before a name or a plain literal only.
ExprPtr Generator::Match(Want want, int depth) {
  ExprPtr match = New(ExprKind::kMatch);
  ExprPtr subject = Named(kFields[choices_.Below(std::size(kFields))].name);
  if (choices_.OneIn(2)) subject = Binary(BinaryOp::kAdd, std::move(subject), Leaf(Want::kInt));
  match->children.push_back(std::move(subject));
  const uint32_t arms = 1 + choices_.Below(3);
  for (uint32_t i = 0; i < arms; ++i) {
    engine::MatchArm arm;
    const uint32_t kind = choices_.Below(4);
    arm.kind = kind == 3   ? engine::MatchArm::Kind::kAny
               : kind == 2 ? engine::MatchArm::Kind::kBind
                           : engine::MatchArm::Kind::kLiteral;
    if (kind == 2) {
      arm.name = absl::StrCat("u", bound_.size());
      bound_.push_back(arm.name);
    }
    if (kind < 2) {
      static constexpr Want kWants[] = {Want::kInt, Want::kString, Want::kNumber, Want::kAny,
                                        Want::kBool};
      ExprPtr literal = Literal(choices_.Of(kWants));
      while (literal->kind == ExprKind::kUnary) literal = std::move(literal->children[0]);
      arm.literal = literal->literal;
    }
    match->children.push_back(Expression(want, depth));
    if (kind == 2) bound_.pop_back();
    match->arms.push_back(std::move(arm));
  }
  return match;
}

// What fits any kind.
ExprPtr Generator::AnyExpression(Want want, int depth) {
  switch (choices_.Below(10)) {
    case 0: {
      ExprPtr choice = New(ExprKind::kIf);
      choice->children.push_back(Expression(Want::kBool, depth));
      choice->children.push_back(Expression(want, depth));
      choice->children.push_back(Expression(want, depth));
      return choice;
    }
    case 1:
      return Match(want, depth);
    case 2: {
      ExprPtr index = New(ExprKind::kIndex);
      const bool map = choices_.OneIn(3);
      index->children.push_back(Expression(map                 ? Want::kMap
                                           : choices_.OneIn(3) ? Want::kString
                                                               : Want::kList,
                                           depth));
      index->children.push_back(Expression(map ? Want::kString : Want::kInt, depth));
      return index;
    }
    case 3: {
      ExprPtr member = New(ExprKind::kMember);
      member->children.push_back(Expression(Want::kMap, depth));
      static constexpr const char* kNames[] = {"a", "b", "i", "zz"};
      member->text = choices_.Of(kNames);
      member->null_safe = choices_.OneIn(2);
      return member;
    }
    case 4:
      return Call("coalesce", std::vector<Want>(1 + choices_.Below(3), want), depth);
    case 5:
      return Call("if_null", {want, want}, depth);
    case 6:
      return Call(choices_.OneIn(2) ? "first" : "last", {Want::kList}, depth);
    case 7:
      return choices_.OneIn(2) ? Call("get", {Want::kList, Want::kInt}, depth)
                               : Call("get", {Want::kMap, Want::kString}, depth);
    default:
      return Two(BinaryOp::kCoalesce, want, want, depth);
  }
}

ExprPtr Generator::Expression(Want want, int depth) {
  if (depth <= 0 || choices_.Below(5) == 0) return Leaf(want);
  if (choices_.OneIn(14)) want = static_cast<Want>(choices_.Below(8));
  --depth;
  if (functions_ != nullptr && !functions_->empty() && choices_.OneIn(8)) return UserCall(depth);
  if (choices_.OneIn(6)) return AnyExpression(want, depth);
  switch (want) {
    case Want::kInt:
      return IntExpression(depth);
    case Want::kNumber:
      return NumberExpression(depth);
    case Want::kString:
      return StringExpression(depth);
    case Want::kBool:
      return BoolExpression(depth);
    case Want::kList:
      return ListExpression(depth);
    case Want::kMap:
      return MapExpression(depth);
    case Want::kTime:
      return TimeExpression(depth);
    case Want::kAny:
      break;
  }
  return Expression(static_cast<Want>(1 + choices_.Below(7)), depth + 1);
}

// ---- Functions.

Stmt Generator::Assignment(int loops) {
  std::vector<const Local*> targets;
  for (const Local& local : locals_) {
    if (local.assignable) targets.push_back(&local);
  }
  Stmt stmt;
  stmt.kind = StmtKind::kVariable;
  stmt.variable.kind = engine::VariableKind::kAssign;
  if (choices_.OneIn(6)) {
    stmt.variable.name.text = "total";  // the variable of the program
    stmt.variable.value = Call("coalesce", {Want::kInt, Want::kBool}, 1);
    stmt.variable.value->children[1] = Int(0);
    return stmt;
  }
  const Local& target = *choices_.Of(targets);
  stmt.variable.name.text = target.name;
  ExprPtr value = Expression(target.want, 3);
  if (loops > 0 && (target.want == Want::kString || target.want == Want::kList)) {
    // What grows with every turn grows without bounds.
    ExprPtr slice = New(ExprKind::kSlice);
    slice->children.push_back(std::move(value));
    slice->children.push_back(nullptr);
    slice->children.push_back(Int(8));
    value = std::move(slice);
  }
  stmt.variable.value = std::move(value);
  return stmt;
}

// At most five turns. A `while` has a counter of its own, which stands before it.
Stmt Generator::Loop(int depth, int loops, engine::Block* before) {
  Stmt loop;
  const std::string name = absl::StrCat("n", counters_++);
  loop.kind = choices_.OneIn(3) ? StmtKind::kWhile : StmtKind::kFor;
  locals_.push_back({name, Want::kInt, false});
  if (loop.kind == StmtKind::kFor) {
    loop.name.text = name;
    switch (choices_.Below(5)) {
      case 0:
        loop.expr = Int(choices_.Below(5));
        break;
      case 1:
        loop.expr = Binary(choices_.OneIn(2) ? BinaryOp::kRange : BinaryOp::kRangeInclusive, Int(1),
                           Int(choices_.Below(5)));
        break;
      case 2:
        loop.expr = Expression(Want::kMap, 1);
        if (loop.expr->kind != ExprKind::kMap) {  // an int would make as many turns
          loop.expr = New(ExprKind::kIf);
          ExprPtr is_map = New(ExprKind::kCall);
          is_map->text = "is_map";
          is_map->children.push_back(Named("o"));
          is_map->labels.emplace_back();
          loop.expr->children.push_back(std::move(is_map));
          loop.expr->children.push_back(Named("o"));
          loop.expr->children.push_back(Int(2));
        }
        break;
      default: {
        loop.expr = New(ExprKind::kSlice);
        loop.expr->children.push_back(Expression(Want::kList, 2));
        loop.expr->children.push_back(nullptr);
        loop.expr->children.push_back(Int(5));
      }
    }
  } else {
    Stmt start;
    start.kind = StmtKind::kVariable;
    start.variable.kind = engine::VariableKind::kVar;
    start.variable.name.text = name;
    start.variable.value = Int(0);
    before->statements.push_back(std::move(start));
    loop.expr = Binary(BinaryOp::kLess, Named(name), Int(choices_.Below(6)));
    if (choices_.OneIn(2)) {
      loop.expr = Binary(BinaryOp::kAnd, std::move(loop.expr), Expression(Want::kBool, 2));
    }
    // First, so that no `continue` skips it.
    Stmt count;
    count.kind = StmtKind::kVariable;
    count.variable.kind = engine::VariableKind::kAssign;
    count.variable.name.text = name;
    count.variable.value = Binary(BinaryOp::kAdd, Named(name), Int(1));
    loop.body.statements.push_back(std::move(count));
  }
  Statements(&loop.body, depth - 1, loops + 1);
  locals_.pop_back();
  return loop;
}

void Generator::Statements(engine::Block* block, int depth, int loops) {
  for (uint32_t n = 1 + choices_.Below(3); n > 0; --n) {
    const uint32_t choice = choices_.Below(10);
    if (depth <= 0 || choice < 4) {
      block->statements.push_back(Assignment(loops));
      continue;
    }
    Stmt stmt;
    if (choice < 6 && loops < 2) {
      stmt = Loop(depth, loops, block);
    } else if (choice < 8) {
      stmt.kind = StmtKind::kIf;
      stmt.expr = Expression(Want::kBool, 2);
      Statements(&stmt.body, depth - 1, loops);
      if (choices_.OneIn(3)) {
        engine::ConditionalBlock branch;
        branch.condition = Expression(Want::kBool, 2);
        Statements(&branch.body, depth - 1, loops);
        stmt.branches.push_back(std::move(branch));
      }
      if (choices_.OneIn(2)) Statements(&stmt.otherwise.emplace(), depth - 1, loops);
    } else if (choice == 8 && loops > 0) {
      stmt.kind = StmtKind::kIf;
      stmt.expr = Expression(Want::kBool, 2);
      Stmt leave;
      leave.kind = choices_.OneIn(2) ? StmtKind::kBreak : StmtKind::kContinue;
      stmt.body.statements.push_back(std::move(leave));
    } else {
      stmt.kind = StmtKind::kIf;
      stmt.expr = Expression(Want::kBool, 2);
      Stmt leave;
      leave.kind = StmtKind::kReturn;
      leave.expr = Expression(Want::kAny, 2);
      stmt.body.statements.push_back(std::move(leave));
    }
    block->statements.push_back(std::move(stmt));
  }
}

engine::FunctionDecl Generator::Function(const std::string& name,
                                         const std::vector<engine::FunctionDecl>& before) {
  engine::FunctionDecl function;
  function.name.text = name;
  alias_.clear();
  functions_ = &before;
  locals_.clear();
  counters_ = 0;
  const uint32_t parameters = choices_.Below(4);
  for (uint32_t i = 0; i < parameters; ++i) {
    const std::string parameter = absl::StrCat("p", i);
    function.parameters.push_back({{parameter, {}}, "int"});
    locals_.push_back({parameter, Want::kInt, false});
  }
  static constexpr std::pair<const char*, Want> kLocals[] = {
      {"vi", Want::kInt},  {"vf", Want::kNumber}, {"vs", Want::kString},
      {"vb", Want::kBool}, {"vl", Want::kList},   {"vj", Want::kInt}};
  for (const auto& [local, want] : kLocals) {
    if (choices_.OneIn(3) && local[1] != 'i') continue;
    Stmt stmt;
    stmt.kind = StmtKind::kVariable;
    stmt.variable.kind = engine::VariableKind::kVar;
    stmt.variable.name.text = local;
    stmt.variable.value = Expression(want, 2);
    function.body.statements.push_back(std::move(stmt));
    locals_.push_back({local, want, true});
  }
  Statements(&function.body, 3, 0);
  Stmt last;
  last.kind = choices_.OneIn(4) ? StmtKind::kExpr : StmtKind::kReturn;
  last.expr = Expression(Want::kAny, 3);
  function.body.statements.push_back(std::move(last));
  locals_.clear();
  functions_ = nullptr;
  return function;
}

}  // namespace varpulis::reference
