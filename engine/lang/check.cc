#include "engine/lang/check.h"

#include <algorithm>
#include <utility>

#include "engine/lang/builtin_names.h"
#include "engine/lang/checker.h"
#include "engine/lang/concat.h"
#include "engine/lang/lexer.h"
#include "engine/lang/parser.h"

namespace varpulis::engine {

void Checker::Run(CheckResult& result) {
  Collect();
  CheckParents();
  for (const Statement& statement : program_.statements) {
    if (const auto* variable = std::get_if<VariableDecl>(&statement)) CheckVariable(*variable);
  }
  CheckStreams(result);
}

std::string Checker::DeclaredAt(Span span) const {
  return Concat("declared at line ", diagnostics_.lines().Line(span.begin));
}

void Checker::Declare(std::string_view code, std::string_view what, const Name& name,
                      absl::flat_hash_map<std::string, Span>& names) {
  auto [found, added] = names.emplace(name.text, name.span);
  if (added) return;
  diagnostics_.Error(name.span, std::string(code),
                     Concat(what, " `", name.text, "` is declared twice"),
                     Concat("first ", DeclaredAt(found->second)));
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
    } else if (const auto* type = std::get_if<TypeDecl>(&statement)) {
      Declare("E007", "type", type->name, other_names_[0]);
    } else if (const auto* other = std::get_if<UnsupportedDecl>(&statement)) {
      if (other->keyword == "fn") Declare("E003", "function", other->name, functions_);
      if (other->keyword == "connector") Declare("E004", "connector", other->name, other_names_[1]);
      if (other->keyword == "context") Declare("E005", "context", other->name, other_names_[2]);
      if (other->keyword == "pattern") Declare("E006", "pattern", other->name, patterns_);
    }
  }
}

void Checker::CheckParents() {
  for (const Statement& statement : program_.statements) {
    const auto* event = std::get_if<EventDecl>(&statement);
    if (event == nullptr) continue;
    absl::flat_hash_set<std::string_view> fields;
    for (const EventField& field : event->fields) {
      if (fields.insert(field.name.text).second) continue;
      diagnostics_.Error(field.name.span, "E108",
                         Concat("field `", field.name.text, "` is declared twice"));
    }
    if (!event->parent.has_value()) continue;
    auto parent = events_.find(event->parent->text);
    if (parent == events_.end()) {
      std::vector<std::string> names;
      for (const auto& [name, span] : event_names_) names.push_back(name);
      std::sort(names.begin(), names.end());
      diagnostics_.Error(event->parent->span, "E109",
                         Concat("there is no event `", event->parent->text, "` to extend"),
                         DidYouMean(event->parent->text, names));
      continue;
    }
    // Follow the chain at most once around.
    absl::flat_hash_set<const EventDecl*> seen;
    const EventDecl* at = event;
    while (at != nullptr && seen.insert(at).second) {
      auto next = at->parent.has_value() ? events_.find(at->parent->text) : events_.end();
      at = next == events_.end() ? nullptr : next->second;
    }
    if (at == event) {
      diagnostics_.Error(event->parent->span, "E109",
                         Concat("event `", event->name.text, "` extends itself"));
    }
  }
}

Checker::Shape Checker::ShapeOfEvent(const std::string& name) const {
  Shape shape;
  auto found = events_.find(name);
  if (found == events_.end()) return shape;
  shape.known = true;
  shape.owner = Concat("event `", name, "`");
  absl::flat_hash_set<const EventDecl*> seen;
  for (const EventDecl* at = found->second; at != nullptr && seen.insert(at).second;) {
    for (const EventField& field : at->fields) shape.Add(field.name.text);
    if (!at->parent.has_value()) break;
    auto parent = events_.find(at->parent->text);
    // An unknown parent may have any field.
    if (parent == events_.end()) return Shape();
    at = parent->second;
  }
  return shape;
}

