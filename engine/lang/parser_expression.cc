#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {
namespace {

// Lowest to highest, vpl.md §1.5. `not` stands between kAndLevel and kCompareLevel.
enum Level {
  kRangeLevel,
  kCoalesceLevel,
  kOrLevel,
  kAndLevel,
  kCompareLevel,
  kBitOrLevel,
  kBitXorLevel,
  kBitAndLevel,
  kShiftLevel,
  kAddLevel,
  kMultiplyLevel,
  kPowerLevel,
};

struct BinaryEntry {
  std::string_view text;
  BinaryOp op;
  Level level;
};
constexpr BinaryEntry kBinary[] = {
    {"??", BinaryOp::kCoalesce, kCoalesceLevel},
    {"..", BinaryOp::kRange, kRangeLevel},
    {"..=", BinaryOp::kRangeInclusive, kRangeLevel},
    {"or", BinaryOp::kOr, kOrLevel},
    {"and", BinaryOp::kAnd, kAndLevel},
    {"==", BinaryOp::kEqual, kCompareLevel},
    {"!=", BinaryOp::kNotEqual, kCompareLevel},
    {"<=", BinaryOp::kLessEqual, kCompareLevel},
    {">=", BinaryOp::kGreaterEqual, kCompareLevel},
    {"<", BinaryOp::kLess, kCompareLevel},
    {">", BinaryOp::kGreater, kCompareLevel},
    {"in", BinaryOp::kIn, kCompareLevel},
    {"is", BinaryOp::kIs, kCompareLevel},
    {"|", BinaryOp::kBitOr, kBitOrLevel},
    {"^", BinaryOp::kBitXor, kBitXorLevel},
    {"&", BinaryOp::kBitAnd, kBitAndLevel},
    {"<<", BinaryOp::kShiftLeft, kShiftLevel},
    {">>", BinaryOp::kShiftRight, kShiftLevel},
    {"+", BinaryOp::kAdd, kAddLevel},
    {"-", BinaryOp::kSubtract, kAddLevel},
    {"*", BinaryOp::kMultiply, kMultiplyLevel},
    {"/", BinaryOp::kDivide, kMultiplyLevel},
    {"%", BinaryOp::kModulo, kMultiplyLevel},
};

ExprPtr NewExpr(ExprKind kind) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  return expr;
}

}  // namespace

ExprPtr Parser::Finish(ExprPtr expr, Span span, Span main_span) {
  expr->span = span;
  expr->main_span = main_span;
  for (const ExprPtr& child : expr->children) {
    if (child != nullptr) expr->depth = std::max(expr->depth, child->depth + 1);
  }
  if (expr->depth > kMaxExprDepth) {
    diagnostics_.Error(main_span, "E102", "expression is too long or too deeply nested");
    return nullptr;
  }
  return expr;
}

bool Parser::Enter() {
  if (depth_ >= kMaxParseDepth) {
    diagnostics_.Error(Peek().span, "E102", "this is too deeply nested");
    return false;
  }
  ++depth_;
  return true;
}

ExprPtr Parser::ParseExpr() {
  if (!Enter()) return nullptr;
  ExprPtr result = AtLambda() ? ParseLambda() : ParseBinary(kRangeLevel);
  Leave();
  return result;
}

// Statements have no terminator. What can begin one does so at the start of a line, unless the line
// is indented as a continuation; `- 1 =>` is an arm of a `match`.
bool Parser::AtExprBoundary() const {
  const Token& token = Peek();
  if (token.IsSymbol("-") && Peek(2).IsSymbol("=>")) return true;
  if (!token.starts_line || token.column > mode_.column) return false;
  return token.IsSymbol("-") || token.IsSymbol("(") || token.IsSymbol("[") ||
         Peek(1).IsSymbol(":=");
}

// What is no token, behind a value: it stands for an operator when a value follows on its line, and
// else for nothing.
void Parser::SkipStrayErrors() {
  while (AtError() && !Peek().starts_line) {
    const Token& next = Peek(1);
    const bool value = next.kind != TokenKind::kEnd && !next.starts_line &&
                       (next.kind != TokenKind::kSymbol || next.Is("(") || next.Is("["));
    if (value || SyntaxHint(Peek().text) != "") return;
    Take();
  }
}

