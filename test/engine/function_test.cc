#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Lines = std::vector<std::string>;

class Texts final : public OutputSink {
 public:
  void OnOutput(const OutputEvent& event) override {
    ++outputs;
    AppendJsonLine(event, &all);
  }
  void OnText(TextLevel level, std::string_view said) override {
    lines.emplace_back(said);
    levels.push_back(level);
    all.append(said).append("\n");
  }
  int outputs = 0;
  Lines lines;
  std::vector<TextLevel> levels;
  std::string all;
};

// What `f(v)` gives for each v, as JSON; empty text for no value.
Lines Results(const std::string& function, const std::string& values) {
  std::string events;
  for (size_t from = 0; from < values.size();) {
    const size_t end = std::min(values.find(';', from), values.size());
    absl::StrAppend(&events, "E{", values.substr(from, end - from), "}\n");
    from = end + 1;
  }
  Lines results;
  for (const std::string& line : RunShort(function + "\nstream S = E.emit(r: f(v))", events)) {
    const size_t at = line.find("\"r\":");
    results.push_back(at == std::string::npos ? "" : line.substr(at + 4));
    if (at != std::string::npos) results.back().pop_back();
  }
  return results;
}

struct Case {
  const char* what;
  const char* function;
  const char* values;
  Lines results;
};

