#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/lang/ast.h"
#include "engine/lang/diagnostics.h"
#include "engine/lang/lexer.h"

namespace varpulis::engine {

// Height of an expression tree. Bounds every recursion over expressions, at run time too.
inline constexpr int kMaxExprDepth = 1000;
// Calls of the parser within itself that are not bounded by brackets, such as `if … else if …`.
inline constexpr int kMaxParseDepth = 200;

// Recursive descent over the tokens of one program. After an error it goes on with the next
// statement, of a block or of the program, so one run reports several. Used once.
//
//   Program program = Parser(Lex(source, diagnostics), diagnostics).Run();
class Parser {
 public:
  Parser(std::vector<Token> tokens, DiagnosticList& diagnostics)
      : tokens_(std::move(tokens)), diagnostics_(diagnostics) {}

  Program Run();

 private:
  // Every Parse function returns false, or null, after reporting an error.

  // parser.cc: which statement it is.
  bool ParseStatement(Program& program);
  bool ParseLooseStatement();
  void SkipStatement(int column);
  void SkipLooseStatement(int column);
  bool AtStatementLine(int column) const;

  // parser_declaration.cc.
  bool ParseEvent(Program& program);
  bool ParseEventFields(EventDecl& event, int column);
  bool ParseEventField(EventDecl& event);
  bool ParseType(std::string* type, bool* optional);
  bool ParseFullType(std::string* type);  // with its `?`
  bool ParseTypeDecl(Program& program);
  bool ParseConnector(Program& program);
  bool ParseContext(Program& program);
  bool ParseCores(ContextDecl& context);
  bool ParseImport(Program& program);
  bool ParseConfig(Program& program);
  bool ParseConfigEntries(ConfigDecl& config, int column);

  // parser_block.cc: functions and their statements.
  bool ParseFunction(Program& program);
  bool ParseParameters(FunctionDecl& function);
  bool ParseVariable(VariableKind kind, VariableDecl* variable);
  bool ParseBlock(std::string_view opener, const Token& opener_token, Block* block);
  void SkipInBlock(int column);
  // `column` is the block's; -1 in braces that have no column.
  bool ParseBlockStatement(int column, Block* block);
  bool ParseKeywordStatement(const Token& token, Stmt& stmt);
  bool ParseIfStatement(Stmt& stmt, int column);
  bool ParseForStatement(Stmt& stmt);
  bool ParseReturn(Stmt& stmt);
  bool ParseEmitStatement(Stmt& stmt);
  bool AtStatementEnd(const Token& first) const;
  bool CheckIndent(const Token& first, const Token& token);

  // parser_stream.cc: streams and their sources.
  bool ParseStream(Program& program);
  bool ParseSource(StreamSource& source);
  bool ParseTypeSource(StreamSource& source);
  bool ParseClauses(StreamSource& source);
  bool ParseClause(StreamSource& source);
  bool ParseSequenceSource(StreamSource& source);
  bool ParseTimer(StreamSource& source);

  // parser_operator.cc.
  bool ParseOp(StreamDecl& stream);
  bool ParseNamedOp(StreamOp& op);
  bool ParseOpArguments(StreamOp& op);
  bool ParseLimit(StreamOp& op);
  bool ParseWindow(StreamOp& op);
  bool ParseOrderBy(StreamOp& op);
  bool ParsePatternOp(StreamOp& op);
  bool ParseTarget(StreamOp& op);
  bool ParseExprList(std::vector<ExprPtr>& list);
  // `f: e`, and `f` for `f: f` where allowed, up to `)`.
  bool ParseNamedList(std::vector<NamedExpr>& list, bool allow_bare);
  void SkipArguments();

  // parser_pattern.cc: steps and pattern declarations.
  bool ParseStep(PatternStep& step);
  bool ParseStepFilter(ExprPtr* where);
  // `[cond]`, `where e` and `as a` behind the name of a step, in any order.
  bool ParseStepTail(ExprPtr* where, std::optional<Name>* alias);
  void ParseRepeat(PatternStep& step);
  bool ParsePattern(Program& program);
  // Left to right by binding strength: OR, AND, `->`.
  std::unique_ptr<PatternExpr> ParsePatternLevel(int level);
  std::unique_ptr<PatternExpr> ParsePatternPrimary();
  bool ParsePatternItems(PatternExpr& pattern);

