#include <algorithm>
#include <utility>

#include "engine/lang/checker.h"
#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

bool IsClosure(const PatternStep& step) {
  return step.repeat == PatternStep::Repeat::kPlus || step.repeat == PatternStep::Repeat::kStar;
}

// The step of `NOT X`, or null when it is no single step.
const PatternStep* Negated(const PatternExpr& pattern) {
  const PatternExpr& child = *pattern.children[0];
  return child.kind == PatternExpr::Kind::kStep ? &child.step : nullptr;
}

void AliasesOf(const PatternExpr& pattern, absl::flat_hash_set<std::string_view>* aliases) {
  if (pattern.kind == PatternExpr::Kind::kNot) return;
  if (pattern.step.alias.has_value()) aliases->insert(pattern.step.alias->text);
  for (const auto& child : pattern.children) AliasesOf(*child, aliases);
}

}  // namespace

Checker::PatternInfo& Checker::PatternAt(const std::string& name) {
  PatternInfo& info = *patterns_.at(name);
  CheckPattern(info);
  return info;
}

void Checker::CheckPatterns() {
  for (const Statement& statement : program_.statements) {
    const auto* decl = std::get_if<PatternDecl>(&statement);
    if (decl == nullptr) continue;
    const PatternInfo& info = PatternAt(decl->name.text);
    if (info.decl != decl || !info.trailing_not.has_value() || info.used_within) continue;
    diagnostics_.Error(*info.trailing_not, "E121",
                       "a NOT at the end needs a time after which it is fulfilled",
                       "add `within 10s` to the pattern");
  }
}

void Checker::CheckPattern(PatternInfo& info) {
  if (info.state != PatternInfo::State::kNew) return;
  info.state = PatternInfo::State::kOpen;
  ++open_patterns_;
  Scope scope;
  scope.has_event = true;
  scope.in_step = true;
  absl::flat_hash_set<std::string_view> later;
  AliasesOf(*info.decl->pattern, &later);
  scope.later = &later;
  if (info.decl->pattern->kind == PatternExpr::Kind::kNot) {
    diagnostics_.Error(info.decl->pattern->span, "E120", "a pattern cannot only be a NOT",
                       "write SEQ(A, NOT B) within 10s");
  }
  CheckPatternExpr(*info.decl->pattern, info, scope);
  info.captures = std::move(scope.captures);
  if (info.decl->within != nullptr) {
    CheckDuration(*info.decl->within, "`within`");
    info.trailing_not.reset();
  }
  if (info.step_count > kMaxPatternSteps) {
    diagnostics_.Error(info.decl->name.span, "E102",
                       Concat("a pattern may have at most ", kMaxPatternSteps, " steps"));
  }
  --open_patterns_;
  info.state = PatternInfo::State::kDone;
}

void Checker::CheckPatternExpr(const PatternExpr& pattern, PatternInfo& info, Scope& scope) {
  switch (pattern.kind) {
    case PatternExpr::Kind::kStep:
      return CheckPatternStep(pattern.step, info, scope);
    case PatternExpr::Kind::kSequence:
      return CheckSequence(pattern, info, scope);
    case PatternExpr::Kind::kNot:
      return CheckNegation(pattern, info, scope);
    case PatternExpr::Kind::kAnd:
    case PatternExpr::Kind::kOr:
      break;
  }
  std::vector<Capture> captures = scope.captures;
  for (const auto& child : pattern.children) {
    if (child->kind == PatternExpr::Kind::kNot) {
      diagnostics_.Error(child->span, "E120", "NOT can only stand between the items of a SEQ",
                         "write SEQ(A, NOT B, C)");
      continue;
    }
    if (pattern.kind == PatternExpr::Kind::kAnd) {
      CheckPatternExpr(*child, info, scope);
      continue;
    }
    // One branch of an OR does not see the aliases of another, and may use the same ones.
    Scope branch = scope;
    CheckPatternExpr(*child, info, branch);
    for (size_t i = scope.captures.size(); i < branch.captures.size(); ++i) {
      Capture& capture = branch.captures[i];
      auto same = std::find_if(captures.begin(), captures.end(),
                               [&](const Capture& known) { return known.name == capture.name; });
      if (same == captures.end()) {
        captures.push_back(std::move(capture));
      } else {
        same->shape = nullptr;  // of one type or the other
      }
    }
  }
  if (pattern.kind == PatternExpr::Kind::kOr) scope.captures = std::move(captures);
}