void Checker::CheckVariable(const VariableDecl& variable) {
  Scope scope;
  CheckExpr(*variable.value, scope);
  const std::string& name = variable.name.text;
  auto found = variables_.find(name);
  if (variable.kind == VariableKind::kAssign) {
    if (found != variables_.end() && !mutable_variables_.contains(name)) {
      diagnostics_.Error(
          variable.name.span, "E040", Concat("`", name, "` cannot be assigned to"),
          Concat("it is ", DeclaredAt(found->second), "; declare it with `var` to change it"));
    }
    if (found != variables_.end()) return;
  } else if (found != variables_.end()) {
    diagnostics_.Error(variable.name.span, "E107",
                       Concat("variable `", name, "` is declared twice"),
                       Concat("first ", DeclaredAt(found->second)));
    return;
  }
  variables_.emplace(name, variable.name.span);
  variable_names_.push_back(name);
  if (variable.kind == VariableKind::kAssign || variable.kind == VariableKind::kVar) {
    mutable_variables_.insert(name);
  }
}

void Checker::CheckExpr(const Expr& expr, Scope& scope) {
  switch (expr.kind) {
    case ExprKind::kLiteral:
      return;
    case ExprKind::kName:
      return CheckName(expr, scope);
    case ExprKind::kMember:
      return CheckMember(expr, scope);
    case ExprKind::kCall:
      return CheckCall(expr, scope);
    case ExprKind::kLambda:
      diagnostics_.Error(expr.main_span, "E110",
                         "functions as values (`=>`) are not supported by this build yet");
      return;
    case ExprKind::kBinary:
      CheckExpr(*expr.children[0], scope);
      if (expr.binary == BinaryOp::kIs || expr.binary == BinaryOp::kIsNot) {
        static const auto* const kKinds =
            new std::vector<std::string>{"null",   "bool",      "int",      "float", "str",
                                         "string", "timestamp", "duration", "array", "map"};
        const Expr& kind = *expr.children[1];
        if (std::find(kKinds->begin(), kKinds->end(), kind.text) == kKinds->end()) {
          diagnostics_.Error(kind.span, "E100", Concat("`", kind.text, "` is not a kind of value"),
                             DidYouMean(kind.text, *kKinds));
        }
        return;
      }
      return CheckExpr(*expr.children[1], scope);
    case ExprKind::kMatch:
      CheckExpr(*expr.children[0], scope);
      for (size_t i = 0; i < expr.arms.size(); ++i) {
        const bool binds = expr.arms[i].kind == MatchArm::Kind::kBind;
        if (binds) scope.locals.push_back(expr.arms[i].name);
        CheckExpr(*expr.children[i + 1], scope);
        if (binds) scope.locals.pop_back();
      }
      return;
    default:
      for (const ExprPtr& child : expr.children) {
        if (child != nullptr) CheckExpr(*child, scope);
      }
  }
}

void Checker::CheckName(const Expr& expr, const Scope& scope) {
  const std::string& name = expr.text;
  if (std::find(scope.locals.begin(), scope.locals.end(), name) != scope.locals.end()) return;
  const bool variable = variables_.contains(name);
  if (scope.shape == nullptr) {
    if (variable || diagnostics_.full()) return;
    diagnostics_.Error(expr.span, "E106", Concat("there is no variable `", name, "` so far"),
                       DidYouMean(name, variable_names_));
    return;
  }
  if (!scope.shape->known || diagnostics_.enough_warnings()) return;
  if (scope.shape->set.contains(name)) {
    if (!variable) return;
    diagnostics_.Warn(expr.span, "W102",
                      Concat("`", name, "` is the field of ", scope.shape->owner,
                             ", not the variable of that name"));
    return;
  }
  if (variable || name == "timestamp") return;
  std::vector<std::string> candidates = scope.shape->names;
  candidates.insert(candidates.end(), variable_names_.begin(), variable_names_.end());
  diagnostics_.Warn(expr.span, "W100", Concat(scope.shape->owner, " has no field `", name, "`"),
                    DidYouMean(name, candidates));
}

