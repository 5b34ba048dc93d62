#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/lang/lexer.h"
#include "engine/lang/parser.h"
#include "engine/lang/template.h"
#include "engine/lang/tree.h"

namespace varpulis::engine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Parsed {
  std::string tree;
  std::vector<std::string> errors;  // "E100@1:2"
};

Parsed Parse(std::string_view source) {
  DiagnosticList diagnostics(source);
  Parsed parsed;
  parsed.tree = TreeText(TreeOf(ParseSource(source, diagnostics)));
  for (const Diagnostic& found : diagnostics.Take()) {
    parsed.errors.push_back(found.code + "@" + std::to_string(found.line) + ":" +
                            std::to_string(found.column));
  }
  return parsed;
}

// The tree without its root, in one line: `stream S(source type(type A))`.
std::string Flat(const TreeNode& node) {
  std::string out = node.text.empty() ? node.kind : node.kind + " " + node.text;
  if (node.children.empty()) return out;
  out += "(";
  for (size_t i = 0; i < node.children.size(); ++i) {
    if (i > 0) out += ", ";
    out += Flat(node.children[i]);
  }
  return out + ")";
}

std::string Shape(std::string_view source) {
  DiagnosticList diagnostics(source);
  const TreeNode tree = TreeOf(ParseSource(source, diagnostics));
  std::string out;
  for (const Diagnostic& found : diagnostics.Take()) out += found.message + "; ";
  for (const TreeNode& child : tree.children) out += (out.empty() ? "" : " ") + Flat(child);
  return out;
}

// ---- Sources and operators.

TEST(GrammarTest, Sources) {
  EXPECT_EQ(Shape("stream S: [A]? = A as a"), "stream S(type [A]?, source type(type A, as a))");
  EXPECT_EQ(Shape("stream S = all A as a -> B"), "stream S(source type(all A, as a), -> B)");
  EXPECT_EQ(Shape("stream S = all as a"), "stream S(source type(type all, as a))");
  EXPECT_EQ(Shape("stream S = T.from(C, topic: \"t\", qos: 1)"),
            "stream S(source from(type T, connector C, argument topic(literal \"t\"), "
            "argument qos(literal 1)))");
  EXPECT_EQ(Shape("stream S = merge(A, stream N = B .where(x))"),
            "stream S(source merge(clause A(type A), clause N(type B, condition(name x))))");
  EXPECT_EQ(Shape("stream S = join(A, stream N = B.on(x), C on y)"),
            "stream S(source join(clause A(type A), clause N(type B, condition(name x)), "
            "clause C(type C, condition(name y))))");
  EXPECT_EQ(Shape("stream S = sequence(a: A where x .within(5s), b: B)"),
            "stream S(source sequence(step A(as a, where(name x), within(literal 5000000000ns)), "
            "step B(as b)))");
  EXPECT_EQ(Shape("stream S = timer(1s, initial_delay: 2s)"),
            "stream S(source timer(interval(literal 1000000000ns), "
            "initial_delay(literal 2000000000ns)))");
  // The words are names where no bracket follows.
  EXPECT_EQ(Shape("stream S = merge stream T = timer as timer"),
            "stream S(source type(type merge)) stream T(source type(type timer, as timer))");
  EXPECT_EQ(Shape("stream S = join\n.where(stream)"),
            "stream S(source type(type join), where(name stream))");
}

TEST(GrammarTest, Operators) {
  auto op = [](const std::string& text) {
    const std::string shape = Shape("stream S = A " + text);
    const std::string prefix = "stream S(source type(type A), ";
    return shape.compare(0, prefix.size(), prefix) == 0
               ? shape.substr(prefix.size(), shape.size() - prefix.size() - 1)
               : shape;
  };
  EXPECT_EQ(op(".window(5)"), "window(size(literal 5))");
  EXPECT_EQ(op(".window(5, sliding: 2, policy: p)"),
            "window(size(literal 5), sliding(literal 2), policy(name p))");
  EXPECT_EQ(op(".window(session: 5)"), "window(session(literal 5))");
  EXPECT_EQ(op(".order_by(a desc, b asc, c)"),
            "order_by(argument desc(name a), argument(name b), argument(name c))");
  EXPECT_EQ(op(".emit as T(a: 1)"), "emit(as T, argument a(literal 1))");
  EXPECT_EQ(op(".select(a, b: c)"), "select(argument a(name a), argument b(name c))");
  EXPECT_EQ(op(".print()"), "print");
  EXPECT_EQ(op(".to(C, topic: \"t\")"), "to(target C, argument topic(literal \"t\"))");
  EXPECT_EQ(op(".not(B where x)"), "not(step B(where(name x)))");
  EXPECT_EQ(op(".first()"), "first 1");
  EXPECT_EQ(op(".context(c)"), "context(target c)");
  EXPECT_EQ(op(".pattern(n: e => e.len() > 1)"),
            "pattern(argument n(lambda e(>(apply(member len(name e)), literal 1))))");
  EXPECT_EQ(op(".distinct().limit(3)"), "distinct, limit 3");
}

