#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {
namespace {

// How deep the expressions of a block are, for the depth of the lambda around it.
int Depth(const Block& block);

int Depth(const Stmt& stmt) {
  int depth = 0;
  auto take = [&](const ExprPtr& expr) {
    if (expr != nullptr) depth = std::max(depth, expr->depth);
  };
  take(stmt.expr);
  take(stmt.variable.value);
  for (const NamedExpr& named : stmt.named) take(named.expr);
  depth = std::max(depth, Depth(stmt.body));
  for (const auto& [condition, body] : stmt.branches) {
    take(condition);
    depth = std::max(depth, Depth(body));
  }
  if (stmt.otherwise.has_value()) depth = std::max(depth, Depth(*stmt.otherwise));
  return depth;
}

int Depth(const Block& block) {
  int depth = 0;
  for (const Stmt& stmt : block.statements) depth = std::max(depth, Depth(stmt) + 1);
  return depth;
}

enum class Indent { kNone, kSpaces, kTabs, kMixed };

Indent IndentOf(const Token& token) {
  const bool tab = token.indent.find('\t') != std::string_view::npos;
  const bool space = token.indent.find(' ') != std::string_view::npos;
  if (tab && space) return Indent::kMixed;
  return tab ? Indent::kTabs : space ? Indent::kSpaces : Indent::kNone;
}

}  // namespace

// A tab is one column, so lines that look alike would be of different blocks.
bool Parser::CheckIndent(const Token& first, const Token& token) {
  if (!token.starts_line) return true;
  const Indent indent = IndentOf(token);
  const bool mixed = indent == Indent::kMixed ||
                     (first.starts_line && indent != Indent::kNone && IndentOf(first) != indent);
  if (!mixed) return true;
  mixed_indent_ = true;
  diagnostics_.Error(token.span, "E112", "tabs and spaces are mixed in one block",
                     "indent with one of them only");
  return false;
}

bool Parser::ParseFunction(Program& program) {
  const int column = LineColumn();
  const Token& opener = Take();
  FunctionDecl function;
  if (!TakeName("the name of the function", &function.name) || !ParseParameters(function)) {
    return false;
  }
  if (Accept("->") && !ParseFullType(&function.result_type)) return false;
  const ModeScope scope(*this, {.stops_at_op = false, .column = column});
  mixed_indent_ = false;
  if (!ParseBlock("fn", opener, &function.body)) return false;
  if (mixed_indent_) SkipInBlock(column);  // where the block ends is not clear
  function.span = SpanFrom(opener.span.begin);
  program.statements.emplace_back(std::move(function));
  return true;
}

bool Parser::ParseParameters(FunctionDecl& function) {
  if (!Expect("(", "after the name of the function")) return false;
  while (!Accept(")")) {
    Parameter parameter;
    if (!TakeName("a parameter", &parameter.name)) return false;
    if (!Peek().IsSymbol(":")) {
      return Unexpected("`: type` after the parameter",
                        Concat("such as ", parameter.name.text, ": float"));
    }
    Take();
    if (!ParseFullType(&parameter.type)) return false;
    function.parameters.push_back(std::move(parameter));
    if (!Accept(",") && !Peek().IsSymbol(")")) return Unexpected("`,` or `)`");
  }
  return true;
}

bool Parser::ParseVariable(VariableKind kind, VariableDecl* variable) {
  variable->kind = kind;
  if (kind != VariableKind::kAssign) Take();
  if (!TakeName("a name", &variable->name)) return false;
  if (kind == VariableKind::kAssign) {
    Take();
  } else {
    if (Accept(":") && !ParseFullType(&variable->type)) return false;
    if (!Expect("=", "before the value")) return false;
  }
  variable->value = ParseExpr();
  return variable->value != nullptr;
}

// `:` and the lines behind it that are deeper than the statement's. A statement that is broken
// does not take the rest of its block along.
bool Parser::ParseBlock(std::string_view opener, const Token& opener_token, Block* block) {
  if (!Expect(":", Concat("before the body of `", opener, "`"))) return false;
  const Token& first = Peek();
  const int outer = opener_token.starts_line ? opener_token.column : mode_.column;
  if (first.kind == TokenKind::kEnd || !first.starts_line || first.column <= outer) {
    diagnostics_.Error(first.span, "E111",
                       Concat("the body of `", opener, "` is expected on the next lines"),
                       "put it there, indented deeper");
    return false;
  }
  if (!Enter()) return false;
  const int column = first.column;
  bool same_indent = true;  // one message per block
  while (Peek().kind != TokenKind::kEnd && !Peek().IsSymbol("}") &&
         !(Peek().starts_line && Peek().column < column) && !diagnostics_.full()) {
    const size_t before = at_;
    const int depth = depth_;
    same_indent = same_indent && CheckIndent(first, Peek());
    if (ParseBlockStatement(column, block)) continue;
    depth_ = depth;
    if (at_ == before) Take();
    SkipInBlock(column);
  }
  // What looks as deep as the block may have ended it.
  if (same_indent && Peek().starts_line) CheckIndent(first, Peek());
  Leave();
  return true;
}

void Parser::SkipInBlock(int column) {
  while (Peek().kind != TokenKind::kEnd && !(Peek().starts_line && Peek().column <= column)) {
    Take();
  }
}

bool Parser::AtStatementEnd(const Token& first) const {
  const Token& token = Peek();
  return token.kind == TokenKind::kEnd || token.IsSymbol("}") ||
         (token.starts_line && token.column <= std::max(first.column, mode_.column));
}