void Checker::CheckSequence(const PatternExpr& pattern, PatternInfo& info, Scope& scope) {
  for (size_t i = 0; i < pattern.children.size(); ++i) {
    const PatternExpr& child = *pattern.children[i];
    CheckPatternExpr(child, info, scope);
    if (child.kind != PatternExpr::Kind::kNot) continue;
    if (i == 0) {
      diagnostics_.Error(child.span, "E120", "a NOT cannot come first",
                         "there is no event yet after which the other must not come");
    } else if (i + 1 == pattern.children.size()) {
      info.trailing_not = child.span;
    }
  }
}

void Checker::CheckNegation(const PatternExpr& pattern, PatternInfo& info, Scope& scope) {
  const PatternStep* step = Negated(pattern);
  if (step == nullptr || step->repeat != PatternStep::Repeat::kOne) {
    diagnostics_.Error(pattern.span, "E120", "NOT takes one event type",
                       "such as NOT Cancel where id == a.id");
    return;
  }
  ++info.step_count;
  if (step->alias.has_value()) {
    diagnostics_.Error(step->alias->span, "E120", "the event of a NOT has no alias",
                       "there is no such event when the pattern matches");
  }
  if (step->where != nullptr) CheckStepFilter(*step->where, step->type, "", scope);
}

void Checker::CheckPatternStep(const PatternStep& step, PatternInfo& info, Scope& scope) {
  ++info.step_count;
  const std::string& type = step.type.text;
  if (!stream_index_.contains(type) && patterns_.contains(type)) {
    PatternInfo& inner = *patterns_.at(type);
    if (inner.state == PatternInfo::State::kOpen) {
      diagnostics_.Error(step.type.span, "E103", Concat("pattern `", type, "` contains itself"));
      return;
    }
    if (open_patterns_ >= kMaxPatternNesting) {
      diagnostics_.Error(step.type.span, "E102",
                         Concat("patterns are nested more than ", kMaxPatternNesting, " deep"));
      return;
    }
    CheckPattern(inner);
    info.step_count = std::min(info.step_count + inner.step_count, 2 * kMaxPatternSteps);
    info.steps.insert(info.steps.end(), inner.steps.begin(), inner.steps.end());
    if (info.steps.size() > kMaxPatternSteps) info.steps.resize(kMaxPatternSteps);
    for (const Capture& capture : inner.captures) {
      if (scope.captures.size() > kMaxPatternSteps) break;
      if (scope.Find(capture.name) == nullptr) {
        scope.captures.push_back(capture);
        continue;
      }
      diagnostics_.Error(step.type.span, "E122",
                         Concat("alias `", capture.name, "` of pattern `", type,
                                "` is used before in this pattern"),
                         "aliases must differ within a match");
    }
  } else {
    info.steps.push_back(&step);
  }
  const std::string_view own = step.alias.has_value() ? step.alias->text : std::string_view();
  if (step.where != nullptr) CheckStepFilter(*step.where, step.type, own, scope);
  if (step.alias.has_value() && scope.captures.size() <= kMaxPatternSteps) {
    AddCapture(*step.alias, step.type, IsClosure(step), scope.captures, /*may_repeat=*/false);
  }
}

void Checker::AddCapture(const Name& alias, const Name& type, bool closure,
                         std::vector<Capture>& captures, bool may_repeat) {
  const bool taken = std::any_of(captures.begin(), captures.end(), [&](const Capture& capture) {
    return capture.name == alias.text;
  });
  if (taken && !may_repeat) {
    diagnostics_.Error(alias.span, "E122",
                       Concat("alias `", alias.text, "` is given twice in one pattern"),
                       "the second event would hide the first; choose another name");
  }
  if (!taken) captures.push_back({alias.text, ShapeOf(type.text), closure});
}

void Checker::CheckStepFilter(const Expr& where, const Name& type, std::string_view own_alias,
                              Scope& scope) {
  scope.shape = ShapeOf(type.text);
  scope.type = type.text;
  scope.own_alias = own_alias;
  scope.in_step = true;
  CheckExpr(where, scope);
  scope.own_alias = {};
}