const Case kCases[] = {
    {"last expression", "fn f(x: int):\n    let a = x * 2\n    a + 1", "v:1;v:2.5", {"3", "6.0"}},
    {"no value", "fn f(x: int):\n    let a = x", "v:1", {""}},
    {"return ends it",
     "fn f(x: int):\n    if x > 1:\n        return \"big\"\n    \"small\"",
     "v:1;v:2",
     {"\"small\"", "\"big\""}},
    {"return without a value",
     "fn f(x: int):\n    if x > 1:\n        return\n    x",
     "v:1;v:2",
     {"1", ""}},
    {"elif",
     "fn f(x: int):\n    if x < 0:\n        \"neg\"\n    elif x == 0:\n        \"zero\"\n"
     "    elif x < 9:\n        \"few\"\n    else:\n        \"many\"",
     "v:-1;v:0;v:5;v:9;v:null",
     {"\"neg\"", "\"zero\"", "\"few\"", "\"many\"", "\"many\""}},
    {"a call with an absent argument is ⊥, one with null is made",
     "fn f(x: int):\n    x ?? \"none\"",
     "v:1;x:3;v:null",
     {"1", "", "\"none\""}},
    {"fields of the event are free names", "fn f(x: int):\n    x + w", "v:1,w:10;v:2", {"11", ""}},
    {"for over a list",
     "fn f(x: int):\n    var s = 0\n    for y in [x, 10, x]:\n        s := s + y\n    s",
     "v:1",
     {"12"}},
    {"for over a map",
     "fn f(x: int):\n    var s = \"\"\n    for p in {a: x, b: 2}:\n        s := s + p[0] + "
     "to_string(p[1])\n    s",
     "v:1",
     {"\"a1b2\""}},
    {"for over an int",
     "fn f(x: int):\n    var s = []\n    for i in x:\n        s := push(s, i)\n    s",
     "v:3;v:0;v:-1;v:\"a\"",
     {"[0,1,2]", "[]", "[]", "[]"}},
    {"for over ranges",
     "fn f(x: int):\n    var s = []\n    for i in 1..x:\n        s := push(s, i)\n    for i in "
     "x..=4:\n"
     "        s := push(s, 10 * i)\n    s",
     "v:3;v:2.9",
     {"[1,2,30,40]", "[1,20,30,40]"}},
    {"an inclusive range may end with the largest int",
     "fn f(x: int):\n    var n = 0\n    for i in (x - 1)..=x:\n        n := n + 1\n    n",
     "v:9223372036854775807;v:9223372036854775806",
     {"2", "2"}},
    {"the variable of a for may be assigned without moving the loop",
     "fn f(x: int):\n    var n = 0\n    for i in 3:\n        i := i + 10\n        n := n + i\n    "
     "n",
     "v:1",
     {"33"}},
    {"while, break, continue",
     "fn f(x: int):\n    var i = 0\n    var s = 0\n    while true:\n        i := i + 1\n"
     "        if i > x:\n            break\n        if i % 2 == 0:\n            continue\n"
     "        s := s + i\n    s",
     "v:6",
     {"9"}},
    {"break leaves the inner loop only",
     "fn f(x: int):\n    var n = 0\n    for i in x:\n        for j in 10:\n            if j > i:\n"
     "                break\n            n := n + 1\n    n",
     "v:3",
     {"6"}},
    {"only true enters",
     "fn f(x: int):\n    var n = 0\n    while x:\n        n := n + 1\n        x := "
     "false\n    if 1:\n        n := n + 100\n    n",
     "v:true;v:1;v:\"true\"",
     {"1", "0", "0"}},
    {"one flat scope",
     "fn f(x: int):\n    for i in x:\n        let last = i * 2\n    last",
     "v:3",
     {"4"}},
    {"a name set further down in an earlier turn",
     "fn f(x: int):\n    var s = []\n    for i in x:\n        if i > 0:\n            s := push(s, "
     "prior)\n"
     "        let prior = i * 10\n    s",
     "v:3;v:3,prior:7",
     {"[0,10]", "[0,10]"}},
    {"a local that was not set lets the field through",
     "fn f(x: int):\n    if x > 1:\n        let w = \"set\"\n    w",
     "v:1,w:5;v:2,w:5;v:1",
     {"5", "\"set\"", ""}},
    {"recursion",
     "fn f(n: int):\n    if n < 2:\n        return n\n    f(n - 1) + f(n - 2)",
     "v:15",
     {"610"}},
    {"each other",
     "fn f(n: int):\n    if n == 0:\n        return \"even\"\n    g(n - 1)\nfn g(n: int):\n"
     "    if n == 0:\n        return \"odd\"\n    f(n - 1)",
     "v:7;v:8",
     {"\"odd\"", "\"even\""}},
    {"arguments that are calls",
     "fn add(a: int, b: int):\n    a + b\nfn f(x: int):\n    add(add(x, 1), add(add(x, 2), x))",
     "v:1",
     {"6"}},
    {"operands are evaluated before the target changes",
     "fn f(x: int):\n    var a = x\n    var b = 2\n    a := b - a * (a + b)\n    a",
     "v:3",
     {"-13"}},
    {"and, or in conditions with ⊥",
     "fn f(x: int):\n    if x > 1 or w:\n        return \"y\"\n    if not (x > 1) and not w:\n"
     "        return \"n\"\n    \"?\"",
     "v:2;v:1;v:1,w:false;v:1,w:true",
     {"\"y\"", "\"?\"", "\"n\"", "\"y\""}},
    {"NaN",
     "fn f(x: int):\n    if x == x:\n        return x < 1 or x > 0\n    \"never\"",
     "v:nan",
     {"false"}},
    {"strings and lists in loops",
     "fn f(x: int):\n    var s = \"\"\n    var l = []\n    for i in x:\n        s := s + "
     "to_string(i % 10)\n        l := push(l, s)\n    [len(l), len(last(l)), l[2]]",
     "v:2000",
     {"[2000,2000,\"012\"]"}},
    {"pushing to one list twice makes two lists",
     "fn f(x: int):\n    var l = []\n    for i in 9:\n        l := push(l, i)\n    let a = push(l, "
     "\"a\")\n"
     "    let b = push(l, \"b\")\n    let c = push(pop(a), \"c\")\n    last(a) + last(b) + last(c)",
     "v:1",
     {"\"abc\""}},
    {"adding to one text twice makes two texts",
     "fn f(x: int):\n    var t = \"\"\n    for i in 600:\n        t := t + \"x\"\n    let a = t + "
     "\"a\"\n"
     "    let b = t + \"b\"\n    a[-2:] + b[-2:]",
     "v:1",
     {"\"xaxb\""}},
};

TEST(FunctionTest, Table) {
  for (const Case& item : kCases) {
    EXPECT_THAT(Results(item.function, item.values), ElementsAreArray(item.results)) << item.what;
  }
}

