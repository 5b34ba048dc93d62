#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test/fuzz/fuzzing.h"

namespace varpulis::fuzz {

// Every operator with state, at least once. A checkpoint in the corpus begins with the number of
// its program; append only.
inline constexpr std::string_view kCheckpointPrograms[] = {
    // 0: keys, counts, variables
    "var total = 0\nvar names = []\n"
    "fn add(x: int) -> int:\n    total := total + x\n    names := push(names, x)\n    return "
    "total\n"
    "stream A = E .distinct(k) .limit(20) .emit(k: k, t: add(1))\n"
    "stream B = A .distinct() .limit(10) .emit(k: k)\n"
    "stream C = E .distinct() .emit(s: s)\n",
    // 1: windows of events
    "stream A = E .window(3) .emit(k: k, s: s)\n"
    "stream B = E .window(4, sliding: 2) .emit(k: k)\n"
    "stream C = E .window(2s) .emit(k: k)\n"
    "stream D = E .window(3s, sliding: 1s) .emit(v: v)\n"
    "stream F = E .window(session: 1s) .emit(v: v)\n",
    // 2: the same by key
    "stream A = E .partition_by(k) .window(3) .emit(k: k, s: s)\n"
    "stream B = E .partition_by(k) .window(4, sliding: 2) .emit(k: k)\n"
    "stream C = E .partition_by(k) .window(2s) .emit(k: k)\n"
    "stream D = E .partition_by(s) .window(3s, sliding: 1s) .emit(v: v)\n"
    "stream F = E .partition_by(s) .window(session: 1s) .emit(v: v)\n",
    // 3: aggregates of windows
    "stream A = E .window(3) .aggregate(n: count(), s: sum(v), a: avg(v), lo: min(v), hi: max(v))"
    " .emit(n: n, s: s, a: a, lo: lo, hi: hi)\n"
    "stream B = E .partition_by(k) .window(4, sliding: 2) .aggregate(n: count_distinct(s), d: "
    "stddev(v), x: variance(v), f: first(v), l: last(s)) .emit(n: n, d: d, x: x, f: f, l: l)\n"
    "stream C = E .window(2s) .aggregate(e: ema(v, 3), m: median(v), p: percentile(v, 0.9), c: "
    "collect(s)) .emit(e: e, m: m, p: p, c: c)\n"
    "stream D = E .partition_by(k) .window(3s, sliding: 1s) .aggregate(n: count(), s: sum(v), lo: "
    "min(v), hi: max(v), x: stddev(v)) .emit(n: n, s: s, lo: lo, hi: hi, x: x)\n"
    "stream F = E .partition_by(k) .window(session: 1s) .aggregate(n: count(), c: collect(v)) "
    ".emit(n: n, c: c)\n",
    // 4: event time
    "stream A = E .watermark(out_of_order: 1s) .window(2s) .aggregate(n: count(), s: sum(v)) "
    ".emit(n: n, s: s)\n"
    "stream B = E .watermark(out_of_order: 1s) .allowed_lateness(1s) .partition_by(k) .window(3s, "
    "sliding: 1s) .aggregate(n: count(), lo: min(v)) .emit(n: n, lo: lo)\n"
    "stream C = E .watermark(out_of_order: 500ms) .window(session: 1s) .aggregate(n: count()) "
    ".emit(n: n)\n",
    // 5: joins and a merge
    "stream J = join(E, F) .on(E.k == F.k) .window(5s) .emit(a: E.v, b: F.v)\n"
    "stream K = join(E, F, G) .on(E.k == F.k and F.k == G.k) .window(5s) .emit(a: E.v, b: F.s, c: "
    "G.v)\n"
    "stream M = merge(E, stream X = F .where(v > 0)) .window(2) .emit(k: k, v: v)\n",
    // 6: lookups
    "connector C = http(url: \"http://localhost\")\n"
    "stream A = E .enrich(C, key: k, fields: [a], cache_ttl: 5s, fallback: 0) .emit(k: k, a: a)\n",
    // 7: timers
    "stream T = timer(1s, initial_delay: 500ms) .emit(n: 1)\n"
    "stream A = E .limit(3) .emit(k: k)\n",
};

// Bytes before the PipelineCheckpoint: the program, and whether its states are moved to the
// program's operators (unless a multiple of 4).
inline constexpr size_t kCheckpointHeader = 2;

inline std::unique_ptr<engine::Pipeline> CompileProgram(size_t program) {
  auto pipeline = engine::Pipeline::Compile(
      kCheckpointPrograms[program % std::size(kCheckpointPrograms)], HalfALookup::Make);
  Require(pipeline.ok(), "a program of the fuzzer", pipeline.status().message());
  return std::move(*pipeline);
}

inline v1::Value Scalar(int64_t n) {
  v1::Value value;
  switch (n % 5) {
    case 0:
      value.set_float_value(static_cast<double>(n) / 2);
      break;
    case 1:
      value.set_string_value("s" + std::to_string(n % 3));
      break;
    default:
      value.set_int_value(n % 4);
  }
  return value;
}

// Events `from` to `to`, each of all types.
inline void PushEvents(engine::Pipeline& pipeline, int64_t base_ns, int64_t from, int64_t to) {
  std::vector<engine::EmittedEvent> outputs;
  const std::vector<std::string> types = pipeline.input_event_types();
  for (int64_t i = from; i < to; ++i) {
    for (const std::string& type : types) {
      v1::Event event;
      event.set_event_type(type);
      event.set_timestamp_ns(base_ns + i * 700'000'000);
      for (const char* name : {"k", "v", "s"}) {
        v1::Field& field = *event.add_fields();
        field.set_name(name);
        *field.mutable_value() = Scalar(i * 3 + name[0]);
      }
      Require(pipeline.Push(event, &outputs).ok(), "a plain event is refused");
    }
  }
}

}  // namespace varpulis::fuzz
