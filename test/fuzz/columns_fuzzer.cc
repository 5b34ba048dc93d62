// The columnar form of event batches: refused, or the engine gives for it what it gives for the
// same events as rows, and written again as columns they are the same events.
#include <string>

#include "engine/runtime/columns.h"
#include "engine/runtime/columns_writer.h"

#include "test/fuzz/fuzzing.h"

namespace varpulis::fuzz {
namespace {

constexpr char kProgram[] =
    "stream S = A .emit(a: a, b: b, c: c)\n"
    "stream T = merge(A, B) .distinct() .emit(b: b, n: len(c))";

void Run(const std::string& input) {
  v1::Columns columns;
  if (!columns.ParseFromString(input) || !engine::CheckColumns(columns).ok()) return;
  if (engine::CountEvents(columns) > 10'000) return;  // slow as rows, and nothing new
  v1::EventBatch rows;
  engine::ColumnsToRows(columns, rows.mutable_events());
  Require(static_cast<uint64_t>(rows.events_size()) == engine::CountEvents(columns),
          "rows are not as many as events");

  engine::ColumnsWriter writer;
  for (const v1::Event& event : rows.events()) writer.Add(event);
  const v1::Columns& written = writer.Finish();
  Require(written.ByteSizeLong() <= writer.bytes(), "larger than announced");
  if (writer.text_bytes() <= engine::kMaxColumnText) {
    Require(engine::CheckColumns(written).ok(), "what is written does not fit together");
  }
  v1::EventBatch again;
  engine::ColumnsToRows(written, again.mutable_events());
  Require(rows.SerializeAsString() == again.SerializeAsString(), "other events");

  auto one = engine::Pipeline::Compile(kProgram), many = engine::Pipeline::Compile(kProgram);
  Require(one.ok() && many.ok(), "the program is wrong");
  Collected of_rows, of_columns;
  uint64_t refused = 0;
  for (const v1::Event& event : rows.events()) {
    if (!(*one)->Push(event, of_rows).ok()) ++refused;
  }
  const engine::Pipeline::Refused answer = (*many)->PushColumns(columns, of_columns);
  Require(answer.events == refused, "refused others");
  Require(of_rows.text == of_columns.text, "other outputs", of_rows.text + of_columns.text);
}

}  // namespace
}  // namespace varpulis::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  varpulis::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
