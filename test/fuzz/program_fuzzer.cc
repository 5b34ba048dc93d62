// Any text is a program or is refused with diagnostics. A program takes events, and a pipeline that
// is restored from a checkpoint goes on like the one that the checkpoint was taken of.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test/fuzz/fuzzing.h"

namespace varpulis::fuzz {
namespace {

using engine::Pipeline;
using engine::Row;
using engine::Value;

constexpr size_t kMaxTypes = 4;

// The `n`th value of a field.
Value FieldValue(size_t n) {
  static const Value kItems[] = {Value::Int(3), Value::String("b"), Value::Null()};
  static const engine::MapEntry kEntries[] = {{"a", Value::Int(1)}, {"b", Value::String("x")}};
  switch (n % 14) {
    case 0:
    case 1:
    case 2:
      return Value::Int(static_cast<int64_t>(n % 5));
    case 3:
      return Value::Float(static_cast<double>(n) / 4);
    case 4:
      return Value::String("a");
    case 5:
      return Value::String("h\xC3\xA9");
    case 6:
      return Value::Bool(n % 28 < 14);
    case 7:
      return Value::Null();
    case 8:
      return Value();
    case 9:
      return Value::Int(std::numeric_limits<int64_t>::min());
    case 10:
      return Value::Float(std::numeric_limits<double>::quiet_NaN());
    case 11:
      return Value::List(kItems, std::size(kItems));
    case 12:
      return Value::Map(kEntries, std::size(kEntries));
    default:
      return Value::Timestamp(static_cast<int64_t>(n) * 1'000'000'000);
  }
}

// Events `from` to `to`, of all types in turn.
void Push(Pipeline& pipeline, const std::vector<std::string>& types, size_t from, size_t to,
          Collected& sink) {
  for (size_t i = from; i < to; ++i) {
    const engine::InputType* type = pipeline.inputs().Find(types[i % types.size()]);
    Require(type != nullptr, "an input type that nobody reads", types[i % types.size()]);
    Row row;
    row.timestamp_ns = static_cast<int64_t>(i * (1 + i % 3)) * 400'000'000;
    row.slots = pipeline.arena().Allocate<Value>(type->slot_count);
    for (size_t slot = 0; slot < type->slot_count; ++slot) {
      row.slots[slot] = static_cast<int>(slot) == type->all_fields_slot ? FieldValue(12)
                                                                        : FieldValue(i * 3 + slot);
    }
    const engine::RowRun run{type, 1};
    pipeline.PushRows(absl::MakeSpan(&run, 1), absl::MakeSpan(&row, 1), sink);
  }
}

std::unique_ptr<Pipeline> Compile(std::string_view source) {
  auto pipeline = Pipeline::Compile(source, HalfALookup::Make, FewSteps());
  return pipeline.ok() ? std::move(*pipeline) : nullptr;
}

void Run(std::string_view source) {
  const engine::CheckResult check = engine::CheckSource(source);
  std::unique_ptr<Pipeline> pipeline = Compile(source);
  Require(check.ok() || pipeline == nullptr, "compiles though the check refuses it");
  if (pipeline == nullptr) return;
  (void)pipeline->DebugString();
  std::vector<std::string> types = pipeline->input_event_types();
  if (types.empty()) return;
  types.resize(std::min(types.size(), kMaxTypes));

  Collected whole;
  Push(*pipeline, types, 0, 12, whole);
  const auto saved = pipeline->Save();
  const std::string bytes = saved->SerializeAsString();
  std::unique_ptr<Pipeline> restored = Compile(source);
  Require(restored != nullptr, "compiles once only");
  const absl::Status status = restored->Restore(*saved);
  Require(status.ok(), "a checkpoint of its own is refused", status.message());
  const auto again = restored->Save();
  Require(again->SerializeAsString() == bytes, "Restore and Save change the state");

  Collected cut;
  whole.text.clear();
  Push(*pipeline, types, 12, 24, whole);
  Push(*restored, types, 12, 24, cut);
  pipeline->Finish(whole);
  restored->Finish(cut);
  Require(whole.text == cut.text, "a restored pipeline goes on differently",
          whole.text + "restored:\n" + cut.text);
}

}  // namespace
}  // namespace varpulis::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  varpulis::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