bool Parser::PeekBinary(BinaryOp* op, int* level, int* tokens) const {
  const Token& token = Peek();
  if (token.kind == TokenKind::kError && !token.starts_line) {
    const bool both = token.text == "&&";
    *tokens = 1;
    *op = both ? BinaryOp::kAnd : BinaryOp::kOr;
    *level = both ? kAndLevel : kOrLevel;
    return true;
  }
  if (token.kind != TokenKind::kSymbol && token.kind != TokenKind::kName) return false;
  *tokens = 1;
  if (token.Is("not") && Peek(1).Is("in")) {
    *op = BinaryOp::kNotIn;
    *level = kCompareLevel;
    *tokens = 2;
    return true;
  }
  for (const BinaryEntry& entry : kBinary) {
    if (!token.Is(entry.text)) continue;
    *op = entry.op;
    *level = entry.level;
    if (entry.op == BinaryOp::kIs && Peek(1).Is("not")) {
      *op = BinaryOp::kIsNot;
      *tokens = 2;
    }
    return true;
  }
  return false;
}

ExprPtr Parser::MakeBinary(BinaryOp op, Span op_span, ExprPtr left, ExprPtr right) {
  ExprPtr expr = NewExpr(ExprKind::kBinary);
  expr->binary = op;
  const Span span{left->span.begin, right->span.end};
  expr->children.push_back(std::move(left));
  expr->children.push_back(std::move(right));
  return Finish(std::move(expr), span, op_span);
}

// Precedence climbing. Left associative, except that ranges and comparisons do not chain.
ExprPtr Parser::ParseBinary(int min_level) {
  ExprPtr left = min_level <= kCompareLevel ? ParseNot() : ParsePower();
  int last_single = -1;  // level of the last operator that does not chain
  BinaryOp op;
  int level = 0, tokens = 0;
  while (left != nullptr && !AtExprBoundary() && PeekBinary(&op, &level, &tokens) &&
         level >= min_level) {
    const Span op_span{Peek().span.begin, Peek(static_cast<size_t>(tokens) - 1).span.end};
    const bool single = level == kCompareLevel || level == kRangeLevel;
    if (single && last_single == level) {
      diagnostics_.Error(
          op_span, "E100",
          level == kCompareLevel ? "comparisons do not chain" : "ranges do not chain",
          level == kCompareLevel ? "write `a < b and b < c`" : "");
      return nullptr;
    }
    last_single = single ? level : -1;
    for (int i = 0; i < tokens; ++i) Take();
    ExprPtr right =
        op == BinaryOp::kIs || op == BinaryOp::kIsNot ? ParseKindName() : ParseBinary(level + 1);
    if (right == nullptr) return nullptr;
    left = MakeBinary(op, op_span, std::move(left), std::move(right));
  }
  return left;
}

// The right side of `is`.
ExprPtr Parser::ParseKindName() {
  Name kind;
  if (!TakeName("the name of a kind, such as `null` or `int`", &kind)) return nullptr;
  ExprPtr expr = NewExpr(ExprKind::kName);
  expr->text = std::move(kind.text);
  return Finish(std::move(expr), kind.span, kind.span);
}

ExprPtr Parser::MakeUnary(UnaryOp op, Span op_span, ExprPtr operand) {
  if (operand == nullptr) return nullptr;
  ExprPtr expr = NewExpr(ExprKind::kUnary);
  expr->unary = op;
  const Span span{op_span.begin, operand->span.end};
  expr->children.push_back(std::move(operand));
  return Finish(std::move(expr), span, op_span);
}

ExprPtr Parser::ParseNot() {
  if (!Peek().Is("not") && !(AtError() && Peek().text == "!")) return ParsePower();
  if (!Enter()) return nullptr;
  const Span op_span = Take().span;
  ExprPtr operand = ParseBinary(kCompareLevel);
  Leave();
  return MakeUnary(UnaryOp::kNot, op_span, std::move(operand));
}

