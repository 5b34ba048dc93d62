#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {

bool Parser::ParseStream(Program& program) {
  const size_t begin = Take().span.begin;
  StreamDecl stream;
  if (!TakeName("the name of the stream", &stream.name)) return false;
  if (Accept(":") && !ParseFullType(&stream.type)) return false;
  if (!Expect("=", "after the name of the stream")) return false;
  const size_t source_begin = Peek().span.begin;
  if (!ParseSource(stream.source)) return false;
  stream.source.span = SpanFrom(source_begin);
  while (Peek().IsSymbol(".") || Peek().IsSymbol("->")) {
    if (!ParseOp(stream)) return false;
  }
  stream.span = SpanFrom(begin);
  program.statements.emplace_back(std::move(stream));
  const Token& after = Peek();
  if (after.kind != TokenKind::kEnd && !after.starts_line && !AtDeclaration()) {
    return Unexpected("`.operator(…)` or a new line");
  }
  return true;
}

// The words are names of types where no bracket follows.
bool Parser::ParseSource(StreamSource& source) {
  const Token& token = Peek();
  if (!Peek(1).IsSymbol("(")) return ParseTypeSource(source);
  source.type.span = token.span;
  if (token.Is("merge") || token.Is("join")) {
    source.kind = token.Is("merge") ? SourceKind::kMerge : SourceKind::kJoin;
    return ParseClauses(source);
  }
  if (token.Is("sequence")) return ParseSequenceSource(source);
  if (token.Is("timer")) return ParseTimer(source);
  return ParseTypeSource(source);
}

bool Parser::ParseTypeSource(StreamSource& source) {
  const Token& next = Peek(1);
  source.all = Peek().Is("all") && next.kind == TokenKind::kName && !next.Is("where") &&
               !next.Is("as") && !next.starts_line && !AtDeclaration(1);
  if (source.all) Take();
  if (!TakeName("an event type or a stream", &source.type)) return false;
  if (Peek().IsSymbol(".") && Peek(1).Is("from") && Peek(2).IsSymbol("(")) {
    source.kind = SourceKind::kConnector;
    for (int i = 0; i < 3; ++i) Take();
    if (!TakeName("the name of a connector", &source.connector)) return false;
    if (Accept(",") && !ParseNamedList(source.params, /*allow_bare=*/false)) return false;
    if (!Expect(")", "after the parameters of `.from`")) return false;
  }
  return ParseStepTail(&source.where, &source.alias);
}

bool Parser::ParseClauses(StreamSource& source) {
  const std::string word(Take().text);
  Take();
  do {
    if (!ParseClause(source)) return false;
  } while (Accept(",") && !Peek().IsSymbol(")"));
  return Expect(")", Concat("after the sources of `", word, "`"));
}

// `S`, `stream N = S`, with `.where(e)` in a merge and `.on(e)` or `on e` in a join.
bool Parser::ParseClause(StreamSource& source) {
  const ModeScope scope(*this, {.stops_at_op = true, .column = -1});
  const std::string_view condition = source.kind == SourceKind::kMerge ? "where" : "on";
  SourceClause clause;
  const bool labelled =
      Peek().Is("stream") && Peek(1).kind == TokenKind::kName && Peek(2).IsSymbol("=");
  if (labelled) {
    Take();
    TakeName("a name", &clause.label);
    Take();
  }
  if (!TakeName("an event type or a stream", &clause.type)) return false;
  if (!labelled) clause.label = clause.type;
  if (Accept(".")) {
    if (!Peek().Is(condition)) {
      return Unexpected(Concat("`", condition, "(…)`"),
                        "other operators need a stream of their own: stream X = T .op(…)");
    }
    Take();
    if (!Expect("(", Concat("after `.", condition, "`"))) return false;
    const ModeScope brackets(*this, {});
    clause.condition = ParseExpr();
    if (clause.condition == nullptr || !Expect(")", "after the condition")) return false;
  } else if (Accept(condition)) {
    clause.condition = ParseExpr();
    if (clause.condition == nullptr) return false;
  }
  source.clauses.push_back(std::move(clause));
  return true;
}

// sequence(a: T where e .within(d), b: U …)
bool Parser::ParseSequenceSource(StreamSource& source) {
  source.kind = SourceKind::kSequence;
  Take();
  Take();
  do {
    PatternStep step;
    Name alias;
    if (!TakeName("the alias of a step", &alias) || !Expect(":", "after the alias") ||
        !TakeName("an event type or a stream", &step.type)) {
      return false;
    }
    ParseRepeat(step);
    step.alias = alias;
    if (Peek().IsSymbol("[") || Peek().Is("where")) {
      if (!ParseStepFilter(&step.where)) return false;
    }
    if (Peek().IsSymbol(".") && Peek(1).Is("within") && Peek(2).IsSymbol("(")) {
      for (int i = 0; i < 3; ++i) Take();
      step.within = ParseExpr();
      if (step.within == nullptr || !Expect(")", "after the duration")) return false;
    }
    source.steps.push_back(std::move(step));
  } while (Accept(",") && !Peek().IsSymbol(")"));
  return Expect(")", "after the last step");
}

bool Parser::ParseTimer(StreamSource& source) {
  source.kind = SourceKind::kTimer;
  Take();
  Take();
  source.interval = ParseExpr();
  if (source.interval == nullptr) return false;
  if (Accept(",")) {
    if (!Accept("initial_delay")) return Unexpected("`initial_delay: duration`");
    if (!Expect(":", "after `initial_delay`")) return false;
    source.initial_delay = ParseExpr();
    if (source.initial_delay == nullptr) return false;
  }
  return Expect(")", "after the interval");
}

}  // namespace varpulis::engine
