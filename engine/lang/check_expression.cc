#include <algorithm>
#include <utility>

#include "engine/lang/builtin_names.h"
#include "engine/lang/checker.h"
#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

// Methods of lists (vpl.md §3.3), with the number of arguments; -1: a function of one or two.
struct Method {
  std::string_view name;
  int arguments;
};
constexpr Method kMethods[] = {
    {"filter", -1}, {"map", -1}, {"flatten", 0}, {"len", 0}, {"count", 0}, {"sliding_pairs", 0},
    {"first", 0},   {"last", 0}, {"sum", 0},     {"avg", 0}, {"min", 0},   {"max", 0},
};

// Functions of what a closure of a pattern took (vpl.md §5.3).
constexpr std::string_view kClosureFunctions[] = {"len", "first", "last", "prev", "count",
                                                  "sum", "avg",   "min",  "max"};

}  // namespace

const Checker::Capture* Checker::Scope::Find(std::string_view name) const {
  for (const Capture& capture : captures) {
    if (capture.name == name) return &capture;
  }
  return nullptr;
}

bool Checker::Scope::IsLocal(std::string_view name) const {
  auto found = locals.find(name);
  return found != locals.end() && found->second > 0;
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
    case ExprKind::kApply:
      return CheckApply(expr, scope);
    case ExprKind::kMatch:
      return CheckMatch(expr, scope);
    case ExprKind::kLambda:
      diagnostics_.Error(
          expr.main_span, "E116", "a function (`=>`) cannot stand here",
          "it is an argument of .filter, .map or .pattern; declare others with `fn`");
      return;
    case ExprKind::kBinary:
      if (expr.binary == BinaryOp::kIs || expr.binary == BinaryOp::kIsNot) {
        return CheckIs(expr, scope);
      }
      return CheckChildren(expr, scope);
    default:
      return CheckChildren(expr, scope);
  }
}

void Checker::CheckChildren(const Expr& expr, Scope& scope) {
  CheckOperands(expr, scope);
  for (const ExprPtr& child : expr.children) {
    if (child != nullptr) CheckExpr(*child, scope);
  }
}

void Checker::CheckIs(const Expr& expr, Scope& scope) {
  CheckExpr(*expr.children[0], scope);
  static const auto* const kKinds = new std::vector<std::string>{
      "null", "bool", "int", "float", "str", "string", "timestamp", "duration", "array", "map"};
  const Expr& kind = *expr.children[1];
  if (std::find(kKinds->begin(), kKinds->end(), kind.text) != kKinds->end()) return;
  diagnostics_.Error(kind.span, "E100", Concat("`", kind.text, "` is not a kind of value"),
                     DidYouMean(kind.text, *kKinds));
}

void Checker::CheckMatch(const Expr& expr, Scope& scope) {
  CheckExpr(*expr.children[0], scope);
  for (size_t i = 0; i < expr.arms.size(); ++i) {
    const bool binds = expr.arms[i].kind == MatchArm::Kind::kBind;
    if (binds) ++scope.locals[expr.arms[i].name];
    CheckExpr(*expr.children[i + 1], scope);
    if (binds) --scope.locals[expr.arms[i].name];
  }
}

// The alias of the source, or the parameter of a lambda, without a field behind it.
bool Checker::IsWholeEvent(const Expr& expr, const Scope& scope) {
  if (expr.kind != ExprKind::kName || !scope.has_event || scope.IsLocal(expr.text)) return false;
  if (scope.shape != nullptr && scope.shape->Has(expr.text)) return false;
  const Capture* capture = scope.Find(expr.text);
  return capture != nullptr ? capture->is_parameter : expr.text == scope.alias;
}

// Where a map never has a value: in calculations, comparisons and conditions.
void Checker::CheckNoWholeEvent(const Expr& expr, const Scope& scope) {
  if (!IsWholeEvent(expr, scope) || diagnostics_.enough_warnings()) return;
  diagnostics_.Warn(expr.span, "W106",
                    Concat("`", expr.text, "` is the whole event, so this never has a value"),
                    Concat("name a field of it: ", expr.text, ".field"));
}

void Checker::CheckOperands(const Expr& expr, const Scope& scope) {
  if (expr.kind == ExprKind::kUnary || expr.kind == ExprKind::kIf) {
    return CheckNoWholeEvent(*expr.children[0], scope);
  }
  if (expr.kind != ExprKind::kBinary) return;
  switch (expr.binary) {
    case BinaryOp::kEqual:  // maps may be compared with maps, searched and replaced
    case BinaryOp::kNotEqual:
    case BinaryOp::kCoalesce:
    case BinaryOp::kIs:
    case BinaryOp::kIsNot:
      return;
    case BinaryOp::kIn:
    case BinaryOp::kNotIn:
      return CheckNoWholeEvent(*expr.children[0], scope);
    default:
      for (const ExprPtr& child : expr.children) CheckNoWholeEvent(*child, scope);
  }
}