TEST(GrammarTest, StepsEndAtTheNextOperator) {
  const std::string tail = "as b), within(literal 5000000000ns))";
  EXPECT_EQ(Shape("stream S = A as a -> B where x > a.y as b .within(5s)"),
            Shape("stream S = A as a -> B as b where x > a.y .within(5s)"))
      << "both orders mean the same";
  EXPECT_EQ(
      Shape("stream S = A -> B where len(x.y) > 1 and z[0].w .emit()"),
      "stream S(source type(type A), -> B(where(and(>(call len(member y(name x)), literal 1), "
      "member w(index(name z, literal 0))))), emit)");
  EXPECT_EQ(Shape("stream S = A[x > 1] -> all B[y] as b -> C+ as c"),
            "stream S(source type(type A, where(>(name x, literal 1))), "
            "-> B+(as b, where(name y)), -> C+(as c))");
  EXPECT_THAT(Parse("stream S = A -> B where x where y").errors, ElementsAre("E100@1:27"));
  EXPECT_THAT(Parse("stream S = A -> all B+").errors, ElementsAre("E100@1:22"));
}

// ---- Patterns.

TEST(GrammarTest, Patterns) {
  EXPECT_EQ(
      Shape("pattern P = SEQ(A as a, NOT B where x, C+ as c, D*, E?) within 1m partition by k"),
      "pattern P(SEQ(step A(as a), NOT(step B(where(name x))), step C+(as c), step D*, "
      "step E?), within(literal 60000000000ns), partition by k)");
  EXPECT_EQ(Shape("pattern P = A AND B OR C AND D"),
            "pattern P(OR(AND(step A, step B), AND(step C, step D)))");
  EXPECT_EQ(Shape("pattern P = A AND (B OR C)"), "pattern P(AND(step A, OR(step B, step C)))");
  EXPECT_EQ(Shape("pattern P = SEQ(AND(A, B), OR(C, D), NOT(E))"),
            "pattern P(SEQ(AND(step A, step B), OR(step C, step D), NOT(step E)))");
  EXPECT_EQ(Shape("pattern P = A+ -> B[x] -> all C partition by k within 5s"),
            "pattern P(SEQ(step A+, step B(where(name x)), step C+), "
            "within(literal 5000000000ns), partition by k)");
  EXPECT_EQ(Shape("pattern P = SEQ"), "pattern P(step SEQ)");
  EXPECT_THAT(Parse("pattern P = A B\nstream S = T").errors, ElementsAre("E100@1:15"));
}

// ---- Declarations.

TEST(GrammarTest, Declarations) {
  EXPECT_EQ(Shape("context c (cores: [0, 2])\ncontext d"), "context c(core 0, core 2) context d");
  EXPECT_EQ(Shape("connector C = mqtt(url: \"u\", l: [1, x], on: true)"),
            "connector C(type mqtt, argument url(literal \"u\"), "
            "argument l(list(literal 1, name x)), argument on(literal true))");
  EXPECT_EQ(Shape("config c { a: 1, b: x c: 2s }\nconfig:\n  a: 1\n  b: 2\nlet x = 1"),
            "config c(argument a(literal 1), argument b(name x), argument c(literal 2000000000ns)) "
            "config(argument a(literal 1), argument b(literal 2)) let x(literal 1)");
  EXPECT_EQ(Shape("import \"a.vpl\" as a import \"b\""), "import \"a.vpl\"(as a) import \"b\"");
  EXPECT_EQ(Shape("var x: {str: int}? = {}"), "var x(type {str:int}?, map)");
}

