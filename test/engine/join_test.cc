#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAreArray;
using Lines = std::vector<std::string>;

const ProgramCase kCases[] = {
    {"J1: every event joins with the newest partner",
     "stream A = X\nstream B = Y\n"
     "stream J = join(A, B).on(A.k == B.k).window(10s).emit(a: A.n, b: B.n)",
     "X{k:1,n:1}\n@1s Y{k:1,n:2}\n@2s Y{k:1,n:3}\n@3s X{k:1,n:4}\n",
     {"J{\"a\":1,\"b\":2}", "J{\"a\":1,\"b\":3}", "J{\"a\":4,\"b\":3}"}},
    {"J2: another key, then too old",
     "stream A = X\nstream B = Y\n"
     "stream J = join(A, B).on(A.k == B.k).window(10s).emit(a: A.n, b: B.n)",
     "X{k:1,n:1}\n@1s Y{k:2,n:2}\n@11s Y{k:1,n:3}\n",
     {}},
    {"J3: the bound is inclusive",
     "stream A = X\nstream B = Y\n"
     "stream J = join(A, B).on(A.k == B.k).window(10s).emit(a: A.n, b: B.n)",
     "X{k:1,n:1}\n@10s Y{k:1,n:2}\n",
     {"J{\"a\":1,\"b\":2}"}},
    {"J4: three sources",
     "stream J = join(A, B, C).on(A.k == B.k and B.k == C.k).window(10s)"
     ".emit(a: A.n, b: B.n, c: C.n)",
     "C{k:1,n:1}\nA{k:1,n:2}\nB{k:1,n:3}\nB{k:1,n:4}\nC{k:1,n:5}\n",
     {"J{\"a\":2,\"b\":3,\"c\":1}", "J{\"a\":2,\"b\":4,\"c\":1}", "J{\"a\":2,\"b\":4,\"c\":5}"}},
    {"keys compare as text, absent ones never",
     "stream J = join(X, Y).on(X.k == Y.k).emit(a: X.n, b: Y.n)",
     "X{k:1,n:1}\nY{k:1.0,n:2}\nY{k:\"1\",n:3}\nX{n:4}\nY{n:5}\nX{k:null,n:6}\nY{k:\"null\",n:7}\n",
     {"J{\"a\":1,\"b\":2}", "J{\"a\":1,\"b\":3}", "J{\"a\":6,\"b\":7}"}},
    {"composite keys, whose parts do not run together",
     "stream J = join(X, Y).on(X.a == Y.a and X.b == Y.b).emit(x: X.n, y: Y.n)",
     "X{a:\"1\",b:\"23\",n:1}\nY{a:\"12\",b:\"3\",n:2}\nY{a:1,b:23,n:3}\nY{a:1,n:4}\n",
     {"J{\"x\":1,\"y\":3}"}},
    {"residual conditions filter what is joined",
     "stream J = join(X, Y).on(X.k == Y.k and X.n < Y.n).emit(x: X.n, y: Y.n)",
     "X{k:1,n:5}\nY{k:1,n:4}\nY{k:1,n:6}\nX{k:1,n:9}\n",
     {"J{\"x\":5,\"y\":6}"}},
    {"one field equal to two: one in the key, the other a condition",
     "stream J = join(X, Y).on(X.a == Y.k and X.b == Y.k).emit(x: X.n, y: Y.n)",
     "X{a:1,b:1,n:1}\nX{a:2,b:3,n:2}\nY{k:1,n:3}\nY{k:2,n:4}\n",
     {"J{\"x\":1,\"y\":3}"}},
    {"a chain of three sources over two different fields",
     "stream J = join(A, B, C).on(A.k == B.k and B.m == C.m).emit(a: A.n, b: B.n, c: C.n)",
     "A{k:1,n:1}\nB{k:1,m:7,n:2}\nC{m:7,n:3}\nC{m:8,n:4}\n",
     {"J{\"a\":1,\"b\":2,\"c\":3}"}},
    {"pairs in an order that joins groups late",
     "stream J = join(A, B, C, D).on(A.k == B.k and C.k == D.k and B.k == C.k)"
     ".emit(a: A.n, d: D.n)",
     "A{k:1,n:1}\nB{k:1,n:2}\nC{k:1,n:3}\nD{k:2,n:4}\nD{k:1,n:5}\n",
     {"J{\"a\":1,\"d\":5}"}},
    {"a type with itself under inline names; an event is no partner of itself",
     "stream J = join(stream P = X, stream Q = X).on(P.k == Q.k).emit(p: P.n, q: Q.n)",
     "X{k:1,n:1}\nX{k:2,n:9}\nX{k:1,n:2}\n",
     {"J{\"p\":2,\"q\":1}", "J{\"p\":1,\"q\":2}"}},
    {"parent and child of one type",
     "stream J = join(stream P = X, stream Q = X).on(P.id == Q.parent).emit(p: P.id, q: Q.id)",
     "X{id:1}\nX{id:2,parent:1}\nX{id:3,parent:2}\n",
     {"J{\"p\":1,\"q\":2}", "J{\"p\":2,\"q\":3}"}},
    {"conditions at the clauses",
     "stream J = join(stream P = X.on(P.k == Q.k), stream Q = Y).emit(p: P.n, q: Q.n)",
     "X{k:1,n:1}\nY{k:1,n:2}\n",
     {"J{\"p\":1,\"q\":2}"}},
    {"derived sources, declared behind the join",
     "stream J = join(A, B).on(A.k == B.k).emit(s: A.s, w: B.w, k: k)\n"
     "stream A = X.window(2).aggregate(s: sum(v), k: last(k))\nstream B = Y.select(k, w: v + 1)",
     "X{k:1,v:1}\nX{k:1,v:2}\nY{k:1,v:5}\n",
     {"J{\"s\":3.0,\"w\":6,\"k\":1}"}},
    {"a stream with a filter gives its own events only",
     "stream A = X.where(v > 1)\nstream J = join(A, X).on(A.k == X.k).emit(a: A.v, x: X.v)",
     "X{k:1,v:1}\nX{k:1,v:2}\n",
     // X = 2 has no partner A yet; then A = 2 comes and finds X = 2.
     {"J{\"a\":2,\"x\":2}"}},
    {"fields by source, type and alone; the first source wins",
     "stream A = X\nstream J = join(A, Y).on(A.k == Y.k)"
     ".emit(a: A.n, b: X.n, c: n, d: only, e: Y.n, g: A.only)",
     "X{k:1,n:1}\nY{k:1,n:2,only:3}\n",
     {"J{\"a\":1,\"b\":1,\"c\":1,\"d\":3,\"e\":2}"}},
    {"out of order: a late event finds what lies no more than the window before it",
     "stream J = join(X, Y).on(X.k == Y.k).window(5s).emit(x: X.n, y: Y.n)",
     "@10s X{k:1,n:1}\n@4s Y{k:1,n:2}\n@16s Y{k:1,n:3}\n@9s X{k:1,n:4}\n",
     // From the future: 10 s for an event at 4 s. At 16 s nothing of X is young enough.
     {"J{\"x\":1,\"y\":2}", "J{\"x\":4,\"y\":3}"}},
    {"the time is the latest of the parts",
     "stream J = join(X, Y).on(X.k == Y.k).window(5s).emit(t: timestamp)",
     "@9s X{k:1}\n@7s Y{k:1}\n",
     {"J{\"t\":\"1970-01-01T00:00:09Z\"}"}},
    {"without a window: a minute",
     "stream J = join(X, Y).on(X.k == Y.k).emit(x: X.n)",
     "X{k:1,n:1}\n@60s Y{k:1}\n@61s Y{k:1}\n",
     {"J{\"x\":1}"}},
    {"joined rows through select, window, aggregate",
     "stream J = join(X, Y).on(X.k == Y.k).select(d: Y.n - X.n, k)\n"
     "stream W = J.window(2).aggregate(s: sum(d), k: last(k)).emit(s: s, k: k)",
     "X{k:1,n:1}\nY{k:1,n:2}\nY{k:1,n:4}\n",
     {"W{\"s\":4.0,\"k\":1}"}},
    {"a window needs its own stream; there it takes the joined rows",
     "stream J = join(X, Y).on(X.k == Y.k)\n"
     "stream W = J.partition_by(X.k).window(2).aggregate(s: sum(Y.n)).emit(p: _partition, s: s)",
     "X{k:1,n:1}\nY{k:1,n:2}\nY{k:1,n:4}\n",
     {"W{\"p\":\"1\",\"s\":6.0}"}},
    {"a join of a join",
     "stream J = join(X, Y).on(X.k == Y.k)\n"
     "stream L = join(J, Z).on(J.k == Z.k).emit(x: J.n, z: Z.n, y: J.m)",
     "X{k:1,n:1}\nY{k:1,m:2}\nZ{k:1,n:3}\n",
     {"L{\"x\":1,\"z\":3,\"y\":2}"}},
    {"aggregate right behind a join: each row",
     "stream J = join(X, Y).on(X.k == Y.k).aggregate(n: count(), s: sum(X.n)).emit(n: n, s: s)",
     "X{k:1,n:1}\nY{k:1}\nY{k:1}\n",
     {"J{\"n\":1,\"s\":1.0}", "J{\"n\":1,\"s\":1.0}"}},
    {"distinct over all fields of both parts",
     "stream J = join(X, Y).on(X.k == Y.k).distinct().emit(x: X.n)",
     "X{k:1,n:1}\nY{k:1,q:1}\nY{k:1,q:1}\nY{k:1,q:2}\n",
     {"J{\"x\":1}", "J{\"x\":1}"}},
};

