#include <utility>

#include "engine/lang/concat.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {
namespace {

using Pattern = std::unique_ptr<PatternExpr>;

// Loosest first.
struct PatternLevel {
  std::string_view infix;
  PatternExpr::Kind kind;
};
constexpr PatternLevel kLevels[] = {
    {"OR", PatternExpr::Kind::kOr},
    {"AND", PatternExpr::Kind::kAnd},
    {"->", PatternExpr::Kind::kSequence},
};
constexpr int kLevelCount = 3;

struct PatternPrefix {
  std::string_view word;
  PatternExpr::Kind kind;
};
constexpr PatternPrefix kPrefixes[] = {
    {"SEQ", PatternExpr::Kind::kSequence},
    {"AND", PatternExpr::Kind::kAnd},
    {"OR", PatternExpr::Kind::kOr},
};

Pattern NewPattern(PatternExpr::Kind kind) {
  auto pattern = std::make_unique<PatternExpr>();
  pattern->kind = kind;
  return pattern;
}

}  // namespace

void Parser::ParseRepeat(PatternStep& step) {
  if (Accept("+")) {
    step.repeat = PatternStep::Repeat::kPlus;
  } else if (Accept("*")) {
    step.repeat = PatternStep::Repeat::kStar;
  } else if (Accept("?")) {
    step.repeat = PatternStep::Repeat::kOptional;
  }
}

// `[all] T[+*?] [where e] [as a]`, as after `->` and in `.not(…)`.
bool Parser::ParseStep(PatternStep& step) {
  const Token& next = Peek(1);
  const bool all = Peek().Is("all") && next.kind == TokenKind::kName && !next.Is("where") &&
                   !next.Is("as") && !next.starts_line && !AtDeclaration(1);
  if (all) Take();
  if (!TakeName("an event type or a stream", &step.type)) return false;
  ParseRepeat(step);
  if (all && step.repeat != PatternStep::Repeat::kOne) {
    diagnostics_.Error(tokens_[at_ - 1].span, "E100", "`all` and a repetition exclude each other",
                       Concat("`all ", step.type.text, "` means `", step.type.text, "+`"));
    return false;
  }
  if (all) step.repeat = PatternStep::Repeat::kPlus;
  return ParseStepTail(&step.where, &step.alias);
}

bool Parser::ParseStepTail(ExprPtr* where, std::optional<Name>* alias) {
  while (true) {
    const Token& token = Peek();
    const bool filter = token.IsSymbol("[") || token.Is("where");
    if (filter && *where != nullptr) {
      diagnostics_.Error(token.span, "E100", "this step has a condition already",
                         "join them with `and`");
      return false;
    }
    if (filter) {
      if (!ParseStepFilter(where)) return false;
    } else if (token.Is("as") && Peek(1).kind == TokenKind::kName) {
      if (alias->has_value()) return Unexpected("the next step or operator");
      Take();
      TakeName("an alias", &alias->emplace());
    } else {
      return true;
    }
  }
}

// The filter of a step ends where the next operator of the stream begins.
bool Parser::ParseStepFilter(ExprPtr* where) {
  if (Accept("[")) {
    const ModeScope scope(*this, {});
    *where = ParseExpr();
    return *where != nullptr && Expect("]", "after the condition");
  }
  Take();
  const ModeScope scope(*this, {.stops_at_op = true, .column = mode_.column});
  *where = ParseExpr();
  return *where != nullptr;
}

bool Parser::ParsePattern(Program& program) {
  const size_t begin = Take().span.begin;
  PatternDecl decl;
  if (!TakeName("the name of the pattern", &decl.name) ||
      !Expect("=", "after the name of the pattern")) {
    return false;
  }
  decl.pattern = ParsePatternLevel(0);
  if (decl.pattern == nullptr) return false;
  while (true) {
    if (decl.within == nullptr && Accept("within")) {
      decl.within = ParseExpr();
      if (decl.within == nullptr) return false;
    } else if (!decl.partition_by.has_value() && Peek().Is("partition")) {
      Take();
      if (!Accept("by")) return Unexpected("`by` after `partition`");
      if (!TakeName("a field name", &decl.partition_by.emplace())) return false;
    } else {
      break;
    }
  }
  decl.span = SpanFrom(begin);
  program.statements.emplace_back(std::move(decl));
  const Token& after = Peek();
  if (after.kind != TokenKind::kEnd && !after.starts_line && !AtDeclaration()) {
    return Unexpected("`within`, `partition by` or a new line");
  }
  return true;
}

Pattern Parser::ParsePatternLevel(int level) {
  if (level == kLevelCount) return ParsePatternPrimary();
  const size_t begin = Peek().span.begin;
  Pattern first = ParsePatternLevel(level + 1);
  const PatternLevel& info = kLevels[level];
  if (first == nullptr || !Peek().Is(info.infix)) return first;
  Pattern pattern = NewPattern(info.kind);
  pattern->children.push_back(std::move(first));
  while (Accept(info.infix)) {
    Pattern next = ParsePatternLevel(level + 1);
    if (next == nullptr) return nullptr;
    pattern->children.push_back(std::move(next));
  }
  pattern->span = SpanFrom(begin);
  return pattern;
}

Pattern Parser::ParsePatternPrimary() {
  if (!Enter()) return nullptr;
  const Token& token = Peek();
  const size_t begin = token.span.begin;
  Pattern pattern;
  if (token.Is("NOT") && (Peek(1).kind == TokenKind::kName || Peek(1).IsSymbol("("))) {
    Take();
    pattern = NewPattern(PatternExpr::Kind::kNot);
    Pattern negated = ParsePatternPrimary();
    if (negated == nullptr) return nullptr;
    pattern->children.push_back(std::move(negated));
  } else if (token.IsSymbol("(")) {
    Take();
    pattern = ParsePatternLevel(0);
    if (pattern == nullptr || !Expect(")", "after the pattern")) return nullptr;
  } else {
    for (const PatternPrefix& prefix : kPrefixes) {
      if (!token.Is(prefix.word) || !Peek(1).IsSymbol("(")) continue;
      pattern = NewPattern(prefix.kind);
      Take();
      if (!ParsePatternItems(*pattern)) return nullptr;
      break;
    }
    if (pattern == nullptr) {
      pattern = NewPattern(PatternExpr::Kind::kStep);
      if (!ParseStep(pattern->step)) return nullptr;
    }
  }
  pattern->span = SpanFrom(begin);
  Leave();
  return pattern;
}

bool Parser::ParsePatternItems(PatternExpr& pattern) {
  Take();
  do {
    Pattern item = ParsePatternLevel(0);
    if (item == nullptr) return false;
    pattern.children.push_back(std::move(item));
  } while (Accept(",") && !Peek().IsSymbol(")"));
  return Expect(")", "after the last item");
}

}  // namespace varpulis::engine