void Checker::CheckName(const Expr& expr, const Scope& scope) {
  const std::string& name = expr.text;
  if (scope.IsLocal(name)) return;
  const bool variable = variables_.contains(name);
  if (!scope.has_event) {
    if (variable || broken_.contains(name)) return;
    diagnostics_.Error(expr.span, "E106", Concat("there is no variable `", name, "` so far"),
                       ErrorHint(name, [&] { return variable_names_; }));
    return;
  }
  const bool field = scope.shape != nullptr && scope.shape->Has(name);
  if (field && variable) {
    diagnostics_.Warn(expr.span, "W102",
                      Concat("`", name, "` is the field of ", scope.shape->owner,
                             ", not the variable of that name"));
  }
  if (field || variable) return;
  if (IsWholeEvent(expr, scope)) return;  // a map of all its fields
  if (scope.Find(name) != nullptr) {
    diagnostics_.Warn(expr.span, "W106", Concat("`", name, "` is an event and no value"),
                      Concat("name a field of it: ", name, ".field"));
    return;
  }
  if (scope.shape == nullptr || name == "timestamp") return;
  diagnostics_.Warn(expr.span, "W100", Concat(scope.shape->owner, " has no field `", name, "`"),
                    WarningHint(name, [&] {
                      std::vector<std::string> candidates = scope.shape->names;
                      candidates.insert(candidates.end(), variable_names_.begin(),
                                        variable_names_.end());
                      return candidates;
                    }));
}

void Checker::CheckField(const Expr& member, const Shape& shape) {
  if (shape.Has(member.text) || member.text == "timestamp") return;
  diagnostics_.Warn(member.main_span, "W100",
                    Concat(shape.owner, " has no field `", member.text, "`"),
                    WarningHint(member.text, [&] { return shape.names; }));
}

// The event type behind a stream that changes nothing, else its own name.
std::string Checker::RootType(const std::string& type) const {
  std::string at = type;
  for (size_t turn = 0; turn <= streams_.size(); ++turn) {  // rings are reported elsewhere
    auto found = stream_index_.find(at);
    if (found == stream_index_.end()) break;
    const StreamDecl& stream = *streams_[found->second];
    if (!stream.ops.empty() || stream.source.kind != SourceKind::kType) break;
    at = stream.source.type.text;
  }
  return at;
}

// `T.f` behind `merge(T, …)`, and the name of a part, which is a label only (vpl.md §6.2): its
// events are those of its type. False for any other name.
bool Checker::CheckMergeMember(const Expr& member, const Scope& scope) {
  const std::string& base = member.children[0]->text;
  const SourceClause* labelled = nullptr;
  for (const SourceClause& clause : scope.parts->clauses) {
    if (base == clause.type.text || base == RootType(clause.type.text)) {
      const ShapePtr shape = ShapeOf(clause.type.text);
      if (shape != nullptr) CheckField(member, *shape);
      return true;
    }
    if (base == clause.label.text) labelled = &clause;
  }
  const bool field = scope.shape != nullptr && scope.shape->Has(base);
  if (labelled == nullptr || field || variables_.contains(base)) return false;
  if (diagnostics_.enough_warnings()) return true;
  const std::string& type = labelled->type.text;
  diagnostics_.Warn(member.children[0]->span, "W107",
                    Concat("`", base, "` is only the name of a part of the merge"),
                    Concat("did you mean `", type, ".", member.text, "`? `", member.text,
                           "` alone is that of any part"));
  return true;
}

// Of events with unknown fields. A key that is always missing puts all of them into one partition,
// and nothing else shows it.
void Checker::CheckPartitionBase(const Expr& member, const Scope& scope) {
  const std::string& base = member.children[0]->text;
  if (base == scope.alias || base == scope.type || variables_.contains(base)) return;
  if (scope.parts != nullptr) {
    for (const SourceClause& clause : scope.parts->clauses) {
      if (base == clause.label.text || base == RootType(clause.type.text)) return;
    }
  }
  if (diagnostics_.enough_warnings()) return;
  std::string hint = Concat("did you mean `", member.text, "`?");
  if (!scope.type.empty()) {
    ConcatTo(&hint, " A field `", base, "` with a map can be declared in `event ", scope.type, "`");
  }
  diagnostics_.Warn(member.children[0]->span, "W107",
                    Concat("`", base, "` is no alias and no event type here"), std::move(hint));
}