  // parser_expression.cc: operators and what follows a value.
  ExprPtr ParseExpr();
  ExprPtr ParseBinary(int min_level);
  bool PeekBinary(BinaryOp* op, int* level, int* tokens) const;
  ExprPtr ParseKindName();
  ExprPtr ParseNot();
  ExprPtr ParsePower();
  ExprPtr ParseUnary();
  ExprPtr ParsePostfix();
  ExprPtr ParseMember(ExprPtr target);
  ExprPtr ParseCall(ExprPtr target);
  bool ParseCallArguments(Expr& call);
  ExprPtr ParseIndexOrSlice(ExprPtr target);
  ExprPtr MakeUnary(UnaryOp op, Span op_span, ExprPtr operand);
  ExprPtr MakeBinary(BinaryOp op, Span op_span, ExprPtr left, ExprPtr right);
  // Sets spans and depth from the children; null and E102 when too deep.
  ExprPtr Finish(ExprPtr expr, Span span, Span main_span);
  // Counts one more call of the parser within itself; E102 when there are too many.
  bool Enter();
  void Leave() { --depth_; }

  // parser_primary.cc: values.
  ExprPtr ParsePrimary();
  ExprPtr ParseLiteral();
  ExprPtr ParseIf();
  ExprPtr ParseIfRest(Span word, ExprPtr condition);
  bool AtMatch() const;
  ExprPtr ParseMatch();
  bool ParseMatchArm(Expr& match);
  ExprPtr ParseList();
  ExprPtr ParseMap();
  bool AtLambda() const;
  ExprPtr ParseLambda();
  bool ParseLambdaBlock(Expr& lambda);

  // Tokens.
  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool AtNextStatement() const;
  bool AtDeclaration(size_t ahead = 0) const;
  // Where the line of the next token begins.
  int LineColumn() const { return Peek().starts_line ? Peek().column : line_column_; }
  bool AtName() const { return Peek().kind == TokenKind::kName; }
  const Token& Take() {
    const Token& token = tokens_[at_ + 1 < tokens_.size() ? at_++ : at_];
    if (token.starts_line) line_column_ = token.column;
    if (token.open_end) diagnostics_.set_muted(true);  // for the rest of the statement
    return token;
  }
  bool AtError() const { return Peek().kind == TokenKind::kError; }
  void SkipStrayErrors();
  bool Accept(std::string_view text);
  bool Expect(std::string_view symbol, std::string_view where);
  bool TakeName(std::string_view what, Name* name);
  bool TakeOptionalName(std::string_view word, std::string_view what, std::optional<Name>* name);
  bool Unexpected(std::string_view expected, std::string hint = "");
  Span SpanFrom(size_t begin) const;

  // Where an expression ends besides at what cannot continue it. Brackets lift both rules.
  struct ExprMode {
    // `.name(` belongs to the chain of the stream: in the filter of a step.
    bool stops_at_op = false;
    // What could also begin a statement does so on a line that is not deeper than this one.
    int column = -1;
  };
  class ModeScope {
   public:
    ModeScope(Parser& parser, ExprMode mode) : parser_(parser), saved_(parser.mode_) {
      parser_.mode_ = mode;
    }
    ~ModeScope() { parser_.mode_ = saved_; }
    ModeScope(const ModeScope&) = delete;
    ModeScope& operator=(const ModeScope&) = delete;

   private:
    Parser& parser_;
    ExprMode saved_;
  };
  bool AtExprBoundary() const;

  std::vector<Token> tokens_;
  DiagnosticList& diagnostics_;
  size_t at_ = 0;
  int depth_ = 0;
  int line_column_ = 0;        // of the last token taken
  bool mixed_indent_ = false;  // E112 was reported in this function
  ExprMode mode_;
};

// Compile-time loops, tokens and tree. Spans are places in `source`.
Program ParseSource(std::string_view source, DiagnosticList& diagnostics);

// Remarks on words of other languages ("function" → "fn"), or an empty string.
std::string SyntaxHint(std::string_view word);

}  // namespace varpulis::engine