TEST(JoinTest, Table) { ExpectOutputs(kCases); }

TEST(JoinTest, PrintsAllFields) {
  class Texts final : public OutputSink {
   public:
    void OnOutput(const OutputEvent&) override {}
    void OnText(TextLevel, std::string_view said) override { lines.emplace_back(said); }
    Lines lines;
  } sink;
  auto pipeline = CompileOrDie("stream J = join(X, Y).on(X.k == Y.k).print().log()");
  ASSERT_NE(pipeline, nullptr);
  Feed(*pipeline, "X{k:1,n:\"a\"}\nY{k:1,m:2}\n", sink);
  EXPECT_THAT(
      sink.lines,
      ElementsAreArray(Lines{"[PRINT] J {X.k: 1, X.n: \"a\", Y.k: 1, Y.m: 2, k: 1, n: \"a\", m: 2}",
                             "J {X.k: 1, X.n: \"a\", Y.k: 1, Y.m: 2, k: 1, n: \"a\", m: 2}"}));
}

// Under the source's name, under its type's, and plain: of the first source that has it.
TEST(JoinTest, TheWholeEventHasEveryName) {
  EXPECT_THAT(RunShort("stream A = X\nstream J = join(A, B).on(A.k == B.k)\n"
                       "  .map(j => j).emit(an: A.n, xn: X.n, n: n, bq: B.q, q: q)",
                       "X{k:1,n:1}\nB{k:1,n:2,q:3}\n"),
              ElementsAreArray(Lines{"J{\"an\":1,\"xn\":1,\"n\":1,\"bq\":3,\"q\":3}"}));
}

}  // namespace
}  // namespace varpulis::engine
