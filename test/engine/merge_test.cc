#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

const ProgramCase kCases[] = {
    {"in order of arrival",
     "stream M = merge(A, B).emit(v: v)",
     "A{v:1}\nB{v:2}\nC{v:3}\nA{v:4}\n",
     {"M{\"v\":1}", "M{\"v\":2}", "M{\"v\":4}"}},
    {"an event enters once, if one of the clauses lets it",
     "stream M = merge(stream L = A.where(v < 2), stream H = A.where(v > 0)).emit(v: v)",
     "A{v:0}\nA{v:1}\nA{v:2}\nA{w:9}\n",
     {"M{\"v\":0}", "M{\"v\":1}", "M{\"v\":2}"}},
    {"a clause without a filter takes all of its type",
     "stream M = merge(stream L = A.where(v < 2), A, stream H = B.where(v > 5)).emit(v: v)",
     "A{v:7}\nB{v:1}\nB{v:6}\n",
     {"M{\"v\":7}", "M{\"v\":6}"}},
    {"clauses that name streams",
     "stream D = A.select(v: v * 2)\nstream M = merge(D, stream Q = D.where(v > 1), B)"
     ".emit(v: v)",
     "A{v:1}\nB{v:5}\n",
     {"M{\"v\":2}", "M{\"v\":5}"}},
    {"a stream and its own source: both ways in",
     "stream D = A.where(v > 1)\nstream M = merge(D, A).emit(v: v)",
     "A{v:1}\nA{v:2}\n",
     {"M{\"v\":1}", "M{\"v\":2}", "M{\"v\":2}"}},
    {"fields of each type",
     "stream M = merge(A, B).emit(a: A.v, b: B.v, v: v, o: only)",
     "A{v:1}\nB{v:2,only:3}\n",
     {"M{\"a\":1,\"v\":1}", "M{\"b\":2,\"v\":2,\"o\":3}"}},
    {"declared before its streams",
     "stream M = merge(D, B).emit(v: v)\nstream D = A.where(v > 1)",
     "A{v:1}\nA{v:2}\nB{v:3}\n",
     {"M{\"v\":2}", "M{\"v\":3}"}},
    {"through windows",
     "stream M = merge(A, B).window(3).aggregate(s: sum(v), n: count(w))"
     ".emit(s: s, n: n)",
     "A{v:1}\nB{v:2,w:1}\nA{v:4}\n",
     {"M{\"s\":7.0,\"n\":3}"}},
    {"a merge of merges",
     "stream M = merge(A, B)\nstream N = merge(M, C).emit(v: v)",
     "A{v:1}\nC{v:2}\nB{v:3}\n",
     {"N{\"v\":1}", "N{\"v\":2}", "N{\"v\":3}"}},
    {"distinct over whole events",
     "stream M = merge(A, B).distinct().emit(v: v)",
     "A{v:1,q:1}\nA{v:1,q:2}\nB{v:1,q:1}\nA{q:1}\n",
     {"M{\"v\":1}", "M{\"v\":1}", "M{}"}},
};

TEST(MergeTest, Table) { ExpectOutputs(kCases); }

}  // namespace
}  // namespace varpulis::engine
