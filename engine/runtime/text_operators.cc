#include "engine/runtime/text_operators.h"

#include <memory>

namespace varpulis::engine {
namespace {

TextLevel LevelNamed(std::string_view name) {
  if (name == "error") return TextLevel::kError;
  if (name == "warn" || name == "warning") return TextLevel::kWarning;
  if (name == "debug") return TextLevel::kDebug;
  if (name == "trace") return TextLevel::kTrace;
  return TextLevel::kInfo;
}

}  // namespace

std::unique_ptr<Operator> Speak::Print(std::string prefix, std::vector<ExpressionPtr> values) {
  prefix.insert(0, "[PRINT]");
  if (prefix.back() != ']') prefix.insert(sizeof("[PRINT]") - 1, " ");
  return std::unique_ptr<Operator>(
      new Speak(TextLevel::kPrint, std::move(prefix), {}, std::move(values)));
}

std::unique_ptr<Operator> Speak::Log(std::string_view level, std::string message,
                                     ExpressionPtr data) {
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(data));
  return std::unique_ptr<Operator>(
      new Speak(LevelNamed(level), std::move(message), {}, std::move(values)));
}

std::unique_ptr<Operator> Speak::Tap(std::string stream, std::vector<std::string> names,
                                     std::vector<ExpressionPtr> values) {
  stream.insert(0, "[TAP] ");
  return std::unique_ptr<Operator>(
      new Speak(TextLevel::kDebug, std::move(stream), std::move(names), std::move(values)));
}

void Speak::OnBatch(Batch batch, RunContext& run) {
  for (const Row& row : batch) {
    text_ = prefix_;
    for (size_t i = 0; i < values_.size(); ++i) {
      text_ += ' ';
      if (i < names_.size()) text_.append(names_[i]).append("=");
      AppendDisplay(Evaluate(*values_[i], row, run), /*quote=*/true, &text_);
    }
    run.sink->OnText(level_, text_);
  }
  next_->OnBatch(batch, run);
}

}  // namespace varpulis::engine