TEST(FunctionTest, AssignsVariables) {
  EXPECT_THAT(
      RunShort("var total = 10\nvar note = \"none\"\nfn f(x: int):\n    let before = total\n"
               "    total := total + x\n    note := note + s\n    before\n"
               "stream S = E.emit(b: f(v), t: total, n: note)",
               "E{v:1,s:\"a\"}\nE{v:2}\nE{v:3,s:\"c\"}\n"),
      ElementsAre("S{\"b\":10,\"t\":11,\"n\":\"nonea\"}", "S{\"b\":11,\"t\":13}",
                  "S{\"b\":13,\"t\":16}"));
}

TEST(FunctionTest, ValuesOutliveTheirVariables) {
  EXPECT_THAT(
      RunShort("var l = [[\"first text\", \"second text\"], [\"third text\"]]\n"
               "var a = \"the left text\"\nvar b = \"the right text\"\n"
               "fn inner():\n    l := l[0]\nfn swap():\n    let t = a\n    a := b\n    b := t\n"
               "fn f():\n    let old = l\n    inner()\n    swap()\n    swap()\n    swap()\n"
               "    [old, l]\n"
               "stream S = E.emit(r: f(), a: a, b: b)\nstream T = E.emit(l: l, a: a, b: b)",
               "E{}\n"),
      ElementsAre(HasSubstr("[[[\"first text\",\"second text\"],[\"third text\"]],"
                            "[\"first text\",\"second text\"]],\"a\":\"the right text\","
                            "\"b\":\"the left text\""),
                  "T{\"l\":[\"first text\",\"second text\"],\"a\":\"the right text\",\"b\":\"the "
                  "left text\"}"));
}

TEST(FunctionTest, AVariableGrowsInALoopAndOverEvents) {
  EXPECT_THAT(RunShort("var l = []\nvar t = \"\"\nfn f():\n    for i in 10000:\n"
                       "        l := push(l, i)\n        t := t + \"xy\"\n    len(l)\n"
                       "stream S = E.emit(n: f(), m: len(t), x: l[-1])",
                       "E{}\nE{}\n"),
              ElementsAre("S{\"n\":10000,\"m\":20000,\"x\":9999}",
                          "S{\"n\":20000,\"m\":40000,\"x\":9999}"));
  std::string events;
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&events, "E{v:", i, "}\n");
  const Lines lines = RunShort(
      "var l = []\nfn f(x: int):\n    l := push(l, x)\n    len(l)\n"
      "stream S = E.emit(n: f(v)).where(n == 3000).emit(x: l[0], y: l[2999])",
      events);
  ASSERT_THAT(lines, SizeIs(3001));
  EXPECT_EQ(lines.back(), "S{\"x\":0,\"y\":2999}");
}

TEST(FunctionTest, LimitsAreReportedEventByEvent) {
  const struct {
    const char* function;
    const char* says;
  } kLimits[] = {
      {"fn f(n: int):\n    f(n + 1)", "calls itself too deeply"},
      {"fn f(n: int):\n    var s = \"ab\"\n    while true:\n        s := s + s + \"x\"\n"
       "        if is_null(s):\n            s := \"ab\"\n    s",
       "256 MiB"},
  };
  for (const auto& limit : kLimits) {
    const std::string program = absl::StrCat(
        limit.function, "\nfn g(n: int):\n    if n == 1:\n        return f(n)\n    n\n",
        "stream S = E.emit(r: g(v))");
    std::string first;
    for (size_t batch_rows : {1, 7, 1024}) {
      Texts sink;
      auto pipeline = CompileOrDie(program);
      ASSERT_NE(pipeline, nullptr);
      Feed(*pipeline, "E{v:1}\nE{v:2}\nE{v:1}\nE{v:3}\n", sink, batch_rows);
      EXPECT_EQ(sink.outputs, 4);
      ASSERT_THAT(sink.lines, ElementsAre(HasSubstr(limit.says), HasSubstr(limit.says)));
      EXPECT_EQ(sink.levels[0], TextLevel::kError);
      if (batch_rows == 1) first = sink.all;
      EXPECT_EQ(sink.all, first) << batch_rows;
    }
  }
}