// ---- Names that begin with, or are, words of the language (vpl.md §1.1).

TEST(GrammarTest, NamesMayBeginWithWords) {
  EXPECT_EQ(Shape("stream S = T .where(notional > 5)"),
            "stream S(source type(type T), where(>(name notional, literal 5)))");
  EXPECT_EQ(Shape("stream S = allTicks -> allOfThem"),
            "stream S(source type(type allTicks), -> allOfThem)");
  EXPECT_EQ(Shape("let trueish = nullable let falsey = trueish"),
            "let trueish(name nullable) let falsey(name trueish)");
  for (const char* next : {"order(1)", "index(1)", "island(1)", "android(1)"}) {
    const std::string shape = Shape(std::string("fn f():\n    let a = b\n    ") + next + "\n");
    EXPECT_THAT(shape, HasSubstr("let a(name b), expression(call ")) << next;
  }
}

// ---- Blocks.

TEST(GrammarTest, Blocks) {
  EXPECT_EQ(Shape("fn f(a: int, b: str?) -> [int]:\n"
                  "  if a:  # why\n"
                  "    # not yet\n"
                  "    return 1\n"
                  "  elif b:\n"
                  "    break\n"
                  "\n"
                  "  else:\n"
                  "    continue\n"
                  "  for i in 0..3:\n"
                  "    while i:\n"
                  "      emit T(x: i)\n"
                  "  a := 2\n"
                  "let x = 1\n"),
            "fn f(parameter a(type int), parameter b(type str?), result [int], block("
            "if(name a, block(return(literal 1)), elif(name b, block(break)), else(continue)), "
            "for i(..(literal 0, literal 3), block(while(name i, block(emit T(argument x(name "
            "i)))))), assign a(literal 2))) let x(literal 1)");
}

TEST(GrammarTest, AnElseBelongsToTheIfAtItsColumn) {
  EXPECT_EQ(Shape("fn f():\n  if a:\n    if b:\n      1\n  else:\n    2\n"),
            "fn f(block(if(name a, block(if(name b, block(expression(literal 1)))), "
            "else(expression(literal 2)))))");
  EXPECT_EQ(Shape("fn f():\n  if a:\n    if b:\n      1\n    else:\n      2\n"),
            "fn f(block(if(name a, block(if(name b, block(expression(literal 1)), "
            "else(expression(literal 2)))))))");
}

TEST(GrammarTest, ExpressionsEndWhereAStatementBegins) {
  EXPECT_EQ(Shape("fn f():\n  let a = b\n  (c)\n  -d\n  [e]\n"),
            "fn f(block(let a(name b), expression(name c), expression(-(name d)), "
            "expression(list(name e))))");
  EXPECT_EQ(Shape("fn f():\n  let a = b\n    - c\n    + d\n  and := 1\n"),
            "fn f(block(let a(+(-(name b, name c), name d)), assign and(literal 1)))");
  EXPECT_EQ(Shape("fn f():\n  if a then b else c\n  if (x) == 1 then 2 else 3\n"),
            "fn f(block(expression(if(name a, name b, name c)), "
            "expression(if(==(name x, literal 1), literal 2, literal 3))))");
  EXPECT_EQ(Shape("fn f():\n  return\n  return x\n"), "fn f(block(return, return(name x)))");
  EXPECT_EQ(Shape("fn f():\n  xs\n    .filter(x => x)\n    .len()\n"),
            "fn f(block(expression(apply(member len(apply(member filter(name xs), "
            "lambda x(name x)))))))");
}