bool Checker::CheckSteps(const StreamDecl& stream, std::vector<Capture>* captures) {
  struct Step {
    const Name* type;
    const Expr* where;
    const Name* alias;
    bool closure;
    const Expr* within;
  };
  const StreamSource& source = stream.source;
  std::vector<Step> steps;
  auto add = [&](const PatternStep& step) {
    steps.push_back({&step.type, step.where.get(), step.alias.has_value() ? &*step.alias : nullptr,
                     IsClosure(step), step.within.get()});
  };
  const bool over_types = source.kind == SourceKind::kType || source.kind == SourceKind::kConnector;
  if (over_types) {
    steps.push_back({&source.type, source.where.get(),
                     source.alias.has_value() ? &*source.alias : nullptr, source.all, nullptr});
  }
  for (const PatternStep& step : source.steps) add(step);
  for (const StreamOp& op : stream.ops) {
    if (op.kind == OpKind::kStep) add(op.step);
  }
  const bool named = over_types && !stream_index_.contains(source.type.text) &&
                     patterns_.contains(source.type.text);
  const bool has_steps = source.kind == SourceKind::kSequence || steps.size() > 1 || named;
  if (!has_steps) return false;
  if (steps.size() > kMaxPatternSteps) {
    diagnostics_.Error(stream.name.span, "E102",
                       Concat("a pattern may have at most ", kMaxPatternSteps, " steps"));
    return true;
  }
  Scope scope;
  scope.has_event = true;
  absl::flat_hash_set<std::string_view> later;
  for (const Step& step : steps) {
    if (step.alias != nullptr) later.insert(step.alias->text);
  }
  scope.later = &later;
  for (const Step& step : steps) {
    const bool is_pattern =
        !stream_index_.contains(step.type->text) && patterns_.contains(step.type->text);
    if (is_pattern) {
      for (const Capture& capture : PatternAt(step.type->text).captures) {
        scope.captures.push_back(capture);
      }
    }
    const std::string_view own = step.alias != nullptr ? step.alias->text : std::string_view();
    if (step.where != nullptr) CheckStepFilter(*step.where, *step.type, own, scope);
    if (step.within != nullptr) CheckDuration(*step.within, "`.within`");
    if (step.alias != nullptr) {
      AddCapture(*step.alias, *step.type, step.closure, scope.captures, /*may_repeat=*/false);
    }
  }
  // Every alias is bound, or will be, when an event of `.not` comes.
  for (const StreamOp& op : stream.ops) {
    if (op.kind != OpKind::kNot) continue;
    if (op.step.repeat != PatternStep::Repeat::kOne || op.step.alias.has_value()) {
      diagnostics_.Error(op.step.type.span, "E120", "`.not` takes one event type without an alias",
                         "such as .not(Cancel where id == a.id)");
    }
    if (op.step.where != nullptr) CheckStepFilter(*op.step.where, op.step.type, "", scope);
  }
  *captures = std::move(scope.captures);
  return true;
}

// `<alias>_<field>` of every captured event.
Checker::ShapePtr Checker::MatchShape(const StreamDecl& stream,
                                      const std::vector<Capture>& captures) {
  auto shape = std::make_shared<Shape>();
  shape->owner = Concat("a match of `", stream.name.text, "`");
  shape->Add("stream");
  shape->Add("match_duration_ms");
  for (const Capture& capture : captures) {
    const std::string prefix = Concat(capture.name, "_");
    if (capture.shape == nullptr) {
      shape->open.push_back(prefix);
      continue;
    }
    for (const std::string& name : capture.shape->names) shape->Add(Concat(prefix, name));
    for (const std::string& open : capture.shape->open) shape->open.push_back(prefix + open);
    if (shape->names.size() > kMaxKnownFields || shape->open.size() > kMaxKnownFields) {
      return nullptr;
    }
  }
  return shape;
}

void Checker::CheckDuration(const Expr& expr, std::string_view what) {
  const std::optional<Literal> value = CheckConstant(expr, what);
  if (!value.has_value()) return;
  if (value->kind == LiteralKind::kDuration || value->kind == LiteralKind::kInt) {
    if (value->integer > 0 || (value->integer == 0 && what != "the interval of `timer`")) return;
    diagnostics_.Error(expr.span, "E061", Concat(what, " needs a positive duration"), "such as 5s");
    return;
  }
  diagnostics_.Error(expr.span, "E061", Concat(what, " needs a duration"), "such as 5s");
}

}  // namespace varpulis::engine
