#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/runtime/operator.h"

namespace varpulis::engine {

// `.print`, `.log` and `.tap`: pass rows on and say something about each.
class Speak final : public Operator {
 public:
  // `[PRINT] ` and the values; in front of them `prefix`, if any.
  static std::unique_ptr<Operator> Print(std::string prefix, std::vector<ExpressionPtr> values);
  // The message and the data.
  static std::unique_ptr<Operator> Log(std::string_view level, std::string message,
                                       ExpressionPtr data);
  // `[TAP] stream name=value …`.
  static std::unique_ptr<Operator> Tap(std::string stream, std::vector<std::string> names,
                                       std::vector<ExpressionPtr> values);
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  Speak(TextLevel level, std::string prefix, std::vector<std::string> names,
        std::vector<ExpressionPtr> values)
      : level_(level),
        prefix_(std::move(prefix)),
        names_(std::move(names)),
        values_(std::move(values)) {}

  TextLevel level_;
  std::string prefix_;
  std::vector<std::string> names_;  // may be empty
  std::vector<ExpressionPtr> values_;
  std::string text_;
};

}  // namespace varpulis::engine
