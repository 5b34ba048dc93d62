#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"

#include "engine/lang/ast.h"
#include "engine/lang/diagnostics.h"
#include "engine/lang/lexer.h"

namespace varpulis::engine {

// Height of an expression tree. Bounds every recursion over expressions, at run time too.
inline constexpr int kMaxExprDepth = 1000;
// Calls of the parser within itself that are not bounded by brackets, such as `if … else if …`.
inline constexpr int kMaxParseDepth = 200;

// Recursive descent over the tokens of one program. After an error it goes on with the next
// statement, so one run reports several. Used once.
//
//   Program program = Parser(Lex(source, diagnostics), diagnostics).Run();
class Parser {
 public:
  Parser(std::vector<Token> tokens, DiagnosticList& diagnostics)
      : tokens_(std::move(tokens)), diagnostics_(diagnostics) {}

  Program Run();

 private:
  // Every Parse function returns false, or null, after reporting an error.

  // parser.cc: statements.
  bool ParseStatement(Program& program);
  bool ParseEvent(Program& program);
  bool ParseEventFields(EventDecl& event, int column);
  bool ParseType(std::string* type, bool* optional);
  bool ParseVariable(VariableKind kind, Program& program);
  bool ParseTypeDecl(Program& program);
  bool ParseUnsupported(Program& program);
  bool ParseLooseExpression(Program& program);
  void SkipStatement(int column);

  // parser_stream.cc: streams and their operators.
  bool ParseStream(Program& program);
  bool ParseSource(StreamDecl& stream);
  bool ParseOp(StreamDecl& stream);
  bool ParseOpArguments(StreamOp& op);
  bool ParseEmit(StreamOp& op);
  bool ParseNamedList(StreamOp& op, bool allow_bare);
  void SkipUnsupportedOp();
  void SkipBrackets();

  // parser_expression.cc.
  ExprPtr ParseExpr();
  ExprPtr ParseBinary(int min_level);
  bool PeekBinary(BinaryOp* op, int* level, int* tokens) const;
  ExprPtr ParseNot();
  ExprPtr ParsePower();
  ExprPtr ParseUnary();
  ExprPtr ParsePostfix();
  bool ParseCallArguments(Expr& call);
  ExprPtr ParseIndexOrSlice(ExprPtr target);
  ExprPtr ParsePrimary();
  ExprPtr ParseLiteral();
  ExprPtr ParseIf();
  ExprPtr ParseMatch();
  bool ParseMatchArm(Expr& match);
  ExprPtr ParseList();
  ExprPtr ParseMap();
  bool AtLambda() const;
  ExprPtr ParseLambda();
  ExprPtr MakeBinary(BinaryOp op, Span op_span, ExprPtr left, ExprPtr right);
  // Sets spans and depth from the children; null and E102 when too deep.
  ExprPtr Finish(ExprPtr expr, Span span, Span main_span);

  // Tokens.
  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& Take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool Accept(std::string_view text);
  bool Expect(std::string_view symbol, std::string_view where);
  bool TakeName(std::string_view what, Name* name);
  bool Unexpected(std::string_view expected);
  Span SpanFrom(size_t begin) const;

  std::vector<Token> tokens_;
  DiagnosticList& diagnostics_;
  size_t at_ = 0;
  int depth_ = 0;
};

// Remarks on words of other languages ("function" → "fn"), or an empty string.
std::string SyntaxHint(std::string_view word);

}  // namespace varpulis::engine
