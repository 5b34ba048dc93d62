#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/json_writer.h"
#include "engine/pipeline.h"
#include "test/fuzz/fuzzing_base.h"

namespace varpulis::fuzz {

// An endless loop is no finding.
inline engine::RunLimits FewSteps() {
  engine::RunLimits limits;
  limits.call_steps = limits.load_steps = 100'000;
  return limits;
}

// All that a pipeline says, as text.
class Collected final : public engine::OutputSink {
 public:
  void OnOutput(const engine::OutputEvent& event) override { AppendJsonLine(event, &text); }
  void OnText(engine::TextLevel, std::string_view said) override {
    text.append(said).push_back('\n');
  }
  std::string text;
};

// Answers every other key.
class HalfALookup final : public engine::LookupProvider {
 public:
  static absl::StatusOr<std::unique_ptr<LookupProvider>> Make(const engine::PlanConnector&) {
    return std::make_unique<HalfALookup>();
  }
  void Lookup(absl::Span<const engine::Value> keys, int64_t,
              absl::Span<engine::LookupResult> results) override {
    for (size_t i = 0; i < keys.size(); ++i) {
      if (engine::HashValue(keys[i]) % 2 == 0) continue;
      results[i].status = engine::LookupResult::Status::kOk;
      results[i].fields.emplace_back("a", engine::OwnedValue(keys[i]));
      results[i].latency_ms = 1;
    }
  }
};

}  // namespace varpulis::fuzz
