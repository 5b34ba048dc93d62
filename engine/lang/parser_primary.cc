#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {
namespace {

ExprPtr NewExpr(ExprKind kind) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  return expr;
}

}  // namespace

ExprPtr Parser::ParsePrimary() {
  const Token& token = Peek();
  if (token.Is("if")) return ParseIf();
  if (AtMatch()) return ParseMatch();
  if (token.IsSymbol("[")) return ParseList();
  if (token.IsSymbol("{")) return ParseMap();
  if (token.IsSymbol("(")) {
    const ModeScope scope(*this, {});
    const size_t begin = Take().span.begin;
    ExprPtr inner = ParseExpr();
    if (inner == nullptr || !Expect(")", "after the expression")) return nullptr;
    inner->span = SpanFrom(begin);
    return inner;
  }
  if (AtNextStatement()) {
    Unexpected("an expression");
    return nullptr;
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
    case TokenKind::kError:
      break;  // it stands for a value
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
  ExprPtr condition = ParseExpr();
  return condition == nullptr ? nullptr : ParseIfRest(word, std::move(condition));
}

ExprPtr Parser::ParseIfRest(Span word, ExprPtr condition) {
  ExprPtr expr = NewExpr(ExprKind::kIf);
  expr->children.push_back(std::move(condition));
  for (std::string_view next : {"then", "else"}) {
    if (!Accept(next)) {
      Unexpected(Concat("`", next, "` of `if … then … else …`"));
      return nullptr;
    }
    ExprPtr part = ParseExpr();
    if (part == nullptr) return nullptr;
    expr->children.push_back(std::move(part));
  }
  const size_t end = expr->children.back()->span.end;
  return Finish(std::move(expr), {word.begin, end}, word);
}

// `match` is a name unless a value follows.
bool Parser::AtMatch() const {
  const Token& next = Peek(1);
  if (!Peek().Is("match")) return false;
  if (next.kind == TokenKind::kInt || next.kind == TokenKind::kString ||
      next.kind == TokenKind::kError) {
    return true;
  }
  return next.kind == TokenKind::kName && !next.starts_line && !next.Is("and") && !next.Is("or") &&
         !next.Is("in") && !next.Is("is") && !next.Is("not") && !next.Is("then") &&
         !next.Is("else") && !next.Is("as") && !next.Is("within");
}

// match e: arm {arm}, an arm being `literal | name | _ => expr`. Ends before what is no arm.
ExprPtr Parser::ParseMatch() {
  const Span word = Take().span;
  ExprPtr expr = NewExpr(ExprKind::kMatch);
  ExprPtr subject = ParseExpr();
  if (subject == nullptr || !Expect(":", "after the matched value")) return nullptr;
  expr->children.push_back(std::move(subject));
  // A comma may stand before a further arm; before anything else it is not ours.
  auto at_arm = [&](size_t ahead) {
    return Peek(ahead + 1).IsSymbol("=>") ||
           (Peek(ahead).IsSymbol("-") && Peek(ahead + 2).IsSymbol("=>"));
  };
  do {
    if (Peek().IsSymbol(",")) Take();
    if (!ParseMatchArm(*expr)) return nullptr;
  } while (at_arm(0) || (Peek().IsSymbol(",") && at_arm(1)));
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
  if (!Enter()) return false;
  ExprPtr value = ParseBinary(/*min_level=*/0);
  Leave();
  if (value == nullptr) return false;
  match.arms.push_back(std::move(arm));
  match.children.push_back(std::move(value));
  return true;
}

ExprPtr Parser::ParseList() {
  const ModeScope scope(*this, {});
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
  const ModeScope scope(*this, {});
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
  // `{ name:` and `{}` are maps.
  const bool map = Peek(1).IsSymbol("}") || Peek(2).IsSymbol(":");
  if (Peek().IsSymbol("{") && !map) {
    if (!ParseLambdaBlock(*expr)) return nullptr;
    return Finish(std::move(expr), SpanFrom(begin), arrow);
  }
  ExprPtr body = ParseExpr();
  if (body == nullptr) return nullptr;
  const size_t end = body->span.end;
  expr->children.push_back(std::move(body));
  return Finish(std::move(expr), {begin, end}, arrow);
}

}  // namespace varpulis::engine