ExprPtr Parser::ParsePower() {
  ExprPtr left = ParseUnary();
  if (left == nullptr || !Peek().IsSymbol("**")) return left;
  if (!Enter()) return nullptr;
  const Span op_span = Take().span;
  ExprPtr right = ParsePower();
  Leave();
  if (right == nullptr) return nullptr;
  return MakeBinary(BinaryOp::kPower, op_span, std::move(left), std::move(right));
}

ExprPtr Parser::ParseUnary() {
  if (!Peek().IsSymbol("-") && !Peek().IsSymbol("~")) return ParsePostfix();
  if (!Enter()) return nullptr;
  const UnaryOp op = Peek().IsSymbol("-") ? UnaryOp::kNegate : UnaryOp::kBitNot;
  const Span op_span = Take().span;
  ExprPtr operand = ParseUnary();
  Leave();
  return MakeUnary(op, op_span, std::move(operand));
}

ExprPtr Parser::ParsePostfix() {
  ExprPtr expr = ParsePrimary();
  while (expr != nullptr && !AtExprBoundary()) {
    const Token& token = Peek();
    if (token.IsSymbol(".") || token.IsSymbol("?.")) {
      const bool call = Peek(1).kind == TokenKind::kName && Peek(2).IsSymbol("(");
      if (call && mode_.stops_at_op) break;
      expr = ParseMember(std::move(expr));
    } else if (token.IsSymbol("[")) {
      expr = ParseIndexOrSlice(std::move(expr));
    } else if (token.IsSymbol("(")) {
      expr = ParseCall(std::move(expr));
    } else {
      break;
    }
  }
  SkipStrayErrors();
  return expr;
}

ExprPtr Parser::ParseMember(ExprPtr target) {
  ExprPtr member = NewExpr(ExprKind::kMember);
  member->null_safe = Take().text == "?.";
  Name name;
  if (!TakeName("a field name", &name)) return nullptr;
  member->text = std::move(name.text);
  const Span span{target->span.begin, name.span.end};
  member->children.push_back(std::move(target));
  return Finish(std::move(member), span, name.span);
}

ExprPtr Parser::ParseCall(ExprPtr target) {
  const Span main_span = target->main_span;
  const size_t begin = target->span.begin;
  ExprPtr call = NewExpr(ExprKind::kCall);
  if (target->kind == ExprKind::kName) {
    call->text = std::move(target->text);
  } else {
    call->kind = ExprKind::kApply;
    call->children.push_back(std::move(target));
    call->labels.emplace_back();
  }
  Take();
  if (!ParseCallArguments(*call)) return nullptr;
  return Finish(std::move(call), SpanFrom(begin), main_span);
}

bool Parser::ParseCallArguments(Expr& call) {
  const ModeScope scope(*this, {});
  while (!Accept(")")) {
    std::string label;
    if (AtName() && Peek(1).IsSymbol(":")) {
      label = std::string(Take().text);
      Take();
    }
    ExprPtr argument = ParseExpr();
    if (argument == nullptr) return false;
    call.children.push_back(std::move(argument));
    call.labels.push_back(std::move(label));
    if (!Accept(",") && !Peek().IsSymbol(")")) return Unexpected("`,` or `)`");
  }
  return true;
}

ExprPtr Parser::ParseIndexOrSlice(ExprPtr target) {
  const ModeScope scope(*this, {});
  const Span open = Take().span;
  const size_t begin = target->span.begin;
  ExprPtr expr = NewExpr(ExprKind::kIndex);
  expr->children.push_back(std::move(target));
  ExprPtr first;
  if (!Peek().IsSymbol(":")) {
    first = ParseExpr();
    if (first == nullptr) return nullptr;
  }
  expr->children.push_back(std::move(first));
  if (Accept(":")) {
    expr->kind = ExprKind::kSlice;
    ExprPtr second;
    if (!Peek().IsSymbol("]")) {
      second = ParseExpr();
      if (second == nullptr) return nullptr;
    }
    expr->children.push_back(std::move(second));
  }
  if (!Expect("]", "after the index")) return nullptr;
  return Finish(std::move(expr), SpanFrom(begin), open);
}

}  // namespace varpulis::engine
