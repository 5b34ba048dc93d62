#include <algorithm>

#include "engine/lang/checker.h"
#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

// Parameters of `.from` and `.to` (vpl.md §11). Other kinds of connectors are not checked.
struct ConnectorParam {
  std::string_view connector;
  std::string_view name;
  LiteralKind kind;
  bool from, to;
};
constexpr ConnectorParam kParams[] = {
    {"mqtt", "topic", LiteralKind::kString, true, true},
    {"mqtt", "client_id", LiteralKind::kString, true, true},
    {"mqtt", "qos", LiteralKind::kInt, true, true},
    {"kafka", "topic", LiteralKind::kString, true, true},
    {"kafka", "partition", LiteralKind::kInt, true, true},
    {"kafka", "group_id", LiteralKind::kString, true, false},
    {"http", "topic", LiteralKind::kString, true, true},
    {"http", "method", LiteralKind::kString, false, true},
    {"nats", "topic", LiteralKind::kString, true, true},
    {"nats", "queue_group", LiteralKind::kString, true, false},
    {"console", "topic", LiteralKind::kString, false, true},
};

}  // namespace

const ConnectorDecl* Checker::FindConnector(const Name& name) {
  auto found = connectors_.find(name.text);
  if (found != connectors_.end()) return found->second;
  if (broken_.contains(name.text)) return nullptr;
  const std::string nearest = ErrorHint(name.text, [&] { return Sorted(connector_names_); });
  diagnostics_.Error(name.span, "E030", Concat("there is no connector `", name.text, "`"),
                     nearest.empty() ? Concat("declare it: connector ", name.text,
                                              " = mqtt(url: \"…\"); also kafka, nats, http, file, "
                                              "console, database, redis")
                                     : nearest);
  return nullptr;
}

void Checker::CheckConnectorParams(const ConnectorDecl& connector, bool from,
                                   const std::vector<NamedExpr>& params) {
  const std::string& type = connector.type.text;
  const std::string_view op = from ? ".from" : ".to";
  bool listed = false;
  std::vector<std::string> valid;
  for (const ConnectorParam& known : kParams) {
    if (known.connector != type) continue;
    listed = true;
    if (from ? known.from : known.to) valid.emplace_back(known.name);
  }
  if (!listed) return;
  for (const NamedExpr& param : params) {
    const ConnectorParam* found = nullptr;
    for (const ConnectorParam& known : kParams) {
      if (known.connector == type && known.name == param.label.text) found = &known;
    }
    if (found == nullptr || !(from ? found->from : found->to)) {
      std::string hint = DidYouMean(param.label.text, valid);
      if (hint.empty()) {
        hint = valid.empty() ? "it takes none" : "it takes";
        for (size_t i = 0; i < valid.size(); ++i) ConcatTo(&hint, i == 0 ? " " : ", ", valid[i]);
      }
      diagnostics_.Warn(
          param.label.span, "W080",
          Concat("`", op, "` of `", type, "` has no parameter `", param.label.text, "`"),
          std::move(hint));
      continue;
    }
    const std::optional<Literal> value = constants_.Fold(*param.expr);
    if (value.has_value() && value->kind == found->kind) continue;
    if (param.expr->kind == ExprKind::kName && found->kind == LiteralKind::kString) continue;
    diagnostics_.Warn(param.expr->span, "W081",
                      Concat("`", param.label.text, "` should be ",
                             found->kind == LiteralKind::kInt ? "a whole number" : "a text"),
                      found->kind == LiteralKind::kInt ? "such as 1" : "such as \"alarms\"");
  }
}

}  // namespace varpulis::engine
