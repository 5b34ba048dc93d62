#pragma once

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace varpulis::engine {

// Programs over the events of RandomEvents that cover every operator with state.
inline constexpr const char* kStatePrograms[] = {
    "stream S = E .window(3) .aggregate(s: sum(v), n: count(), l: last(s)) .emit(s: s, n: n, l: l)",
    "stream S = E .window(5) .emit(k: k, v: v, s: s)",
    "stream S = E .window(4, sliding: 3) .aggregate(s: sum(v), a: avg(v), d: stddev(v), x: max(v),"
    " i: min(w)) .emit(s: s, a: a, d: d, x: x, i: i)",
    "stream S = E .window(6, sliding: 1) .aggregate(e: ema(v, 3), m: median(w), p: percentile(v, "
    "90), c: collect(s), u: count_distinct(k), f: first(v), l: last(w)) "
    ".emit(e: e, m: m, p: p, c: c, u: u, f: f, l: l)",
    "stream S = E .window(3, sliding: 2) .emit(v: v, w: w)",
    "stream S = E .window(5s) .aggregate(m: median(v), c: collect(w), u: count(distinct(s)), "
    "f: first(s), q: variance(v)) .emit(m: m, c: c, u: u, f: f, q: q)",
    "stream S = E .window(5s) .emit(v: v, s: s)",
    "stream S = E .window(6s, sliding: 2s) .aggregate(n: count(), s: sum(v * w), e: ema(w, 2)) "
    ".emit(n: n, s: s, e: e)",
    "stream S = E .window(4s, sliding: 1s) .emit(v: v)",
    "stream S = E .window(session: 1s) .aggregate(n: count(), c: collect(k)) .emit(n: n, c: c)",
    "stream S = E .window(session: 2s) .emit(v: v)",
    "stream S = E .partition_by(k) .window(3) .aggregate(s: sum(v)) .emit(k: k, p: _partition, s: "
    "s)",
    "stream S = E .partition_by(k) .window(3, sliding: 2) .aggregate(c: collect(v), d: "
    "count_distinct(s)) .emit(p: _partition, c: c, d: d)",
    "stream S = E .partition_by(s) .window(4s) .aggregate(a: avg(w), l: last(k)) "
    ".emit(p: _partition, a: a, l: l)",
    "stream S = E .partition_by(k) .window(5s, sliding: 2s) .emit(k: k, v: v)",
    "stream S = E .partition_by(k) .window(session: 3s) .aggregate(n: count(), f: first(v)) "
    ".emit(p: _partition, n: n, f: f)",
    "stream S = E .partition_by(k + 1) .window(2) .aggregate(f: first(v)) .emit(p: _partition, f: "
    "f)",
    "stream S = E .window(6) .partition_by(k) .aggregate(n: count(), c: collect(v)) "
    ".emit(p: _partition, n: n, c: c)",
    "stream S = E .partition_by(k) .window(2) .partition_by(s) .aggregate(n: count()) "
    ".emit(p: _partition, n: n)",
    "stream S = E .aggregate(n: count(), x: sum(v) / count(), m: max(v) - min(w)) "
    ".emit(n: n, x: x, m: m)",
    "stream A = E .window(2) .aggregate(s: sum(v)) \nstream B = A .window(3) .aggregate(m: max(s), "
    "n: count()) .emit(m: m, n: n)\nstream C = B .window(session: 4s) .aggregate(c: collect(m)) "
    ".emit(c: c)",
    "stream S = E .watermark(out_of_order: 2s) .window(3s) .aggregate(n: count(), c: collect(v)) "
    ".emit(n: n, c: c)",
    "stream S = E .watermark(out_of_order: 1s) .allowed_lateness(3s) .partition_by(k) .window(4s) "
    ".aggregate(n: count(), l: last(w)) .emit(p: _partition, n: n, l: l)",
    "stream S = E .watermark(out_of_order: 1s) .window(4s, sliding: 2s) .emit(v: v)",
    "stream S = E .watermark(out_of_order: 1s) .allowed_lateness(1s) .partition_by(s) "
    ".window(session: 2s) .aggregate(n: count(), c: collect(v)) .emit(p: _partition, n: n, c: c)",
    "stream S = E .watermark(out_of_order: 500ms) .window(session: 700ms) .emit(v: v)",
    "stream J = join(E, F) .on(E.k == F.k) .window(5s) .emit(a: E.v, b: F.v, s: s)",
    "stream J = join(E, F) .on(E.k == F.k and E.s == F.s and E.v < F.v) .window(9s) "
    ".emit(a: E.v, b: F.v, s: s)",
    "stream J = join(stream X = E, stream Y = E) .on(X.k == Y.k) .window(3s) .emit(a: X.v, b: Y.v)",
    "stream A = E .where(v > 2)\nstream B = F .select(k, q: v * 2)\nstream G = E .window(2) "
    ".aggregate(k: last(k), t: sum(v))\nstream J = join(A, B, G) .on(A.k == B.k and B.k == G.k) "
    ".window(8s) .emit(a: A.v, q: B.q, t: G.t)",
    "stream J = join(E, F) .on(E.k == F.k) .window(4s) .distinct() .emit(v: E.v)",
    "stream J = join(E, F) .on(E.k == F.k) .window(4s)\nstream W = J .window(3) "
    ".aggregate(s: sum(E.v), t: sum(F.v)) .emit(s: s, t: t)",
    "stream M = merge(E, stream N = F .where(v > 2)) .window(4) .aggregate(s: sum(v), c: "
    "collect(k)) .emit(s: s, c: c)",
    "stream M = merge(E, F) .distinct(k) .emit(k: k, e: E.v, f: F.v)",
    "stream S = E .distinct(s) .limit(3) .emit(s: s)\nstream T = E .distinct() .limit(40) .emit(v: "
    "v)",
    "stream S = E .window(5) .order_by(v desc, s) .emit(v: v, s: s, w: w)",
    "stream S = E .map(x => {v: x.v, d: x.w ?? 0}) .window(3) .aggregate(s: sum(d)) .emit(s: s)",
    "fn m(a: int):\n    {v: a, t: [a, a]}\nstream S = E .map(x => m(x.v)) .window(2) .emit(v: v, "
    "t: t)",
    "var total = 0\nvar names = [\"x\"]\nfn add(x: int):\n    total := total + (x ?? 1)\n"
    "    names := push(names, s ?? \"-\")\n    if len(names) > 5:\n        names := names[2:]\n"
    "    total\nstream S = E .emit(t: add(v), n: names, l: last(names))",
    "var seen = {a: 1}\nvar odd = 1\nfn note():\n    seen := set(seen, s ?? \"?\", v)\n"
    "    odd := v - 2\nfn out():\n    note()\n    emit N(seen: seen, odd: odd)\n"
    "    if v > 3:\n        emit Big(v: v, w: w)\n"
    "stream S = E .process(out())\nstream T = S .window(3) .emit(v: v, odd: odd)",
    "stream T = timer(3s, initial_delay: 1s) .emit(t: timestamp)\nstream C = T .window(2) "
    ".aggregate(n: count(), f: first(timestamp)) .emit(n: n, f: f)\nstream S = E .limit(3) "
    ".emit(v: "
    "v)",
    "stream T = timer(2s) .emit(t: 1)\nstream U = timer(5s) .emit(t: 2)\n"
    "stream M = merge(T, U, E) .window(4) .aggregate(c: collect(t), n: count()) .emit(c: c, n: n)",
    "stream S = E .print(v, s) .log(message: \"m\", data: k) .tap(v: v) .limit(30) .emit(v: v)",
    "stream S = E .where(v > 1) .emit(v: v) .window(2) .aggregate(s: sum(v)) "
    ".emit(s: s)",
    "stream S = E .filter(x => x.v > 2 and x.k != null) .partition_by(k) .window(2) "
    ".aggregate(n: count(), t: max(v)) .having(t > 3) .emit(n: n, t: t)",
    "stream A = E .emit(k: k, v: v)\nstream B = E .window(3) .aggregate(m: max(v), k: last(k))\n"
    "stream J = join(A, B) .on(A.k == B.k) .window(10s) .emit(v: A.v, m: B.m)\n"
    "stream L = J .distinct(m) .limit(10) .emit(m: m)",
};

// Types E and F; fields k, v, w, s that may be absent, null or of other kinds; times that go back
// now and then.
inline std::vector<std::string> RandomEvents(int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto pick = [&random](std::initializer_list<const char*> values) {
    return *(values.begin() + static_cast<ptrdiff_t>(random() % values.size()));
  };
  std::vector<std::string> events;
  int64_t now = 0;
  for (int i = 0; i < count; ++i) {
    now += static_cast<int64_t>(random() % 1200);
    const int64_t back = random() % 4 == 0 ? static_cast<int64_t>(random() % 5000) : 0;
    std::string event =
        absl::StrCat("@", now > back ? now - back : 0, "ms ", pick({"E", "E", "F"}), " { ");
    if (random() % 8 != 0) {
      absl::StrAppend(&event, "k: ", pick({"1", "2", "1.0", "\"2\"", "null", "3"}), ", ");
    }
    if (random() % 10 != 0) absl::StrAppend(&event, "v: ", random() % 7, ", ");
    if (random() % 6 != 0) {
      absl::StrAppend(&event, "w: ", pick({"0.5", "2.25", "-3", "7", "\"x\"", "null", "1e300"}),
                      ", ");
    }
    if (random() % 5 != 0) {
      absl::StrAppend(&event, "s: ", pick({"\"a\"", "\"a longer text\"", "\"\"", "\"b\""}), ", ");
    }
    absl::StrAppend(&event, "n: ", i, " }\n");
    events.push_back(event);
  }
  return events;
}

}  // namespace varpulis::engine