TEST(GrammarTest, IndentationTraps) {
  EXPECT_THAT(Parse("fn f(): return 1").errors, ElementsAre("E111@1:9"));
  EXPECT_THAT(Parse("fn f():\nreturn 1\nlet x = 1").errors, ElementsAre("E111@2:1"));
  EXPECT_THAT(Parse("fn f():\n  if x:\n  1\n  2").errors, ElementsAre("E111@3:3"));
  EXPECT_THAT(Parse("fn f():").errors, ElementsAre("E111@1:8"));
  EXPECT_THAT(Parse("fn f():\n    let a = 1\n\tlet b = 2\n").errors, Contains("E112@3:2"));
  EXPECT_THAT(Parse("fn f():\n \tlet a = 1\n").errors, ElementsAre("E112@2:3"));
  EXPECT_THAT(Parse("fn f():\n\tif x:\n\t\t1\n\treturn 2\n").errors, IsEmpty());
  EXPECT_THAT(Parse("event A:\n  x: int\n\ty: int\n").errors, ElementsAre("E112@3:2"));
  EXPECT_THAT(Parse("fn f():\n  1\n  else:\n    2\n").errors, Contains("E100@3:3"));
  // Less than the block, more than the function: the block of neither, so it ends the inner one.
  EXPECT_THAT(Parse("fn f():\n  if x:\n      1\n    2\n").errors, IsEmpty());
}

TEST(GrammarTest, LambdaBodies) {
  EXPECT_EQ(Shape("let x = a.map(e => { let y = e y + 1 })"),
            "let x(apply(member map(name a), lambda e(block(let y(name e)), "
            "+(name y, literal 1))))");
  EXPECT_EQ(Shape("let x = a.map(e => {y: e}).map((a, b) => {})"),
            "let x(apply(member map(apply(member map(name a), lambda e(map(entry y(name e))))), "
            "lambda a, b(map)))");
  EXPECT_EQ(Shape("let x = f(e => {\n    if e:\n        return 1\n    e\n  })"),
            "let x(call f(lambda e(block(if(name e, block(return(literal 1)))), name e)))");
  EXPECT_THAT(Parse("let x = f(e => { let y = 1").errors, ElementsAre("E100@1:27"));
}

// ---- Compile-time loops.

TEST(GrammarTest, LoopsRepeatTheirBody) {
  EXPECT_EQ(Shape("for i in 0..2:\n    stream Z{i} = A{i} .where(x == {i})  # {i}\n\nlet z = 1"),
            "stream Z0(source type(type A0), where(==(name x, literal 0))) "
            "stream Z1(source type(type A1), where(==(name x, literal 1))) let z(literal 1)");
  EXPECT_EQ(Shape("for i in -1..=1:\n  connector C = d(a: {i})"),
            "connector C(type d, argument a(-(literal 1))) "
            "connector C(type d, argument a(literal 0)) "
            "connector C(type d, argument a(literal 1))");
  EXPECT_EQ(Shape("for i in 0..2:\n  for j in 0..2:\n    type T{i}{j} = \"{i}\"x\n").find("T11") !=
                std::string::npos,
            false)
      << "an error stays one";
  EXPECT_EQ(Shape("for i in 0..2: # c\n  for j in {i}..2:\n    type T{i}{j} = int\n"),
            "type T00(type int) type T01(type int) type T11(type int)");
  EXPECT_EQ(Shape("for i in 5..5:\n  stream A = B\nlet z = 1"), "let z(literal 1)");
  EXPECT_THAT(Parse("for i in xs:\n  f(i)\n").errors, ElementsAre("E104@1:1"));
  EXPECT_EQ(Shape("for i in 0..1:\n  fn f{i}():\n    for x in 0..3:\n      {i}\n"),
            "fn f0(block(for x(..(literal 0, literal 3), block(expression(literal 0)))))");
}

TEST(GrammarTest, MessagesPointAtTheLoopAsWritten) {
  const std::string source = "let a = 1\nfor i in 7..9:\n    stream Zone{i} = A .wher(x)\n";
  EXPECT_THAT(Parse(source).errors, ElementsAre("E100@3:25"));
  EXPECT_THAT(Parse("for i in 0..1:\n    let x{i} = {i} $\n").errors, ElementsAre("E101@2:20"));
  EXPECT_THAT(Parse("for i in 0..1:\n  let a = 1\nstream B = = A\n").errors,
              ElementsAre("E100@3:12"));
}