// vpl.md §2.4, in its order.
void Checker::CheckMember(const Expr& expr, Scope& scope) {
  const Expr& base = *expr.children[0];
  if (base.kind != ExprKind::kName || !scope.has_event || scope.IsLocal(base.text)) {
    return CheckExpr(base, scope);
  }
  if (scope.in_step && base.text == scope.own_alias) {
    diagnostics_.Warn(base.span, "W103",
                      Concat("`", base.text, "` is the very event that is tested here"),
                      Concat("write ", expr.text, " alone"));
    if (scope.shape != nullptr) CheckField(expr, *scope.shape);
    return;
  }
  if (const Capture* capture = scope.Find(base.text); capture != nullptr) {
    if (capture->shape != nullptr) CheckField(expr, *capture->shape);
    return;
  }
  if (scope.later != nullptr && scope.later->contains(base.text)) {
    diagnostics_.Error(base.span, "E118",
                       Concat("alias `", base.text, "` is bound by a later step"),
                       "compare in the filter of that step");
    return;
  }
  if (scope.parts != nullptr && scope.parts->kind == SourceKind::kMerge &&
      CheckMergeMember(expr, scope)) {
    return;
  }
  if (scope.shape == nullptr) {
    if (scope.in_partition) CheckPartitionBase(expr, scope);
    return;
  }
  const Shape& shape = *scope.shape;
  if (shape.Has(Concat(base.text, ".", expr.text)) ||
      shape.Has(Concat(base.text, "_", expr.text))) {
    return;
  }
  if (base.text == scope.alias || base.text == scope.type) return CheckField(expr, shape);
  const bool known = shape.Has(base.text) || variables_.contains(base.text);
  if (scope.in_step && !known) {
    std::vector<std::string> aliases;
    for (const Capture& capture : scope.captures) aliases.emplace_back(capture.name);
    diagnostics_.Error(base.span, "E118", Concat("there is no alias `", base.text, "` before"),
                       DidYouMean(base.text, aliases));
    return;
  }
  const std::string prefix = Concat(base.text, ".");
  const bool joined = std::any_of(shape.names.begin(), shape.names.end(), [&](const auto& name) {
    return name.compare(0, prefix.size(), prefix) == 0;
  });
  if (!joined) return CheckName(base, scope);
  diagnostics_.Warn(expr.main_span, "W100",
                    Concat("`", base.text, "` has no field `", expr.text, "` in ", shape.owner),
                    WarningHint(Concat(prefix, expr.text), [&] { return shape.names; }));
}

// `len(b)`, `sum(b.v)` with an alias of the pattern.
bool Checker::IsClosureCall(const Expr& expr, const Scope& scope) const {
  const bool named = std::find(std::begin(kClosureFunctions), std::end(kClosureFunctions),
                               expr.text) != std::end(kClosureFunctions);
  if (!named || expr.children.size() != 1) return false;
  const Expr* argument = expr.children[0].get();
  if (argument->kind == ExprKind::kMember) argument = argument->children[0].get();
  if (argument->kind != ExprKind::kName || scope.IsLocal(argument->text)) return false;
  return scope.Find(argument->text) != nullptr ||
         (scope.in_step && argument->text == scope.own_alias);
}

void Checker::CheckCall(const Expr& expr, Scope& scope) {
  if (IsClosureCall(expr, scope)) {
    const Expr& argument = *expr.children[0];
    const Capture* capture =
        argument.kind == ExprKind::kMember ? scope.Find(argument.children[0]->text) : nullptr;
    if (capture != nullptr && capture->shape != nullptr) CheckField(argument, *capture->shape);
    return;
  }
  CheckChildren(expr, scope);
  if (auto function = functions_.find(expr.text); function != functions_.end()) {
    const int count = static_cast<int>(function->second->parameters.size());
    CheckArguments(expr, function->second->name.span, count, count);
    if (scope.in_step && Emits(expr.text)) {
      diagnostics_.Error(expr.main_span, "E119",
                         Concat("`", expr.text, "` emits events, so a step cannot use it"),
                         "use it in `.process(…)`, or split it");
    }
    return;
  }
  if (const BuiltinInfo* info = FindBuiltin(expr.text); info != nullptr) {
    return CheckArguments(expr, std::nullopt, info->min_arguments, info->max_arguments);
  }
  // The lambda in that variable is reported already.
  if (broken_.contains(expr.text) || scope.IsLocal(expr.text)) return;
  std::string hint;
  if (expr.text == "emit") {
    hint = "`emit Type(field: value)` is a statement of a function; a stream has `.emit(…)`";
  } else if (IsAggregateName(expr.text)) {
    hint = "it is an aggregate: use it in `.aggregate(…)`";
  } else {
    hint = ErrorHint(expr.text, [&] {
      std::vector<std::string> names = BuiltinNames();
      for (const auto& [name, function] : functions_) names.push_back(name);
      std::sort(names.begin(), names.end());
      return names;
    });
  }
  diagnostics_.Error(expr.main_span, "E050", Concat("there is no function `", expr.text, "`"),
                     std::move(hint));
}

