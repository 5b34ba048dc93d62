#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "engine/runtime/event.h"

namespace varpulis::cli {

// What a simulation says: output events as JSON lines on standard output, texts of the program on
// standard error. Stops for good when nobody reads the lines any more. Thread-compatible.
class SimulationOutput final : public engine::OutputSink {
 public:
  // `before_write` is called before anything is written.
  explicit SimulationOutput(bool quiet, std::function<void()> before_write = nullptr)
      : quiet_(quiet), before_write_(std::move(before_write)) {}

  void OnOutput(const engine::OutputEvent& event) override;
  // `.print`, `.log` and `.tap`: beside the outputs, not among them.
  void OnText(engine::TextLevel level, std::string_view text) override;
  // Lines as AppendJsonLine makes them.
  void AddLines(std::string_view lines);
  void Flush();
  // The same run begins anew: what it said already is not said again.
  void StartOver();

  bool quiet() const { return quiet_; }
  bool closed() const { return closed_; }
  const absl::Status& error() const { return error_; }

 private:
  static constexpr size_t kFlushBytes = 64 << 10;

  void Added(size_t from);

  const bool quiet_;
  const std::function<void()> before_write_;
  bool closed_ = false;
  absl::Status error_;
  std::string buffer_;
  uint64_t line_bytes_ = 0, texts_ = 0;            // said in this run
  uint64_t skip_line_bytes_ = 0, skip_texts_ = 0;  // of those: said before
};

}  // namespace varpulis::cli
