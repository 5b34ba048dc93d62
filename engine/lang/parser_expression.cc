#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {
namespace {

// Lowest to highest, vpl.md §1.5. `not` stands between kAndLevel and kCompareLevel.
enum Level {
  kCoalesceLevel,
  kRangeLevel,
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

ExprPtr Parser::ParseExpr() {
  if (depth_ >= kMaxParseDepth) {
    diagnostics_.Error(Peek().span, "E102", "expression is too deeply nested");
    return nullptr;
  }
  ++depth_;
  ExprPtr result = AtLambda() ? ParseLambda() : ParseBinary(kCoalesceLevel);
  --depth_;
  return result;
}

bool Parser::PeekBinary(BinaryOp* op, int* level, int* tokens) const {
  const Token& token = Peek();
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
  while (left != nullptr && PeekBinary(&op, &level, &tokens) && level >= min_level) {
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
    ExprPtr right;
    if (op == BinaryOp::kIs || op == BinaryOp::kIsNot) {
      // The right side is the name of a kind.
      const Token& kind = Peek();
      if (kind.kind != TokenKind::kName) {
        Unexpected("the name of a kind, such as `null` or `int`");
        return nullptr;
      }
      right = NewExpr(ExprKind::kName);
      right->text = std::string(kind.text);
      Take();
      right = Finish(std::move(right), tokens_[at_ - 1].span, tokens_[at_ - 1].span);
    } else {
      right = ParseBinary(level + 1);
    }
    if (right == nullptr) return nullptr;
    left = MakeBinary(op, op_span, std::move(left), std::move(right));
  }
  return left;
}

ExprPtr Parser::ParseNot() {
  if (!Peek().Is("not")) return ParsePower();
  if (depth_ >= kMaxParseDepth) {
    diagnostics_.Error(Peek().span, "E102", "expression is too deeply nested");
    return nullptr;
  }
  const Span op_span = Take().span;
  ++depth_;
  ExprPtr operand = ParseBinary(kCompareLevel);
  --depth_;
  if (operand == nullptr) return nullptr;
  ExprPtr expr = NewExpr(ExprKind::kUnary);
  expr->unary = UnaryOp::kNot;
  const Span span{op_span.begin, operand->span.end};
  expr->children.push_back(std::move(operand));
  return Finish(std::move(expr), span, op_span);
}

ExprPtr Parser::ParsePower() {
  ExprPtr left = ParseUnary();
  if (left == nullptr || !Peek().IsSymbol("**")) return left;
  if (depth_ >= kMaxParseDepth) {
    diagnostics_.Error(Peek().span, "E102", "expression is too deeply nested");
    return nullptr;
  }
  const Span op_span = Take().span;
  ++depth_;
  ExprPtr right = ParsePower();
  --depth_;
  if (right == nullptr) return nullptr;
  return MakeBinary(BinaryOp::kPower, op_span, std::move(left), std::move(right));
}

ExprPtr Parser::ParseUnary() {
  if (!Peek().IsSymbol("-") && !Peek().IsSymbol("~")) return ParsePostfix();
  if (depth_ >= kMaxParseDepth) {
    diagnostics_.Error(Peek().span, "E102", "expression is too deeply nested");
    return nullptr;
  }
  const UnaryOp op = Peek().IsSymbol("-") ? UnaryOp::kNegate : UnaryOp::kBitNot;
  const Span op_span = Take().span;
  ++depth_;
  ExprPtr operand = ParseUnary();
  --depth_;
  if (operand == nullptr) return nullptr;
  ExprPtr expr = NewExpr(ExprKind::kUnary);
  expr->unary = op;
  const Span span{op_span.begin, operand->span.end};
  expr->children.push_back(std::move(operand));
  return Finish(std::move(expr), span, op_span);
}

ExprPtr Parser::ParsePostfix() {
  ExprPtr expr = ParsePrimary();
  while (expr != nullptr) {
    const Token& token = Peek();
    if (token.IsSymbol(".") || token.IsSymbol("?.")) {
      // `.name(` at the start of a line is the next operator of a chain, never a member.
      if (Peek(1).kind == TokenKind::kName && Peek(2).IsSymbol("(")) {
        if (token.starts_line) return expr;
        Take();
        diagnostics_.Error(
            Peek().span, "E100",
            Concat("values have no methods, so `.", Peek().text, "(` cannot stand here"),
            Concat("write ", Peek().text, "(value, …)"));
        return nullptr;
      }
      const bool null_safe = token.IsSymbol("?.");
      Take();
      Name name;
      if (!TakeName("a field name", &name)) return nullptr;
      ExprPtr member = NewExpr(ExprKind::kMember);
      member->text = name.text;
      member->null_safe = null_safe;
      const Span span{expr->span.begin, name.span.end};
      member->children.push_back(std::move(expr));
      expr = Finish(std::move(member), span, name.span);
    } else if (token.IsSymbol("[")) {
      expr = ParseIndexOrSlice(std::move(expr));
    } else if (token.IsSymbol("(")) {
      if (expr->kind != ExprKind::kName) {
        diagnostics_.Error(token.span, "E100", "only a function name can be called");
        return nullptr;
      }
      ExprPtr call = NewExpr(ExprKind::kCall);
      call->text = expr->text;
      const Span name_span = expr->span;
      Take();
      if (!ParseCallArguments(*call)) return nullptr;
      expr = Finish(std::move(call), SpanFrom(name_span.begin), name_span);
    } else {
      break;
    }
  }
  return expr;
}

bool Parser::ParseCallArguments(Expr& call) {
  while (!Accept(")")) {
    std::string label;
    if (Peek().kind == TokenKind::kName && Peek(1).IsSymbol(":")) {
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

ExprPtr Parser::ParsePrimary() {
  const Token& token = Peek();
  if (token.Is("if")) return ParseIf();
  if (token.Is("match") && !Peek(1).IsSymbol("(") && !Peek(1).IsSymbol(".") &&
      (Peek(1).kind == TokenKind::kName || Peek(1).kind == TokenKind::kInt ||
       Peek(1).kind == TokenKind::kString) &&
      !Peek(1).Is("and") && !Peek(1).Is("or") && !Peek(1).Is("in") && !Peek(1).Is("is") &&
      !Peek(1).Is("not")) {
    return ParseMatch();
  }
  if (token.IsSymbol("[")) return ParseList();
  if (token.IsSymbol("{")) return ParseMap();
  if (token.IsSymbol("(")) {
    const size_t begin = Take().span.begin;
    ExprPtr inner = ParseExpr();
    if (inner == nullptr || !Expect(")", "after the expression")) return nullptr;
    inner->span = SpanFrom(begin);
    return inner;
  }
  if (token.kind == TokenKind::kName && !token.Is("true") && !token.Is("false") &&
      !token.Is("null")) {
    ExprPtr name = NewExpr(ExprKind::kName);
    name->text = std::string(token.text);
    const Span span = Take().span;
    return Finish(std::move(name), span, span);
  }
  return ParseLiteral();
}

ExprPtr Parser::ParseLiteral() {
  const Token& token = Peek();
  ExprPtr expr = NewExpr(ExprKind::kLiteral);
  Literal& literal = expr->literal;
  switch (token.kind) {
    case TokenKind::kInt:
      literal.kind = LiteralKind::kInt;
      break;
    case TokenKind::kFloat:
      literal.kind = LiteralKind::kFloat;
      break;
    case TokenKind::kString:
      literal.kind = LiteralKind::kString;
      break;
    case TokenKind::kDuration:
      literal.kind = LiteralKind::kDuration;
      break;
    case TokenKind::kTimestamp:
      literal.kind = LiteralKind::kTimestamp;
      break;
    case TokenKind::kName:
      if (!token.Is("null")) {
        literal.kind = LiteralKind::kBool;
        literal.integer = token.Is("true") ? 1 : 0;
      }
      break;
    case TokenKind::kEnd:
    case TokenKind::kSymbol:
      Unexpected("an expression");
      return nullptr;
  }
  if (token.kind != TokenKind::kName) {
    literal.integer = token.integer;
    literal.real = token.real;
    literal.text = token.string;
  }
  const Span span = Take().span;
  return Finish(std::move(expr), span, span);
}

ExprPtr Parser::ParseIf() {
  const Span word = Take().span;
  ExprPtr expr = NewExpr(ExprKind::kIf);
  for (std::string_view next :
       {std::string_view("then"), std::string_view("else"), std::string_view()}) {
    ExprPtr part = ParseExpr();
    if (part == nullptr) return nullptr;
    expr->children.push_back(std::move(part));
    if (!next.empty() && !Accept(next)) {
      Unexpected(Concat("`", next, "` of `if … then … else …`"));
      return nullptr;
    }
  }
  const size_t end = expr->children.back()->span.end;
  return Finish(std::move(expr), {word.begin, end}, word);
}

// match e: arm {arm}, an arm being `literal | name | _ => expr`. Ends before what is no arm.
ExprPtr Parser::ParseMatch() {
  const Span word = Take().span;
  ExprPtr expr = NewExpr(ExprKind::kMatch);
  ExprPtr subject = ParseExpr();
  if (subject == nullptr || !Expect(":", "after the matched value")) return nullptr;
  expr->children.push_back(std::move(subject));
  do {
    if (!ParseMatchArm(*expr)) return nullptr;
    Accept(",");
  } while (Peek(1).IsSymbol("=>") || (Peek().IsSymbol("-") && Peek(2).IsSymbol("=>")));
  const size_t end = expr->children.back()->span.end;
  return Finish(std::move(expr), {word.begin, end}, word);
}

bool Parser::ParseMatchArm(Expr& match) {
  MatchArm arm;
  const Token& token = Peek();
  if (token.Is("_")) {
    Take();
  } else if (token.kind == TokenKind::kName && !token.Is("true") && !token.Is("false") &&
             !token.Is("null")) {
    arm.kind = MatchArm::Kind::kBind;
    arm.name = std::string(Take().text);
  } else {
    arm.kind = MatchArm::Kind::kLiteral;
    const bool negative = Accept("-");
    ExprPtr literal = ParseLiteral();
    if (literal == nullptr) return false;
    arm.literal = std::move(literal->literal);
    if (negative) {
      arm.literal.integer = -arm.literal.integer;
      arm.literal.real = -arm.literal.real;
    }
  }
  if (!Expect("=>", "after the arm's pattern")) return false;
  // An arm's value is not a lambda: `a => b` is the next arm.
  if (depth_ >= kMaxParseDepth) return Unexpected("a shallower expression");
  ++depth_;
  ExprPtr value = ParseBinary(kCoalesceLevel);
  --depth_;
  if (value == nullptr) return false;
  match.arms.push_back(std::move(arm));
  match.children.push_back(std::move(value));
  return true;
}

ExprPtr Parser::ParseList() {
  const Span open = Take().span;
  ExprPtr expr = NewExpr(ExprKind::kList);
  while (!Accept("]")) {
    ExprPtr item = ParseExpr();
    if (item == nullptr) return nullptr;
    expr->children.push_back(std::move(item));
    if (!Accept(",") && !Peek().IsSymbol("]")) {
      Unexpected("`,` or `]`");
      return nullptr;
    }
  }
  return Finish(std::move(expr), SpanFrom(open.begin), open);
}

ExprPtr Parser::ParseMap() {
  const Span open = Take().span;
  ExprPtr expr = NewExpr(ExprKind::kMap);
  while (!Accept("}")) {
    const Token& key = Peek();
    if (key.kind != TokenKind::kName && key.kind != TokenKind::kString) {
      Unexpected("a key");
      return nullptr;
    }
    expr->labels.push_back(key.kind == TokenKind::kName ? std::string(key.text) : key.string);
    Take();
    if (!Expect(":", "after the key")) return nullptr;
    ExprPtr value = ParseExpr();
    if (value == nullptr) return nullptr;
    expr->children.push_back(std::move(value));
    if (!Accept(",") && !Peek().IsSymbol("}")) {
      Unexpected("`,` or `}`");
      return nullptr;
    }
  }
  return Finish(std::move(expr), SpanFrom(open.begin), open);
}

bool Parser::AtLambda() const {
  if (Peek().kind == TokenKind::kName && Peek(1).IsSymbol("=>")) return true;
  if (!Peek().IsSymbol("(")) return false;
  size_t i = 1;
  while (Peek(i).kind == TokenKind::kName && Peek(i + 1).IsSymbol(",")) i += 2;
  if (Peek(i).kind == TokenKind::kName) ++i;
  return Peek(i).IsSymbol(")") && Peek(i + 1).IsSymbol("=>");
}

ExprPtr Parser::ParseLambda() {
  const size_t begin = Peek().span.begin;
  ExprPtr expr = NewExpr(ExprKind::kLambda);
  if (Accept("(")) {
    while (!Accept(")")) {
      expr->labels.emplace_back(Take().text);
      Accept(",");
    }
  } else {
    expr->labels.emplace_back(Take().text);
  }
  const Span arrow = Take().span;
  ExprPtr body = ParseExpr();
  if (body == nullptr) return nullptr;
  const size_t end = body->span.end;
  expr->children.push_back(std::move(body));
  return Finish(std::move(expr), {begin, end}, arrow);
}

}  // namespace varpulis::engine