// `declared`: of a user function. Wrong calls of built-ins merely never have a value.
void Checker::CheckArguments(const Expr& call, std::optional<Span> declared, int min, int max) {
  for (const std::string& label : call.labels) {
    if (label.empty()) continue;
    diagnostics_.Error(call.main_span, "E105", Concat("`", call.text, "` takes no named arguments"),
                       "give the values in order");
    return;
  }
  const int count = static_cast<int>(call.children.size());
  if (count >= min && (max < 0 || count <= max)) return;
  std::string wanted = Concat(min);
  if (max < 0) ConcatTo(&wanted, " or more");
  if (max > min) ConcatTo(&wanted, " to ", max);
  if (declared.has_value()) {
    diagnostics_.Error(call.main_span, "E051",
                       Concat("`", call.text, "` has ", count, " arguments and takes ", wanted), "",
                       declared);
    return;
  }
  diagnostics_.Warn(call.main_span, "W051",
                    Concat("`", call.text, "` has ", count, " arguments and takes ", wanted,
                           ", so it never has a value"));
}

// `xs.filter(x => …)`: only lists have methods, and values cannot be called otherwise.
void Checker::CheckApply(const Expr& expr, Scope& scope) {
  const Expr& callee = *expr.children[0];
  if (callee.kind != ExprKind::kMember) {
    diagnostics_.Error(callee.span, "E116", "only functions and methods can be called",
                       "declare a function with `fn` and call it by its name");
    return;
  }
  CheckExpr(*callee.children[0], scope);
  const auto* method =
      std::find_if(std::begin(kMethods), std::end(kMethods),
                   [&](const Method& candidate) { return candidate.name == callee.text; });
  if (method == std::end(kMethods)) {
    std::vector<std::string> names;
    for (const Method& known : kMethods) names.emplace_back(known.name);
    diagnostics_.Error(callee.main_span, "E050",
                       Concat("values have no method `", callee.text, "`"),
                       FindBuiltin(callee.text) != nullptr || functions_.contains(callee.text)
                           ? Concat("write ", callee.text, "(value, …)")
                           : DidYouMean(callee.text, names));
    for (size_t i = 1; i < expr.children.size(); ++i) {
      if (expr.children[i]->kind != ExprKind::kLambda) CheckExpr(*expr.children[i], scope);
    }
    return;
  }
  const size_t wanted = method->arguments < 0 ? 1 : 0;
  if (expr.children.size() != wanted + 1) {
    diagnostics_.Error(callee.main_span, "E051",
                       Concat("`.", callee.text, "` takes ",
                              wanted == 0 ? "no arguments" : "one function, such as x => x > 1"));
    return;
  }
  if (wanted == 0) return;
  if (expr.children[1]->kind == ExprKind::kLambda) {
    return CheckLambda(*expr.children[1], 0, scope, /*takes_event=*/false);
  }
  diagnostics_.Error(expr.children[1]->span, "E116",
                     Concat("`.", callee.text, "` takes a function"), "such as x => x > 1");
}

// `parameters` 0: one or two.
void Checker::CheckLambda(const Expr& lambda, size_t parameters, Scope& scope, bool takes_event) {
  const size_t count = lambda.labels.size();
  if (parameters == 0 ? count < 1 || count > 2 : count != parameters) {
    diagnostics_.Error(lambda.main_span, "E116",
                       Concat("the function has ", count, " parameters and must have ",
                              parameters == 0 ? std::string("one or two") : Concat(parameters)));
    return;
  }
  if (takes_event) {
    scope.captures.push_back({lambda.labels[0], scope.shape, false, /*is_parameter=*/true});
  } else {
    for (const std::string& label : lambda.labels) ++scope.locals[label];
  }
  absl::flat_hash_map<std::string_view, bool> assignable;
  if (lambda.block != nullptr) {
    BindBlock(*lambda.block, scope, &assignable);
    CheckBlock(*lambda.block, scope, {.in_lambda = true, .assignable = &assignable});
  }
  for (const ExprPtr& value : lambda.children) CheckExpr(*value, scope);
  for (const auto& [name, is_assignable] : assignable) --scope.locals[name];
  if (takes_event) {
    scope.captures.pop_back();
  } else {
    for (const std::string& label : lambda.labels) --scope.locals[label];
  }
}

}  // namespace varpulis::engine
