#include "test/fuzz/reference/differential.h"

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "engine/pipeline.h"
#include "test/fuzz/reference/evaluator.h"
#include "test/fuzz/reference/printer.h"
#include "test/fuzz/reference/value.h"

namespace varpulis::reference {
namespace {

constexpr int64_t kStart = 1'600'000'000'123'456'789;
constexpr int64_t kLimit = 7;

std::string EventText(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    absl::StrAppend(&out, "  ", name, ": ", ToText(value), "\n");
  }
  return out;
}

// One stream that emits all expressions.
class Comparison {
 public:
  Comparison(std::string declarations, std::vector<engine::ExprPtr> expressions,
             std::map<std::string, const engine::FunctionDecl*> functions)
      : expressions_(std::move(expressions)), functions_(std::move(functions)) {
    program_ = absl::StrCat("let limit = ", kLimit, "\nvar total = 0\n", declarations,
                            "stream S = ", kEventType, " as q\n  .emit(");
    for (size_t i = 0; i < expressions_.size(); ++i) {
      absl::StrAppend(&program_, i > 0 ? ",\n    " : "", "r", i, ": ", Print(*expressions_[i]));
    }
    program_ += ")\n";
  }

  std::string Run(Choices& choices, int events, Tally* tally) {
    auto pipeline = engine::Pipeline::Compile(program_);
    if (!pipeline.ok()) {
      return absl::StrCat("a well-formed program is refused: ",
                          std::string(pipeline.status().message()), "\n", program_);
    }
    std::map<std::string, Value> globals{{"limit", Value::Int(kLimit)}, {"total", Value::Int(0)}};
    for (int i = 0; i < events && !stop_; ++i) {
      std::string difference = RunEvent(**pipeline, choices, kStart + i, globals, tally);
      if (!difference.empty()) return difference;
    }
    return "";
  }

 private:
  std::string RunEvent(engine::Pipeline& pipeline, Choices& choices, int64_t timestamp_ns,
                       std::map<std::string, Value>& globals, Tally* tally) {
    const Fields fields = RandomEvent(choices);
    v1::Event event;
    event.set_event_type(kEventType);
    event.set_timestamp_ns(timestamp_ns);
    for (const auto& [name, value] : fields) {
      v1::Field& field = *event.add_fields();
      field.set_name(name);
      ToProto(value, field.mutable_value());
    }
    std::vector<engine::EmittedEvent> outputs;
    const absl::Status status = pipeline.Push(event, &outputs);
    if (!status.ok() || outputs.size() != 1) {
      return absl::StrCat("the event is refused: ", std::string(status.message()), "\n",
                          EventText(fields), program_);
    }
    std::map<std::string, Value> results;
    for (const v1::Field& field : outputs[0].event.fields()) {
      results[field.name()] = FromProto(field.value());
    }
    Environment environment;
    environment.fields = &fields;
    environment.event_type = kEventType;
    environment.alias = "q";
    environment.timestamp_ns = timestamp_ns;
    environment.globals = globals;
    environment.functions = &functions_;
    bool any_unspecified = false;
    for (size_t i = 0; i < expressions_.size(); ++i) {
      environment.unspecified = false;
      const Value expected = Evaluate(*expressions_[i], environment);
      any_unspecified = any_unspecified || environment.unspecified;
      // What an open result was stored into is open, too.
      if (environment.unspecified || (any_unspecified && !functions_.empty())) {
        ++tally->unspecified;
        continue;
      }
      const Value& got = results[absl::StrCat("r", i)];
      ++tally->compared;
      if (!expected.missing()) ++tally->with_value;
      if (Same(expected, got)) continue;
      std::string functions;
      for (const auto& [name, function] : functions_) functions += Print(*function);
      return absl::StrCat(functions, Print(*expressions_[i]), "\n is:        ", ToText(got),
                          "\n should be: ", ToText(expected), "\n at ", timestamp_ns, " total ",
                          ToText(globals["total"]), " over\n", EventText(fields));
    }
    // What a function stored of something open is open from now on.
    stop_ = any_unspecified && !functions_.empty();
    globals = environment.globals;
    return "";
  }

  std::vector<engine::ExprPtr> expressions_;
  std::map<std::string, const engine::FunctionDecl*> functions_;
  std::string program_;
  bool stop_ = false;
};

}  // namespace

std::string CompareExpressions(Choices& choices, int expressions, int events, Tally* tally) {
  Generator generator(choices);
  generator.AllowNames("q", {"limit"});
  std::vector<engine::ExprPtr> list;
  for (int i = 0; i < expressions; ++i) {
    list.push_back(generator.Expression(static_cast<Want>(choices.Below(8)),
                                        1 + static_cast<int>(choices.Below(4))));
  }
  return Comparison("", std::move(list), {}).Run(choices, events, tally);
}

std::string CompareFunctions(Choices& choices, int functions, int events, Tally* tally) {
  std::vector<engine::FunctionDecl> list;
  std::string text;
  for (int i = 0; i < functions; ++i) {
    Generator generator(choices);
    generator.AllowNames("", {"limit", "total"});
    engine::FunctionDecl function = generator.Function(absl::StrCat("fun", i), list);
    text += Print(function);
    list.push_back(std::move(function));
  }
  std::map<std::string, const engine::FunctionDecl*> by_name;
  for (const engine::FunctionDecl& function : list) by_name[function.name.text] = &function;
  Generator generator(choices);
  generator.AllowCalls(list);
  std::vector<engine::ExprPtr> calls;
  for (const engine::FunctionDecl& function : list) {
    auto call = std::make_unique<engine::Expr>();
    call->kind = engine::ExprKind::kCall;
    call->text = function.name.text;
    for (size_t i = 0; i < function.parameters.size(); ++i) {
      call->children.push_back(generator.MostlyPresent(generator.Expression(Want::kInt, 2)));
      call->labels.emplace_back();
    }
    calls.push_back(std::move(call));
  }
  return Comparison(text, std::move(calls), std::move(by_name)).Run(choices, events, tally);
}

}  // namespace varpulis::reference
