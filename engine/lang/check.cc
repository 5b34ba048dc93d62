#include "engine/lang/check.h"

#include <algorithm>
#include <utility>

#include "engine/lang/builtin_names.h"
#include "engine/lang/checker.h"
#include "engine/lang/concat.h"
#include "engine/lang/parser.h"
#include "engine/lang/supported.h"

namespace varpulis::engine {

bool Checker::Shape::Has(const std::string& name) const {
  if (set.contains(name)) return true;
  return std::any_of(open.begin(), open.end(), [&](const std::string& prefix) {
    return name.compare(0, prefix.size(), prefix) == 0;
  });
}

void Checker::Run(CheckResult& result) {
  Collect();
  for (const Statement& statement : program_.statements) {
    if (const auto* event = std::get_if<EventDecl>(&statement)) CheckEvent(*event);
    if (const auto* variable = std::get_if<VariableDecl>(&statement)) CheckVariable(*variable);
    if (const auto* connector = std::get_if<ConnectorDecl>(&statement)) {
      CheckParams(connector->params);
    }
    if (const auto* config = std::get_if<ConfigDecl>(&statement)) CheckParams(config->params);
    if (const auto* import = std::get_if<ImportDecl>(&statement)) {
      diagnostics_.Error(import->span, "E114", "an import needs the files of a directory",
                         "`check`, `simulate` and `parse` have them; what is sent over the "
                         "network must be one text");
    }
  }
  for (const Statement& statement : program_.statements) {
    if (const auto* function = std::get_if<FunctionDecl>(&statement)) CheckFunction(*function);
  }
  stream_shapes_.resize(streams_.size());
  FindEdges();
  FindInputs(result);
  std::vector<bool> is_read(streams_.size());
  for (const std::vector<Edge>& edges : edges_) {
    for (const Edge& edge : edges) is_read[edge.producer] = true;
  }
  for (size_t index : StreamOrder()) {
    CheckStream(index);
    // Thousands of wide rows are a gigabyte of names.
    if (!is_read[index]) stream_shapes_[index] = nullptr;
  }
  CheckPatterns();
}

std::vector<std::string> Checker::Sorted(const absl::flat_hash_map<std::string, Span>& names) {
  std::vector<std::string> sorted;
  for (const auto& [name, span] : names) sorted.push_back(name);
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

void Checker::Declare(std::string_view code, std::string_view what, const Name& name,
                      absl::flat_hash_map<std::string, Span>& names) {
  auto [found, added] = names.emplace(name.text, name.span);
  if (added) return;
  diagnostics_.Error(name.span, std::string(code),
                     Concat(what, " `", name.text, "` is declared twice"), "", found->second);
}

void Checker::Collect() {
  for (const Statement& statement : program_.statements) {
    if (const auto* event = std::get_if<EventDecl>(&statement)) {
      Declare("E001", "event", event->name, event_names_);
      events_.emplace(event->name.text, event);
    } else if (const auto* stream = std::get_if<StreamDecl>(&statement)) {
      Declare("E002", "stream", stream->name, stream_names_);
      stream_index_.emplace(stream->name.text, streams_.size());
      streams_.push_back(stream);
    } else if (const auto* function = std::get_if<FunctionDecl>(&statement)) {
      Declare("E003", "function", function->name, function_names_);
      functions_.emplace(function->name.text, function);
    } else if (const auto* connector = std::get_if<ConnectorDecl>(&statement)) {
      Declare("E004", "connector", connector->name, connector_names_);
      connectors_.emplace(connector->name.text, connector);
    } else if (const auto* context = std::get_if<ContextDecl>(&statement)) {
      Declare("E005", "context", context->name, context_names_);
    } else if (const auto* pattern = std::get_if<PatternDecl>(&statement)) {
      Declare("E006", "pattern", pattern->name, pattern_names_);
      auto info = std::make_unique<PatternInfo>();
      info->decl = pattern;
      patterns_.emplace(pattern->name.text, std::move(info));
    } else if (const auto* type = std::get_if<TypeDecl>(&statement)) {
      Declare("E007", "type", type->name, type_names_);
    }
  }
}

void Checker::CheckEvent(const EventDecl& event) {
  absl::flat_hash_set<std::string_view> fields;
  for (const EventField& field : event.fields) {
    if (fields.insert(field.name.text).second) continue;
    diagnostics_.Error(field.name.span, "E108",
                       Concat("field `", field.name.text, "` is declared twice"));
  }
  if (!event.parent.has_value()) return;
  if (!events_.contains(event.parent->text)) {
    if (broken_.contains(event.parent->text)) return;
    diagnostics_.Error(event.parent->span, "E109",
                       Concat("there is no event `", event.parent->text, "` to extend"),
                       ErrorHint(event.parent->text, [&] { return Sorted(event_names_); }));
    return;
  }
  // Follow the chain at most once around.
  absl::flat_hash_set<const EventDecl*> seen;
  const EventDecl* at = &event;
  while (at != nullptr && seen.size() <= kMaxParents && seen.insert(at).second) {
    auto next = at->parent.has_value() ? events_.find(at->parent->text) : events_.end();
    at = next == events_.end() ? nullptr : next->second;
  }
  if (seen.size() > kMaxParents) {
    diagnostics_.Error(event.parent->span, "E109",
                       Concat("events extend each other more than ", kMaxParents, " deep"));
  } else if (at == &event) {
    diagnostics_.Error(event.parent->span, "E109",
                       Concat("event `", event.name.text, "` extends itself"));
  }
}

Checker::ShapePtr Checker::ShapeOfEvent(const std::string& name) {
  auto [cached, added] = event_shapes_.emplace(name, nullptr);
  auto found = events_.find(name);
  if (!added || found == events_.end()) return cached->second;
  auto shape = std::make_shared<Shape>();
  shape->owner = Concat("event `", name, "`");
  absl::flat_hash_set<const EventDecl*> seen;
  for (const EventDecl* at = found->second; at != nullptr && seen.insert(at).second;) {
    for (const EventField& field : at->fields) shape->Add(field.name.text);
    if (shape->names.size() > kMaxKnownFields || seen.size() > kMaxParents) return nullptr;
    if (!at->parent.has_value()) break;
    auto parent = events_.find(at->parent->text);
    if (parent == events_.end()) return nullptr;  // it may have any field
    at = parent->second;
  }
  cached->second = std::move(shape);
  return cached->second;
}

void Checker::CheckVariable(const VariableDecl& variable) {
  Scope scope;
  CheckExpr(*variable.value, scope);
  const std::string& name = variable.name.text;
  const Initial initial = InitialValue(*variable.value, initial_);
  if (initial.state == Initial::State::kMissing) {
    diagnostics_.Error(variable.value->span, "E106",
                       Concat("the value of `", name, "` cannot be computed"));
  }
  const bool fixed = variable.kind == VariableKind::kLet || variable.kind == VariableKind::kConst;
  if (fixed && initial.state == Initial::State::kKnown) initial_.emplace(name, initial.value);
  auto found = variables_.find(name);
  if (variable.kind == VariableKind::kAssign) {
    if (found != variables_.end() && !mutable_variables_.contains(name)) {
      diagnostics_.Error(variable.name.span, "E040", Concat("`", name, "` cannot be assigned to"),
                         "use `var` for what changes", found->second);
    }
    if (found != variables_.end()) return;
  } else if (found != variables_.end()) {
    diagnostics_.Error(variable.name.span, "E107",
                       Concat("variable `", name, "` is declared twice"), "", found->second);
    return;
  }
  variables_.emplace(name, variable.name.span);
  variable_names_.push_back(name);
  if (variable.kind == VariableKind::kAssign || variable.kind == VariableKind::kVar) {
    mutable_variables_.insert(name);
  }
}

// Parameters of connectors, of `config`, `.from` and `.to`: values that are known without running.
void Checker::CheckParams(const std::vector<NamedExpr>& params) {
  absl::flat_hash_set<std::string_view> seen;
  for (const NamedExpr& param : params) {
    if (!seen.insert(param.label.text).second) {
      diagnostics_.Error(param.label.span, "E108",
                         Concat("parameter `", param.label.text, "` is given twice"));
    }
    std::vector<const Expr*> open = {param.expr.get()};
    while (!open.empty()) {
      const Expr& expr = *open.back();
      open.pop_back();
      if (expr.kind == ExprKind::kName || constants_.Fold(expr).has_value()) continue;
      if (expr.kind == ExprKind::kList) {
        for (const ExprPtr& child : expr.children) open.push_back(child.get());
        continue;
      }
      diagnostics_.Error(expr.span, "E115",
                         Concat("`", param.label.text, "` must be a literal, a name or a list"));
    }
  }
}

bool CheckResult::ok() const {
  return std::none_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& diagnostic) {
    return diagnostic.severity == Severity::kError;
  });
}

CheckedProgram ParseAndCheck(std::string_view source, bool runnable) {
  CheckedProgram checked;
  if (source.size() > kMaxSourceBytes) {
    Diagnostic diagnostic;
    diagnostic.code = "E102";
    diagnostic.message = Concat("the program is larger than ", kMaxSourceBytes, " bytes");
    checked.result.diagnostics.push_back(std::move(diagnostic));
    return checked;
  }
  DiagnosticList diagnostics(source);
  checked.program = ParseSource(source, diagnostics);
  Checker(checked.program, diagnostics, runnable).Run(checked.result);
  if (runnable) ReportUnsupported(checked.program, diagnostics);
  checked.result.diagnostics = diagnostics.Take();
  return checked;
}

CheckResult CheckSource(std::string_view source) {
  return ParseAndCheck(source, /*runnable=*/false).result;
}

CheckResult CheckRunnable(std::string_view source) { return ParseAndCheck(source).result; }

absl::Status CheckStatus(const CheckResult& result, std::string_view source) {
  if (result.ok()) return absl::OkStatus();
  std::string message;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    message += FormatDiagnostic(diagnostic, source, "");
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace varpulis::engine