void Checker::CheckMember(const Expr& expr, Scope& scope) {
  const Expr& base = *expr.children[0];
  const bool local =
      base.kind == ExprKind::kName &&
      std::find(scope.locals.begin(), scope.locals.end(), base.text) != scope.locals.end();
  if (base.kind != ExprKind::kName || scope.shape == nullptr || local) {
    return CheckExpr(base, scope);
  }
  const Shape& shape = *scope.shape;
  if (!shape.known || shape.set.contains(Concat(base.text, ".", expr.text)) ||
      shape.set.contains(Concat(base.text, "_", expr.text))) {
    return;
  }
  if (base.text != scope.alias && base.text != scope.type) return CheckName(base, scope);
  if (shape.set.contains(expr.text) || expr.text == "timestamp") return;
  diagnostics_.Warn(expr.main_span, "W100", Concat(shape.owner, " has no field `", expr.text, "`"),
                    DidYouMean(expr.text, shape.names));
}

void Checker::CheckCall(const Expr& expr, Scope& scope) {
  for (const ExprPtr& child : expr.children) CheckExpr(*child, scope);
  if (functions_.contains(expr.text)) return;
  const BuiltinInfo* info = FindBuiltin(expr.text);
  if (info == nullptr) {
    if (diagnostics_.full()) return;
    std::vector<std::string> names = BuiltinNames();
    for (const auto& [name, span] : functions_) names.push_back(name);
    std::sort(names.begin(), names.end());
    std::string hint = IsAggregateName(expr.text) ? "it is an aggregate: use it in `.aggregate(…)`"
                                                  : DidYouMean(expr.text, names);
    diagnostics_.Error(expr.main_span, "E050", Concat("there is no function `", expr.text, "`"),
                       std::move(hint));
    return;
  }
  for (const std::string& label : expr.labels) {
    if (label.empty()) continue;
    diagnostics_.Error(expr.main_span, "E105",
                       Concat("`", expr.text, "` takes no named arguments"));
    return;
  }
  const int count = static_cast<int>(expr.children.size());
  if (count >= info->min_arguments && (info->max_arguments < 0 || count <= info->max_arguments)) {
    return;
  }
  std::string wanted = Concat(info->min_arguments);
  if (info->max_arguments < 0) ConcatTo(&wanted, " or more");
  if (info->max_arguments > info->min_arguments) ConcatTo(&wanted, " to ", info->max_arguments);
  diagnostics_.Warn(expr.main_span, "W051",
                    Concat("`", expr.text, "` has ", count, " arguments and takes ", wanted,
                           ", so it never has a value"));
}

bool CheckResult::ok() const {
  return std::none_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& diagnostic) {
    return diagnostic.severity == Severity::kError;
  });
}

CheckedProgram ParseAndCheck(std::string_view source) {
  CheckedProgram checked;
  if (source.size() > kMaxSourceBytes) {
    Diagnostic diagnostic;
    diagnostic.code = "E102";
    diagnostic.message = Concat("the program is larger than ", kMaxSourceBytes, " bytes");
    checked.result.diagnostics.push_back(std::move(diagnostic));
    return checked;
  }
  DiagnosticList diagnostics(source);
  checked.program = Parser(Lex(source, diagnostics), diagnostics).Run();
  Checker(checked.program, diagnostics).Run(checked.result);
  checked.result.diagnostics = diagnostics.Take();
  return checked;
}

CheckResult CheckSource(std::string_view source) { return ParseAndCheck(source).result; }

absl::Status CheckStatus(const CheckResult& result, std::string_view source) {
  if (result.ok()) return absl::OkStatus();
  std::string message;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    message += FormatDiagnostic(diagnostic, source, "");
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace varpulis::engine