TEST(GrammarTest, LoopsAreBounded) {
  EXPECT_THAT(Parse("for i in 0..10001:\n  let x{i} = 1\nlet y = 2").errors,
              ElementsAre("E113@1:1"));
  EXPECT_THAT(Parse("for i in -9223372036854775808..9223372036854775807:\n  let x = 1").errors,
              ElementsAre("E113@1:1"));
  std::string nested, indent;
  for (int i = 0; i < 12; ++i) {
    nested += indent + "for i" + std::to_string(i) + " in 0..1:\n";
    indent += " ";
  }
  EXPECT_THAT(Parse(nested + indent + "let x = 1\n").errors, ElementsAre("E113@11:11"));
  std::string wide;
  for (int i = 0; i < 5; ++i) {
    wide +=
        std::string(static_cast<size_t>(i), ' ') + "for v" + std::to_string(i) + " in 0..1000:\n";
  }
  DiagnosticList diagnostics(wide);
  const ExpandedSource expanded = ExpandTemplates(wide + "      let x = 1\n", diagnostics);
  EXPECT_TRUE(diagnostics.has_errors());
  EXPECT_LT(expanded.text.size(), size_t{8} << 20);
}

// ---- Recovery.

TEST(GrammarTest, ABrokenStatementDoesNotHideTheNext) {
  const Parsed parsed = Parse(
      "stream A = X .where(a >)\n"
      "stream B =\n"
      "let x =\n"
      "event E x: int\n"
      "fn f(a):\n  a\n"
      "strem C = X\n"
      "pattern P = SEQ(A,\n"
      "connector = mqtt()\n"
      "stream D = X .emit(a 1)\n"
      ")\n"
      "x := = 2\n"
      "stream Last = X\n");
  EXPECT_THAT(parsed.errors,
              ElementsAre("E100@1:24", "E100@3:1", "E100@4:1", "E100@4:9", "E100@5:7", "E104@7:1",
                          "E100@9:11", "E100@10:22", "E100@12:6"));
  EXPECT_THAT(parsed.tree, HasSubstr("stream Last"));
}

TEST(GrammarTest, ABrokenStatementDoesNotHideItsBlock) {
  const Parsed parsed = Parse(
      "fn f():\n"
      "  let a = = 1\n"
      "  if x >:\n"
      "    1\n"
      "  let b ? 2\n"
      "  return 3 +\n"
      "fn g():\n"
      "  4\n");
  EXPECT_THAT(parsed.errors, ElementsAre("E100@2:11", "E100@3:9", "E100@5:9", "E100@7:1"));
  EXPECT_THAT(parsed.tree, HasSubstr("fn f"));
  EXPECT_THAT(parsed.tree, HasSubstr("fn g"));
}

// ---- Bounds. Much of anything makes at most a hundred errors, how many more there are, and no
// tokens out of nothing.

TEST(GrammarTest, GarbageIsBounded) {
  for (const char* unit : {"$",           "a ",
                           "\" ",         "(",
                           ")",           "}",
                           ".",           ": ",
                           "x =>",        "-> ",
                           "fn f(\n",     "if x:\n",
                           "stream S = ", "match x: 1 => ",
                           "{i}",         "for i in 0..2:\n ",
                           "\xFF",        "@",
                           "1e",          "/*",
                           "/* */",       "SEQ(",
                           "NOT ",        "A AND ",
                           "event E:\n ", "not ",
                           "\t\n ",       "x :=\n",
                           "emit T(",     "config:\n a: ",
                           "5s.",         "a?.b("}) {
    std::string source;
    while (source.size() < kMaxSourceBytes / 8) source += unit;
    DiagnosticList diagnostics(source);
    EXPECT_LE(Lex(source, diagnostics).size(), source.size() + 1) << unit;
    EXPECT_LE(Parse(source).errors.size(), 101u) << unit;
  }
}

TEST(GrammarTest, NestingIsBounded) {
  std::string blocks = "fn f():\n", indent = " ";
  for (int i = 0; i < 1000; ++i) {
    blocks += indent + "if x:\n";
    indent += " ";
  }
  EXPECT_THAT(Parse(blocks + indent + "1\n").errors, Contains(HasSubstr("E102@")));
  std::string lambdas = "let x = ";
  for (int i = 0; i < 30; ++i) lambdas += "f(a => { ";
  EXPECT_THAT(Parse(lambdas).errors, Contains(HasSubstr("E102@")));
  std::string patterns = "pattern P = ";
  for (int i = 0; i < 30'000; ++i) patterns += "NOT ";
  EXPECT_THAT(Parse(patterns + "A").errors, Contains(HasSubstr("E102@")));
}

}  // namespace
}  // namespace varpulis::engine