bool Parser::ParseBlockStatement(int column, Block* block) {
  const ModeScope scope(*this, {.stops_at_op = false, .column = column});
  const Token& first = Peek();
  diagnostics_.set_muted(false);
  if (AtError()) return false;
  Stmt stmt;
  if (first.Is("if")) {
    if (!ParseIfStatement(stmt, column)) return false;
  } else if (!ParseKeywordStatement(first, stmt)) {
    return false;
  }
  stmt.span = SpanFrom(first.span.begin);
  block->statements.push_back(std::move(stmt));
  return true;
}

bool Parser::ParseKeywordStatement(const Token& token, Stmt& stmt) {
  const Token& next = Peek(1);
  const bool named = next.kind == TokenKind::kName && !next.starts_line;
  auto variable = [&](VariableKind kind) {
    stmt.kind = StmtKind::kVariable;
    return ParseVariable(kind, &stmt.variable);
  };
  if (named && token.Is("let")) return variable(VariableKind::kLet);
  if (named && token.Is("var")) return variable(VariableKind::kVar);
  if (named && token.Is("const")) return variable(VariableKind::kConst);
  if (token.kind == TokenKind::kName && next.IsSymbol(":=")) {
    return variable(VariableKind::kAssign);
  }
  if (named && token.Is("for") && Peek(2).Is("in")) return ParseForStatement(stmt);
  if (named && token.Is("emit") && Peek(2).IsSymbol("(")) return ParseEmitStatement(stmt);
  // As names they would be followed by what continues an expression.
  const bool used_as_name = next.IsSymbol(".") || next.IsSymbol("?.") || next.IsSymbol("=");
  if (token.Is("while") && !used_as_name) {
    Take();
    stmt.kind = StmtKind::kWhile;
    stmt.expr = ParseExpr();
    return stmt.expr != nullptr && ParseBlock("while", token, &stmt.body);
  }
  if (token.Is("return") && !used_as_name) return ParseReturn(stmt);
  if ((token.Is("break") || token.Is("continue")) && !used_as_name) {
    stmt.kind = token.Is("break") ? StmtKind::kBreak : StmtKind::kContinue;
    Take();
    return true;
  }
  if (token.Is("else") || token.Is("elif")) {
    return Unexpected(Concat("an `if` before `", token.text, "`"),
                      "it must be at the column of its `if`");
  }
  if (named && (token.Is("fn") || token.Is("stream") || token.Is("event") || token.Is("pattern"))) {
    return Unexpected("a statement", "declarations stand outside functions, at the line's start");
  }
  stmt.kind = StmtKind::kExpr;
  stmt.expr = ParseExpr();
  return stmt.expr != nullptr;
}

// Also the expression `if c then a else b`, which looks the same up to its condition.
bool Parser::ParseIfStatement(Stmt& stmt, int column) {
  const Token& first = Take();
  ExprPtr condition = ParseExpr();
  if (condition == nullptr) return false;
  if (Peek().Is("then")) {
    stmt.kind = StmtKind::kExpr;
    stmt.expr = ParseIfRest(first.span, std::move(condition));
    return stmt.expr != nullptr;
  }
  stmt.kind = StmtKind::kIf;
  stmt.expr = std::move(condition);
  if (!ParseBlock("if", first, &stmt.body)) return false;
  // A less indented `else` belongs to an outer `if`.
  auto ours = [&](std::string_view word) {
    return Peek().Is(word) && Peek().starts_line && Peek().column >= column;
  };
  while (ours("elif")) {
    const Token& word = Take();
    ExprPtr branch = ParseExpr();
    Block body;
    if (branch == nullptr || !ParseBlock("elif", word, &body)) return false;
    stmt.branches.push_back({std::move(branch), std::move(body)});
  }
  if (ours("else")) {
    const Token& word = Take();
    if (!ParseBlock("else", word, &stmt.otherwise.emplace())) return false;
  }
  return true;
}

bool Parser::ParseForStatement(Stmt& stmt) {
  const Token& word = Take();
  stmt.kind = StmtKind::kFor;
  TakeName("a name", &stmt.name);
  Take();
  stmt.expr = ParseExpr();
  return stmt.expr != nullptr && ParseBlock("for", word, &stmt.body);
}

bool Parser::ParseReturn(Stmt& stmt) {
  const Token& word = Take();
  stmt.kind = StmtKind::kReturn;
  if (AtStatementEnd(word)) return true;
  stmt.expr = ParseExpr();
  return stmt.expr != nullptr;
}

bool Parser::ParseEmitStatement(Stmt& stmt) {
  Take();
  stmt.kind = StmtKind::kEmit;
  TakeName("an event type", &stmt.name);
  const ModeScope scope(*this, {});
  Take();
  return ParseNamedList(stmt.named, /*allow_bare=*/false) && Expect(")", "after the fields");
}

// `{ statements [value] }` of a lambda.
bool Parser::ParseLambdaBlock(Expr& lambda) {
  Take();
  if (!Enter()) return false;
  const int column = Peek().starts_line ? Peek().column : -1;
  auto block = std::make_unique<Block>();
  while (!Peek().IsSymbol("}")) {
    if (Peek().kind == TokenKind::kEnd) return Unexpected("`}` after the body of the function");
    if (!ParseBlockStatement(column, block.get())) return false;
  }
  Take();
  Leave();
  lambda.depth = std::max(lambda.depth, Depth(*block) + 1);
  if (!block->statements.empty() && block->statements.back().kind == StmtKind::kExpr) {
    lambda.children.push_back(std::move(block->statements.back().expr));
    block->statements.pop_back();
  }
  lambda.block = std::move(block);
  return true;
}

}  // namespace varpulis::engine