TEST(FunctionTest, AnEndlessLoopEndsWithTheBudget) {
  const char* const program =
      "var turns = 0\nfn f(n: int):\n    if n == 1:\n        while true:\n"
      "            turns := turns + 1\n    n\nstream S = E.emit(r: f(v), t: turns)";
  Texts sink;
  auto pipeline = CompileOrDie(program);
  RunLimits limits;
  EXPECT_EQ(limits.call_steps, 1'000'000'000);  // what docs/language.md says
  limits.call_steps = 1'234'567;
  pipeline->SetLimits(limits);
  Feed(*pipeline, "E{v:0}\nE{v:1}\nE{v:2}\n", sink);
  EXPECT_EQ(sink.outputs, 3);
  EXPECT_THAT(sink.lines, ElementsAre("function `f` made more than 1,234,567 steps for one event"));
  // The value is missing; what the function set until then stays.
  EXPECT_THAT(sink.all, HasSubstr("\"fields\":{\"r\":0,\"t\":0}"));
  EXPECT_THAT(sink.all, HasSubstr("\"fields\":{\"t\":1234566}"));
  EXPECT_THAT(sink.all, HasSubstr("\"fields\":{\"r\":2,\"t\":1234566}"));
}

TEST(FunctionTest, OnlyTrueAndFalseLeaveTheRightSideOut) {
  const std::string program =
      "var hits = 0\nfn hit() -> bool:\n    hits := hits + 1\n    true\n"
      "fn f(x: bool) -> int:\n    if x and hit():\n        return 1\n"
      "    if x or hit():\n        return 2\n    3\n"
      "stream S = E.emit(r: f(v), h: hits)";
  EXPECT_THAT(RunShort(program, "E{v:true}\nE{v:false}\nE{v:null}\n"),
              ElementsAre("S{\"r\":1,\"h\":1}", "S{\"r\":2,\"h\":2}", "S{\"r\":2,\"h\":4}"));
}

TEST(FunctionTest, InitialisersShareABudget) {
  RunLimits limits;
  EXPECT_EQ(limits.load_steps, 100'000'000);  // what docs/language.md says
  limits.load_steps = 1000;
  limits.variables_bytes = size_t{1} << 20;
  const std::string count =
      "fn count(to: int) -> int:\n    var n = 0\n    while n < to:\n        n := n + 1\n    n\n";
  const auto load = [&](const std::string& lines) {
    return std::string(Pipeline::Compile(count + lines, nullptr, limits).status().message());
  };
  EXPECT_EQ(load("let a = count(400)\nlet b = count(400)\n"), "");
  EXPECT_THAT(load("let a = count(400)\nlet b = count(400)\nlet c = count(400)\n"),
              HasSubstr("8:9: error: [E106] function `count` made more than 1,000 steps while the "
                        "program was loaded"));
  EXPECT_THAT(load("let a = [count(400), count(400), count(400)]\n"), HasSubstr("E106"));
  EXPECT_EQ(load("let a = range(20000)\nlet b = range(20000)\n"), "");
  EXPECT_THAT(load("let a = range(20000)\nlet b = range(20000)\nlet c = range(40000)\n"),
              HasSubstr("the value of `c` made all variables together larger than 1 MiB"));
}

TEST(FunctionTest, LargeFunctionsDoNotWrap) {
  // More constants, locals and instructions than 16 bits count.
  std::string body = "    var t = 0\n", locals, conditions = "    if v != 0:\n";
  for (int i = 1; i <= 40'000; ++i) absl::StrAppend(&body, "    t := t + ", i, "\n");
  EXPECT_THAT(Results("fn f(v: int):\n" + body + "    t", "v:1"), ElementsAre("800020000"));
  for (int i = 1; i <= 30'000; ++i) absl::StrAppend(&locals, "    let a", i, " = v + ", i, "\n");
  EXPECT_THAT(Results("fn f(v: int):\n" + locals + "    a1 + a30000", "v:1"), ElementsAre("30003"));
  // A jump over all of it.
  for (int i = 1; i <= 30'000; ++i) absl::StrAppend(&conditions, "        t := t + v\n");
  EXPECT_THAT(Results("fn f(v: int):\n    var t = 5\n" + conditions + "    t", "v:0;v:1"),
              ElementsAre("5", "30005"));
  // One value too many for the stack is no endless recursion.
  std::string many = "fn f(v: int):\n    var t = 0\n";
  for (int i = 1; i <= 66'000; ++i) absl::StrAppend(&many, " t:=", i, "\n");
  for (size_t at = 0; (at = many.find("\n t", at)) != std::string::npos;) many.insert(++at, "   ");
  Texts sink;
  auto pipeline = CompileOrDie(many + "    t\nstream S = E.emit(r: f(v))");
  ASSERT_NE(pipeline, nullptr);
  Feed(*pipeline, "E{v:1}\n", sink);
  EXPECT_THAT(sink.lines, ElementsAre(HasSubstr("more than 65,536 variables and constants")));
  EXPECT_THAT(sink.all, HasSubstr("\"fields\":{}"));
}

TEST(FunctionTest, ExpressionsHaveALimitOfBytesPerEvent) {
  std::string lists = "len(s)";
  for (int i = 0; i < 100; ++i) lists += ", range(100000)";  // 1.6 MB each
  const std::string program = absl::StrCat(
      "fn g():\n    len([", lists, "])\nstream S = E.where(v > 0).emit(n: v + 1, xs: len([", lists,
      "]), m: v + 2, g: g(), t: upper(s))\nstream T = S.emit(u: len(t), n: n)");
  std::string first;
  for (size_t batch_rows : {1, 7, 1024}) {
    Texts sink;
    auto pipeline = CompileOrDie(program);
    RunLimits limits;
    limits.event_bytes = 40 << 20;
    pipeline->SetLimits(limits);
    std::string events;
    for (int i = 0; i < 20; ++i) events += "E{v:1,s:\"a\"}\n";
    Feed(*pipeline, events, sink, batch_rows);
    EXPECT_EQ(sink.outputs, 40);
    EXPECT_EQ(sink.lines, Lines(20, "expressions made more than 40 MiB of values for one event"));
    // Numbers have their values still; nothing else is made for this event.
    EXPECT_THAT(sink.all, HasSubstr("\"fields\":{\"n\":2,\"m\":3}"));
    EXPECT_THAT(sink.all, HasSubstr("\"fields\":{\"n\":2}"));
    EXPECT_LT(pipeline->arena().used(), 1 << 20);
    if (batch_rows == 1) first = sink.all;
    EXPECT_EQ(sink.all, first) << batch_rows;
  }
  EXPECT_THAT(RunShort("stream S = E.emit(n: len([1..1000000, 2..3]))", "E{}\nE{}\n"),
              ElementsAre("S{\"n\":2}", "S{\"n\":2}"));
}

TEST(FunctionTest, FunctionsWithoutLoopsHaveALimitOfBytes) {
  std::string lists = "1";
  for (int i = 0; i < 100; ++i) lists += ", range(100000)";
  Texts sink;
  auto pipeline = CompileOrDie(
      absl::StrCat("fn f():\n    let a = [", lists, "]\n    len(a)\nstream S = E.emit(r: f())"));
  RunLimits limits;
  limits.call_bytes = 20 << 20;
  pipeline->SetLimits(limits);
  Feed(*pipeline, "E{}\nE{}\n", sink, 2);
  EXPECT_EQ(sink.lines, Lines(2, "function `f` made more than 20 MiB of values for one event"));
  EXPECT_THAT(sink.all, HasSubstr("\"fields\":{}"));
}

TEST(FunctionTest, LimitsAreOfOneEventWhateverTheBatch) {
  std::string events;
  for (int i = 0; i < 60; ++i) absl::StrAppend(&events, "E{v:", i, "}\n");
  // Each makes 16 MB of lists.
  const Lines lines = RunShort(
      "fn f(x: int):\n    var n = 0\n    for i in 10:\n        n := n + len(range(100000))\n    n\n"
      "stream S = E.emit(n: f(v))",
      events);
  ASSERT_THAT(lines, SizeIs(60));
  for (const std::string& line : lines) EXPECT_EQ(line, "S{\"n\":1000000}");
}

TEST(FunctionTest, ProcessGivesWhatIsEmitted) {
  const char* const program =
      "fn each(x: int):\n    for i in x:\n        emit Item(i: i, of: x)\n    if x == 2:\n"
      "        emit Pair(of: x, w: w)\n"
      "stream S = E.process(each(v))\nstream T = S.emit(i: i, w: w)\n";
  EXPECT_THAT(
      RunShort(program, "E{v:1}\nE{v:0}\nE{v:2,w:\"q\"}\n"),
      ElementsAre("S{\"i\":0,\"of\":1}", "T{\"i\":0}", "S{\"i\":0,\"of\":2}", "S{\"i\":1,\"of\":2}",
                  "S{\"of\":2,\"w\":\"q\"}", "T{\"i\":0}", "T{\"i\":1}", "T{\"w\":\"q\"}"));
  EXPECT_THAT(RunLines(program, "E{v:1}\n")[0], HasSubstr("\"event_type\":\"Item\""));
  EXPECT_THAT(RunShort("fn nothing(x: int):\n    x\nstream S = E.process(nothing(v))", "E{v:1}\n"),
              ElementsAre());
}

// Neither plans, fingerprints nor checks of a long chain need the stack.
TEST(FunctionTest, LongChainsOfCallsAreTaken) {
  constexpr int kFunctions = 20'000;
  std::string program;
  for (int i = 0; i < kFunctions; ++i) {
    program += absl::StrCat("fn f", i, "() -> int:\n    f", i + 1, "()\n");
  }
  absl::StrAppend(&program, "fn f", kFunctions, "() -> int:\n    7\n");
  // The last calls stay below the limit on depth.
  absl::StrAppend(&program, "stream S = E.emit(a: f", kFunctions - 100, "(), b: f0())");
  EXPECT_THAT(RunShort(program, "E{v:1}\n"), ElementsAre("S{\"a\":7}"));
}

TEST(FunctionTest, ProcessThenMore) {
  const std::string each = "fn each(x: int):\n    for i in x:\n        emit Item(i: i)\n";
  EXPECT_THAT(RunShort(each + "stream S = E.process(each(v)).where(i > 0).emit(i: i)", "E{v:3}\n"),
              ElementsAre("S{\"i\":1}", "S{\"i\":2}"));
  EXPECT_THAT(RunShort(each + "stream S = E.process(each(v)).where(i > 0)", "E{v:3}\n"),
              ElementsAre("S{\"i\":1}", "S{\"i\":2}"));
  // Operators that change no type keep the emitted one.
  for (const char* const op : {"select(i)", "map(q => {i: q.i})", "map(q => q)"}) {
    EXPECT_THAT(RunLines(each + "stream S = E.process(each(v))." + op, "E{v:1}\n"),
                ElementsAre(HasSubstr("\"event_type\":\"Item\"")))
        << op;
  }
  // The emitted events of one input are one batch.
  EXPECT_THAT(RunShort(each + "stream S = E.process(each(v)).aggregate(n: count(), s: sum(i))"
                              ".emit(n: n, s: s)",
                       "E{v:3}\nE{v:0}\nE{v:2}\n"),
              ElementsAre("S{\"n\":3,\"s\":3.0}", "S{\"n\":2,\"s\":1.0}"));
  EXPECT_THAT(RunShort(each + "stream S = E.process(each(v)).window(2).order_by(i desc).emit(i: i)",
                       "E{v:3}\nE{v:1}\n"),
              ElementsAre("S{\"i\":1}", "S{\"i\":0}", "S{\"i\":2}", "S{\"i\":0}"));
}

TEST(FunctionTest, LambdasWithBlocks) {
  EXPECT_THAT(RunShort("stream S = E.map(x => { let a = x.v * 2\n {a: a, b: x.v} })"
                       ".filter(y => { let big = y.a > 2\n big }).emit(a: a, b: b)",
                       "E{v:1}\nE{v:2}\n"),
              ElementsAre("S{\"a\":4,\"b\":2}"));
  EXPECT_THAT(RunShort("stream S = E.map(x => x.v).emit(v: value)", "E{v:1}\n"),
              ElementsAre("S{\"v\":1}"));
}

}  // namespace
}  // namespace varpulis::engine
